"""``smsgw tail``: events while they happen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from smsgw.interfaces.cli import tail
from tests.integration.cli.test_commands import smsgw
from tests.support.daemon import TOKEN
from tests.support.gateways import ACCOUNT, InsideTown, message
from tests.support.ports import free_port
from tests.support.processes import Command
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test

PHONE = "13800001001"


@pytest.mark.long
@reactor_test(seconds=240)
async def test_events_are_shown_as_they_happen_and_a_restart_costs_none(tmp_path: Path) -> None:
    async with InsideTown(tmp_path) as town:
        await town.close()
        listen = f'listen = "127.0.0.1:{free_port()}"'
        config = town.config.read_text().replace('listen = "127.0.0.1:0"', listen, 1)
        town.config.write_text(config)
        await town.run()
        await town.gateway.send(ACCOUNT, [message(PHONE, "before")])
        every = Command("tail", "--url", town.url, "--token", TOKEN)
        options = ("--after", "0", "--kind", "message.*", "--phone", "18900001002", "--json")
        some = Command("tail", "--url", town.url, "--token", TOKEN, *options)
        await until(lambda: len(town.gateway.news._watches) == 2)
        await town.gateway.send(ACCOUNT, [message("18900001002", "您好", reference="a-1")])
        await every.says("message.delivered")
        await some.says("message.delivered")
        await town.close()
        await every.says("trying again")
        await some.says("trying again")
        await town.run()
        await every.says("the gateway is back")
        (third,) = await town.gateway.send(ACCOUNT, [message(PHONE, "after")])
        await every.says(str(third))
        for command in (every, some):
            command.interrupt()
            assert await command.ended == 0
        lines = every.out.splitlines()
        assert all(re.match(r"\d\d:\d\d:\d\d [a-z_.]+ +\d+  \S", line) for line in lines)
        assert any("to=18900001002  reference=a-1" in line for line in lines)
        assert every.err.count("trying again") == every.err.count("the gateway is back") == 1
        shown = [json.loads(line) for line in some.out.splitlines()]
        assert {one["data"]["to"] for one in shown} == {"18900001002"}
        assert [one["kind"] for one in shown][-1] == "message.delivered"


@reactor_test
async def test_nobody_to_ask_and_nobody_who_answers_end_it(tmp_path: Path) -> None:
    result = await smsgw(f"http://127.0.0.1:{free_port()}", "tail", token=TOKEN)
    assert result.exit_code == 3
    async with InsideTown(tmp_path) as town:
        result = await smsgw(town.url, "tail", "--kind", "nonsense", token=TOKEN)
        assert result.exit_code == 2
        assert result.stderr.startswith("smsgw: kind: 'nonsense' is no kind")
        result = await smsgw(town.url, "tail", token="sgw_none")
        assert result.exit_code == 1


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"phone": PHONE}, True),
        ({"phone": "13800001002"}, False),
        ({"message": "7"}, True),
        ({"message": "9"}, False),
        ({"request": "9"}, True),
        ({"request": "7"}, False),
        ({"request": "9", "message": "7", "phone": PHONE}, True),
    ],
)
def test_an_event_is_about_its_subject_and_what_its_data_names(
    filters: dict[str, str], wanted: bool
) -> None:
    event = {
        "kind": "message.queued",
        "subject_id": "7",
        "data": {"to": PHONE, "request_id": "9"},
    }
    none = dict.fromkeys(("phone", "message", "request"))
    assert tail._is_wanted(event, **{**none, **filters}) is wanted


def test_a_line_has_no_more_than_a_terminal_can_bear() -> None:
    event = {
        "at": "2026-11-22T09:00:00.000+00:00",
        "kind": "inbound.received",
        "subject_id": "7",
        "data": {"text": "a\n\x1b[2J" + "好" * 100, "missing": "", "late": False, "of": None},
    }
    line = tail._line(event)
    assert line[8:] == " inbound.received       7  text=a  [2J" + "好" * 53 + "…  late=false"

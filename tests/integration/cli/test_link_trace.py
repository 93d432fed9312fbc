"""``smsgw links trace``: PDUs of a link while they go over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from smsgw.interfaces.cli.main import main
from tests.integration.cli.test_commands import smsgw
from tests.support.daemon import TOKEN
from tests.support.gateways import ACCOUNT, InsideTown, message
from tests.support.processes import Command
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test

PHONE = "13800001001"
OTHER = "13800001002"


async def audited(town: InsideTown) -> list[tuple[str, str]]:
    sql = text("SELECT actor, action FROM audit WHERE action LIKE 'link.%' ORDER BY sequence")
    found: Any = await town.gateway._database.read(lambda c: c.execute(sql).all())
    return [(row.actor, row.action) for row in found]


async def traced(town: InsideTown, link: str) -> None:
    """Wait until somebody sees a link's PDUs."""
    await until(lambda: town.gateway.control.entries[link].link.traffic.tap is not None)


@reactor_test
async def test_it_shows_what_goes_over_a_link_until_ctrl_c(tmp_path: Path) -> None:
    async with InsideTown(tmp_path) as town:
        options = ("--url", town.url, "--token", TOKEN)
        command = Command("links", "trace", "mobile", "--phone", PHONE, *options)
        await traced(town, "mobile")
        assert await audited(town) == [("test", "link.traced")]
        await town.gateway.send(ACCOUNT, [message(OTHER), message(PHONE, "请回复 \x1b[2J")])
        await command.says("CMPP_DELIVER_RESP")
        command.interrupt()
        assert await command.ended == 0
        assert command.err == ""
        lines = command.out.splitlines()
        titles = [line.split("  ") for line in lines if not line.startswith(" ")]
        assert [title[1] for title in titles] == [
            "CMPP_SUBMIT",
            "CMPP_SUBMIT_RESP",
            "CMPP_DELIVER",
            "CMPP_DELIVER_RESP",
        ]
        assert [title[0].split()[1:] for title in titles][:2] == [
            ["->", "bind", "1"],
            ["<-", "bind", "1"],
        ]
        assert "    text 请回复  [2J" in lines
        assert f'dest_terminal_id=["{PHONE}"]' in command.out
        assert OTHER not in command.out
        assert "请回复".encode("utf-16-be").hex() in command.out
        assert await audited(town) == [("test", "link.traced"), ("test", "link.trace_ended")]


@pytest.mark.long
@reactor_test
async def test_it_ends_when_its_time_is_over_and_prints_json(tmp_path: Path) -> None:
    async with InsideTown(tmp_path) as town:
        options = ("--url", town.url, "--token", TOKEN, "--json", "--for", "1s")
        command = Command("links", "trace", "telecom", *options)
        await traced(town, "telecom")
        await town.gateway.send(ACCOUNT, [message("18900001002")])
        assert await command.ended == 0
        seen = [json.loads(line) for line in command.out.splitlines()]
        assert seen[0]["command"] == "SMGP_SUBMIT"
        assert seen[0]["fields"]["dest_term_id"] == ["18900001002"]
        refused = await smsgw(town.url, "links", "trace", "none", token=TOKEN)
        assert (refused.exit_code, refused.stderr) == (
            1,
            "smsgw: link none: not known; links are: mobile, telecom, unicom\n",
        )


def test_a_duration_is_written_with_its_unit() -> None:
    result = CliRunner().invoke(main, ["links", "trace", "mobile", "--for", "10"])
    assert result.exit_code == 2
    assert "'10' is no duration; write such as 30s, 10m or 2h" in result.stderr

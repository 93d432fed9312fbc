"""The benches that are proofs too: their accounts come out even, their databases are true."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from smsgw.store import events, messages
from smsgw.store.database import read_once
from smsgw.store.schema import message, queue, sending
from tests.support.reactor import reactor_test
from tests.support.stores import SERVER, Place, bare_place, bare_server, skip_without_server

__all__ = ["bare_place", "bare_server"]


BENCHES = Path(__file__).parents[2] / "benches"
SHORT = ("--batch", 100, "--seconds", 2, "--warm-up", 1, "--in-flight", 2000, "--check")


async def run(name: str, *arguments: object) -> str:
    """Return what a bench printed; fail if it found something wrong."""
    out, err, code = await getProcessOutputAndValue(
        sys.executable,
        [str(one) for one in (BENCHES / name, *arguments)],
        env=os.environ,
        reactor=reactor,
    )
    said: str = out.decode()
    assert code == 0, said + err.decode()
    assert "Traceback" not in err.decode()
    assert "left out" not in said
    return said


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_load_with_lost_answers_throttles_and_cuts_comes_out_even(tmp_path: Path) -> None:
    said = await run("load.py", "--messages", 20_000, "--cut-every", 5, "--folder", tmp_path)
    assert said.endswith("nothing is wrong\n")


@pytest.mark.long
@reactor_test(seconds=240)
async def test_two_processes_share_the_load_and_lose_nothing(tmp_path: Path) -> None:
    skip_without_server()
    said = await run(
        "gateway.py", "--processes", 2, "--server", SERVER, "--folder", tmp_path, *SHORT
    )
    assert "2 x smsgw (cmpp) x 100 / smsgw (cmpp) x 100: messages/s " in said
    assert "2 x smsgw pg (cmpp) x 100 / smsgw pg (cmpp) x 100: messages/s " in said
    shares = [
        line.split(": ")[1].split(", ") for line in said.splitlines() if "submits of each" in line
    ]
    assert [len(one) for one in shares] == [2, 2]


@reactor_test(seconds=240)
async def test_a_burst_of_votes_over_three_carriers_is_counted_exactly(tmp_path: Path) -> None:
    said = await run("mo.py", "--votes", 3000, "--folder", tmp_path)
    assert "\nexact: " in said


@pytest.mark.long
@pytest.mark.parametrize("server", ["", SERVER])
@reactor_test(seconds=240)
async def test_a_burst_of_votes_is_counted_exactly_after_a_kill(
    tmp_path: Path, server: str
) -> None:
    if server:
        skip_without_server()
    more = ["--kill", "--server", server]
    said = await run("mo.py", "--votes", 20_000, "--folder", tmp_path, *more)
    assert "\nexact: " in said


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_gateway_with_a_past_is_compared_with_one_that_has_less(tmp_path: Path) -> None:
    said = await run("gateway.py", "--stored", "100,20000", "--folder", tmp_path, *SHORT)
    assert "20,000 stored x 100 / 100 stored x 100: messages/s " in said


def test_a_past_is_what_the_store_itself_would_have_left(
    bare_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHES)
    past = importlib.import_module("gateway_stored")
    monkeypatch.setattr(past, "FIRST", 5)
    greatest = past.fill(bare_place, 300)

    def look(connection: Connection) -> Any:
        rows = messages.page(connection, limit=1000)
        segments = [one for row in rows for one in messages.segments_of(connection, row)]
        waiting = [
            connection.execute(select(func.count()).select_from(table)).scalar()
            for table in (queue, sending)
        ]
        newest = connection.execute(select(func.max(message.c.id))).scalar()
        return rows, segments, waiting, newest, events.list_after(connection, limit=1000)

    rows, segments, waiting, newest, told = read_once(bare_place, look)
    assert len(rows) == len(segments) == 300
    assert {(one.status, one.reason, one.parts) for one in rows} == {("delivered", "", 1)}
    assert {one.state for one in segments} == {"delivered"}
    assert len({one.carrier_message_id for one in segments}) == 300
    assert len({one.recipient for one in rows}) == 5 * len(past.PREFIXES)
    assert all(one.created_at < one.valid_until for one in rows)
    assert (waiting, newest) == ([0, 0], greatest)
    of_one = [event.kind for event in told if event.subject_id == rows[7].id]
    assert of_one == ["message.queued", "message.sent", "message.delivered"]
    assert len(told) == 900

"""``smsgw top`` against the real HTTP API on a socket, and on a terminal."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.integration.cli.test_commands import smsgw
from tests.support.api import TOKEN, ApiServer
from tests.support.figures import figures
from tests.support.reactor import reactor_test

SOON = ("--every", "0.2")


@reactor_test
async def test_without_a_terminal_there_is_one_table_that_other_programs_read() -> None:
    async with ApiServer() as api:
        api.metrics.watch(figures)
        for arguments in ((), ("--once",)):
            result = await smsgw(api.url, "top", *SOON, *arguments)
            assert result.exit_code == 0, result.output
            head, first, second, ready, *rest = result.stdout.splitlines()
            assert head.split("\t")[:4] == ["link", "state", "binds", "window"]
            assert first.split("\t")[:4] == ["cmcc", "up", "1/2", "3/32"]
            assert first.split("\t")[-1] == "rate limit: 9.5 of 10 a second"
            assert second.split("\t")[:3] == ["ctcc", "down", "0/1"]
            assert ready == "ready"
            assert "waiting: realtime 7 (12 s)" in rest
            assert "webhooks: 7 wait, the oldest 2 s · 3 dead letters · 1 paused" in rest


@reactor_test
async def test_json_is_one_document() -> None:
    async with ApiServer() as api:
        api.metrics.watch(figures)
        result = await smsgw(api.url, "top", *SOON, "--json")
        shown = json.loads(result.stdout)
        assert [link["name"] for link in shown["links"]] == ["cmcc", "ctcc"]
        assert shown["links"][0]["classes"]["realtime"] == {"waiting": 7, "oldest_seconds": 12.5}
        assert shown["per_second"]["http"] > 0  # its own looks


@reactor_test
async def test_mistakes_are_one_line() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "top", "--once", token="")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        result = await smsgw(api.url, "top", "--every", "0")
        assert result.exit_code == 2
        url = api.url
    result = await smsgw(url, "top", "--once")
    assert (result.exit_code, "cannot be reached" in result.stderr) == (3, True)


class Terminal(ProcessProtocol):
    """``smsgw top`` on a terminal of its own."""

    def __init__(self, url: str) -> None:
        self.shown = ""
        self.ended: Deferred[int] = Deferred()
        environment = {
            **os.environ,
            "SMSGW_URL": url,
            "SMSGW_TOKEN": TOKEN,
            "TERM": "xterm",
            "COLUMNS": "200",
            "LINES": "40",
        }
        words = [sys.executable, "-m", "smsgw", "top", *SOON]
        self._process: Any = reactor.spawnProcess(  # type: ignore[attr-defined]
            self, sys.executable, words, env=environment, usePTY=True
        )

    def outReceived(self, data: bytes) -> None:
        self.shown += data.decode(errors="replace")

    def processEnded(self, reason: Failure) -> None:
        done = reason.check(ProcessDone)
        self.ended.callback(0 if done else (reason.value.exitCode or -(reason.value.signal or 0)))

    async def shows(self, words: str) -> None:
        while words not in self.shown:
            assert not self.ended.called, self.shown
            await deferLater(reactor, 0.01)

    def press(self, keys: str) -> None:
        self._process.write(keys.encode())


def as_it_was(shown: str) -> bool:
    """Whether the terminal got its screen and its cursor back, and no traceback."""
    return "Traceback" not in shown and shown.rstrip().endswith(("\x1b[?25h", "\x1b[?1049l"))


@reactor_test
async def test_a_terminal_shows_it_until_q_also_while_the_gateway_is_away() -> None:
    async with ApiServer() as api:
        api.metrics.watch(figures)
        terminal = Terminal(api.url)
        await terminal.shows("rate limit")
        await terminal.shows("3 dead letters")
        terminal.press("x")  # any other key does nothing
    await terminal.shows("cannot be reached")
    terminal.press("q")
    assert await terminal.ended == 0
    assert as_it_was(terminal.shown)


@reactor_test
async def test_ctrl_c_ends_it_as_well() -> None:
    async with ApiServer() as api:
        terminal = Terminal(api.url)
        await terminal.shows("rate limit")
        terminal.press("\x03")
        assert await terminal.ended == 0
        assert as_it_was(terminal.shown)

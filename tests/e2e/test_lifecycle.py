"""The daemon's life as a process: told to end under load, to read its file again, and watched."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.task import deferLater
from twisted.web.client import ResponseFailed

from smsgw.simulator.ismg import Behaviour
from tests.support.daemon import TOKEN, Town
from tests.support.reactor import reactor_test

PHONE = "13800001001"
HURRIED_WITHIN = 20.0
"""Seconds: far less than the 25 that answers are waited for."""


class LoadedTown(Town):
    """A daemon under load.

    Attributes:
        promised: The texts that were answered with 202.
        refused: Answers with 503, and what they said about coming back.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.promised: list[str] = []
        self.refused: list[str] = []
        self.loading = True
        self._numbers: Iterator[int] = iter(range(1_000_000))

    async def load(self) -> None:
        """Send one message after the other until the daemon is gone."""
        while self.loading:
            text = f"第{next(self._numbers)}条"
            try:
                response = await treq.post(
                    f"{self.url}/v1/messages",
                    json={"to": PHONE, "text": text},
                    headers={"Authorization": f"Bearer {TOKEN}"},
                    persistent=False,
                )
                await response.content()
            except (ConnectError, ConnectionClosed, ResponseFailed):
                return
            if response.code == 202:
                self.promised.append(text)
            else:
                assert response.code == 503
                self.refused += response.headers.getRawHeaders("Retry-After") or []
                await deferLater(reactor, 0.02)

    def received(self) -> Counter[str]:
        """How often the phone got each text."""
        inbox = self.carriers["cmpp"].phones.get(PHONE).inbox
        return Counter(one.text for one in inbox)

    def left(self) -> tuple[int, int, int]:
        """Messages, parts that wait, and parts that were answered, as the daemon left them.

        There is no other part: none of unknown outcome, none half sent.
        """
        (messages,), *_ = self.rows("SELECT COUNT(*) FROM message")
        (waiting,), *_ = self.rows("SELECT COUNT(*) FROM queue")
        states = dict(self.rows("SELECT state, COUNT(*) FROM segment GROUP BY state"))
        assert set(states) <= {"sent"}
        return messages, waiting, states.get("sent", 0)


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, folder: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(folder / "notify"))
        self._sock.setblocking(False)
        self.heard: list[str] = []

    async def hears(self, word: str) -> bool:
        """Whether this was told since the list was cleared."""
        with suppress(BlockingIOError):
            while True:
                self.heard.append(self._sock.recv(4096).decode())
        return any(one.startswith(word) for one in self.heard)

    def close(self) -> None:
        self._sock.close()


async def read_again(town: Town, manager: Manager) -> None:
    """Send SIGHUP after a change of the file, and wait until it is read."""
    assert town.daemon is not None
    manager.heard.clear()
    os.kill(town.daemon.pid, signal.SIGHUP)
    await town.until(lambda: manager.hears("READY=1"))
    told = [one.partition("\n")[0] for one in manager.heard if not one.startswith("WATCHDOG")]
    assert told == ["RELOADING=1", "READY=1"]


async def rate_of(town: Town) -> float | None:
    found: float | None = (await town.get("/v1/links"))["links"][0]["queue"]["rate"]
    return found


@reactor_test(seconds=240)
async def test_sighup_reads_the_file_again_and_a_stop_under_load_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    town = LoadedTown(tmp_path)
    await town.start()
    daemon = town.daemon
    assert daemon is not None
    await town.until(lambda: manager.hears("READY=1"))
    await town.until(lambda: manager.hears("WATCHDOG=1"))

    good = town.config.read_text().replace('login = "901234"', 'login = "901234"\nrate = 1000', 1)
    town.config.write_text(good)
    await read_again(town, manager)
    assert await rate_of(town) == 1000
    town.config.write_text(good.replace("port =", "prot =", 1))
    await read_again(town, manager)
    assert "links.mobile.prot: unknown key; did you mean port?" in daemon.log
    assert await rate_of(town) == 1000
    town.config.write_text(good)

    for ismg in town.carriers.values():
        ismg.behaviour = Behaviour(answer_after=1.0, report_after=60)
    loads = gatherResults([Deferred.fromCoroutine(town.load()) for _ in range(4)])
    while len(town.promised) < 60:
        await deferLater(reactor, 0.01)
    told_at = time.monotonic()
    daemon.terminate()
    assert await daemon.ended == 0
    assert await manager.hears("STOPPING=1")
    took = time.monotonic() - told_at
    await loads
    assert town.refused
    assert set(town.refused) == {"30"}
    messages, waiting, answered = town.left()
    assert messages == waiting + answered == len(town.promised)
    assert town.received().total() == answered
    assert "Traceback" not in daemon.log
    print(
        f"stopped in {took:.1f} s under load: {len(town.promised)} accepted,"
        f" {answered} answered, {waiting} wait for the next start, 0 unknown"
    )

    for ismg in town.carriers.values():
        ismg.behaviour = Behaviour(report_after=0.05)
    await town.run()

    async def all_there() -> bool:
        return town.received().total() == len(town.promised)

    await town.until(all_there)
    assert town.received() == Counter(town.promised)
    await town.stop()
    manager.close()


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_second_signal_waits_for_no_answers_and_they_are_unknown(tmp_path: Path) -> None:
    town = LoadedTown(tmp_path)
    await town.start()
    town.carriers["cmpp"].behaviour = Behaviour(answer_after=3600)
    for number in range(5):
        await town.post("/v1/messages", {"to": PHONE, "text": f"第{number}条"})

    async def in_flight() -> bool:
        links = (await town.get("/v1/links"))["links"]
        return sum(link["in_flight"] for link in links) == 5

    await town.until(in_flight)
    daemon = town.daemon
    assert daemon is not None
    told_at = time.monotonic()
    daemon.terminate()

    async def draining() -> bool:
        return "gateway.stopping" in daemon.log

    await town.until(draining)
    os.kill(daemon.pid, signal.SIGINT)
    assert await daemon.ended == 0
    assert time.monotonic() - told_at < HURRIED_WITHIN
    assert "gateway.hurried" in daemon.log
    rows = town.rows("SELECT state, COUNT(*) FROM segment GROUP BY state")
    assert rows == [("unknown", 5)]
    await town.stop()

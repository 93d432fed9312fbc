"""A command of ours as a real process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure


class Shutdown:
    """The test's reactor, whose end comes when the test says so.

    Attributes:
        triggers: What was asked to be called then.
    """

    def __init__(self) -> None:
        self.triggers: list[Callable[[], Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def addSystemEventTrigger(self, phase: str, kind: str, call: Callable[[], Any]) -> None:
        assert (phase, kind) == ("before", "shutdown")
        self.triggers.append(call)

    async def come(self) -> None:
        for call in self.triggers:
            await call()


class Command(ProcessProtocol):
    """``smsgw`` with some arguments, running.

    Args:
        arguments: After the program's name.
        code: Python to run instead of ``smsgw``.

    Attributes:
        out: What it wrote to stdout so far.
        err: The same of stderr.
        ended: Fires with the exit code; minus the signal's number when one ended it.
    """

    def __init__(self, *arguments: object, code: str = "") -> None:
        self.out = ""
        self.err = ""
        self.ended: Deferred[int] = Deferred()
        program: Sequence[str] = ["-c", code] if code else ["-m", "smsgw"]
        words = [sys.executable, *program, *map(str, arguments)]
        self._process = reactor.spawnProcess(self, sys.executable, words, env=os.environ)

    def outReceived(self, data: bytes) -> None:
        self.out += data.decode(errors="replace")

    def errReceived(self, data: bytes) -> None:
        self.err += data.decode(errors="replace")

    def processEnded(self, reason: Failure) -> None:
        done = reason.check(ProcessDone)
        self.ended.callback(0 if done else (reason.value.exitCode or -(reason.value.signal or 0)))

    async def says(self, words: str) -> None:
        """Wait until it wrote this, on either stream."""
        while words not in self.out + self.err:
            assert not self.ended.called, f"ended without {words!r}: {self.out}{self.err}"
            await deferLater(reactor, 0.01)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.signalProcess(signal.SIGINT)

    def terminate(self) -> None:
        self._process.signalProcess(signal.SIGTERM)

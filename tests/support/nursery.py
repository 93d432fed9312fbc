"""Runs of the daemon that start at once, so that many can be killed in a short time."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

FORKS = """
import gc, os, sys
from pathlib import Path
import twisted.internet
import smsgw.daemon.assembly, smsgw.daemon.clock, smsgw.daemon.commands, smsgw.daemon.logs
import smsgw.store.revisions
import alembic.command, encodings.idna, sqlalchemy.dialects.sqlite
if "postgresql:" in Path(sys.argv[1]).read_text():
    import psycopg, smsgw.store.postgresql, smsgw.store.presence

smsgw.store.revisions.head()
gc.collect()
gc.freeze()  # a child's own collections leave alone what it shares with this process
for _ in sys.stdin:
    child = os.fork()
    if not child:
        # A reactor of its own: this one's epoll would be shared.
        sys.modules.pop("twisted.internet.reactor", None)
        vars(twisted.internet).pop("reactor", None)
        from smsgw.daemon.main import run
        os._exit(run(Path(sys.argv[1])))
    print("born", child, flush=True)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Run:
    """One run of the daemon.

    Attributes:
        listening: Fires with the URL of its HTTP API; never, when it is killed before.
        ended: Fires with its exit code; minus the signal's number when one ended it.
    """

    def __init__(self) -> None:
        self.listening: Deferred[str] = Deferred()
        self.ended: Deferred[int] = Deferred()
        self.url = ""
        self.pid = 0
        self._owed = 0

    def signal(self, number: int) -> None:
        """Send it a signal, at once or as soon as it is there."""
        self._owed = number
        if self.pid and not self.ended.called:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def born(self, pid: int) -> None:
        self.pid = pid
        if self._owed:
            os.kill(pid, self._owed)

    def heard(self, url: str) -> None:
        self.url = url
        self.listening.callback(url)


class Nursery(ProcessProtocol):
    """A process that has imported the daemon and forks: ``smsgw run`` without its imports.

    One run at a time.

    Args:
        config: The configuration of all runs.
        prelude: Python that the process begins with.

    Attributes:
        run: The present one, or the last.
        log: The lines that all runs have logged.
    """

    def __init__(self, config: Path, prelude: str = "") -> None:
        self.run = Run()
        self.log: list[dict[str, object]] = []
        self._rest = {1: b"", 2: b""}
        self._ended: Deferred[int] = Deferred()
        words = [sys.executable, "-c", prelude + FORKS, str(config)]
        self._process = reactor.spawnProcess(self, sys.executable, words, env=os.environ)

    def start(self) -> Run:
        """Start the next run."""
        self.run = Run()
        self.transport.write(b"\n")  # type: ignore[union-attr]
        return self.run

    async def end(self) -> None:
        """Kill what still runs, and leave."""
        if self._ended.called:
            return
        if self.run.pid:
            self.run.kill()
        self.transport.closeStdin()  # type: ignore[union-attr]
        await self._ended

    def said(self, *levels: str) -> list[dict[str, object]]:
        """What was logged at these levels."""
        return [line for line in self.log if line["level"] in levels]

    def outReceived(self, data: bytes) -> None:
        for line in self._lines(1, data):
            what, number = line.split()
            if what == "born":
                self.run.born(int(number))
            else:
                self.run.ended.callback(int(number))

    def errReceived(self, data: bytes) -> None:
        for line in self._lines(2, data):
            try:
                event = json.loads(line)
            except ValueError:
                event = {"level": "critical", "text": line}  # not of ours, or cut by a kill
            self.log.append(event)
            if "url" in event and not self.run.listening.called:
                self.run.heard(event["url"])

    def processEnded(self, reason: Failure) -> None:
        self._ended.callback(0 if reason.check(ProcessDone) else 1)

    def _lines(self, stream: int, data: bytes) -> Sequence[str]:
        *lines, self._rest[stream] = (self._rest[stream] + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

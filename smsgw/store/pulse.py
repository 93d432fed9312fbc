"""Whether the database keeps what it is given: asked when somebody wants to know, never by itself.

What is asked goes the way of every change, through the writer: so it also tells of a writer that
waits for its connection, or for a disk that does not answer.
"""

from __future__ import annotations

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from smsgw.store.database import Database
from smsgw.store.schema import rerouted
from smsgw.store.statements import ids_of, insert_rows, run

PATIENCE_SECONDS = 2.0
"""How long an answer is waited for: whoever asks has a few seconds themselves."""

FRESH_SECONDS = 1.0
"""An answer is told for so long to whoever asks, so that asking often costs no more commits."""


class Pulse:
    """Asks one database.

    Args:
        database: Open when asked.
        reactor: Its clock, and one timer while somebody waits.
    """

    def __init__(self, database: Database, reactor: IReactorTime) -> None:
        self._database = database
        self._reactor = reactor
        self._told = ""
        self._told_at = float("-inf")
        self._asked_at: float | None = None  # since when an answer is waited for
        self._waiting: list[Deferred[str]] = []
        self._timer: IDelayedCall | None = None

    def problem(self) -> Deferred[str]:
        """Return what is wrong with the database in one line, "" when it kept a row just now."""
        now = self._reactor.seconds()
        if self._asked_at is None:
            if now - self._told_at < FRESH_SECONDS:
                return succeed(self._told)
            self._asked_at = now
            asked = self._database.writer.run(_write_and_take_back)
            asked.addCallbacks(lambda _: self._answered(""), self._failed)
        elif now - self._asked_at >= PATIENCE_SECONDS:
            return succeed(self._silence())
        if self._asked_at is None:  # it could not even be asked
            return succeed(self._told)
        told: Deferred[str] = Deferred()
        self._waiting.append(told)
        if self._timer is None:
            left = self._asked_at + PATIENCE_SECONDS - now
            self._timer = self._reactor.callLater(left, self._late)
        return told

    def _answered(self, problem: str) -> None:
        self._told, self._told_at, self._asked_at = problem, self._reactor.seconds(), None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell(problem)

    def _failed(self, failure: Failure) -> None:
        self._answered(f"nothing can be written: {failure.getErrorMessage()}")

    def _late(self) -> None:
        self._timer = None
        self._tell(self._silence())

    def _silence(self) -> str:
        since = self._reactor.seconds() - (self._asked_at or 0.0)
        return f"the database has not answered for {since:.0f} s"

    def _tell(self, problem: str) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(problem)


def _write_and_take_back(connection: Connection) -> None:
    """Write a row that nobody ever sees."""
    key = ids_of(connection).next()
    insert_rows(connection, rerouted, [(key, "")])
    run(connection, "DELETE FROM rerouted WHERE message_id = ?", key)

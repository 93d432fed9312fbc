"""Rows committed together, and each alone when that fails: a bad row never holds up the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from twisted.internet.defer import CancelledError, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from smsgw.store.writer import Operation, Writer

R = TypeVar("R")
S = TypeVar("S")

PAUSE_SECONDS = 1.0
"""Between two tries while the database is in trouble."""

TOLD_SECONDS = 60.0
"""Between two lines that say the same of an operation: in trouble each of its batches would."""


_log = Logger()
_told: WeakKeyDictionary[Writer, dict[tuple[str, str], tuple[float, int]]] = WeakKeyDictionary()


def log_failure(log: Logger, outcome: object) -> None:
    """End a Deferred nobody waits for: log what it failed with, unless it was canceled."""
    if isinstance(outcome, Failure) and not isinstance(outcome.value, CancelledError):
        log.failure("delivery: {problem}", outcome, problem=outcome.getErrorMessage())


class Seldom:
    """Logs trouble with the store that goes on and on, for many messages at once: now and then.

    Args:
        log: Where to.
        reactor: Its clock.
    """

    def __init__(self, log: Logger, reactor: IReactorTime) -> None:
        self._log = log
        self._reactor = reactor
        self._told_at = float("-inf")

    def warn(self, text: str, **fields: object) -> None:
        """Log a line, unless the last was a moment ago."""
        now = self._reactor.seconds()
        if now - self._told_at >= TOLD_SECONDS:
            self._told_at = now
            self._log.warn(text, **fields)


async def commit_rows(
    writer: Writer,
    operation: Operation[R, S],
    rows: Sequence[R],
    reactor: IReactorTime,
    tries: int = 1,
    again: Callable[[R], None] = lambda row: None,
) -> list[S | None]:
    """Return each row's result after its commit, in order; None for a row that was given up.

    Args:
        writer: Where to.
        operation: What to do with the rows.
        rows: All are offered together first.
        reactor: Provides the pause between tries.
        tries: How often a row is then offered alone.
        again: Told of each row before that: a commit that got no answer may have kept it.
    """
    try:
        together: list[S] = await writer.batch(operation, rows)
        return [*together]
    except CancelledError:
        raise
    except Exception as error:
        problem = f"{error}"
    told = "store: {name}: {count} rows refused together: {problem}"
    _tell(writer, reactor, LogLevel.warn, told, operation.name, len(rows), problem)
    for row in rows:
        again(row)
    results: list[S | None] = [None] * len(rows)
    left = list(range(len(rows)))
    for attempt in range(tries):
        if attempt:
            await deferLater(reactor, PAUSE_SECONDS, lambda: None)
        calls = [writer.batch(operation, [rows[index]]) for index in left]
        outcomes = await DeferredList(calls, consumeErrors=True)
        for index, (done, outcome) in zip(left, outcomes, strict=True):
            if done:
                results[index] = outcome[0]
        left = [index for index, (done, _) in zip(left, outcomes, strict=True) if not done]
        if not left:
            return results
    level = LogLevel.critical if tries > 1 else LogLevel.error  # after one try, most come again
    told = "store: {name}: {count} rows given up: {problem}"
    _tell(writer, reactor, level, told, operation.name, len(left), problem)
    return results


def _tell(
    writer: Writer,
    reactor: IReactorTime,
    level: Any,
    told: str,
    name: str,
    count: int,
    problem: str,
) -> None:
    """Log what happened to so many rows of an operation; now and then, if it goes on and on."""
    known = _told.setdefault(writer, {})
    now = reactor.seconds()
    at, before = known.get((name, told), (now - TOLD_SECONDS, 0))
    if now - at < TOLD_SECONDS:
        known[name, told] = at, before + count
        return
    known[name, told] = now, 0
    _log.emit(level, told, name=name, count=before + count, problem=problem)

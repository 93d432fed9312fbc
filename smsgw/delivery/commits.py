"""Rows committed together, and each alone when that fails: a bad row never holds up the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.store.writer import Operation, Writer

R = TypeVar("R")
S = TypeVar("S")

PAUSE_SECONDS = 1.0
"""Between two tries while the database is in trouble."""

_log = Logger()


def log_failure(log: Logger, outcome: object) -> None:
    """End a Deferred nobody waits for: log what it failed with, unless it was canceled."""
    if isinstance(outcome, Failure) and not isinstance(outcome.value, CancelledError):
        told, why = "delivery: {why}", outcome.getErrorMessage()
        log.failure(told, outcome, event="delivery.failed", why=why)


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
        why = str(error)
    told = "store: {operation}: {count} rows refused together: {why}"
    _log.warn(told, event="store.refused", operation=operation.name, count=len(rows), why=why)
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
    told, name = "store: {operation}: {count} rows given up: {why}", operation.name
    if tries > 1:
        _log.critical(told, event="store.given_up", operation=name, count=len(left), why=why)
    else:  # most come again
        _log.error(told, event="store.given_up", operation=name, count=len(left), why=why)
    return results

"""Rows committed together, and each alone when that fails: one bad row never holds up the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.store.writer import Operation, Writer

R = TypeVar("R")
S = TypeVar("S")

PAUSE_SECONDS = 1.0
"""Between two tries while the database is in trouble."""

_log = Logger()


async def commit_rows(
    writer: Writer,
    operation: Operation[R, S],
    rows: Sequence[R],
    reactor: IReactorTime,
    tries: int = 1,
) -> list[S | None]:
    """Return each row's result after its commit, in order; None for a row that was given up.

    Args:
        writer: Where to.
        operation: What to do with the rows.
        rows: All are offered together first.
        reactor: Provides the pause between tries.
        tries: How often a row is then offered alone.
    """
    try:
        return list(await writer.batch(operation, rows))
    except StoreError as error:
        _log.warn("store: {name}: {error}", name=operation.name, error=str(error))
    results: list[S | None] = [None] * len(rows)
    left = list(range(len(rows)))
    for attempt in range(tries):
        if attempt:
            await deferLater(reactor, PAUSE_SECONDS, lambda: None)
        calls = [writer.batch(operation, [rows[index]]) for index in left]
        outcomes = await DeferredList(calls, consumeErrors=True)
        refused: list[int] = []
        for index, (done, outcome) in zip(left, outcomes, strict=True):
            if done:
                results[index] = outcome[0]
            else:
                refused.append(index)
                problem = outcome
        left = refused
        if not left:
            return results
    _give_up(operation.name, len(left), problem)
    return results


def _give_up(name: str, count: int, problem: Failure) -> None:
    _log.critical(
        "store: {name}: {count} rows given up: {error}",
        name=name,
        count=count,
        error=problem.getErrorMessage(),
    )

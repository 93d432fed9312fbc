"""Runs some work to its end for a command that is not a program of Twisted's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import react

T = TypeVar("T")


def done(work: Callable[[Any], Awaitable[T]]) -> T | None:
    """Return what ``work``, given the reactor, comes to; None when Ctrl-C ended it first.

    The reactor runs once in a process. What ``work`` raises ends the process, as in a program.
    """
    results: list[T] = []

    async def run(reactor: Any) -> None:
        results.append(await work(reactor))

    try:
        react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
    except SystemExit as ended:
        if ended.code:
            raise
    return results[0] if results else None

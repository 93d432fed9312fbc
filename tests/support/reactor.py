"""How a test awaits on the real reactor, with an end."""

from __future__ import annotations

import functools
import select
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

LIMIT = 60.0
"""Seconds. Only a test that fails gets there, on a busy machine that is half as fast too."""


def reactor_test(
    fn: Callable[..., Awaitable[None]] | None = None, *, seconds: float = LIMIT
) -> Callable[..., Any]:
    """Run an ``async def`` test on the reactor; fail it after ``seconds`` instead of hanging."""
    if fn is None:
        return functools.partial(reactor_test, seconds=seconds)

    @functools.wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> None:
        await Deferred.fromCoroutine(fn(*args, **kwargs)).addTimeout(seconds, reactor)  # type: ignore[arg-type]

    return pytest_twisted.ensureDeferred(run)


def busy() -> bool:
    """Tell whether a socket has something to read or room to write, or a name is looked up."""
    if reactor.getThreadPool().working:  # type: ignore[attr-defined]
        return True
    wanted: Counter[int] = Counter()
    for reader in reactor.getReaders():  # type: ignore[attr-defined]
        wanted[reader.fileno()] |= select.POLLIN
    for writer in reactor.getWriters():  # type: ignore[attr-defined]
        wanted[writer.fileno()] |= select.POLLOUT
    poller = select.poll()
    for number, events in wanted.items():
        if number >= 0:
            poller.register(number, events)
    return bool(poller.poll(0))


async def until(holds: Callable[[], Any], clock: Clock | None = None) -> None:
    """Wait for something; what is due at once on ``clock`` happens, its time does not pass."""
    while not holds():
        if clock is not None:
            clock.advance(0)
        await deferLater(reactor, 0 if busy() else 0.002)  # type: ignore[arg-type]


async def carried(clock: Clock) -> None:
    """Let the sockets carry what was written and what follows from it; no time passes."""
    moved = True
    while moved:
        clock.advance(0)
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        moved = busy()
        while busy():
            await deferLater(reactor, 0)  # type: ignore[arg-type]
            clock.advance(0)
        if moved:  # the kernel may need a moment to bring the last octets
            await deferLater(reactor, 0.001)  # type: ignore[arg-type]

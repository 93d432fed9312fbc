"""How a test awaits on the real reactor, with an end."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred


def reactor_test(
    fn: Callable[..., Awaitable[None]] | None = None, *, seconds: float = 5.0
) -> Callable[..., Any]:
    """Run an ``async def`` test on the reactor; fail it after ``seconds`` instead of hanging."""
    if fn is None:
        return functools.partial(reactor_test, seconds=seconds)

    @functools.wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> None:
        await Deferred.fromCoroutine(fn(*args, **kwargs)).addTimeout(seconds, reactor)  # type: ignore[arg-type]

    return pytest_twisted.ensureDeferred(run)

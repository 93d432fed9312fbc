"""Shared fixtures: a test that leaves something on the reactor fails."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings
from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.tcp import Port, Server
from twisted.python import log
from twisted.python.failure import Failure

settings.register_profile("quick", max_examples=25, derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("quick")


def pytest_collection_finish() -> None:
    """Take what is alive out of the collector's rounds, here and after each test's own round.

    A round after each test makes a Deferred nobody listened to say so in the test that dropped it;
    without the freezing it would cost more than most tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_reactor() -> Iterator[None]:
    """Fail a test that leaves a timer, a port, a connection or a logged failure behind."""
    before = set(reactor.getDelayedCalls())  # type: ignore[attr-defined]
    failures: list[str] = []

    def observe(event: dict[str, object]) -> None:
        if event.get("isError") and "failure" in event:
            failures.append(str(event["failure"]))

    log.addObserver(observe)
    yield
    gc.collect()
    gc.freeze()
    log.removeObserver(observe)
    timers = [c for c in reactor.getDelayedCalls() if c not in before]  # type: ignore[attr-defined]
    readers = [r for r in reactor.getReaders() if isinstance(r, Port | Server)]  # type: ignore[attr-defined]
    for call in timers:
        call.cancel()
    for reader in readers:
        reader.connectionLost(Failure(ConnectionDone()))
    assert not timers, f"left on the reactor: {timers}"
    assert not readers, f"left open: {readers}"
    assert not failures, f"logged: {failures}"

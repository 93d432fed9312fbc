"""The link is stopped while a connection attempt hangs."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.protocols.registry import CARRIERS
from smsgw.transport.link import Link
from tests.support.rigs import make_account


class Hanging:
    """An endpoint whose attempts neither succeed nor fail."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[None]] = []

    def connect(self, factory: object) -> Deferred[None]:
        self.attempts.append(Deferred())
        return self.attempts[-1]


@pytest.mark.parametrize("name", sorted(CARRIERS))
def test_it_never_dials_again(name):
    clock, endpoint = Clock(), Hanging()
    link = Link("one", CARRIERS[name], make_account(CARRIERS[name]), endpoint, clock)
    link.start()
    assert len(endpoint.attempts) == 1
    assert link.stop().called
    assert clock.getDelayedCalls() == []
    (bind,) = link.state()["binds"]
    assert (bind["phase"], bind["reason"]) == ("stopped", "stopped")

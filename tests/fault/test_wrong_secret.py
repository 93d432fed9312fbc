"""A login with the wrong secret: refused, and tried again so seldom that no account gets locked."""

from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from smsgw.protocols.registry import CARRIERS
from smsgw.transport.endpoints import dial_endpoint
from smsgw.transport.link import Link
from tests.support.raw_peer import IsmgRig, until, warnings
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account


@pytest.mark.parametrize("name", sorted(CARRIERS))
@reactor_test
async def test_the_link_waits_its_slow_pause_after_each_refusal(name):
    carrier = CARRIERS[name]
    clock = Clock()
    account = make_account(carrier, secret="wrong")
    async with IsmgRig(carrier) as rig:
        link = Link("one", carrier, account, dial_endpoint(reactor, "127.0.0.1", rig.port), clock)

        def bind() -> dict[str, str]:
            return link.state()["binds"][0]

        with capturedLogs() as logged:
            link.start()
            for tries, pause in enumerate((15.0, 30.0, 60.0), start=1):
                await until(lambda: bind()["phase"] == "down", clock)
                assert bind()["reason"].startswith("login refused: ")
                assert rig.told == ["trouble"] * tries
                assert len(warnings(logged)) == tries
                clock.advance(pause * 0.74)
                assert bind()["phase"] == "down"
                clock.advance(pause * 0.52)
                assert bind()["phase"] == "dialling"
            await link.stop()
    assert clock.getDelayedCalls() == []

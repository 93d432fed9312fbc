"""A peer that takes the connection and says nothing."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from smsgw.protocols.registry import CARRIERS
from tests.support.raw_peer import IsmgRig, LinkRig, dial, until, warnings
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_a_login_without_an_answer_is_given_up_and_tried_again(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier, speaks=False) as rig:
            timeout = rig.link.account.response_timeout
            await rig.until(lambda: rig.gateway.peers and rig.gateway.peer.received)
            rig.clock.advance(timeout - 0.1)
            assert rig.phase == "binding"
            rig.clock.advance(0.1)
            await rig.until(lambda: rig.phase == "down")
            assert rig.reason == f"no answer while binding within {timeout:g} s"
            rig.clock.advance(1)
            await rig.until(lambda: len(rig.gateway.peers) == 2)
    assert warnings(logged) == [f"no answer while binding within {timeout:g} s"]


@every_carrier
@reactor_test
async def test_a_customer_that_never_logs_in_is_shown_out(name):
    carrier = CARRIERS[name]
    clock = Clock()
    async with IsmgRig(carrier, clock) as rig:
        mute = await dial(carrier, rig.port, speaks=False)
        await until(clock.getDelayedCalls, clock)
        clock.advance(rig.account.response_timeout)
        await until(lambda: mute.lost, clock)
        assert rig.told == ["trouble"]
        said = rig.troubles[0].reason
        assert said == f"no answer while open within {rig.account.response_timeout:g} s"
    assert clock.getDelayedCalls() == []

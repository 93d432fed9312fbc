"""The gateway hangs up while we log in: before its answer, or inside it."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig
from tests.support.raw_peer import LinkRig
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_inside_its_answer_costs_a_pause_and_nothing_else(name):
    async with FaultRig(CARRIERS[name], "disconnect.login=once") as rig:
        rig.submit(20)
        await rig.pass_until(lambda: rig.link.up, 5)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 20}
        await rig.recovers()


@every_carrier
@reactor_test
async def test_every_time_it_is_tried_again_ever_more_seldom_one_attempt_at_a_time(name):
    async with FaultRig(CARRIERS[name], "disconnect.login=all") as rig:
        rig.submit(20)
        for seconds, most in ((10, 5), (50, 8), (240, 13)):
            await rig.pass_time(seconds, step=2)
            assert 2 <= rig.broken["disconnect login"] <= most
            assert len(rig.ismg._listener.connections) <= 1
        assert not any(rig.results.values())
        await rig.recovers()
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 21}


@every_carrier
@reactor_test
async def test_without_a_word_it_is_tried_again(name):
    async with LinkRig(CARRIERS[name], speaks=False) as rig:
        for tries in (1, 2, 3):
            await rig.until(lambda tries=tries: len(rig.gateway.peers) == tries)
            rig.gateway.peer.hang_up()
            await rig.until(lambda: rig.phase == "down")
            assert not rig.link.up
            rig.clock.advance(10)

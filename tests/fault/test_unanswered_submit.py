"""A submit whose answer does not come, or comes too late."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.raw_peer import LinkRig, outcome, warnings
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_it_is_unknown_once_never_sent_again_and_a_late_answer_troubles_nobody(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier, answers=False) as rig:
            await rig.bound()
            first = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: rig.gateway.submits)
            rig.clock.advance(rig.link.account.response_timeout)
            assert [one.disposition for one in first] == [Disposition.UNKNOWN]
            assert rig.link.in_flight == 0
            peer = rig.gateway.peer
            peer.answer(peer.submits[0], "")
            peer.answers = True
            second = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: second)
            assert [one.disposition for one in second] == [Disposition.ACCEPTED]
            assert len(first) == 1
            assert len(rig.gateway.submits) == 2
            assert len(rig.gateway.peers) == 1
    assert warnings(logged) == []


@every_carrier
@reactor_test
async def test_in_batches_the_late_answer_is_told_too(name):
    carrier = CARRIERS[name]
    async with LinkRig(carrier, answers=False) as rig:
        await rig.bound()
        told = []
        rig.link.on_results = told.extend
        assert rig.link.submit_many([(rig.segment(), "ours")]) == 1
        await rig.until(lambda: rig.gateway.submits)
        rig.clock.advance(rig.link.account.response_timeout)
        rig.gateway.peer.answer(rig.gateway.peer.submits[0], "")
        await rig.until(lambda: len(told) == 2)
        assert [(context, one.disposition) for context, one in told] == [
            ("ours", Disposition.UNKNOWN),
            ("ours", Disposition.ACCEPTED),
        ]

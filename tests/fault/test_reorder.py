"""Answers and reports come in another order than what they are about."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour
from tests.support.fault_rig import FaultRig
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_each_answer_finds_its_own_submit(name):
    async with FaultRig(CARRIERS[name], "reorder=1/3") as rig:
        rig.submit(30)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 30}
        await rig.pass_until(lambda: len(rig.reports) == 30, 30)
        ids = {results[0].carrier_message_id for results in rig.results.values()}
        assert len(ids) == 30
        assert set(rig.reports) == ids
        assert rig.broken["reorder answer"] == rig.broken["reorder report"] == 10
        if rig.carrier.message_id is not None:  # the gateway counts, so the order shows
            came = [int(one, 16) for one in rig.reports]
            assert came != sorted(came)
        await rig.recovers()


@every_carrier
@reactor_test
async def test_reports_that_overtake_their_answers_are_handed_up(name):
    behaviour = Behaviour(report_after=0.0)
    async with FaultRig(CARRIERS[name], "delay.answer=2", behaviour=behaviour) as rig:
        rig.submit(10)
        await rig.pass_until(lambda: len(rig.reports) == 10, 1)
        assert not any(rig.results.values())
        await rig.settled()
        ids = {results[0].carrier_message_id for results in rig.results.values()}
        assert set(rig.reports) == ids
        await rig.recovers()

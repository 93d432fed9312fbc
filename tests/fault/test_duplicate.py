"""A gateway says everything twice: one outcome all the same, and both are acknowledged."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour
from tests.support.fault_rig import OUR_NUMBER, FaultRig
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_the_second_answer_is_a_mistake_of_the_peer_and_nothing_else(name):
    async with FaultRig(CARRIERS[name], "duplicate.answer=1/2") as rig:
        rig.submit(60)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 60}
        mistakes = [event for event in rig.logged if "answers nothing" in str(event.get("why"))]
        assert len(mistakes) == 30
        assert rig.happened["bind"] == 1
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_report_that_comes_twice_is_handed_up_twice_under_one_id(name):
    async with FaultRig(
        CARRIERS[name], "duplicate.report=all", behaviour=Behaviour(report_after=0.0)
    ) as rig:
        rig.submit(10)
        await rig.settled()
        await rig.pass_until(lambda: len(rig.reports) == 20, 10)
        assert len(set(rig.reports)) == 10
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_message_that_comes_twice_is_handed_up_twice_and_acknowledged_twice(name):
    async with FaultRig(CARRIERS[name], "duplicate.mo=all") as rig:
        await rig.bound()
        rig.ismg.send(rig.phone, OUR_NUMBER, "同意")
        await rig.until(lambda: len(rig.got) == 2)
        first, second = (item.message for item in rig.got)
        assert first == second
        await rig.until(lambda: rig.happened["acknowledged"])
        await rig.pass_time(30)
        assert len(rig.got) == 2
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_login_answered_twice_costs_nothing_and_is_told(name):
    async with FaultRig(CARRIERS[name], "duplicate.login=once") as rig:
        rig.submit(10)
        await rig.settled()
        assert rig.happened["bind"] == 1
        assert [e for e in rig.logged if "answers no login" in str(e.get("why"))]
        await rig.recovers()

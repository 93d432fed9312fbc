"""A gateway that is slow: answers late, and later than T."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig, T
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_within_t_every_answer_counts(name):
    async with FaultRig(CARRIERS[name], f"delay={T - 1}") as rig:
        rig.submit(40)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 40}
        await rig.pass_until(lambda: len(rig.reports) == 40, 6 * T)
        assert rig.broken["delay answer"] == 40
        await rig.recovers()


@every_carrier
@reactor_test
async def test_after_t_a_submit_is_unknown_and_its_late_answer_says_what_became_of_it(name):
    async with FaultRig(CARRIERS[name], f"delay.answer={T + 2}") as rig:
        rig.submit(5)
        await rig.settled()
        assert rig.outcomes() == {Disposition.UNKNOWN: 5}
        await rig.pass_time(3)
        unknown_then_known = [Disposition.UNKNOWN, Disposition.ACCEPTED]
        assert [rig.dispositions(number) for number in rig.results] == [unknown_then_known] * 5
        assert rig.happened["bind"] == 1
        await rig.recovers()


@every_carrier
@reactor_test
async def test_now_and_then_slow_costs_nobody_else_anything(name):
    async with FaultRig(CARRIERS[name], "delay.answer=3@1/4") as rig:
        rig.submit(12)
        await rig.pass_time(1)
        assert sum(1 for results in rig.results.values() if results) == 9
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 12}
        await rig.recovers()

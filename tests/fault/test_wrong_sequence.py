"""An answer with a sequence that nobody asked with belongs to nobody."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig, T
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_its_submit_is_unknown_after_t_and_all_others_are_answered(name):
    async with FaultRig(CARRIERS[name], "sequence.answer=1/3") as rig:
        rig.submit(30)
        await rig.settled(limit=T + 1)
        assert rig.outcomes() == {Disposition.ACCEPTED: 20, Disposition.UNKNOWN: 10}
        assert rig.happened["bind"] == 1
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_gateway_that_gets_none_right_leaves_nothing_but_unknowns(name):
    async with FaultRig(CARRIERS[name], "sequence.answer=all") as rig:
        rig.submit(40)
        await rig.settled()
        assert rig.outcomes() == {Disposition.UNKNOWN: 40}
        await rig.recovers()


@every_carrier
@reactor_test
async def test_in_the_answer_to_a_login_it_does_no_harm_that_lasts(name):
    async with FaultRig(CARRIERS[name], "sequence.login=once") as rig:
        rig.submit(10)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 10}
        await rig.recovers()

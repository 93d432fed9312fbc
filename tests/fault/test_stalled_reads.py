"""A peer stops reading: its answers to what it has read come, then none."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import NOTICED_WITHIN, FaultRig, T
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_a_pause_shorter_than_t_costs_nothing(name):
    async with FaultRig(CARRIERS[name], f"stall.answer={T - 2}@1/16") as rig:
        rig.submit(64)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 64}
        assert rig.broken["stall answer"] > 1
        assert rig.happened["bind"] == 1
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_pause_longer_than_t_leaves_unknowns_that_the_late_answers_resolve(name):
    async with FaultRig(CARRIERS[name], f"stall.answer={T + 5}@once") as rig:
        rig.submit(64)
        await rig.settled()
        assert rig.outcomes()[Disposition.UNKNOWN] > 0
        await rig.pass_time(T)
        late = [rig.dispositions(n) for n in rig.results if len(rig.results[n]) == 2]
        assert len(late) == rig.outcomes()[Disposition.UNKNOWN]
        assert rig.happened["bind"] == 1
        await rig.recovers()


@every_carrier
@reactor_test
async def test_one_that_never_reads_again_is_given_up_and_the_next_bind_goes_on(name):
    async with FaultRig(CARRIERS[name], "stall.answer=100000@once") as rig:
        rig.submit(400)
        await rig.pass_until(lambda: rig.happened["bind"] == 2, NOTICED_WITHIN + 10)
        await rig.settled()
        assert set(rig.outcomes()) <= {
            Disposition.ACCEPTED,
            Disposition.UNKNOWN,
            Disposition.RETRY,
        }
        await rig.recovers()

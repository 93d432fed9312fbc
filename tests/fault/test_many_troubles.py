"""Everything at once, at random: whatever the seed, every submit has one outcome."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.faults import Faults, Kind
from tests.support.fault_rig import FaultRig, T
from tests.support.reactor import reactor_test

TROUBLES = (
    "delay=1@10%",
    "delay.answer=12@1%",
    "loss=2%",
    "reorder=5%",
    "duplicate=3%",
    "sequence=1%",
    "truncate=0.5%",
    "oversize=0.3%",
    "garbage=0.3%",
    "stall=4@0.5%",
    "disconnect=0.5%",
    "disconnect.login=20%",
    "garbage.login=10%",
    "loss.login=10%",
    "throttle=3%",
    "half-open=0.1%",
)


@pytest.mark.parametrize("name", sorted(CARRIERS))
@pytest.mark.parametrize("seed", [1, 2])
@reactor_test(seconds=240)
async def test_each_submit_has_one_outcome_and_the_link_recovers(name, seed):
    async with FaultRig(CARRIERS[name]) as rig:
        rig.ismg.faults.use(Faults.of(*TROUBLES, seed=seed))
        rig.submit(500)
        await rig.settled(limit=2000)
        outcomes = rig.outcomes()
        assert sum(outcomes.values()) == 500
        assert set(outcomes) <= {Disposition.ACCEPTED, Disposition.UNKNOWN, Disposition.RETRY}
        assert outcomes[Disposition.ACCEPTED] > 150
        await rig.pass_time(2 * T)  # what is late comes meanwhile
        await rig.recovers()


def test_every_kind_of_trouble_is_among_them():
    assert {fault.kind for fault in Faults.of(*TROUBLES).faults} == set(Kind)

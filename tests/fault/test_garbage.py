"""Octets that are no PDU stand between PDUs: nothing after them can be trusted."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@pytest.mark.parametrize("what", ["answer", "report", "login"])
@reactor_test
async def test_what_is_in_flight_is_unknown_and_the_next_bind_takes_the_rest(name, what):
    share = "once" if what == "login" else "1/12"
    async with FaultRig(CARRIERS[name], f"garbage.{what}={share}") as rig:
        rig.submit(60)
        await rig.settled()
        outcomes = rig.outcomes()
        assert set(outcomes) <= {Disposition.ACCEPTED, Disposition.UNKNOWN, Disposition.RETRY}
        assert outcomes[Disposition.ACCEPTED] > 0
        await rig.pass_until(lambda: rig.broken[f"garbage {what}"], 60)
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_gateway_that_says_nothing_else_is_tried_again_with_growing_pauses(name):
    async with FaultRig(CARRIERS[name], "garbage.login=all") as rig:
        await rig.pass_time(60)
        assert 4 <= rig.broken["garbage login"] <= 9
        assert not rig.link.up
        await rig.recovers()

"""A carrier that says "too fast": on the link a result of its own, through the gateway no loss."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.carrier import ResultKind
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig
from tests.support.fault_town import FaultTown
from tests.support.gateways import message
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_the_link_says_so_and_sends_nothing_again_by_itself(name):
    carrier = CARRIERS[name]
    async with FaultRig(carrier, "throttle=1/4") as rig:
        rig.submit(40)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 30, Disposition.RETRY: 10}
        codes = {results[0].code for results in rig.results.values()} - {0}
        assert {carrier.classify(code).kind for code in codes} == {ResultKind.THROTTLE}
        assert rig.happened["bind"] == 1
        await rig.recovers()


@every_carrier
@reactor_test
async def test_through_the_gateway_every_message_is_accepted_once_and_in_its_order(tmp_path, name):
    async with FaultTown(tmp_path, CARRIERS[name], "throttle=once") as town:
        ids = await town.send(*(message(town.phone, f"第{n}条") for n in range(12)))
        for message_id in ids:
            await town.become(message_id, "delivered")
        taken = [text for text, result in town.submits if result == 0]
        assert sorted(taken) == sorted(f"第{n}条" for n in range(12))
        assert sum(1 for _, result in town.submits if result != 0) == 1

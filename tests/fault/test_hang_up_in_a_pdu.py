"""The connection ends in the middle of a PDU."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig
from tests.support.raw_peer import IsmgRig, LinkRig, deliver, dial, outcome, submit, until, warnings
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_what_is_in_flight_is_unknown_once_and_the_rest_goes_over_the_next_bind(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier, answers=False) as rig:
            await rig.bound()
            first = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: rig.gateway.submits)
            rig.gateway.answers = True
            rig.gateway.peer.say(submit(carrier, rig.gateway.peer)[:-3])
            rig.gateway.peer.hang_up()
            await rig.until(lambda: first)
            second = outcome(rig.link.submit(rig.segment()))
            await rig.bound_again()
            await rig.until(lambda: second)
            assert [one.disposition for one in first] == [Disposition.UNKNOWN]
            assert [one.disposition for one in second] == [Disposition.ACCEPTED]
            assert len(rig.gateway.submits) == 2
    assert warnings(logged) == []


@every_carrier
@reactor_test
async def test_half_a_delivery_is_nothing_and_the_whole_one_is_taken_later(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier, answers=False) as rig:
            await rig.bound()
            pending = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: rig.gateway.submits)
            bringer = await rig.bringer()
            octets = deliver(carrier, bringer)
            bringer.say(octets[:-1])
            bringer.hang_up()
            if bringer is rig.gateway.peer:
                await rig.bound_again()
                assert pending[0].disposition is Disposition.UNKNOWN
            again = await rig.bringer()
            again.say(octets)
            await rig.until(lambda: again.answers_to(octets, carrier) == [0])
            assert len(rig.got) == 1
    assert warnings(logged) == []


@every_carrier
@reactor_test
async def test_a_gateway_forgets_half_a_submit(name):
    carrier = CARRIERS[name]
    async with IsmgRig(carrier) as rig:
        peer = await dial(carrier, rig.port)
        peer.say(submit(carrier, peer)[:-1])
        peer.hang_up()
        await until(lambda: peer.lost)
        await rig.serves()
        assert rig.told == ["bind", "bind", "submit"]


@every_carrier
@pytest.mark.parametrize("what", ["answer", "report"])
@reactor_test
async def test_again_and_again_every_submit_has_one_outcome(name, what):
    async with FaultRig(CARRIERS[name], f"disconnect.{what}=1/10") as rig:
        rig.submit(100)
        await rig.settled()
        outcomes = rig.outcomes()
        assert set(outcomes) <= {Disposition.ACCEPTED, Disposition.UNKNOWN, Disposition.RETRY}
        assert outcomes[Disposition.ACCEPTED] > 0
        if what == "answer":
            assert outcomes[Disposition.UNKNOWN] > 0
            assert rig.happened["bind"] > 1
        await rig.recovers()

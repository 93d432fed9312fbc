"""A PDU longer than any may be, or longer than its own fields."""

from __future__ import annotations

import struct

import pytest
from twisted.logger import capturedLogs

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig
from tests.support.raw_peer import LinkRig, deliver, outcome, warnings
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_one_that_no_peer_may_send_ends_the_connection_and_its_octets_are_not_kept(name):
    carrier = CARRIERS[name]
    async with FaultRig(carrier, "oversize.answer=1/9") as rig:
        rig.submit(64)
        await rig.settled()
        outcomes = rig.outcomes()
        assert set(outcomes) <= {Disposition.ACCEPTED, Disposition.UNKNOWN, Disposition.RETRY}
        assert outcomes[Disposition.ACCEPTED] > 0
        assert outcomes[Disposition.UNKNOWN] > 0
        limit = carrier.codec.largest_octets
        reasons = {str(event["why"]) for event in rig.logged if "why" in event}
        assert {reason.partition(",")[0] for reason in reasons} == {f"total length {limit + 1}"}
        await rig.recovers()


@every_carrier
@reactor_test
async def test_reports_and_logins_too(name):
    async with FaultRig(CARRIERS[name], "oversize.report=1/5", "oversize.login=once") as rig:
        rig.submit(20)
        await rig.settled()
        await rig.recovers()
        await rig.pass_until(lambda: len(set(rig.reports)) == len(rig.ismg.submits), 120)


@every_carrier
@reactor_test
async def test_one_with_octets_after_its_last_field_costs_no_outcome(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier) as rig:
            await rig.bound()
            bringer = await rig.bringer()
            octets = deliver(carrier, bringer)
            longer = struct.pack(">I", len(octets) + 3) + octets[4:] + b"\xff\xff\xff"
            bringer.say(longer)
            await rig.until(lambda: bringer.answers_to(longer, carrier) or bringer.lost)
            result = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: result)
            assert [one.disposition for one in result] == [Disposition.ACCEPTED]
            assert rig.phase == "bound"
            assert len(rig.gateway.peers) == 1
    warnings(logged)

"""A deliver or submit whose fields run past its end: answered as the carrier's sheet asks.

Spec: cmpp.md section 15 (Result 4); smgp.md section 12, bad input (Status 10); sgip.md section 11
(8, and break the connection); SMPP 3.4 4.3.1 (generic_nack with ESME_RINVCMDLEN).
"""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig
from tests.support.raw_peer import (
    IsmgRig,
    LinkRig,
    deliver,
    dial,
    submit,
    truncated,
    until,
    warnings,
)
from tests.support.reactor import reactor_test

RESULTS = {"cmpp": 4, "smgp": 10, "sgip": 8, "smpp": 2}
BREAKS = {"sgip"}

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_a_truncated_deliver_is_refused_and_a_whole_one_is_taken(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier) as rig:
            await rig.bound()
            bringer = await rig.bringer()
            bad = truncated(carrier, deliver(carrier, bringer))
            bringer.say(bad)
            await rig.until(lambda: bringer.answers_to(bad, carrier))
            assert bringer.answers_to(bad, carrier) == [RESULTS[name]]
            if name in BREAKS:
                await rig.until(lambda: bringer.lost)
                bringer = await rig.bringer()
            good = deliver(carrier, bringer)
            bringer.say(good)
            await rig.until(lambda: bringer.answers_to(good, carrier) == [0])
            assert len(rig.got) == 1
            assert rig.phase == "bound"
            assert len(rig.gateway.peers) == 1
    assert len(warnings(logged)) == 1
    assert "DELIVER" in warnings(logged)[0].upper()


@every_carrier
@reactor_test
async def test_a_gateway_refuses_a_truncated_submit(name):
    carrier = CARRIERS[name]
    async with IsmgRig(carrier) as rig:
        peer = await dial(carrier, rig.port)
        bad = truncated(carrier, submit(carrier, peer))
        peer.say(bad)
        await until(lambda: peer.answers_to(bad, carrier))
        assert peer.answers_to(bad, carrier) == [RESULTS[name]]
        if name in BREAKS:
            await until(lambda: peer.lost)
        else:
            good = submit(carrier, peer)
            peer.say(good)
            await until(lambda: peer.answers_to(good, carrier) == [0])
            peer.hang_up()
        await rig.serves()
        assert rig.told.count("trouble") == 1
        assert len(rig.ismg.submits) == (1 if name in BREAKS else 2)


@every_carrier
@reactor_test
async def test_a_truncated_answer_leaves_its_submit_unknown(name):
    async with FaultRig(CARRIERS[name], "truncate.answer=1/10") as rig:
        rig.submit(100)
        await rig.settled()
        outcomes = rig.outcomes()
        assert set(outcomes) <= {Disposition.ACCEPTED, Disposition.UNKNOWN, Disposition.RETRY}
        assert rig.broken["truncate answer"] > 0
        assert (rig.happened["bind"] == 1) is (name not in BREAKS)
        await rig.recovers()


@every_carrier
@reactor_test
async def test_truncated_reports_cost_no_outcome_and_no_other_report(name):
    async with FaultRig(CARRIERS[name], "truncate.report=1/5") as rig:
        rig.submit(20)
        await rig.settled()
        await rig.recovers()
        await rig.pass_until(lambda: len(set(rig.reports)) >= 16, 120)

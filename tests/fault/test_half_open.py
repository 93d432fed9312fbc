"""A peer that is gone without a word: the kernel goes on taking octets, and nobody reads them."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.model import Segment
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.faults import Faults
from tests.support.fault_rig import NOTICED_WITHIN, STEP, FaultRig, T
from tests.support.reactor import reactor_test
from tests.support.rigs import Rig, make_account

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))
with_heartbeat = pytest.mark.parametrize(
    "name", sorted(name for name, one in CARRIERS.items() if one.session.heartbeat_pdu)
)


@every_carrier
@reactor_test
async def test_under_traffic_it_is_noticed_in_time_and_the_next_bind_goes_on(name):
    async with FaultRig(CARRIERS[name], "half-open.answer=once") as rig:
        rig.submit(400)
        await rig.bound()
        took = await rig.pass_until(lambda: rig.bind["phase"] == "down", NOTICED_WITHIN + STEP)
        assert took >= T
        await rig.settled()
        outcomes = rig.outcomes()
        assert outcomes[Disposition.ACCEPTED] > outcomes[Disposition.UNKNOWN] > 0
        await rig.recovers()


@with_heartbeat
@reactor_test
async def test_when_nothing_is_sent_it_is_noticed_in_time(name):
    async with FaultRig(CARRIERS[name], "half-open.report=once") as rig:
        rig.submit(1)
        await rig.pass_until(lambda: rig.broken, 1)
        assert rig.outcomes() == {Disposition.ACCEPTED: 1}
        took = await rig.pass_until(lambda: rig.bind["phase"] != "bound", NOTICED_WITHIN + STEP)
        assert took >= NOTICED_WITHIN - 2 * STEP
        assert rig.bind["reason"] == "3 heartbeats unanswered"
        await rig.recovers()


@every_carrier
@reactor_test
async def test_during_the_login_it_is_given_up_after_t(name):
    async with FaultRig(CARRIERS[name], "half-open.login=once") as rig:
        rig.submit(10)
        await rig.until(lambda: rig.broken)
        took = await rig.pass_until(lambda: rig.bind["phase"] == "down", T + STEP)
        assert took >= T
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 10}
        await rig.recovers()


@every_carrier
@reactor_test
async def test_stopping_a_link_does_not_wait_for_it(name):
    async with FaultRig(CARRIERS[name], "half-open.answer=once") as rig:
        rig.submit(3)
        await rig.until(lambda: rig.broken)
        stopped = rig.link.stop()
        await rig.pass_until(lambda: stopped.called, 6)
        assert rig.outcomes()[Disposition.UNKNOWN] == 3


@with_heartbeat
@reactor_test
async def test_with_real_time_too(name):
    carrier, timeout = CARRIERS[name], 0.2
    account = make_account(
        carrier, response_timeout=timeout, heartbeat_interval=timeout, heartbeat_tries=3
    )
    rig = Rig(carrier, account=account)
    await rig.start()
    await rig.until(lambda: rig.link.up)
    rig.ismg.faults.use(Faults.of("half-open.answer=once"))
    assert (await rig.link.submit(_segment(rig))).disposition is Disposition.UNKNOWN
    await rig.until(lambda: not rig.link.up)
    while (await rig.link.submit(_segment(rig))).disposition is not Disposition.ACCEPTED:
        pass  # on a busy machine an answer may be late, too
    await rig.stop()


def _segment(rig: Rig) -> Segment:
    return Segment(rig.phone, "10690001042", 8, "请审批".encode("utf-16-be"))

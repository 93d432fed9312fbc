"""What was to come does not: answers, reports, and the answer to a login."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.fault_rig import FaultRig, T
from tests.support.reactor import reactor_test

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


@every_carrier
@reactor_test
async def test_a_submit_without_answer_is_unknown_after_t_and_its_report_comes_all_the_same(name):
    async with FaultRig(CARRIERS[name], "loss.answer=1/3") as rig:
        rig.submit(30)
        await rig.settled(limit=T + 1)
        assert rig.outcomes() == {Disposition.ACCEPTED: 20, Disposition.UNKNOWN: 10}
        await rig.pass_until(lambda: len(rig.reports) == 30, T)
        assert len(set(rig.reports)) == 30
        assert rig.happened["bind"] == 1
        await rig.recovers()


@pytest.mark.parametrize("name", ["cmpp", "sgip", "smgp"])
@reactor_test
async def test_a_submit_that_is_sent_again_for_a_lost_answer_is_taken_once(name):
    async with FaultRig(CARRIERS[name], "loss.answer=once", submit_sends=3) as rig:
        rig.submit(5)
        await rig.settled(limit=T + 1)
        assert rig.outcomes() == {Disposition.ACCEPTED: 5}
        await rig.pass_until(lambda: len(rig.reports) == 5, T)
        assert len(rig.ismg.submits) == 5
        await rig.recovers()


@every_carrier
@reactor_test
async def test_lost_reports_change_no_outcome(name):
    async with FaultRig(CARRIERS[name], "loss.report=1/2") as rig:
        rig.submit(20)
        await rig.settled()
        assert rig.outcomes() == {Disposition.ACCEPTED: 20}
        await rig.pass_until(lambda: len(rig.reports) == 10, T)
        await rig.pass_time(2 * T)
        assert len(rig.reports) == 10
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_login_without_answer_is_tried_again_after_t(name):
    async with FaultRig(CARRIERS[name], "loss.login=once") as rig:
        rig.submit()
        took = await rig.pass_until(lambda: rig.results[0], 2 * T)
        assert took >= T
        assert rig.outcomes() == {Disposition.ACCEPTED: 1}
        await rig.recovers()


@every_carrier
@reactor_test
async def test_a_gateway_that_answers_nothing_is_asked_no_more_than_the_window_at_a_time(name):
    async with FaultRig(CARRIERS[name], "loss.answer=all") as rig:
        rig.submit(3 * 32)
        await rig.bound()
        window = rig.link.account.window
        await rig.pass_time(T - 1)
        assert len(rig.ismg.submits) == rig.link.in_flight == window
        await rig.settled()
        assert rig.outcomes() == {Disposition.UNKNOWN: 96}
        await rig.recovers()

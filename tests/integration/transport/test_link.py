"""A Link against a simulated gateway over real sockets, for every carrier."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition, LinkDown
from smsgw.model import MessageStatus, Segment
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour
from smsgw.simulator.script import always
from tests.support.reactor import reactor_test
from tests.support.rigs import Rig, make_account

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


def segment(rig: Rig, text: str = "请审批") -> Segment:
    return Segment(rig.phone, "10690001042", 8, text.encode("utf-16-be"))


@every_carrier
@reactor_test
async def test_a_submit_is_answered_reported_and_replied_to(name):
    rig = Rig(CARRIERS[name])
    await rig.start()
    rig.ismg.phone(rig.phone, always("同意", after=0.01))
    result = await rig.link.submit(segment(rig))
    assert result.disposition is Disposition.ACCEPTED
    await rig.until(lambda: len(rig.got) == 2)
    report = next(item.report for item in rig.got if item.report is not None)
    mo = next(item.message for item in rig.got if item.message is not None)
    assert report.carrier_message_id == result.carrier_message_id
    assert report.status is MessageStatus.DELIVERED
    assert report.to == rig.phone
    assert (mo.sender, mo.destination) == (rig.phone, "10690001042")
    assert mo.content.decode("utf-16-be") == "同意"
    await rig.ismg.acknowledged()
    await rig.stop()


@every_carrier
@reactor_test
async def test_many_submits_over_two_binds_are_each_answered_once(name):
    rig = Rig(CARRIERS[name], binds=2)
    await rig.start()
    answers = [rig.link.submit(segment(rig)) for _ in range(300)]
    results = [await answer for answer in answers]
    assert {result.disposition for result in results} == {Disposition.ACCEPTED}
    assert len({result.carrier_message_id for result in results}) == 300
    await rig.until(lambda: len(rig.got) == 300)
    await rig.stop()


@every_carrier
@reactor_test
async def test_a_gateway_that_goes_away_leaves_submits_unknown_and_the_link_binds_again(name):
    rig = Rig(CARRIERS[name], behaviour=Behaviour(answer_after=60))
    await rig.start()
    answer = rig.link.submit(segment(rig))
    await rig.until(lambda: rig.link.in_flight == 1)
    rig.ismg.hang_up()
    result = await answer
    assert result.disposition is Disposition.UNKNOWN
    await rig.until(lambda: rig.link.state()["binds"][0]["phase"] == "bound")
    await rig.stop()


@every_carrier
@reactor_test
async def test_a_segment_that_cannot_be_encoded_is_refused_without_troubling_the_link(name):
    rig = Rig(CARRIERS[name])
    await rig.start()
    await rig.link.submit(segment(rig))
    result = await rig.link.submit(Segment(rig.phone, "1" * 30, 8, b""))
    assert result.disposition is Disposition.FINAL
    limit = 20 if name == "smpp" else 21
    assert f"30 octets, limit {limit}" in result.text
    assert rig.link.up
    await rig.stop()


@every_carrier
@reactor_test
async def test_stopping_fails_what_was_never_sent(name):
    rig = Rig(CARRIERS[name], account=make_account(CARRIERS[name], secret="wrong"))
    await rig.start()
    answer = rig.link.submit(segment(rig))
    await rig.until(lambda: rig.link.state()["binds"][0]["reason"].startswith("login refused"))
    await rig.stop()
    with pytest.raises(LinkDown, match="stopped"):
        await answer


@every_carrier
@reactor_test
async def test_what_is_not_acknowledged_is_brought_again(name, monkeypatch):
    monkeypatch.setattr("smsgw.simulator.ismg.REPEAT_AFTER", 0.05)
    rig = Rig(CARRIERS[name], account=make_account(CARRIERS[name]))
    rig.acknowledge = False
    await rig.start()
    await rig.until(lambda: rig.link.up)
    rig.ismg.send(rig.phone, "10690001042", "同意")
    await rig.until(lambda: len(rig.got) == 1)
    rig.acknowledge = True
    rig.ismg.hang_up()
    await rig.until(lambda: len(rig.got) == 2)
    first, second = (item.message for item in rig.got)
    assert first is not None
    assert first == second
    rig.got[0].acknowledge(0)
    await rig.ismg.acknowledged()
    await rig.stop()

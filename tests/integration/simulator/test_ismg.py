"""The simulated gateways where the product's own tests do not take them."""

from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock

from smsgw.errors import Disposition
from smsgw.model import MoMessage, Segment
from smsgw.protocols import cmpp, smgp
from smsgw.protocols import events as ev
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator import ismg as module
from smsgw.simulator.ismg import Behaviour
from smsgw.simulator.script import Reply
from tests.support.raw_peer import IsmgRig, RawPeer, dial, submit, until
from tests.support.reactor import reactor_test
from tests.support.rigs import Rig

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))
soon = pytest.mark.usefixtures("soon")

OUR_NUMBER = "10690001042"


@pytest.fixture(name="soon")
def repeat_soon(monkeypatch):
    """Repeats come at once."""
    monkeypatch.setattr(module, "REPEAT_AFTER", 0.01)


def segment(rig: Rig, **fields) -> Segment:
    return Segment(rig.phone, OUR_NUMBER, 8, "请审批".encode("utf-16-be"), **fields)


@every_carrier
@reactor_test
async def test_answers_and_reports_come_after_their_delays(name):
    rig = Rig(CARRIERS[name], behaviour=Behaviour(answer_after=0.03, report_after=0.03))
    await rig.start()
    began = reactor.seconds()
    result = await rig.link.submit(segment(rig))
    assert result.disposition is Disposition.ACCEPTED
    assert reactor.seconds() - began >= 0.03
    await rig.until(lambda: rig.got)
    assert reactor.seconds() - began >= 0.06
    await rig.ismg.acknowledged()
    await rig.stop()


@every_carrier
@reactor_test
async def test_a_refused_submit_is_neither_shown_nor_reported(name):
    rig = Rig(CARRIERS[name], behaviour=Behaviour(result=8, report_after=0))
    await rig.start()
    result = await rig.link.submit(segment(rig))
    assert (result.code, result.carrier_message_id) == (8, "")
    assert result.disposition is not Disposition.ACCEPTED
    assert [what for what, _ in rig.seen] == ["bind", "submit"]
    assert rig.ismg.phones.get(rig.phone).inbox == []
    await rig.stop()
    assert rig.got == []


@every_carrier
@reactor_test
async def test_no_report_comes_for_a_submit_that_wants_none(name):
    rig = Rig(CARRIERS[name], behaviour=Behaviour(report_after=0))
    await rig.start()
    await rig.link.submit(segment(rig, want_report=False))
    await rig.link.submit(segment(rig))
    await rig.until(lambda: rig.got)
    await rig.ismg.acknowledged()
    assert [what for what, _ in rig.seen].count("report") == 1
    await rig.stop()


@soon
@every_carrier
@reactor_test
async def test_what_the_customer_refuses_is_brought_again_until_it_is_taken(name):
    rig = Rig(CARRIERS[name])
    rig.acknowledge = False
    await rig.start()
    await rig.until(lambda: rig.link.up)
    rig.ismg.send(rig.phone, OUR_NUMBER, "同意")
    for tries in (1, 2):
        await rig.until(lambda tries=tries: len(rig.got) == tries)
        rig.got[-1].acknowledge(9)
    await rig.until(lambda: len(rig.got) == 3)
    rig.got[-1].acknowledge(0)
    await rig.ismg.acknowledged()
    assert rig.got[0].message == rig.got[1].message == rig.got[2].message
    await rig.stop()


@soon
@every_carrier
@reactor_test
async def test_what_was_lost_with_the_connection_is_brought_again(name):
    rig = Rig(CARRIERS[name])
    rig.acknowledge = False
    await rig.start()
    await rig.until(lambda: rig.link.up)
    rig.ismg.send(rig.phone, OUR_NUMBER, "同意")
    await rig.until(lambda: rig.got)
    rig.acknowledge = True
    rig.ismg.hang_up()
    await rig.until(lambda: len(rig.got) == 2)
    await rig.ismg.acknowledged()
    assert rig.got[0].message == rig.got[1].message
    await rig.stop()


@every_carrier
@reactor_test
async def test_what_phones_write_before_anybody_is_bound_waits(name):
    rig = Rig(CARRIERS[name])
    await rig.start()
    rig.ismg.send(rig.phone, OUR_NUMBER, "同意")
    await rig.until(lambda: rig.got)
    assert rig.got[0].message.sender == rig.phone
    await rig.ismg.acknowledged()
    await rig.stop()


@every_carrier
@reactor_test
async def test_more_than_the_window_is_delivered_in_turn(name):
    rig = Rig(CARRIERS[name])
    await rig.start()
    for index in range(3 * rig.account.window):
        rig.ismg.send(rig.phone, OUR_NUMBER, str(index))
    await rig.ismg.acknowledged()
    texts = [item.message.content.decode("utf-16-be") for item in rig.got]
    assert texts == [str(index) for index in range(3 * rig.account.window)]
    await rig.stop()


@reactor_test
async def test_a_carrier_that_was_not_told_where_to_dial_keeps_what_it_has():
    async with IsmgRig(CARRIERS["sgip"]) as rig:
        rig.ismg.send("18600001003", OUR_NUMBER, "同意")
        await rig.serves()
        assert "mo" not in rig.told


@pytest.mark.parametrize(("name", "version"), [("cmpp", "2.0"), ("smpp", "3.3")])
@reactor_test
async def test_what_is_brought_is_in_the_version_the_customer_logged_in_with(name, version):
    carrier, clock = CARRIERS[name], Clock()
    async with IsmgRig(carrier, clock) as rig:
        rig.ismg.send("13800001001", OUR_NUMBER, "查询")
        peer = await dial(carrier, rig.port, version=version)
        segment = Segment("13800001001", OUR_NUMBER, 8, "请审批".encode("utf-16-be"))
        peer.say(peer.octets(carrier.to_submit(peer.session.account, version, segment)))
        await until(lambda: rig.ismg.submits, clock)
        clock.advance(1)
        await until(lambda: len(_brought(peer)) == 2, clock)
        message, report = _brought(peer)
        assert type(report) is ev.ReportReceived
        for event in (message, report):
            assert carrier.codec.decode(event.octets, version) == event.pdu
        assert carrier.from_report(report.pdu).stat == "DELIVRD"
        peer.hang_up()
        await until(lambda: not rig.ismg._listener.connections, clock)


@soon
@reactor_test
async def test_what_is_brought_again_is_in_the_version_of_the_connection_it_is_brought_over():
    carrier = CARRIERS["cmpp"]
    async with IsmgRig(carrier) as rig:
        ids = []
        rig.ismg.send("13800001001", OUR_NUMBER, "查询")
        for version, kind in (("3.0", cmpp.Deliver30), ("2.0", cmpp.Deliver20)):
            peer = await dial(carrier, rig.port, version=version)
            await until(lambda peer=peer: _brought(peer))
            (message,) = _brought(peer)
            assert type(message.pdu) is kind
            ids.append(message.pdu.msg_id)
            peer.hang_up()
            await until(lambda: not rig.ismg._listener.connections)
        assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("cmpp", 0xFFFD, ["fffe", "ffff", "0000", "0001"]),
        ("smgp", 999_997, ["999998", "999999", "000000", "000001"]),
    ],
)
@reactor_test
async def test_each_recipient_of_one_submit_has_an_id_of_its_own(name, count, last):
    carrier, clock, digits = CARRIERS[name], Clock(), len(last[0])
    to = ["13800001001", "13800001002", "13800001003"]
    async with IsmgRig(carrier, clock) as rig:
        rig.ismg._count = count
        peer = await _bound(rig, clock)
        asked = {
            "cmpp": cmpp.Submit30(dest_terminal_id=to, registered_delivery=1, msg_content=b"hi"),
            "smgp": smgp.Submit30(dest_term_id=to, need_report=1, msg_content=b"hi"),
        }[name]
        peer.say(peer.octets(asked) + submit(carrier, peer))
        await until(lambda: len(rig.ismg.submits) == 4, clock)
        clock.advance(1)
        await until(lambda: len(_brought(peer)) == 4, clock)
        reports = [carrier.from_report(event.pdu) for event in _brought(peer)]
        ids = [report.carrier_message_id for report in reports]
        assert [report.to for report in reports[:3]] == to
        assert [one[-digits:] for one in ids] == last
        assert len({one[:-digits] for one in ids[:3]}) == 1
        told = [carrier.codec.decode(one) for one in carrier.codec.framer().split(peer.received)]
        answers = [one for one in told if isinstance(one, cmpp.SubmitResp30 | smgp.SubmitResp)]
        answered = [one.encode()[12 : 12 + len(ids[0]) // 2].hex() for one in answers]
        assert answered == [ids[0], ids[3]]
        peer.hang_up()
        await until(lambda: not rig.ismg._listener.connections, clock)


@reactor_test
async def test_a_phone_that_nobody_set_up_uses_the_gateway_s_script_and_may_write_elsewhere():
    rig = Rig(CARRIERS["cmpp"])
    await rig.start()
    rig.ismg.phones = module.Phones(lambda sender, text: [Reply("查询", 0.0, "10690001")])
    await rig.link.submit(segment(rig))
    await rig.until(lambda: any(item.message for item in rig.got))
    (message,) = [item.message for item in rig.got if item.message]
    assert (message.sender, message.destination) == (rig.phone, "10690001")
    await rig.ismg.acknowledged()
    await rig.stop()


@reactor_test
async def test_a_delivery_keeps_the_id_it_has():
    rig = Rig(CARRIERS["cmpp"])
    await rig.start()
    rig.ismg.deliver(MoMessage(rig.phone, OUR_NUMBER, 8, b"\0A", carrier_message_id="0" * 15 + "7"))
    await rig.until(lambda: rig.got)
    assert rig.got[0].message.carrier_message_id == "0" * 15 + "7"
    await rig.ismg.acknowledged()
    await rig.stop()


@every_carrier
@reactor_test
async def test_a_customer_that_is_gone_gets_no_answer(name):
    carrier, clock = CARRIERS[name], Clock()
    async with IsmgRig(carrier, clock) as rig:
        rig.ismg.behaviour.answer_after = 1.0
        peer = await _bound(rig, clock)
        peer.say(submit(carrier, peer))
        await until(lambda: len(rig.ismg._calls) == 1, clock)
        peer.hang_up()
        await until(lambda: not rig.ismg._listener.connections, clock)
        clock.advance(1)
        assert rig.ismg.submits == []
    assert clock.getDelayedCalls() == []


@every_carrier
@reactor_test
async def test_stop_forgets_what_was_due(name):
    carrier, clock = CARRIERS[name], Clock()
    async with IsmgRig(carrier, clock) as rig:
        peer = await _bound(rig, clock)
        peer.say(submit(carrier, peer))
        await until(lambda: rig.ismg.submits, clock)
    assert clock.getDelayedCalls() == []
    assert rig.told == ["bind", "submit"]


@every_carrier
@reactor_test
async def test_stop_gives_up_what_was_not_acknowledged(name):
    rig = Rig(CARRIERS[name])
    rig.acknowledge = False
    await rig.start()
    await rig.until(lambda: rig.link.up)
    rig.ismg.send(rig.phone, OUR_NUMBER, "同意")
    await rig.until(lambda: rig.got)
    await rig.ismg.stop()
    await rig.link.stop()
    assert len(rig.got) == 1


async def _bound(rig: IsmgRig, clock: Clock):
    peer = await dial(rig.carrier, rig.port)
    await until(lambda: "bind" in rig.told, clock)
    return peer


def _brought(peer: RawPeer) -> list[ev.MoReceived | ev.ReportReceived]:
    return [one for one in peer.events if isinstance(one, ev.MoReceived | ev.ReportReceived)]

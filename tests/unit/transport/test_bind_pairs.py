"""A transmitter and a receiver in the place of one bind, driven by hand."""

from __future__ import annotations

from collections import Counter

import pytest
from twisted.internet.task import Clock

from smsgw.errors import Disposition
from smsgw.model import Segment, SubmitResult
from smsgw.protocols import smpp
from smsgw.protocols.layout import Pdu
from smsgw.transport.link import Inbound, Link
from tests.support.connections import Dialled, Wire

WINDOW = 3
TEXT = Segment("13800001001", "10690001", 0, b"hi")


class Pairs:
    """A link of two pairs; the test is the SMSC."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.endpoint = Dialled()
        self.results: list[tuple[object, SubmitResult]] = []
        self.got: list[Inbound] = []
        account = smpp.SmppAccount(
            name="901234", secret="s3cret", window=WINDOW, bind_type="transmitter+receiver"
        )
        self.link = Link("one", smpp.CARRIER, account, self.endpoint, self.clock, binds=2)
        self.link.on_results = self.results.extend
        self.link.on_inbound = self.got.extend
        self.link.start()
        self.endpoint.wires.pop().drop()  # one goes ahead; with that, all are dialled
        self.clock.advance(1)
        self.logins = {wire: type(self.read(wire)[0]) for wire in self.endpoint.wires}

    def of(self, cls: type[Pdu]) -> list[Wire]:
        return [wire for wire, login in self.logins.items() if login is cls]

    def accept(self, cls: type[Pdu]) -> None:
        answer = {
            smpp.BindTransmitter: smpp.BindTransmitterResp(0, 1),
            smpp.BindReceiver: smpp.BindReceiverResp(0, 1),
        }[cls]
        for wire in self.of(cls):
            wire.protocol.dataReceived(answer.encode())

    def read(self, wire: Wire) -> list[Pdu]:
        """What the link wrote there."""
        self.clock.advance(0)
        octets = wire.value()
        wire.clear()
        return [smpp.decode(frame) for frame in smpp.Framer().split(octets)]


@pytest.fixture
def pairs():
    pairs = Pairs()
    yield pairs
    pairs.link.stop()


def test_each_bind_of_a_pair_has_a_connection_of_its_own(pairs):
    logins = Counter(pairs.logins.values())
    assert logins == {smpp.BindTransmitter: 2, smpp.BindReceiver: 2}
    assert [bind["sends"] for bind in pairs.link.state()["binds"]] == [True, False] * 2


def test_submits_go_over_the_transmitters_only(pairs):
    pairs.accept(smpp.BindTransmitter)
    pairs.accept(smpp.BindReceiver)
    assert (pairs.link.free, pairs.link.state()["window"]) == (2 * WINDOW, 2 * WINDOW)
    assert pairs.link.submit_many([(TEXT, number) for number in range(9)]) == 2 * WINDOW
    sent = [len(pairs.read(wire)) for wire in pairs.of(smpp.BindTransmitter)]
    assert sent == [WINDOW, WINDOW]
    assert [pairs.read(wire) for wire in pairs.of(smpp.BindReceiver)] == [[], []]


def test_what_an_smsc_brings_arrives_over_the_receivers(pairs):
    pairs.accept(smpp.BindReceiver)
    wire = pairs.of(smpp.BindReceiver)[0]
    mo = smpp.DeliverSm(0, 5, source_addr="8613800001001", short_message=b"YES")
    receipt = smpp.DeliverSm(0, 6, esm_class=4, short_message=b"id:42 stat:DELIVRD")
    wire.protocol.dataReceived(mo.encode() + receipt.encode())
    message, report = pairs.got[0].message, pairs.got[1].report
    assert (message.content, report.carrier_message_id) == (b"YES", "42")
    for item in pairs.got:
        item.acknowledge(0)
    assert pairs.read(wire) == [smpp.DeliverSmResp(0, 5), smpp.DeliverSmResp(0, 6)]


def test_the_link_is_up_while_a_transmitter_is_bound(pairs):
    assert not pairs.link.up
    pairs.accept(smpp.BindReceiver)
    assert not pairs.link.up
    assert pairs.link.state()["limited_by"]["cause"] == "not bound"
    assert pairs.link.submit_many([(TEXT, 1)]) == 0
    pairs.accept(smpp.BindTransmitter)
    for wire in pairs.of(smpp.BindReceiver):
        wire.drop()
    assert pairs.link.up
    assert pairs.link.submit_many([(TEXT, 1)]) == 1


def test_a_lost_receiver_takes_no_submit_with_it_and_a_lost_transmitter_does(pairs):
    pairs.accept(smpp.BindTransmitter)
    pairs.accept(smpp.BindReceiver)
    pairs.link.submit_many([(TEXT, 1)])
    pairs.clock.advance(0)
    for wire in pairs.of(smpp.BindReceiver):
        wire.drop()
    assert pairs.results == []
    for wire in pairs.of(smpp.BindTransmitter):
        wire.drop()
    ((context, result),) = pairs.results
    assert (context, result.disposition) == (1, Disposition.UNKNOWN)


def test_a_link_that_only_receives_is_up_while_it_is_bound(pairs):
    account = smpp.SmppAccount(name="901234", secret="s3cret", bind_type="receiver")
    endpoint = Dialled()
    link = Link("two", smpp.CARRIER, account, endpoint, pairs.clock)
    link.start()
    assert not link.up
    endpoint.wires[0].protocol.dataReceived(smpp.BindReceiverResp(0, 1).encode())
    assert link.up
    assert link.free == 0
    link.stop()

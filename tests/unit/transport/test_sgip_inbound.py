"""A carrier that dials us: several SMGs at once, each answered on its own connection."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.model import Segment
from smsgw.protocols import sgip
from smsgw.transport.link import Inbound, Link
from smsgw.transport.listener import PeerListener
from tests.support.connections import Dialled, Listening, Wire

NODE = 4_100_000_000
"""Above 2^31, as most carriers' numbers are."""

THEIR_NODE = 3_010_012_345
OURS = sgip.SgipAccount(name="901234", secret="s3cret", node=NODE)
THEIRS = sgip.SgipAccount(name="smg", secret="other", node=NODE)
ALLOWED = {"192.0.2.10", "192.0.2.11"}


class Rig:
    """A link whose listener the test dials; the test is every SMG."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.endpoint = Dialled()
        self.listening = Listening()
        self.got: list[Inbound] = []
        self.wires: list[Wire] = []
        listener = PeerListener(self.listening, THEIRS, ALLOWED.__contains__)
        self.link = Link("unicom", sgip.CARRIER, OURS, self.endpoint, self.clock, listener=listener)
        self.link.on_inbound = self.got.extend
        Deferred.fromCoroutine(self.link.listen())
        self.link.start()

    def log_in(self, host: str, name: str = "smg", password: str = "other") -> Wire:
        wire = self.listening.connect(host)
        assert wire is not None
        self.wires.append(wire)
        login = sgip.Bind(THEIR_NODE, 1, 1, login_type=2, login_name=name, login_password=password)
        wire.protocol.dataReceived(login.encode())
        return wire

    def said(self, wire: Wire) -> list[object]:
        self.clock.advance(0)
        octets = wire.value()
        wire.clear()
        return [sgip.decode(frame) for frame in sgip.Framer().split(octets)]


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    stopped = rig.link.stop()
    for wire in rig.endpoint.wires + rig.wires:
        wire.drop()
    assert stopped.called
    assert rig.clock.getDelayedCalls() == []


def test_several_may_be_logged_in_at_once_and_each_is_answered_on_its_own_connection(rig):
    for host in ("192.0.2.10", "192.0.2.10", "192.0.2.11"):
        rig.log_in(host)
    for wire in rig.wires:
        assert [pdu.result for pdu in rig.said(wire)] == [0]
    assert rig.link.state()["accepted_binds"] == 3
    for number, wire in enumerate(rig.wires):
        mo = sgip.Deliver(THEIR_NODE, 2, number, user_number="8613800001001", sp_number="10690001")
        wire.protocol.dataReceived(mo.encode())
    for item in reversed(rig.got):
        item.acknowledge(0)
    answers = [rig.said(wire) for wire in rig.wires]
    assert [[pdu.sequence_counter for pdu in one] for one in answers] == [[0], [1], [2]]
    rig.wires[1].drop()
    assert rig.link.state()["accepted_binds"] == 2


def test_a_report_over_any_of_them_names_the_submit_by_its_own_twelve_octets(rig):
    rig.endpoint.wires[0].protocol.dataReceived(sgip.BindResp(NODE, 1, 1).encode())
    rig.endpoint.wires[0].clear()
    sent = rig.link.submit(Segment("13800001001", "10690001", 0, b"hi"))
    (submit,) = rig.said(rig.endpoint.wires[0])
    words = submit.sequence_node, submit.sequence_time, submit.sequence_counter
    assert words[0] == NODE
    rig.log_in("192.0.2.10")
    rig.log_in("192.0.2.11")
    report = sgip.Report(
        THEIR_NODE,
        2,
        1,
        submit_sequence_node=words[0],
        submit_sequence_time=words[1],
        submit_sequence_counter=words[2],
        user_number="8613800001001",
    )
    rig.wires[1].protocol.dataReceived(report.encode())
    rig.endpoint.wires[0].protocol.dataReceived(sgip.SubmitResp(*words).encode())
    assert rig.got[0].report.carrier_message_id == sent.result.carrier_message_id != ""


@pytest.mark.parametrize(
    ("name", "password"), [("901234", "s3cret"), ("smg", "s3cret"), ("nobody", "other"), ("", "")]
)
def test_the_listener_has_credentials_of_its_own(rig, name, password):
    wire = rig.log_in("192.0.2.10", name, password)
    assert [pdu.result for pdu in rig.said(wire)] == [1]
    assert wire.disconnecting
    wire.drop()
    assert rig.link.state()["accepted_binds"] == 0


def test_an_address_that_is_not_allowed_is_not_even_heard(rig):
    assert rig.listening.connect("192.0.2.99") is None
    assert rig.link.state()["accepted_binds"] == 0

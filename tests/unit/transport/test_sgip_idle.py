"""An SGIP link that rests when idle, and comes back when there is work."""

from __future__ import annotations

from twisted.internet.task import Clock

from smsgw.errors import Disposition, LinkDown
from smsgw.model import Segment
from smsgw.protocols import sgip
from smsgw.transport.connector import LASTED_SECONDS
from smsgw.transport.link import Link
from tests.support.connections import Dialled, Wire

ACCOUNT = sgip.SgipAccount(name="901234", secret="s3cret", node=1, idle_timeout=LASTED_SECONDS)
SEGMENT = Segment("13800001001", "10690001", 0, b"hi")


class Rig:
    """A bound link; the test is the SMG."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.endpoint = Dialled()
        self.link = Link("unicom", sgip.CARRIER, ACCOUNT, self.endpoint, self.clock)
        self.link.start()
        self.accept()

    @property
    def wire(self) -> Wire:
        return self.endpoint.wires[-1]

    def accept(self) -> None:
        self.wire.protocol.dataReceived(sgip.BindResp(1, 1, 1).encode())
        self.wire.clear()

    def read(self) -> sgip.SgipPdu:
        """The one command that the link wrote."""
        self.clock.advance(0)
        (frame,) = sgip.Framer().split(self.wire.value())
        self.wire.clear()
        return sgip.decode(frame)

    def answered(self) -> sgip.Submit:
        """Answer the submit that is there; return it."""
        submit = self.read()
        assert isinstance(submit, sgip.Submit)
        words = submit.sequence_node, submit.sequence_time, submit.sequence_counter
        self.wire.protocol.dataReceived(sgip.SubmitResp(*words).encode())
        return submit


def test_work_that_comes_while_it_unbinds_goes_over_the_next_connection():
    rig = Rig()
    rig.clock.advance(LASTED_SECONDS)
    assert isinstance(rig.read(), sgip.Unbind)
    assert rig.link.state()["limited_by"] == {"cause": "not bound", "detail": "ending"}
    waits = rig.link.submit(SEGMENT)
    rig.wire.protocol.dataReceived(sgip.UnbindResp(1, 1, 2).encode())
    assert rig.wire.disconnecting
    rig.wire.drop()
    assert len(rig.endpoint.wires) == 2
    rig.accept()
    rig.answered()
    assert waits.result.disposition is Disposition.ACCEPTED
    rig.link.stop()


def test_a_gateway_that_unbinds_while_idle_is_dialled_at_once_when_there_is_work():
    rig = Rig()
    rig.link.submit(SEGMENT)
    rig.answered()
    rig.wire.protocol.dataReceived(sgip.Unbind(1, 1, 9).encode())
    assert isinstance(rig.read(), sgip.UnbindResp)
    rig.wire.drop()
    assert rig.link.up
    assert len(rig.endpoint.wires) == 1
    assert rig.link.submit_many([(SEGMENT, 1)]) == 0
    assert len(rig.endpoint.wires) == 2
    rig.link.stop()


def test_a_gateway_that_unbinds_as_soon_as_it_is_bound_is_not_dialled_in_a_loop():
    rig = Rig()
    rig.clock.advance(LASTED_SECONDS)
    rig.wire.drop()
    waits = rig.link.submit(SEGMENT)
    waits.addErrback(lambda failure: failure.trap(LinkDown))
    for _ in range(5):
        both = sgip.BindResp(1, 1, 1).encode() + sgip.Unbind(1, 1, 9).encode()
        rig.wire.protocol.dataReceived(both)
        rig.wire.drop()
        assert rig.link.state()["binds"][0]["phase"] == "down"
        rig.clock.advance(60.0)
    assert len(rig.endpoint.wires) == 2 + 5
    rig.link.stop()

"""A peer that logs in as it should and then says exactly the octets it is told, for any carrier."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel
from twisted.python.failure import Failure

from smsgw.model import MoMessage, Segment, StatusReport
from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side
from smsgw.simulator.ismg import Ismg
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Inbound, Link, china_now
from smsgw.transport.listener import PeerListener
from tests.support.ports import free_port
from tests.support.reactor import until
from tests.support.rigs import NUMBERS, make_account

ANSWERED_TO = "10690001042"
RESULT_NAMES = ("result", "status", "command_status")


class RawPeer(Protocol):
    """One end of a connection.

    Args:
        session: Does the login and answers what asks for an answer; None: nothing is ever said.
        answers: Whether submits are answered.

    Attributes:
        submits: Those that came, in order.
        events: Whatever else the session told.
        received: Every octet of the other side.
        lost: Whether the connection is gone.
    """

    def __init__(self, session: Session | None, answers: bool = True) -> None:
        self.session = session
        self.answers = answers
        self.submits: list[Pdu] = []
        self.events: list[ev.Event] = []
        self.received = b""
        self.lost = False

    @property
    def bound(self) -> bool:
        return self.session is not None and self.session.bound

    def connectionMade(self) -> None:
        if self.session is not None:
            self.session.connected(0.0)
            if self.session.role is Role.CLIENT:
                self.session.bind(0.0)
            self.flush()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self.session is not None:
            self.session.receive_data(data, 0.0)
            self.flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = True

    def say(self, octets: bytes) -> None:
        """Write these octets as they are."""
        assert self.transport is not None
        self.transport.write(octets)

    def hang_up(self) -> None:
        """Close without a word, once everything is written."""
        assert self.transport is not None
        self.transport.loseConnection()

    def octets(self, pdu: Pdu) -> bytes:
        """A request as this peer would send it, its sequence included."""
        assert self.session is not None
        self.session.next_sequence(pdu)
        return pdu.encode()

    def answer(self, pdu: Pdu, carrier_message_id: str = "") -> None:
        """Answer a submit."""
        assert self.session is not None
        self.session.answer_submit(pdu, 0, carrier_message_id)
        self.flush()

    def answers_to(self, octets: bytes, carrier: Carrier) -> list[int]:
        """The results of the answers that came to a request with this sequence."""
        header = carrier.codec.header_octets
        sequence = 12 if carrier.name == "smpp" else 8  # its status stands before
        results = []
        for frame in carrier.codec.framer().split(self.received):
            if frame[4] & 0x80 and frame[sequence:header] == octets[sequence:header]:
                pdu: Any = carrier.codec.decode(frame, self.session and self.session.version)
                found = [getattr(pdu, name) for name in RESULT_NAMES if hasattr(pdu, name)]
                results.append(found[0])
        return results

    def flush(self) -> None:
        assert self.session is not None
        for event in self.session.events():
            if isinstance(event, ev.SubmitReceived):
                self.submits.append(event.pdu)
                if self.answers:
                    self.session.answer_submit(event.pdu, 0, "")
            else:
                self.events.append(event)
        data = self.session.data_to_send()
        if data:
            self.say(data)
        if self.session.closed:
            self.hang_up()


class RawGateway(Factory):
    """Listens for binds of one carrier; each connection is a :class:`RawPeer`, the newest last.

    Args:
        carrier: What it speaks.
        speaks: Whether it says anything by itself.
        answers: Whether it answers submits.
    """

    noisy = False

    def __init__(self, carrier: Carrier, speaks: bool = True, answers: bool = True) -> None:
        self.carrier = carrier
        self.speaks = speaks
        self.answers = answers
        self.peers: list[RawPeer] = []
        self._port: IListeningPort | None = None

    @property
    def peer(self) -> RawPeer:
        """The newest connection."""
        return self.peers[-1]

    @property
    def submits(self) -> list[Pdu]:
        """What came over all connections."""
        return [pdu for peer in self.peers for pdu in peer.submits]

    def buildProtocol(self, addr: IAddress | None) -> RawPeer:
        session = None
        if self.speaks:
            account = make_account(self.carrier)
            make = self.carrier.sessions(
                china_now, Side.GATEWAY, {account.name: account.secret}.get
            )
            session = make(account, Role.SERVER)
        self.peers.append(RawPeer(session, self.answers))
        return self.peer

    async def start(self) -> int:
        self._port = await listen_endpoint(reactor, "127.0.0.1", free_port()).listen(self)
        return int(self._port.getHost().port)

    async def stop(self) -> None:
        if self._port is not None:
            port, self._port = self._port, None
            await maybeDeferred(port.stopListening)
        for peer in self.peers:
            if not peer.lost:
                peer.hang_up()
        await until(lambda: all(peer.lost for peer in self.peers))


async def dial(
    carrier: Carrier,
    port: int,
    side: Side = Side.SP,
    *,
    name: str = "901234",
    speaks: bool = True,
    **login: Any,
) -> RawPeer:
    """Connect to 127.0.0.1 and, unless told to be mute, log in; ``login`` is of its account."""
    session = None
    if speaks:
        account = make_account(carrier, name, **login)
        session = carrier.sessions(china_now, side)(account, Role.CLIENT)
    peer = RawPeer(session)
    await connectProtocol(dial_endpoint(reactor, "127.0.0.1", port), peer)
    await until(lambda: peer.bound or peer.lost or not speaks)
    return peer


class LinkRig:
    """A link whose time stands still, and a gateway that can be told to misbehave.

    Attributes:
        got: What the link handed up; each was acknowledged.
    """

    def __init__(self, carrier: Carrier, *, speaks: bool = True, answers: bool = True) -> None:
        self.carrier = carrier
        self.phone = NUMBERS[carrier.name]
        self.clock = Clock()
        self.gateway = RawGateway(carrier, speaks, answers)
        self.got: list[Inbound] = []
        self._dialled: list[RawPeer] = []

    async def __aenter__(self) -> LinkRig:
        port = await self.gateway.start()
        listener = None
        if self.carrier.peer_dials:
            endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
            listener = PeerListener(endpoint, make_account(self.carrier, "smg"), lambda host: True)
        self.link = Link(
            "one",
            self.carrier,
            make_account(self.carrier),
            dial_endpoint(reactor, "127.0.0.1", port),
            self.clock,
            listener=listener,
        )
        self.link.on_inbound = self._take
        await self.link.listen()
        self.link.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for peer in self._dialled:
            peer.hang_up()
        stopped = self.link.stop()
        if not self.gateway.speaks:
            await self.gateway.stop()
        await self.until(lambda: stopped.called)
        await self.gateway.stop()
        assert self.clock.getDelayedCalls() == []

    @property
    def phase(self) -> str:
        return str(self.link.state()["binds"][0]["phase"])

    @property
    def reason(self) -> str:
        return str(self.link.state()["binds"][0]["reason"])

    async def bound(self) -> None:
        await self.until(lambda: self.phase == "bound" and self.gateway.peer.bound)

    async def bound_again(self) -> None:
        """Let the pause after a lost connection pass, and wait for the next bind."""
        await self.until(lambda: self.phase == "down")
        self.clock.advance(1)
        await self.bound()

    async def bringer(self) -> RawPeer:
        """The connection over which this carrier brings what phones sent."""
        if not self.carrier.peer_dials:
            return self.gateway.peer
        assert self.link.listener_port is not None
        self._dialled.append(
            await dial(self.carrier, self.link.listener_port, Side.GATEWAY, name="smg")
        )
        return self._dialled[-1]

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait for something without letting the link's time pass; the test's limit ends it."""
        await until(holds, self.clock)

    def segment(self, text: str = "请审批") -> Segment:
        return Segment(self.phone, ANSWERED_TO, 8, text.encode("utf-16-be"))

    def _take(self, batch: list[Inbound]) -> None:
        self.got += batch
        for item in batch:
            item.acknowledge(0)


class IsmgRig:
    """A simulated gateway for raw customers.

    Attributes:
        told: What happened, in order; what a phone reads apart.
        troubles: The events of kind "trouble".
    """

    def __init__(self, carrier: Carrier, clock: Any = reactor) -> None:
        self.carrier = carrier
        self.clock = clock
        self.told: list[str] = []
        self.troubles: list[Any] = []

    async def __aenter__(self) -> IsmgRig:
        self.account = make_account(self.carrier)
        endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
        self.ismg = Ismg(self.carrier, self.account, endpoint, self.clock, activity=self._note)
        self.port = await self.ismg.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        stopped = Deferred.fromCoroutine(self.ismg.stop())
        await until(lambda: stopped.called, self.clock if self.clock is not reactor else None)

    async def serves(self) -> None:
        """Another customer logs in, and its submit is taken."""
        peer = await dial(self.carrier, self.port)
        octets = submit(self.carrier, peer)
        peer.say(octets)
        await until(lambda: peer.answers_to(octets, self.carrier) == [0])
        peer.hang_up()
        await until(lambda: peer.lost)

    def _note(self, what: str, pdu: str, details: dict[str, Any]) -> None:
        if what != "read":
            self.told.append(what)
        if what == "trouble":
            self.troubles.append(details["event"])


def deliver(carrier: Carrier, peer: RawPeer, text: str = "同意", to: str = ANSWERED_TO) -> bytes:
    """What a phone sent, as the carrier brings it."""
    message = MoMessage(NUMBERS[carrier.name], to, 8, text.encode("utf-16-be"))
    if carrier.message_id is not None:
        message.carrier_message_id = carrier.message_id(1001, china_now(), 7)
    return peer.octets(carrier.to_deliver(*_account(carrier), message))


def submit(carrier: Carrier, peer: RawPeer) -> bytes:
    """A customer's submit."""
    segment = Segment(NUMBERS[carrier.name], ANSWERED_TO, 8, "请审批".encode("utf-16-be"))
    return peer.octets(carrier.to_submit(*_account(carrier), segment))


def report(carrier: Carrier, peer: RawPeer, about: StatusReport) -> bytes:
    """A status report."""
    return peer.octets(carrier.to_report(*_account(carrier), about))


def truncated(carrier: Carrier, octets: bytes) -> bytes:
    """The PDU's header and a little of its body, with a length that says so."""
    cut = octets[: carrier.codec.header_octets + 20]
    return struct.pack(">I", len(cut)) + cut[4:]


def bare(carrier: Carrier, command_id: int, total_length: int | None = None) -> bytes:
    """A header alone, whose length may be a lie."""
    octets = carrier.codec.header_octets
    header = struct.pack(">II", octets if total_length is None else total_length, command_id)
    return header + b"\0\0\0\x2a" * ((octets - len(header)) // 4)


def warnings(logged: list[LogEvent]) -> list[str]:
    """The lines a log would have at level warn; a traceback among them is a bug."""
    assert not [event for event in logged if event.get("log_failure") is not None]
    return [str(event["why"]) for event in logged if event["log_level"] >= LogLevel.warn]


def _account(carrier: Carrier) -> tuple[Account, str]:
    account = make_account(carrier)
    return account, account.version


def outcome(result: Deferred[Any]) -> list[Any]:
    """What a Deferred fired with, each time: a list that fills."""
    fired: list[Any] = []
    result.addBoth(fired.append)
    return fired

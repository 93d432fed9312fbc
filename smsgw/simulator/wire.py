"""The connection of a simulated gateway, on which octets get lost, late, doubled or garbled.

It stands between the socket and the gateway's :class:`~smsgw.transport.adapter.SessionProtocol`,
which knows nothing of it: the session believes that it answered. What happens to a PDU,
:mod:`smsgw.simulator.faults` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.errors import PduError
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.layout import Pdu
from smsgw.simulator.faults import Fault, FaultSource, Kind, Of

HELD_SECONDS = 0.2
"""How long a PDU waits for the one that is to overtake it."""

GARBAGE_OCTETS = 64
"""Most octets that are no PDU at a time."""

RESPONSE = 0x80000000
"""Set in the command id of every answer, whatever the carrier."""

WRONG_SEQUENCE = 0x40000000
"""Added to the sequence of an answer: nobody has asked so often."""

ON_THE_WIRE = frozenset(Kind) - {Kind.THROTTLE}


class Trouble:
    """What all connections of one simulated gateway share.

    Args:
        carrier: Tells what a PDU is.
        source: Says what befalls each PDU.
        clock: For what comes late.
        told: Called with each fault and what it befell.
    """

    def __init__(
        self,
        carrier: Carrier,
        source: FaultSource,
        clock: IReactorTime,
        told: Callable[[Kind, Of], None],
    ) -> None:
        self.carrier = carrier
        self.source = source
        self.clock = clock
        self.told = told
        self.wires: set[FaultyWire] = set()
        self._answers: set[int] = set()
        self._delivers: set[int] = set()

    def answers(self, submit: Pdu) -> None:
        """A submit of this kind is being answered."""
        self._answers.add(submit.command_id | RESPONSE)

    def brings(self, deliver: Pdu) -> None:
        """A report or message of this kind is being sent."""
        self._delivers.add(deliver.command_id)

    def listening(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """The same endpoint with trouble on each connection."""
        return _Listening(self, endpoint)

    def dialling(self, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """The same endpoint with trouble on its connection."""
        return _Dialling(self, endpoint)

    def end(self) -> None:
        """Let go of the connections that would never end by themselves."""
        for wire in list(self.wires):
            wire.end()

    def what(self, frame: bytes, version: str) -> Of | None:
        """What a PDU is that the gateway sends after its login; None = nothing to break."""
        command_id = int.from_bytes(frame[4:8], "big")
        if command_id in self._answers:
            return Of.ANSWER
        if command_id not in self._delivers:
            return None
        try:
            pdu = self.carrier.codec.decode(frame, version)
        except PduError:
            return Of.MO
        return Of.REPORT if self.carrier.is_report(pdu) else Of.MO


class FaultyWire(ProtocolWrapper):
    """One connection: the transport of a session's protocol.

    Args:
        factory: Twisted's, for its own accounts.
        protocol: The session's.
        trouble: What may happen.
    """

    def __init__(self, factory: Any, protocol: Any, trouble: Trouble) -> None:
        super().__init__(factory, protocol)
        self._trouble = trouble
        self._calls: set[IDelayedCall] = set()
        self._held: list[bytes] = []
        self._logged_in = False  # whether the login, or its answer, was written
        self._silent = False  # half-open: nothing comes out any more
        self._cut = False
        self._stalled = False
        self._reads = True  # what the session wants

    def makeConnection(self, transport: Any) -> None:
        self._trouble.wires.add(self)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._trouble.wires.discard(self)
        self._cut = True
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    # ---- towards the customer ------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._trouble.source.quiet and self._logged_in and not (self._silent or self._cut):
            self._put(data)
            return
        at = 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            self._send(data[at : at + length])
            at += length

    def loseConnection(self) -> None:
        """Close, unless nothing comes out of here any more."""
        if not self._silent:
            super().loseConnection()  # type: ignore[no-untyped-call]

    def abortConnection(self) -> None:
        """Drop the connection, unless nothing comes out of here any more."""
        if not self._silent:
            self._transport.abortConnection()

    def end(self) -> None:
        """Drop the connection where closing it would not help."""
        if self._silent or self._stalled:
            self._transport.abortConnection()

    def _send(self, frame: bytes) -> None:
        if self._silent or self._cut:
            return
        of, kinds = self._what(frame), ON_THE_WIRE
        if of in (Of.REPORT, Of.MO):
            kinds = ON_THE_WIRE - {Kind.LOSS}  # those were lost before they came here
        found = self._trouble.source.strike(of, kinds) if of is not None else {}
        for kind in found:
            self._trouble.told(kind, of)  # type: ignore[arg-type]
        if not found:
            self._put(frame, *self._take_held())
        elif Kind.HALF_OPEN in found:
            self._silent = True
        elif Kind.DISCONNECT in found:
            self._put(frame[: len(frame) // 2])
            self._cut = True  # what was late must not become the other half
            self._transport.unregisterProducer()  # a producer that waits would hold up the closing
            self._transport.loseConnection()
        elif Kind.LOSS not in found:
            self._send_broken(frame, found)

    def _send_broken(self, frame: bytes, found: dict[Kind, Fault]) -> None:
        octets = self._garble(frame, found)
        if Kind.DELAY in found:
            self._later(found[Kind.DELAY].seconds, self._put, octets)
        elif Kind.REORDER in found:
            self._held.append(octets)
            self._later(HELD_SECONDS, self._release)
        else:
            self._put(octets, *self._take_held())
        if Kind.STALL in found and not self._stalled:
            self._stalled = True
            self._steer()
            self._later(found[Kind.STALL].seconds, self._read_again)

    def _garble(self, frame: bytes, found: dict[Kind, Fault]) -> bytes:
        header, random = self._trouble.carrier.codec.header_octets, self._trouble.source.random
        if Kind.SEQUENCE in found:
            number = int.from_bytes(frame[header - 4 : header], "big") + WRONG_SEQUENCE
            wrong = (number & 0xFFFFFFFF).to_bytes(4, "big")
            frame = frame[: header - 4] + wrong + frame[header:]
        if Kind.TRUNCATE in found:
            cut = header + (len(frame) - header) // 2
            frame = cut.to_bytes(4, "big") + frame[4:cut]
        if Kind.OVERSIZE in found:
            length = self._trouble.carrier.codec.largest_octets + 1
            frame = (length.to_bytes(4, "big") + frame[4:]).ljust(length, b"\0")
        if Kind.DUPLICATE in found:
            frame += frame
        if Kind.GARBAGE in found:
            frame = random.randbytes(random.randint(1, GARBAGE_OCTETS)) + frame
        return frame

    def _what(self, frame: bytes) -> Of | None:
        if not self._logged_in:
            self._logged_in = True
            return Of.LOGIN
        return self._trouble.what(frame, self.wrappedProtocol.session.version)  # type: ignore[attr-defined]

    def _put(self, *frames: bytes) -> None:
        if not (self._silent or self._cut):
            self._transport.write(b"".join(frames))

    def _take_held(self) -> list[bytes]:
        held, self._held = self._held, []
        return held

    def _release(self) -> None:
        self._put(*self._take_held())

    # ---- from the customer ---------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        if not (self._silent or self._cut):
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def pauseProducing(self) -> None:
        """The session takes no more."""
        self._reads = False
        self._steer()

    def resumeProducing(self) -> None:
        """The session takes more."""
        self._reads = True
        self._steer()

    def _read_again(self) -> None:
        self._stalled = False
        self._steer()

    def _steer(self) -> None:
        if self._reads and not self._stalled:
            self._transport.resumeProducing()
        else:
            self._transport.pauseProducing()

    # ---- small things --------------------------------------------------------------------

    @property
    def _transport(self) -> Any:
        return self.transport

    def _later(self, seconds: float, what: Callable[..., None], *arguments: Any) -> None:
        def run() -> None:
            self._calls.discard(call)
            what(*arguments)

        call = self._trouble.clock.callLater(seconds, run)
        self._calls.add(call)


class _Factory(WrappingFactory[FaultyWire]):
    """Makes the wires of one endpoint."""

    noisy = False

    def __init__(self, trouble: Trouble, factory: IProtocolFactory) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self._trouble = trouble

    def buildProtocol(self, addr: IAddress | None) -> FaultyWire | None:  # type: ignore[override]
        protocol = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else FaultyWire(self, protocol, self._trouble)


@implementer(IStreamServerEndpoint)
class _Listening:
    def __init__(self, trouble: Trouble, endpoint: IStreamServerEndpoint) -> None:
        self._trouble = trouble
        self._endpoint = endpoint

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self._endpoint.listen(_Factory(self._trouble, factory))


@implementer(IStreamClientEndpoint)
class _Dialling:
    def __init__(self, trouble: Trouble, endpoint: IStreamClientEndpoint) -> None:
        self._trouble = trouble
        self._endpoint = endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._endpoint.connect(_Factory(self._trouble, factory))

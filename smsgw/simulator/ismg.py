"""A scriptable gateway of any carrier: takes binds, answers submits, reports, delivers MO.

It speaks through the same sessions as the product, in the gateway role, over real sockets. What it
delivers is repeated until it is acknowledged, as a real gateway does. With ``faults`` it breaks in
every way that gateways break (:mod:`smsgw.simulator.faults`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)

from smsgw.model import MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier, ResultKind
from smsgw.protocols.layout import Pdu
from smsgw.protocols.states import Role, Side
from smsgw.simulator.faults import Faults, FaultSource, Kind, Of
from smsgw.simulator.phones import Activity, Phone, Phones
from smsgw.simulator.script import Script, silent
from smsgw.simulator.wire import Trouble
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.connector import Backoff, Connector, Phase
from smsgw.transport.link import china_now
from smsgw.transport.listener import Listener

REPEAT_AFTER = 2.0
"""Seconds until a delivery that was refused or lost is tried again."""

GATEWAY_NUMBER = 1001

SUBMITS_KEPT = 100_000
"""How many submits are remembered for whoever looks; the older half goes first."""


class _Eager(Backoff):
    """A gateway that has something to bring dials again within seconds, however often it fails."""

    LOST = (0.5, 2.0)


class Behaviour(msgspec.Struct):
    """What a simulated gateway does with a submit.

    Attributes:
        answer_after: Seconds until SUBMIT_RESP.
        report_after: Seconds from there until the status report.
        result: Result code of every SUBMIT_RESP.
        stat: The report's state word where the carrier has words.
    """

    answer_after: float = 0.0
    report_after: float = 0.1
    result: int = 0
    stat: str = "DELIVRD"


class Delivery(msgspec.Struct, eq=False):
    """What the customer is to be brought, until it takes it.

    Attributes:
        content: A phone's message, or a report.
        what: "mo" or "report".
        details: For whoever watches.
        pdu: As it was sent last, None before; again over the same version it is the same PDU.
        version: Of that connection.
    """

    content: MoMessage | StatusReport
    what: str
    details: dict[str, Any]
    pdu: Pdu | None = None
    version: str = ""


class Ismg:
    """One simulated carrier.

    Args:
        carrier: The protocol it speaks.
        account: The login it accepts: name, secret, version, timers.
        endpoint: Where it listens.
        clock: For delays and timers.
        behaviour: Delays and results.
        activity: Told everything that happens.
        script: What a phone answers that :meth:`phone` did not set up.
        faults: What goes wrong.

    Attributes:
        submits: What was taken or refused, oldest first.
        faults: Says what goes wrong; its ``use`` changes that.
    """

    def __init__(
        self,
        carrier: Carrier,
        account: Account,
        endpoint: IStreamServerEndpoint,
        clock: IReactorTime,
        *,
        behaviour: Behaviour | None = None,
        activity: Activity = lambda what, pdu, details: None,
        script: Script = silent,
        wall: Callable[[], datetime] = china_now,
        faults: Faults | None = None,
    ) -> None:
        self.carrier = carrier
        self.account = account
        self.behaviour = behaviour or Behaviour()
        self.phones = Phones(script, carrier.family)
        self.submits: list[Segment] = []
        self.faults = FaultSource(faults)
        self._trouble = Trouble(carrier, self.faults, clock, self._broke)
        self._clock = clock
        self._wall = wall
        self._activity = activity
        self._count = 0
        self._stopped = False
        self._calls: set[IDelayedCall] = set()
        self._bound: list[SessionProtocol] = []
        self._to_deliver: deque[Delivery] = deque()
        self._sessions = carrier.sessions(wall, Side.GATEWAY, {account.name: account.secret}.get)
        self._listener = Listener(
            self._trouble.listening(endpoint),
            lambda host: self._sessions(account, Role.SERVER),
            clock,
            self._events,
            self._closed,
        )
        self._connector: Connector | None = None

    def dials(self, endpoint: IStreamClientEndpoint, login: Account) -> None:
        """Say where the customer listens and how we log in there: SGIP's second connection."""
        self._connector = Connector(
            self._trouble.dialling(endpoint),
            lambda: self._sessions(login, Role.CLIENT),
            self._clock,
            self._dialled_events,
            self._dialled_change,
            rests=True,
            backoff=_Eager(),
        )

    async def start(self) -> int:
        """Listen; returns the port."""
        await self._listener.start()
        return self._listener.port or 0

    async def stop(self) -> None:
        """Close everything; what was still due does not happen."""
        self._stopped = True
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        self._trouble.end()
        if self._connector is not None:
            await self._connector.stop()
        await self._listener.stop()

    def hang_up(self) -> None:
        """Drop every connection without a word, as a gateway that crashes does."""
        for protocol in [*self._listener.connections, *self._bound]:
            protocol.abort()
        self._trouble.end()

    def phone(self, number: str, script: Script = silent) -> Phone:
        """Switch on a phone of this carrier."""
        return self.phones.add(number, script)

    def send(self, number: str, to: str, text: str) -> None:
        """Let a phone write to a number."""
        for message in self.phones.get(number).write(to, text):
            self.deliver(message)

    def deliver(self, message: MoMessage) -> None:
        """Bring one MO, or one part of one, to the customer."""
        if not message.carrier_message_id:
            message.carrier_message_id = self._new_id()
        self._queue(Delivery(message, "mo", {"mo": message}))

    # ---- submits -------------------------------------------------------------------------

    def _events(self, protocol: SessionProtocol, events: list[ev.Event]) -> None:
        for event in events:
            if isinstance(event, ev.SubmitReceived):
                self._submit(protocol, event.pdu)
            elif isinstance(event, ev.DeliverAnswered):
                self._delivered(event)
            elif isinstance(event, ev.ResponseLost):
                self._later(REPEAT_AFTER, self._repeat, event.context)
            elif isinstance(event, ev.PeerBound):
                self._activity("bind", "", {"name": event.name, "version": event.version})
                if not self.carrier.peer_dials:
                    self._bound.append(protocol)
            elif isinstance(event, ev.BindRefused | ev.PeerMistake | ev.SessionFailed):
                self._activity("trouble", "", {"event": event})
        self._pump()

    def _submit(self, protocol: SessionProtocol, pdu: Pdu) -> None:
        segments = self.carrier.from_submit(pdu)
        carrier_id = self._new_id() or self.carrier.submit_id(pdu)
        self._count += len(segments) - 1  # no other submit may use the ids of its recipients
        delay = self.behaviour.answer_after
        if delay > 0:
            self._later(delay, self._answer, protocol, pdu, segments, carrier_id)
        else:
            self._answer(protocol, pdu, segments, carrier_id)

    def _answer(
        self, protocol: SessionProtocol, pdu: Pdu, segments: list[Segment], carrier_id: str
    ) -> None:
        result = self.behaviour.result
        if protocol.session.closed:
            return
        if result == 0 and self.faults.strike(Of.ANSWER, (Kind.THROTTLE,)):
            self._broke(Kind.THROTTLE, Of.ANSWER)
            result = throttle_code(self.carrier)
        self._trouble.answers(pdu)
        protocol.session.answer_submit(pdu, result, carrier_id if result == 0 else "")
        protocol.flush_soon()
        for place, segment in enumerate(segments):
            self._remember(segment)
            self._activity("submit", pdu.command, {"segment": segment, "result": result})
            if result != 0:
                continue
            received = self.phones.get(segment.to).take(segment)
            if segment.want_report:
                own_id = self.carrier.receiver_id(carrier_id, place)
                self._later(self.behaviour.report_after, self._report, segment, own_id)
            if received is not None:
                self._read(self.phones.get(segment.to), received.sender, received.text)

    def _remember(self, segment: Segment) -> None:
        self.submits.append(segment)
        if len(self.submits) > SUBMITS_KEPT:
            del self.submits[: SUBMITS_KEPT // 2]

    def _read(self, phone: Phone, sender: str, text: str) -> None:
        self._activity("read", "", {"phone": phone.number, "sender": sender, "text": text})
        for reply in phone.script(sender, text):
            self._later(reply.after, self._type, phone, reply.to or sender, reply.text)

    def _type(self, phone: Phone, to: str, text: str) -> None:
        self._activity("type", "", {"phone": phone.number, "to": to, "text": text})
        self.send(phone.number, to, text)

    def _report(self, segment: Segment, carrier_id: str) -> None:
        when = self._wall().strftime("%y%m%d%H%M")
        report = StatusReport(
            carrier_message_id=carrier_id,
            status=MessageStatus.DELIVERED,
            stat=self.behaviour.stat,
            to=segment.to,
            source=segment.source,
            submitted=when,
            done=when,
        )
        self._queue(Delivery(report, "report", {"to": segment.to}))

    # ---- delivering ----------------------------------------------------------------------

    def _queue(self, delivery: Delivery) -> None:
        if self.faults.strike(Of(delivery.what), (Kind.LOSS,)):
            self._broke(Kind.LOSS, Of(delivery.what))
            return
        self._to_deliver.append(delivery)
        self._pump()

    def _pump(self) -> None:
        touched = set()
        while self._to_deliver:
            protocol = next((p for p in self._bound if _can_take(p)), None)
            if protocol is None:
                self._dial()
                break
            delivery = self._to_deliver.popleft()
            pdu = self._written(delivery, protocol.session.version)
            protocol.session.submit(pdu, self._clock.seconds(), delivery)
            self._activity(delivery.what, pdu.command, delivery.details)
            touched.add(protocol)
        for protocol in touched:
            protocol.flush_soon()

    def _written(self, delivery: Delivery, version: str) -> Pdu:
        """The PDU of a delivery in the version that its connection speaks."""
        pdu = delivery.pdu
        if pdu is None or delivery.version != version:
            content = delivery.content
            if isinstance(content, StatusReport):
                pdu = self.carrier.to_report(self.account, version, content)
                delivery.details["stat"] = self.carrier.from_report(pdu).stat
            else:
                pdu = self.carrier.to_deliver(self.account, version, content)
            self._trouble.brings(pdu)
            delivery.pdu, delivery.version = pdu, version
        return pdu

    def _delivered(self, event: ev.DeliverAnswered) -> None:
        delivery = event.context
        details = {"what": delivery.what, "code": event.code, **delivery.details}
        self._activity("acknowledged", delivery.pdu.command, details)
        if event.code != 0:
            self._later(REPEAT_AFTER, self._repeat, event.context)

    def _repeat(self, delivery: Delivery) -> None:
        self._to_deliver.append(delivery)
        self._pump()

    def _dial(self) -> None:
        if self._connector is None:
            return
        if self._connector.phase is Phase.IDLE:
            self._connector.wake()
        elif self._connector.phase is Phase.DOWN and self._connector.reason == "not started":
            self._connector.start()

    def _dialled_events(self, connector: Connector, events: list[ev.Event]) -> None:
        protocol = connector.protocol
        if protocol is None:
            return
        if any(isinstance(event, ev.Bound) for event in events):
            self._bound.append(protocol)
        self._events(protocol, events)

    def _dialled_change(self, connector: Connector) -> None:
        if connector.protocol is None:
            self._bound = [p for p in self._bound if not p.session.closed]

    def _closed(self, protocol: SessionProtocol, why: str) -> None:
        if protocol in self._bound:
            self._bound.remove(protocol)

    # ---- small things --------------------------------------------------------------------

    def _broke(self, kind: Kind, of: Of) -> None:
        self._activity("fault", "", {"fault": kind.value, "of": of.value})

    def _new_id(self) -> str:
        self._count += 1
        make = self.carrier.message_id
        return make(GATEWAY_NUMBER, self._wall(), self._count) if make is not None else ""

    def _later(self, seconds: float, what: Callable[..., None], *arguments: Any) -> None:
        if self._stopped:
            return

        def run() -> None:
            self._calls.discard(call)
            what(*arguments)

        call = self._clock.callLater(seconds, run)
        self._calls.add(call)

    @property
    def waiting(self) -> int:
        """Reports and messages that the customer has not acknowledged."""
        return len(self._to_deliver) + sum(len(p.session.window) for p in self._bound)

    async def acknowledged(self) -> None:
        """Wait until nothing is queued for the customer."""
        while self.waiting:
            turn: Deferred[None] = Deferred()
            self._clock.callLater(0.01, turn.callback, None)
            await turn


def throttle_code(carrier: Carrier) -> int:
    """The carrier's result for a customer that is too fast; the first of several."""
    codes = [c for c in range(1, 256) if carrier.classify(c).kind is ResultKind.THROTTLE]
    return codes[0]


def _can_take(protocol: SessionProtocol) -> bool:
    return protocol.session.bound and protocol.session.window.free > 0

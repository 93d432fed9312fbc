"""Customers bind to us, over SMPP or CMPP: their submits come in, reports and MO go out.

A submit is answered when it is durable, in batches. A customer that has more unanswered than its
window is told to slow down, and not read any further until it has not. What a customer is brought
goes over any of its connections that receives, and stays in the store until it is acknowledged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.delivery.commits import Seldom
from smsgw.errors import Disposition, EncodeError
from smsgw.interfaces.northbound.door import Door, DoorListener
from smsgw.interfaces.northbound.guard import Caller, Guard
from smsgw.interfaces.northbound.present import Allowance, Bind, Present
from smsgw.model import MessageClass, Segment, StatusReport
from smsgw.protocols import events as ev
from smsgw.protocols.carrier import Carrier, Result, ResultKind
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side
from smsgw.routing.numbers import mask
from smsgw.services.northbound.customer import Customer
from smsgw.services.northbound.intake import Answer, Intake
from smsgw.services.northbound.outbox import Brought, Outbox
from smsgw.services.northbound.relay import Relay
from smsgw.services.submission import Submission
from smsgw.store.database import Database
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.link import china_now
from smsgw.transport.peers import peer_filter

STRANGERS_MAX = 64
"""Connections of a door beyond what its customers may have: of those that did not log in yet."""

LOGIN_SECONDS = 30.0
"""How long a connection may take to log in."""

ANSWERS_WITHIN = 10.0
"""Seconds a stop waits for the commits of what was submitted."""


class NorthboundObserver(Protocol):
    """What is counted of customers; metrics implement it. One call per batch."""

    def customer_bound(self, customer: str, binds: int) -> None:
        """It has so many connections now."""

    def customer_submitted(self, customer: str, result: str, count: int = 1) -> None:
        """So many submits were answered so."""

    def customer_acknowledged(self, customer: str, count: int = 1) -> None:
        """It took so many reports and messages."""

    def accepted(self, message_class: MessageClass, count: int = 1) -> None:
        """So many messages are durable."""


class Northbound:
    """All doors and customers.

    Args:
        customers: Whoever may log in.
        doors: Where.
        database: Opened before :meth:`start`.
        submission: Takes their messages.
        reactor: Its clock and timers.
        observer: Told what is counted.
    """

    log = Logger()

    def __init__(
        self,
        customers: Sequence[Customer],
        doors: Sequence[Door],
        database: Database,
        submission: Submission,
        reactor: IReactorTime,
        observer: NorthboundObserver,
    ) -> None:
        self._clock = reactor
        self._observer = observer
        self._guard = Guard(reactor)
        self._intake = Intake(customers, database, submission, reactor)
        self._relay = Relay(customers, database, reactor, self._wake)
        self._present: dict[str, Present] = {}
        for one in customers:
            outbox = Outbox(one, database, reactor, partial(self._pump_of, one.name))
            allowance = Allowance(one.rate, reactor.seconds())
            hosts = peer_filter(one.networks) if one.networks else _anywhere
            self._present[one.name] = Present(one, outbox, allowance, hosts)
        self._binds: dict[SessionProtocol, Bind] = {}
        self._taking: set[Deferred[None]] = set()
        self._doors = {door.carrier.name: self._door(door) for door in doors}
        self._refused = Seldom(self.log, reactor)
        self.committed = self._relay.committed

    def port(self, protocol: str) -> int:
        """The port of a protocol's door; 0 before the start."""
        return self._doors[protocol].port or 0

    async def start(self) -> None:
        """Take up what the last run left, and listen.

        Raises:
            CannotListenError: An address is taken or not ours.
        """
        await self._intake.start()
        await self._relay.start()
        for door in self._doors.values():
            await door.start()

    async def stop(self) -> None:
        """Answer what was submitted, close all connections, record what was acknowledged."""
        for bind in self._binds.values():
            bind.protocol.hold(True)
        if self._taking:
            waits = DeferredList(list(self._taking))
            waits.addTimeout(ANSWERS_WITHIN, self._clock)
            await waits.addErrback(lambda failure: None)
        for door in self._doors.values():
            await door.stop()
        await self._relay.stop()
        self._intake.stop()
        for present in self._present.values():
            await present.outbox.stop()

    # ---- logging in ----------------------------------------------------------------------

    def _door(self, door: Door) -> DoorListener:
        names = [one for one in self._present.values() if one.customer.carrier is door.carrier]
        logins = {one.customer.login.name: one for one in names}
        limit = sum(one.customer.binds for one in names) + STRANGERS_MAX
        make = partial(self._session, door.carrier, logins)
        return DoorListener(door, make, self._clock, self._guard, self._events, self._closed, limit)

    def _session(self, carrier: Carrier, logins: Mapping[str, Present], host: str) -> Session:
        def secret_of(name: str) -> str | None:
            found = logins.get(name)
            return found.customer.login.secret if found and found.hosts(host) else None

        def admits(session: Session, name: str) -> bool:
            customer = logins[name].customer
            if len(logins[name].binds) >= customer.binds:
                return False
            session.serve(customer.login)
            return True

        stranger = carrier.account(
            name="",
            secret="",
            version=carrier.codec.default_version,
            response_timeout=LOGIN_SECONDS,
        )
        make = carrier.sessions(china_now, Side.GATEWAY, secret_of)
        session = make(stranger, Role.SERVER)
        session.admits = admits
        return session

    def _bound(self, protocol: Caller, carrier: Carrier, event: ev.PeerBound) -> Bind:
        present = next(
            one
            for one in self._present.values()
            if one.customer.carrier is carrier and one.customer.login.name == event.name
        )
        self._guard.succeeded(protocol.host)
        bind = self._binds[protocol] = Bind(protocol, present)
        present.binds.append(bind)
        name, count = present.customer.name, len(present.binds)
        self.log.info(
            "customer {name} logged in from {host}: {count} of {limit} connections",
            name=name,
            host=protocol.host,
            count=count,
            limit=present.customer.binds,
        )
        self._observer.customer_bound(name, count)
        if bind.receives:
            present.outbox.open()
        return bind

    def _turned_away(self, protocol: Caller, event: ev.BindRefused) -> None:
        self.log.warn(
            "a login from {host} was refused: {text}", host=protocol.host, text=event.text
        )
        if event.kind is not ev.RefusalKind.BUSY:
            self._guard.failed(protocol.host)

    def _closed(self, protocol: SessionProtocol, why: str) -> None:
        bind = self._binds.pop(protocol, None)
        if bind is None:
            return
        present, bind.broken = bind.present, not bind.unbound
        present.binds.remove(bind)
        name, count = present.customer.name, len(present.binds)
        self.log.info("customer {name}: a connection ended: {why}", name=name, why=why)
        self._observer.customer_bound(name, count)
        if not any(one.receives for one in present.binds):
            present.outbox.close()
        else:
            self._pump(present)

    # ---- what comes in -------------------------------------------------------------------

    def _events(self, protocol: SessionProtocol, events: list[ev.Event]) -> None:
        bind = self._binds.get(protocol)
        submits: list[Pdu] = []
        lost: list[Brought] = []
        answered = 0
        for event in events:
            if isinstance(event, ev.SubmitReceived):
                submits.append(event.pdu)
            elif isinstance(event, ev.DeliverAnswered) and bind is not None:
                answered += self._answered(bind.present, event)
            elif isinstance(event, ev.ResponseLost):
                lost.append(event.context)
            elif isinstance(event, ev.PeerBound) and isinstance(protocol, Caller):
                bind = self._bound(protocol, self._carrier_of(protocol), event)
            elif isinstance(event, ev.BindRefused) and isinstance(protocol, Caller):
                self._turned_away(protocol, event)
            elif isinstance(event, ev.Unbound) and bind is not None:
                bind.unbound = True
            elif isinstance(event, ev.PeerMistake | ev.SessionFailed):
                self._told(protocol, bind, event)
        if bind is None:
            return
        outbox = bind.present.outbox
        if answered:
            self._observer.customer_acknowledged(bind.present.customer.name, answered)
        outbox.give_back(lost)
        outbox.flush()
        if submits:
            self._submitted(bind, submits)
        self._pump(bind.present)

    def _carrier_of(self, protocol: SessionProtocol) -> Carrier:
        return next(door.carrier for door in self._doors.values() if protocol in door.connections)

    def _told(
        self,
        protocol: SessionProtocol,
        bind: Bind | None,
        event: ev.PeerMistake | ev.SessionFailed,
    ) -> None:
        who = bind.present.customer.name if bind is not None else "nobody we know"
        what = event.problem if isinstance(event, ev.PeerMistake) else event.reason
        self.log.warn("a connection of {who}: {what}", who=who, what=what)

    def _submitted(self, bind: Bind, pdus: Sequence[Pdu]) -> None:
        """Take submits as far as the customer may have them, and answer the others at once."""
        present, now = bind.present, self._clock.seconds()
        customer = present.customer
        taken: list[Pdu] = []
        wanted: list[Sequence[Segment]] = []
        for pdu in pdus:
            segments = customer.carrier.from_submit(pdu)
            free = bind.unanswered < customer.login.window
            if free and present.allowance.take(len(segments), now):
                bind.unanswered += 1
                taken.append(pdu)
                wanted.append(segments)
            else:
                self._answer(bind, pdu, Answer(ResultKind.THROTTLE))
        throttled = len(pdus) - len(taken)
        if throttled:
            bind.protocol.flush_soon()
            self._observer.customer_submitted(customer.name, str(ResultKind.THROTTLE), throttled)
        if taken:
            taking = self._intake.take(customer, wanted, lambda: bind.broken)
            done = taking.addCallback(partial(self._taken, bind, taken))
            self._taking.add(done)
            done.addBoth(partial(self._took, done))
        if bind.unanswered >= customer.login.window:
            bind.protocol.hold(True)

    def _taken(self, bind: Bind, pdus: Sequence[Pdu], answers: Sequence[Answer]) -> None:
        for pdu, answer in zip(pdus, answers, strict=True):
            self._answer(bind, pdu, answer)
        customer = bind.present.customer
        bind.unanswered -= len(pdus)
        bind.protocol.hold(bind.unanswered >= customer.login.window)
        bind.protocol.flush_soon()
        for kind, count in Counter(answer.kind for answer in answers).items():
            self._observer.customer_submitted(customer.name, str(kind), count)
        accepted = sum(answer.messages for answer in answers)
        if accepted:
            self._observer.accepted(customer.message_class, accepted)
        problem = next((answer.problem for answer in answers if answer.problem), "")
        if problem:
            self._refused.warn(
                "customer {name}: a submit was refused: {problem}",
                name=customer.name,
                problem=problem,
            )

    def _took(self, done: Deferred[None], outcome: object) -> None:
        self._taking.discard(done)
        if isinstance(outcome, Failure):
            self.log.failure("submits of a customer", outcome)

    def _answer(self, bind: Bind, pdu: Pdu, answer: Answer) -> None:
        session = bind.protocol.session
        if session.closed:
            return
        carrier = bind.present.customer.carrier
        if answer.kind is ResultKind.OK:
            session.answer_submit(pdu, 0, carrier.own_id(answer.id))
        else:
            session.answer_submit(pdu, carrier.refusals[answer.kind])

    # ---- what goes out -------------------------------------------------------------------

    def _wake(self, names: set[str]) -> None:
        for name in names:
            self._present[name].outbox.wake()

    def _pump_of(self, name: str) -> None:
        self._pump(self._present[name])

    def _pump(self, present: Present) -> None:
        """Bring as much as the customer's connections take now."""
        for bind in present.binds:
            session = bind.protocol.session
            if not session.bound or session.window.free <= 0:
                continue
            brought = False
            while session.window.free > 0 and (one := present.outbox.take()) is not None:
                brought = self._bring(present, session, one) or brought
            if brought:
                bind.protocol.flush_soon()

    def _bring(self, present: Present, session: Session, one: Brought) -> bool:
        carrier, login = present.customer.carrier, present.customer.login
        content = one.content
        try:
            if isinstance(content, StatusReport):
                pdu = carrier.to_report(login, session.version, content)
            else:
                pdu = carrier.to_deliver(login, session.version, content)
            session.submit(pdu, self._clock.seconds(), one)
        except EncodeError as error:
            present.outbox.refuse(one, Result(str(error), Disposition.FINAL))
            return False
        return True

    def _answered(self, present: Present, event: ev.DeliverAnswered) -> bool:
        one: Brought = event.context
        if event.code == 0:
            present.outbox.acknowledge(one)
            return True
        result = present.customer.carrier.classify(event.code)
        self._refused.warn(
            "customer {name} refuses what {phone} is told of: {why}",
            name=present.customer.name,
            phone=mask(getattr(one.content, "to", "") or getattr(one.content, "sender", "")),
            why=result.text,
        )
        present.outbox.refuse(one, result)
        return False


def _anywhere(host: str) -> bool:
    return True

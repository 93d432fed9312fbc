"""Customers bind to us, over SMPP or CMPP: their submits come in, reports and MO go out.

A submit is answered when it is durable, in batches. A customer that has more unanswered than its
window is told to slow down, and not read any further until it has not. What a customer is brought
goes over any of its connections that receives, and stays in the store until it is acknowledged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import Disposition, EncodeError
from smsgw.interfaces.northbound.door import Door
from smsgw.interfaces.northbound.present import Allowance, Bind, Present
from smsgw.interfaces.northbound.view import Json, customer_json
from smsgw.model import Segment, StatusReport
from smsgw.protocols import events as ev
from smsgw.protocols.carrier import Carrier, Result, ResultKind
from smsgw.protocols.layout import Pdu
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side
from smsgw.routing.numbers import mask
from smsgw.services.northbound.customer import Customer
from smsgw.services.northbound.intake import Answer, Intake
from smsgw.services.northbound.outbox import Brought, Outbox
from smsgw.services.northbound.relay import Relay
from smsgw.services.submission import Submission
from smsgw.store.customers import waiting
from smsgw.store.database import Database
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.gate import Gate
from smsgw.transport.link import china_now
from smsgw.transport.listener import Listener
from smsgw.transport.peers import peer_filter

STRANGERS_MAX, STRANGERS_OF_ONE_MAX = 64, 8
"""Connections of a door, and of one address, beyond what all customers of the door may have
together: of those that did not log in yet."""

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

    def turned_away(self, door: str, reason: str) -> None:
        """A connection was, as :class:`~smsgw.transport.gate.GateObserver` has it."""


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
        self._intake = Intake(customers, database, submission, reactor)
        self._relay = Relay(customers, database, reactor, self._wake)
        self._present: dict[str, Present] = {}
        self._database = database
        self._gates: dict[str, Gate] = {}
        for one in customers:
            self._add(one)
        self._binds: dict[SessionProtocol, Bind] = {}
        self._taking: set[Deferred[None]] = set()
        self._doors = {door.carrier.name: self._door(door) for door in doors}
        self.committed = self._relay.committed

    def _add(self, one: Customer) -> None:
        outbox = Outbox(one, self._database, self._clock, partial(self._pump_of, one.name))
        self._present[one.name] = Present(one, outbox, self._allowance(one), _hosts(one))

    def _allowance(self, one: Customer) -> Allowance:
        return Allowance(one.rate, self._clock.seconds())

    async def adopt(self, customers: Sequence[Customer]) -> None:
        """Have these customers from now on.

        Connections end of those that are gone, and where the login or the networks do not fit any
        more; whatever else changes holds for the connections there are.
        """
        wanted = {one.name: one for one in customers}
        gone = {name: one for name, one in self._present.items() if name not in wanted}
        for name, one in wanted.items():
            present = self._present.get(name)
            if present is None:
                self._add(one)
                continue
            if present.customer.rate != one.rate:
                present.allowance = self._allowance(one)
            present.customer = present.outbox.customer = one
            present.hosts = _hosts(one)
        for name in gone:
            del self._present[name]
        self._intake.adopt(customers)
        self._relay.adopt(customers)
        for carrier_name, gate in self._gates.items():
            gate.resize(*self._limits(CARRIERS[carrier_name]))
        await self._end([bind for bind in self._binds.values() if not self._is_good(bind)])
        for present in gone.values():
            await present.outbox.stop()

    def _is_good(self, bind: Bind) -> bool:
        """Whether a connection would be let in as it is."""
        present = self._present.get(bind.present.customer.name)
        if present is not bind.present or not present.hosts(bind.protocol.host):
            return False
        return bind.protocol.session.account == present.customer.login

    async def _end(self, binds: Sequence[Bind]) -> None:
        """Answer what was submitted over connections, and close them."""
        for bind in binds:
            bind.protocol.hold(True)
        if binds and self._taking:
            waits = DeferredList(list(self._taking))
            waits.addTimeout(ANSWERS_WITHIN, self._clock)
            await waits.addErrback(lambda failure: None)
        for bind in binds:
            bind.protocol.close()

    def port(self, protocol: str) -> int:
        """The port of a protocol's door; 0 before the start."""
        return self._doors[protocol].port or 0

    async def customers(self) -> list[Json]:
        """Return every customer, its connections to this process and what waits for it."""
        counts = await self._database.read(waiting)
        return [customer_json(one, counts.get(name, 0)) for name, one in self._present.items()]

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

    def _door(self, door: Door) -> Listener:
        carrier = door.carrier
        name, limits = f"northbound.{carrier.name}", self._limits(carrier)
        gate = Gate(name, self._clock, door.allow, *limits, self._observer)
        self._gates[carrier.name] = gate
        make = partial(self._session, carrier, gate)
        return Listener(door.endpoint, make, self._clock, self._events, self._closed, gate)

    def _limits(self, carrier: Carrier) -> tuple[int, int]:
        """How many connections a door may have, in all and from one address."""
        here = self._present.values()
        binds = sum(one.customer.binds for one in here if one.customer.carrier is carrier)
        return binds + STRANGERS_MAX, binds + STRANGERS_OF_ONE_MAX

    def _of_login(self, carrier: Carrier, name: str) -> Present | None:
        for one in self._present.values():
            if one.customer.carrier is carrier and one.customer.login.name == name:
                return one
        return None

    def _session(self, carrier: Carrier, gate: Gate, host: str) -> Session:
        def secret_of(name: str) -> str | None:
            session.peer_name = name  # who it says it is, for what counts wrong logins
            found = self._of_login(carrier, name)
            if found is None or not found.hosts(host) or not gate.may_try(host, name):
                return None
            return found.customer.login.secret

        def admits(session: Session, name: str) -> bool:
            found = self._of_login(carrier, name)
            if found is None or len(found.binds) >= found.customer.binds:
                return False
            session.serve(found.customer.login)
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

    def _bound(self, protocol: SessionProtocol, carrier: Carrier, event: ev.PeerBound) -> Bind:
        present = self._of_login(carrier, event.name)
        if present is None:
            raise AssertionError(f"{event.name} was let in and is nobody's login")
        bind = self._binds[protocol] = Bind(protocol, present)
        present.binds.append(bind)
        name, count = present.customer.name, len(present.binds)
        self.log.info(
            "customer {customer} logged in from {host}: {count} of {limit} connections",
            event="customer.bound",
            customer=name,
            host=protocol.host,
            count=count,
            limit=present.customer.binds,
        )
        self._observer.customer_bound(name, count)
        if bind.receives:
            present.outbox.open()
        return bind

    def _turned_away(self, protocol: SessionProtocol, event: ev.BindRefused) -> None:
        self.log.warn(
            "a login from {host} was refused: {why}",
            event="customer.bind_refused",
            host=protocol.host,
            why=event.text,
        )

    def _closed(self, protocol: SessionProtocol, why: str) -> None:
        bind = self._binds.pop(protocol, None)
        if bind is None:
            return
        present, bind.broken = bind.present, not bind.unbound
        present.binds.remove(bind)
        name, count = present.customer.name, len(present.binds)
        told = "customer {customer}: a connection ended: {why}"
        self.log.info(told, event="customer.unbound", customer=name, why=why)
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
            elif isinstance(event, ev.PeerBound):
                bind = self._bound(protocol, self._carrier_of(protocol), event)
            elif isinstance(event, ev.BindRefused):
                self._turned_away(protocol, event)
            elif isinstance(event, ev.Unbound) and bind is not None:
                bind.unbound = True
            elif isinstance(event, ev.PeerMistake | ev.SessionFailed) and bind is not None:
                self._told(bind, event)  # what a stranger sends is the gate's to tell
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
        name = next(one for one, door in self._doors.items() if protocol in door.connections)
        return CARRIERS[name]

    def _told(self, bind: Bind, event: ev.PeerMistake | ev.SessionFailed) -> None:
        who = bind.present.customer.name
        why = event.problem if isinstance(event, ev.PeerMistake) else event.reason
        told = "a connection of {customer}: {why}"
        self.log.warn(told, event="customer.mistake", customer=who, why=why)

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
        problem = next((answer.problem for answer in answers if answer.problem), "")
        if problem:
            told = "customer {customer}: a submit was refused: {why}"
            self.log.warn(told, event="customer.refused", customer=customer.name, why=problem)

    def _took(self, done: Deferred[None], outcome: object) -> None:
        self._taking.discard(done)
        if isinstance(outcome, Failure):
            self.log.failure("submits of a customer", outcome, event="customer.submits_failed")

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
            if name in self._present:
                self._present[name].outbox.wake()

    def _pump_of(self, name: str) -> None:
        if name in self._present:
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
        self.log.warn(
            "customer {customer} refuses what {phone} is told of: {why}",
            event="customer.delivery_refused",
            customer=present.customer.name,
            phone=mask(getattr(one.content, "to", "") or getattr(one.content, "sender", "")),
            why=result.text,
        )
        present.outbox.refuse(one, result)
        return False


def _hosts(one: Customer) -> Callable[[str], bool]:
    return peer_filter(one.networks) if one.networks else _anywhere


def _anywhere(host: str) -> bool:
    return True

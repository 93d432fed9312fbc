"""One carrier account with all its connections: segments in, results and inbound out.

A :class:`Link` can be used alone, without the gateway::

    link = Link("cmcc", cmpp.CARRIER, account, endpoint, reactor)
    link.start()
    result = await link.submit(Segment("13800001001", "10690001", Coding.ASCII, b"hello"))

The gateway uses the batch form: :meth:`Link.submit_many` and ``on_results``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import Disposition, EncodeError, LinkDown, PduError
from smsgw.model import MoMessage, Segment, StatusReport, SubmitResult
from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier, Result
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side
from smsgw.protocols.traffic import Traffic
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.binds import Binds
from smsgw.transport.connector import Backoff, Connector, Phase, Refusals
from smsgw.transport.gate import Gate
from smsgw.transport.listener import Listener, PeerListener
from smsgw.transport.observer import LinkObserver, Silent
from smsgw.transport.permits import ALWAYS, Permit
from smsgw.transport.results import (
    NO_RESULTS,
    NOT_SENT,
    ResultTable,
    name_of,
    not_sendable,
    unanswered,
)
from smsgw.transport.waiting import Waiting, WaitingSubmits

ACCEPTED_MAX = 64
"""Connections at a time that the carrier may open to us."""

BROUGHT = (ev.ReportReceived, ev.MoReceived)

CHINA = timezone(timedelta(hours=8), "CST")


def china_now() -> datetime:
    """The present China Standard Time: what carriers' timestamps mean."""
    return datetime.now(CHINA)


class Inbound(msgspec.Struct, gc=False):
    """One thing a carrier brought; exactly one of ``message`` and ``report`` is set.

    Attributes:
        message: An MO, or a part of one.
        report: A status report.
        octets: The PDU as it came from the wire.
        acknowledge: Answers the carrier with a result, 0 = taken. Call it only once the row that
            records this is committed. Harmless when the connection is gone: the carrier repeats.
    """

    message: MoMessage | None
    report: StatusReport | None
    octets: bytes
    acknowledge: Callable[[int], None]


class Link:
    """All binds of one carrier account.

    Args:
        name: The link's name in the configuration.
        carrier: Its protocol.
        account: Login and contract.
        endpoint: Where the gateway listens.
        clock: The reactor's clock.
        binds: How many connections the account may hold; of pairs, how many pairs.
        listener: Where the gateway dials us, for carriers that do.
        wall: China Standard Time, for login timestamps.
        observer: Told what happens.
        results: What some result codes mean on this link, whatever the carrier's table says.
        permits: The right to one of a login's connections: called for each with the login's place
            among the account's, and how many connections it may have.
        traffic: Where what goes over its connections is added up; None for a new one.

    Attributes:
        on_results: Called with batches of (context, result) for what ``submit_many`` took.
        on_free: Called when window slots or a bind became available.
        on_inbound: Called with batches of what the carrier brought.
        traffic: What went over its connections.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        carrier: Carrier,
        account: Account,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        *,
        binds: int = 1,
        listener: PeerListener | None = None,
        wall: Callable[[], datetime] = china_now,
        observer: LinkObserver | None = None,
        results: Mapping[int, Result] = NO_RESULTS,
        permits: Callable[[int, int], Permit] = lambda login, count: ALWAYS,
        traffic: Traffic | None = None,
    ) -> None:
        self.name = name
        self.carrier = carrier
        self.account = account
        self.on_results: Callable[[list[tuple[Any, SubmitResult]]], None] = lambda results: None
        self.on_free: Callable[[], None] = lambda: None
        self.on_inbound: Callable[[list[Inbound]], None] = lambda inbound: None
        self.traffic = Traffic() if traffic is None else traffic
        self._clock = clock
        self._since = clock.seconds()
        self._wall = wall
        self._observer: LinkObserver = observer or Silent()
        self._table = ResultTable(name, carrier.classify, results, self._observer)
        self._waiting = WaitingSubmits(self.submit_many)
        self._stopped = False
        self._held = ""  # why nothing is submitted although connections may be bound
        self._drained: list[Deferred[None]] = []
        self._unsendable: list[tuple[Any, SubmitResult]] = []
        self._bound: set[SessionProtocol] = set()
        new_session, refusals = carrier.sessions(wall, traffic=self.traffic), Refusals()
        self._connectors = [
            Connector(
                endpoint,
                partial(new_session, login, Role.CLIENT),
                clock,
                self._dialled_events,
                self._changed,
                rests=carrier.peer_dials,
                sends=login.sends,
                backoff=Backoff(refusals=refusals),
                permit=permits(place, binds),
            )
            for _ in range(binds)
            for place, login in enumerate(account.logins)
        ]
        self._binds = Binds(self._connectors, clock.seconds())
        self._listener = self._make_listener(listener) if listener is not None else None

    # ---- life ----------------------------------------------------------------------------

    async def listen(self) -> None:
        """Open the port the gateway dials, where there is one.

        Raises:
            CannotListenError: The address is taken or not ours.
        """
        if self._listener is not None:
            await self._listener.start()

    def start(self) -> None:
        """Dial, and keep dialling until :meth:`stop`; submit again after :meth:`hold`."""
        self._stopped, self._held = False, ""
        self._binds.start()
        if self.up:
            self._tell_user("on_free")

    def hold(self, why: str) -> None:
        """Submit nothing more until :meth:`start`; what is in flight is still answered.

        Args:
            why: For people; not "".
        """
        self._held = why

    def drain(self, within: float) -> Deferred[None]:
        """Fire when nothing is in flight any more, or after so many seconds.

        Call it after :meth:`hold` or when nothing is submitted any more.
        """
        done: Deferred[None] = Deferred()
        if self.in_flight:
            self._drained.append(done)
            done.addTimeout(within, self._clock)
        else:
            done.callback(None)
        return done.addErrback(_gave_up)

    def stop(self) -> Deferred[None]:
        """Unbind and close everything at once; what is unanswered then is unknown.

        Fires after at most :data:`smsgw.transport.adapter.CLOSE_WITHIN` seconds, even with peers
        that do not answer.
        """
        self._stopped = True
        self._waiting.fail(self._was_stopped())
        ends = self._binds.stop()
        if self._listener is not None:
            ends.append(Deferred.fromCoroutine(self._listener.stop()))
        return DeferredList(ends, consumeErrors=True).addCallback(lambda ended: None)

    def _was_stopped(self) -> LinkDown:
        return LinkDown(f"link {self.name} was stopped")

    @property
    def listener_port(self) -> int | None:
        """The port the gateway dials; None where it does not, or before :meth:`listen`."""
        return self._listener.port if self._listener is not None else None

    # ---- sending -------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether a submit could be sent now, or after waking a resting connection."""
        return not self._held and self._binds.up

    @property
    def permitted(self) -> bool:
        """Whether one of the connections that send is ours, bound or not; else others have them."""
        return self._binds.permitted

    @property
    def free(self) -> int:
        """Free window slots over all binds; a resting connection counts with its whole window."""
        return 0 if self._held else self._binds.free(self.account.window)

    @property
    def in_flight(self) -> int:
        """Submits that wait for their answer."""
        return self._binds.in_flight

    @property
    def window(self) -> int:
        """Submits that may wait for their answer at a time, when all connections are bound."""
        return self.account.window * len(self._binds.senders)

    @property
    def silent_seconds(self) -> float:
        """How long the carrier has sent nothing at all; since the beginning, when it never did."""
        at = self.traffic.received_at
        return max(0.0, self._clock.seconds() - (self._since if at is None else at))

    @property
    def connect_failures(self) -> int:
        """How often no connection could be made so far."""
        return sum(connector.failures for connector in self._connectors)

    @property
    def answer_seconds(self) -> float:
        """How long the carrier takes to answer, smoothed; 0 while nobody knows."""
        return self._binds.answer_seconds(self._clock.seconds())

    @property
    def reason(self) -> str:
        """Why nothing is submitted, or why connections are not bound; "" when all are."""
        return self._held or self._binds.reason

    def heartbeat(self) -> int:
        """Send a heartbeat over every bound connection; return how many (SGIP has none)."""
        now, sent = self._clock.seconds(), 0
        for protocol in filter(None, (connector.bound for connector in self._connectors)):
            sent += protocol.session.heartbeat(now)
            protocol.flush()
        return sent

    def submit_many(self, items: Sequence[tuple[Segment, Any]]) -> int:
        """Send as many of ``items`` as the windows allow now, in order.

        They are shared out over the connections so that a slow one gets fewer and holds up none;
        the parts of one message go over one connection while it has room.

        Returns:
            How many were taken. Their results come through ``on_results``, never from inside this
            call. 0 when nothing is bound; ``on_free`` tells when to try again.
        """
        if self._held:
            return 0
        taken = self._binds.send(items, self._send, self._clock.seconds())
        if taken < len(items):
            self._binds.wake()
        return taken

    def submit(self, segment: Segment) -> Deferred[SubmitResult]:
        """Send one segment as soon as a window slot is free.

        Returns:
            Fires with the carrier's answer; with disposition UNKNOWN when none came. Fails with
            LinkDown when the link is stopped before it could be sent. What never left because its
            connection was lost waits again, for another one. Cancelling it while it waits takes
            the segment back; once it is sent, cancelling only drops the answer.
        """
        if self._stopped:
            return fail(self._was_stopped())
        return self._waiting.add(segment)

    def _send(self, session: Session, segment: Segment, context: Any, now: float) -> None:
        try:
            pdu = self.carrier.to_submit(self.account, session.version, segment)
            session.submit(pdu, now, context)
        except EncodeError as error:
            self._unsendable.append((context, not_sendable(error)))
            if len(self._unsendable) == 1:
                self._clock.callLater(0, self._tell_unsendable)

    def _tell_unsendable(self) -> None:
        results, self._unsendable = self._unsendable, []
        self._tell(results)

    # ---- what the connections say --------------------------------------------------------

    def _make_listener(self, settings: PeerListener) -> Listener:
        names = {settings.account.name: settings.account.secret}
        sessions = self.carrier.sessions(self._wall, Side.SP, names.get, self.traffic)
        return Listener(
            settings.endpoint,
            lambda host: sessions(settings.account, Role.SERVER),
            self._clock,
            self._events,
            self._accepted_closed,
            Gate(
                f"links.{self.name}.listener",
                self._clock,
                settings.allow,
                ACCEPTED_MAX,
                observer=settings.observer,
            ),
        )

    def _accepted_closed(self, protocol: SessionProtocol, why: str) -> None:
        if protocol in self._bound:
            self._bound.discard(protocol)
            self._observer.unbound(self.name, protocol.session.ending)

    def _changed(self, connector: Connector) -> None:
        if connector.phase in (Phase.DOWN, Phase.IDLE):
            self.log.info(
                "link {link}: {phase}: {why}",
                event="link.unbound",
                link=self.name,
                phase=connector.phase.value,
                why=connector.reason,
            )
        if connector.phase is Phase.BOUND:
            note = f" ({connector.note})" if connector.note else ""
            told = "link {link}: bound{note}"
            self.log.info(told, event="link.bound", link=self.name, note=note)
        alive = {one.protocol for one in self._connectors}
        gone = {p for p in self._bound if p.session.role is Role.CLIENT and p not in alive}
        for protocol in gone:
            self._observer.unbound(self.name, protocol.session.ending)
        self._bound -= gone
        self._binds.changed(connector)
        self._check_drained()
        if connector.phase is Phase.IDLE:  # what came while it was unbinding wakes it again
            self._waiting.send()
            self._tell_user("on_free")

    def _dialled_events(self, connector: Connector, events: list[ev.Event]) -> None:
        protocol = connector.protocol
        if protocol is None:
            return
        self._binds.answered(connector, events, self._clock.seconds())
        self._events(protocol, events)

    def _events(self, protocol: SessionProtocol, events: list[ev.Event]) -> None:
        results: list[tuple[Any, SubmitResult]] = []
        inbound: list[Inbound] = []
        for event in events:
            if isinstance(event, ev.SubmitAnswered):
                results.append((event.context, self._table.result(event)))
            elif isinstance(event, BROUGHT):
                self._take_inbound(protocol, event, inbound)
            elif isinstance(event, ev.ResponseLost):
                results.append((event.context, unanswered(event)))
            else:
                self._take_state(protocol, event)
        if inbound:
            self._tell_inbound(inbound)
        if results:
            self._tell(results)
        if results or any(isinstance(event, ev.Bound) for event in events):
            self._waiting.send()
            self._tell_user("on_free")
        self._check_drained()

    def _check_drained(self) -> None:
        if self._drained and not self.in_flight:
            drained, self._drained = self._drained, []
            for done in drained:
                done.callback(None)

    def _take_state(self, protocol: SessionProtocol, event: ev.Event) -> None:
        if isinstance(event, ev.Bound | ev.PeerBound):
            self._bound.add(protocol)
            self._observer.bound(self.name)
        elif isinstance(event, ev.BindRefused):
            self.log.warn(
                "link {link}: login refused with status {code} ({why})",
                event="link.bind_refused",
                link=self.name,
                code=event.code,
                why=event.text,
                kind=event.kind.value,
            )
            self._observer.bind_refused(self.name, event.kind)
        elif isinstance(event, ev.PeerMistake | ev.SessionFailed):
            problem = event.problem if isinstance(event, ev.PeerMistake) else event.reason
            self._mistake(problem)

    def _mistake(self, problem: str) -> None:
        told = "link {link}: {why}"
        self.log.warn(told, event="link.peer_mistake", link=self.name, why=problem)
        self._observer.mistake(self.name, problem)

    def _take_inbound(
        self,
        protocol: SessionProtocol,
        event: ev.MoReceived | ev.ReportReceived,
        inbound: list[Inbound],
    ) -> None:
        pdu = event.pdu
        acknowledge = partial(protocol.acknowledge, pdu)
        if isinstance(event, ev.MoReceived):
            message = self.carrier.from_deliver(pdu)
            inbound.append(Inbound(message, None, event.octets, acknowledge))
            return
        report = self._read_report(pdu)
        if report is None:
            acknowledge(0)  # an error would make the gateway repeat it for ever
        else:
            inbound.append(Inbound(None, report, event.octets, acknowledge))

    def _read_report(self, pdu: Pdu) -> StatusReport | None:
        try:
            return self.carrier.from_report(pdu)
        except PduError as error:
            self._mistake(str(error))
            return None

    def _tell_inbound(self, inbound: list[Inbound]) -> None:
        messages = sum(item.report is None for item in inbound)
        for kind, count in (("mo", messages), ("report", len(inbound) - messages)):
            if count:
                self._observer.inbound(self.name, kind, count)
        self._tell_user("on_inbound", inbound)

    def _tell(self, results: list[tuple[Any, SubmitResult]]) -> None:
        for disposition, count in Counter([result.disposition for _, result in results]).items():
            self._observer.submits(self.name, disposition, count)
        codes = [r.code for _, r in results if r.disposition is not Disposition.ACCEPTED]
        for code, count in Counter(codes).items():
            self._observer.not_taken(self.name, name_of(code), count)
        batch = [one for one in results if not isinstance(one[0], Waiting)]
        unsent = []
        for context, result in results if len(batch) < len(results) else ():
            if not isinstance(context, Waiting):
                continue
            if result.code == NOT_SENT and not self._stopped:
                unsent.append(context)
            else:
                context.answer(result)
        self._waiting.again(unsent)
        if batch:
            self._tell_user("on_results", batch)

    def _tell_user(self, name: str, *what: object) -> None:
        """Call what the user of the link set; what it raises costs no result and no connection."""
        try:
            getattr(self, name)(*what)
        except Exception:
            told = "link {link}: {operation} raised, a bug"
            self.log.failure(told, event="link.failed", link=self.name, operation=name)

    # ---- for people ----------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What the link does and why, JSON-ready."""
        accepted = len(self._listener.connections) if self._listener is not None else 0
        now = self._clock.seconds()
        return {
            "name": self.name,
            "protocol": self.carrier.name,
            "version": self.account.version,
            "up": self.up,
            "binds": [bind.state(now) for bind in self._binds],
            "accepted_binds": accepted,
            "window": self.window,
            "in_flight": self.in_flight,
            "answer_seconds": round(self.answer_seconds, 3),
            "limited_by": self._binds.limit(now).state(),
        }


def _gave_up(failure: Failure) -> None:
    failure.trap(TimedOut)

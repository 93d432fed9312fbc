"""Keeps one bind alive: dial, bind, lose, back off, dial again. Owns stopping.

Binding does not happen inside Twisted's ClientService: a peer that hangs up there raises out of
``connectionLost``, and a refused login would leave its connection open.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from smsgw.protocols import events as ev
from smsgw.protocols.session import Session
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.permits import ALWAYS, Permit

LASTED_SECONDS = 10.0
"""A bind that brought nothing and held for less is no success: its losses go on to count."""


WORK = frozenset((ev.SubmitAnswered, ev.DeliverAnswered, ev.MoReceived, ev.ReportReceived))
"""What shows that a bind is good: the peer answers, or brings something."""


class Phase(enum.StrEnum):
    """Where a connector is."""

    DOWN = "down"
    WAITING = "waiting"
    DIALLING = "dialling"
    BINDING = "binding"
    BOUND = "bound"
    IDLE = "idle"
    STOPPED = "stopped"


class Refusals:
    """How often in a row an account's logins were refused; all its binds share it.

    A gateway locks the account, so each bind must not begin with short pauses of its own.
    """

    def __init__(self) -> None:
        self.count = 0


class Backoff:
    """Growing pauses with jitter, slower where a login was refused.

    An account that a gateway refuses must never be hammered into a lock-out.

    Args:
        jitter: Random numbers from 0 to 1.
        refusals: Shared with the account's other binds.
    """

    LOST = (0.5, 60.0)
    REFUSED = (15.0, 900.0)
    BUSY = (15.0, 900.0)

    def __init__(
        self, jitter: Callable[[], float] = random.random, refusals: Refusals | None = None
    ) -> None:
        self._jitter = jitter
        self._refusals = refusals or Refusals()
        self._failures = 0

    def accepted(self) -> None:
        """A login worked."""
        self._refusals.count = 0

    def lasted(self) -> None:
        """A bind held for long enough to count as a good one."""
        self._failures = 0

    def lost(self) -> float:
        """Seconds to wait after a connection that failed or was lost: each time twice as long."""
        self._failures += 1
        return self._spread(self.LOST, self._failures)

    def refused(self) -> float:
        """Seconds to wait after a login that was refused for what people must mend."""
        self._refusals.count += 1
        return self._spread(self.REFUSED, self._refusals.count)

    def busy(self, dead_after: float) -> float:
        """Seconds to wait until the gateway has given up connections that are no more.

        Args:
            dead_after: How long that takes it; never waited for less, but 15 minutes at most.
        """
        least, most = self.BUSY
        return min(most, max(least, dead_after) * (1.0 + 0.25 * self._jitter()))

    def _spread(self, bounds: tuple[float, float], tries: int) -> float:
        """75 to 125 % of the first pause doubled with each try, up to the ceiling."""
        first, ceiling = bounds
        full = min(ceiling, first * 2.0 ** min(tries - 1, 16))
        return full * (0.75 + 0.5 * self._jitter())


class _Quiet(Factory):
    """Its starting and stopping are no news: one is made for each connection."""

    noisy = False


class Connector:
    """One of a link's connections.

    Args:
        endpoint: Where the gateway listens.
        make_session: A fresh session for each connection.
        clock: For pauses and timers.
        on_events: As :class:`~smsgw.transport.adapter.SessionProtocol`'s.
        on_change: Called after each change of phase.
        rests: An orderly unbind, or a close with nothing in flight, leaves the connection down
            until :meth:`wake` (SGIP).
        sends: Whether submits go over it.
        permit: The right to have a connection: without it none is dialled, and when it is lost the
            connection is unbound at once.

    Attributes:
        phase: Where it is.
        reason: Why it is there, for people.
        note: What was odd about the last login that worked, or "".
        failures: How often no connection could be made.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        make_session: Callable[[], Session],
        clock: IReactorTime,
        on_events: Callable[[Connector, list[ev.Event]], None],
        on_change: Callable[[Connector], None],
        rests: bool = False,
        sends: bool = True,
        backoff: Backoff | None = None,
        permit: Permit = ALWAYS,
    ) -> None:
        self._endpoint = endpoint
        self._make_session = make_session
        self._clock = clock
        self._on_events = on_events
        self._on_change = on_change
        self._rests = rests
        self._backoff = backoff or Backoff()
        self._dialling: Deferred[IProtocol] | None = None
        self._retry: IDelayedCall | None = None
        self._stopped: list[Deferred[None]] = []
        self._refusal: ev.BindRefused | None = None
        self._version = ""  # what a gateway that refused our newest one wants to hear
        self._renegotiated = False
        self._bound_at: float | None = None
        self._worked = False
        self._rested = False
        self._restarts = False
        self._leaving = False  # the permit goes back: nothing more is submitted
        self.permit = permit
        self.sends = sends
        self.phase = Phase.DOWN
        self.reason = "not started"
        self.note = ""
        self.failures = 0
        self.protocol: SessionProtocol | None = None

    @property
    def bound(self) -> SessionProtocol | None:
        """The connection that can take a submit now; one that is being unbound cannot."""
        protocol = self.protocol
        if self.phase is not Phase.BOUND or self._leaving:
            return None
        if protocol is not None and protocol.session.bound:
            return protocol
        return None

    @property
    def shut_out(self) -> bool:
        """Whether its last login was refused for a reason that holds for the account's others."""
        return self._refusal is not None and self._refusal.kind is not ev.RefusalKind.BUSY

    def state(self) -> dict[str, Any]:
        """Where it is and why, JSON-ready; ``retry_in`` is in seconds, None when not waiting."""
        protocol = self.bound
        retry = self._retry
        return {
            "phase": self.phase.value,
            "reason": self.reason,
            "note": self.note,
            "version": protocol.session.version if protocol is not None else "",
            "refused": self._refusal.kind.value if self._refusal is not None else "",
            "retry_in": None if retry is None else self._seconds_until(retry),
        }

    def start(self) -> None:
        """Dial now, and again whenever the connection is lost; no more when that is under way."""
        if self.protocol is not None or self._dialling is not None:
            self._restarts = self.phase is Phase.STOPPED  # the old connection is still closing
        elif self._retry is None and self.phase is not Phase.WAITING:
            self._dial()

    def wake(self) -> None:
        """There is work: dial again after an orderly rest."""
        if self.phase is not Phase.IDLE:
            return
        if self._worked or self._lasted():
            self._backoff.lasted()
            self._dial()
        else:
            reason = "the gateway ended the last session as soon as it began"
            self._again(reason, self._backoff.lost())

    def stop(self) -> Deferred[None]:
        """Unbind and close; fires once the connection is gone, within a few seconds."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._restarts = False
        self._move(Phase.STOPPED, "stopped")
        if self._dialling is not None:
            self._dialling.cancel()
        protocol, done = self.protocol, Deferred[None]()
        if protocol is None:
            self.permit.drop()
            done.callback(None)
        else:
            self._stopped.append(done)
            protocol.unbind()
        return done

    def _dial(self) -> None:
        self._retry = None
        if not self.permit.held:
            self._move(Phase.WAITING, "the account's connections are in use by other nodes")
            self.permit.ask(self._permit_changed)
            return
        self._refusal = self._bound_at = None
        self._rested = self._worked = False
        self._move(Phase.DIALLING, "")
        dialling = self._endpoint.connect(_Quiet.forProtocol(self._make_protocol))
        self._dialling = dialling
        dialling.addCallbacks(self._connected, self._not_connected)

    def _permit_changed(self) -> None:
        """Go ahead with a permit; without one, or with one that is wanted back, end."""
        held = self.permit.held
        if self.phase is Phase.WAITING:
            if held:
                self._dial()
        elif self.phase is not Phase.STOPPED:
            self._leaving = not held or self.permit.wanted_back
            self._leave()

    def _leave(self) -> None:
        """End a connection that may be no more, or that others shall have and is not in use."""
        protocol = self.protocol
        if not self._leaving:
            return
        if self._dialling is not None:
            self._dialling.cancel()
        elif protocol is None:
            self._ask_again()
        elif (self.phase is Phase.BINDING or protocol.session.bound) and not (
            self.permit.held and len(protocol.session.window)
        ):
            protocol.unbind()

    def _ask_again(self) -> None:
        """Give the permit back, and wait for the next one."""
        self._leaving = False
        if self._retry is not None:
            self._retry.cancel()
        self.permit.drop()
        self._dial()

    def _make_protocol(self) -> SessionProtocol:
        session = self._make_session()
        if self._version:
            session.speak(self._version)
        protocol = SessionProtocol(session, self._clock, self._events, self._closed)
        self.protocol = protocol
        return protocol

    def _connected(self, protocol: object) -> None:
        self._dialling = None
        if self.phase is Phase.STOPPED and self.protocol is not None:
            self.protocol.unbind()
        elif self.phase is Phase.DIALLING and self.protocol is not None:
            self._move(Phase.BINDING, "")

    def _not_connected(self, failure: Failure) -> None:
        self._dialling = None
        self.protocol = None
        if self._leaving and self.phase is not Phase.STOPPED:
            self._ask_again()
        elif self.phase is not Phase.STOPPED:
            self.failures += 1
            self._again(f"cannot connect: {failure.getErrorMessage()}", self._backoff.lost())
        else:
            self.permit.drop()
            self._restart()

    def _events(self, protocol: SessionProtocol, events: list[ev.Event]) -> None:
        for event in events:
            if type(event) in WORK:
                self._worked = True
            elif isinstance(event, ev.Bound):
                self._backoff.accepted()
                self._bound_at = self._clock.seconds()
                self._renegotiated = False
                self._rested = self._rests  # a close while idle is normal (sgip.md section 1)
                self.note = event.warning
                if self.phase is not Phase.STOPPED:
                    self._move(Phase.BOUND, "")
            elif isinstance(event, ev.BindRefused):
                self._refusal = event
                self.reason = f"login refused: {event.text} (status {event.code})"
            elif isinstance(event, ev.Unbound):
                self._rested = self._rests
                if event.by_peer:
                    self.reason = "the gateway ended the session"
                else:
                    self._worked = True  # it held for as long as we wanted it
            elif isinstance(event, ev.SessionFailed | ev.ResponseLost):
                self._rested = False
                if isinstance(event, ev.SessionFailed):
                    self.reason = event.reason
        self._on_events(self, events)
        self._leave()

    def _closed(self, protocol: SessionProtocol, why: str) -> None:
        self.protocol = None
        if self.phase is Phase.STOPPED:
            for done in self._stopped:
                done.callback(None)
            self._stopped = []
            self.permit.drop()
            self._restart()
        elif self._leaving:
            self._ask_again()
        elif self._rested:
            self._move(Phase.IDLE, "idle; dials again when there is something to send")
        else:
            pause = self._pause(protocol.session.account.dead_after)
            self._again(self.reason or why, pause)

    def _restart(self) -> None:
        if self._restarts:
            self._restarts = False
            self._dial()

    def _pause(self, dead_after: float) -> float:
        """Seconds to wait after this connection, by how it ended."""
        refusal = self._refusal
        if refusal is None:
            if self._worked or self._lasted():
                self._backoff.lasted()
            return self._backoff.lost()
        if refusal.version and not self._renegotiated:
            self._version, self._renegotiated = refusal.version, True
            return self._backoff.lost()
        self._renegotiated = False
        if refusal.kind is ev.RefusalKind.BUSY:
            return self._backoff.busy(dead_after)
        return self._backoff.refused()

    def _lasted(self) -> bool:
        at = self._bound_at
        return at is not None and self._clock.seconds() - at >= LASTED_SECONDS

    def _again(self, reason: str, pause: float) -> None:
        self._retry = self._clock.callLater(pause, self._dial)
        self._move(Phase.DOWN, reason)

    def _seconds_until(self, call: IDelayedCall) -> float:
        return round(max(0.0, call.getTime() - self._clock.seconds()), 1)

    def _move(self, phase: Phase, reason: str) -> None:
        self.phase = phase
        self.reason = reason
        self._on_change(self)

"""Keeps one bind alive: dial, bind, lose, back off, dial again. Owns stopping.

Binding does not happen inside Twisted's ClientService: a peer that hangs up there raises out of
``connectionLost``, and a refused login would leave its connection open.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from smsgw.protocols import events as ev
from smsgw.protocols.session import Session
from smsgw.transport.adapter import SessionProtocol


class Phase(enum.StrEnum):
    """Where a connector is."""

    DOWN = "down"
    DIALLING = "dialling"
    BINDING = "binding"
    BOUND = "bound"
    IDLE = "idle"
    STOPPED = "stopped"


class Backoff:
    """Growing pauses with jitter, slower where a login was refused.

    An account that a gateway refuses must never be hammered into a lock-out.
    """

    LOST = (0.5, 60.0)
    REFUSED = (15.0, 900.0)

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._failures = 0
        self._refusals = 0

    def reset(self) -> None:
        """A login worked."""
        self._failures = self._refusals = 0

    def pause(self, refused: bool) -> float:
        """Seconds to wait before the next try: 75 to 125 % of the doubled last one."""
        if refused:
            self._refusals += 1
            (first, ceiling), tries = self.REFUSED, self._refusals
        else:
            self._failures += 1
            (first, ceiling), tries = self.LOST, self._failures
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

    Attributes:
        phase: Where it is.
        reason: Why it is there, for people.
        note: What was odd about the last login that worked, or "".
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        make_session: Callable[[], Session],
        clock: IReactorTime,
        on_events: Callable[[Connector, list[ev.Event]], None],
        on_change: Callable[[Connector], None],
        rests: bool = False,
        backoff: Backoff | None = None,
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
        self._refused = False
        self._rested = False
        self.phase = Phase.DOWN
        self.reason = "not started"
        self.note = ""
        self.protocol: SessionProtocol | None = None

    @property
    def bound(self) -> SessionProtocol | None:
        """The connection that can take a submit now; one that is being unbound cannot."""
        protocol = self.protocol
        if self.phase is Phase.BOUND and protocol is not None and protocol.session.bound:
            return protocol
        return None

    def state(self) -> dict[str, str]:
        """Where it is and why, JSON-ready."""
        return {"phase": self.phase.value, "reason": self.reason, "note": self.note}

    def start(self) -> None:
        """Dial now, and again whenever the connection is lost."""
        self._dial()

    def wake(self) -> None:
        """There is work: dial again after an orderly rest."""
        if self.phase is Phase.IDLE:
            self._dial()

    def stop(self) -> Deferred[None]:
        """Unbind and close; fires once the connection is gone, within a few seconds."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._move(Phase.STOPPED, "stopped")
        if self._dialling is not None:
            self._dialling.cancel()
        protocol, done = self.protocol, Deferred[None]()
        if protocol is None:
            done.callback(None)
        else:
            self._stopped.append(done)
            protocol.unbind()
        return done

    def _dial(self) -> None:
        self._retry = None
        self._refused = self._rested = False
        self._move(Phase.DIALLING, "")
        dialling = self._endpoint.connect(_Quiet.forProtocol(self._make_protocol))
        self._dialling = dialling
        dialling.addCallbacks(self._connected, self._not_connected)

    def _make_protocol(self) -> SessionProtocol:
        protocol = SessionProtocol(self._make_session(), self._clock, self._events, self._closed)
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
        if self.phase is not Phase.STOPPED:
            self._again(f"cannot connect: {failure.getErrorMessage()}")

    def _events(self, protocol: SessionProtocol, events: list[ev.Event]) -> None:
        for event in events:
            if isinstance(event, ev.Bound):
                self._backoff.reset()
                self._rested = self._rests  # a close while idle is normal (sgip.md section 1)
                self.note = event.warning
                if self.phase is not Phase.STOPPED:
                    self._move(Phase.BOUND, "")
            elif isinstance(event, ev.BindRefused):
                self._refused = True
                self.reason = f"login refused: {event.text} (status {event.code})"
            elif isinstance(event, ev.Unbound):
                self._rested = self._rests
            elif isinstance(event, ev.SessionFailed | ev.ResponseLost):
                self._rested = False
                if isinstance(event, ev.SessionFailed):
                    self.reason = event.reason
        self._on_events(self, events)

    def _closed(self, protocol: SessionProtocol, why: str) -> None:
        self.protocol = None
        if self.phase is Phase.STOPPED:
            for done in self._stopped:
                done.callback(None)
            self._stopped = []
        elif self._rested:
            self._move(Phase.IDLE, "idle; dials again when there is something to send")
        else:
            self._again(self.reason or why)

    def _again(self, reason: str) -> None:
        pause = self._backoff.pause(self._refused)
        self._retry = self._clock.callLater(pause, self._dial)
        self._move(Phase.DOWN, reason)

    def _move(self, phase: Phase, reason: str) -> None:
        self.phase = phase
        self.reason = reason
        self._on_change(self)

"""Where customers of one protocol connect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint

from smsgw.interfaces.northbound.guard import Caller, Guard
from smsgw.protocols import events as ev
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.session import Session
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.listener import Listener


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where customers of one protocol connect.

    Attributes:
        carrier: The protocol.
        endpoint: Where to listen.
        allow: Whether a host may connect.
    """

    carrier: Carrier
    endpoint: IStreamServerEndpoint
    allow: Callable[[str], bool]


class DoorListener(Listener):
    """A door's port."""

    def __init__(
        self,
        door: Door,
        make_session: Callable[[str], Session],
        clock: IReactorTime,
        guard: Guard,
        on_events: Callable[[SessionProtocol, list[ev.Event]], None],
        on_closed: Callable[[SessionProtocol, str], None],
        limit: int,
    ) -> None:
        super().__init__(
            door.endpoint,
            partial(make_session, ""),
            clock,
            on_events,
            on_closed,
            lambda host: door.allow(host) and not guard.is_full(host),
            limit,
        )
        self.carrier = door.carrier
        self._make = make_session
        self._guard = guard

    def make_protocol(self, host: str) -> SessionProtocol:
        session = self._make(host)
        return Caller(session, self._clock, self._on_events, self._closed, host, self._guard)

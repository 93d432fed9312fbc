"""A client and a server session joined with no transport: bytes of one are given to the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side

E = TypeVar("E", bound=ev.Event)

WALL = datetime(2025, 5, 12, 9, 30, 15)
SECRET = "1234"


class SessionPair:
    """Two sessions and the wire between them; time is ``now``, and nothing happens by itself.

    Args:
        client: Opened the connection.
        server: Accepted it.

    Attributes:
        now: Passed to both; :meth:`advance` moves it.
        client_events: What the client told, oldest first; :meth:`take` empties it.
        server_events: The same for the server.
    """

    def __init__(self, client: Session, server: Session) -> None:
        self.client = client
        self.server = server
        self.now = 0.0
        self.client_events: list[ev.Event] = []
        self.server_events: list[ev.Event] = []
        client.connected(self.now)
        server.connected(self.now)

    def exchange(self) -> None:
        """Carry bytes to and fro until both have nothing more to say."""
        while True:
            to_server = self.client.data_to_send()
            to_client = self.server.data_to_send()
            self.collect()
            if not to_server and not to_client:
                return
            if to_server:
                self.server.receive_data(to_server, self.now)
            if to_client:
                self.client.receive_data(to_client, self.now)

    def collect(self) -> None:
        """Take the events of both."""
        self.client_events += self.client.events()
        self.server_events += self.server.events()

    def bind(self) -> None:
        """Log in."""
        self.client.bind(self.now)
        self.exchange()

    def advance(self, seconds: float, *, connected: bool = True) -> None:
        """Let time pass for both; without ``connected`` what they write is thrown away."""
        self.now += seconds
        self.client.tick(self.now)
        self.server.tick(self.now)
        if connected:
            self.exchange()
        else:
            self.lose_bytes()

    def lose_bytes(self) -> None:
        """Throw away what both want to write."""
        self.client.data_to_send()
        self.server.data_to_send()
        self.collect()

    def cut(self) -> None:
        """The connection is gone."""
        self.client.connection_lost(self.now)
        self.server.connection_lost(self.now)
        self.collect()

    def take(self, session: Session, kind: type[E]) -> list[E]:
        """Take all events of one session, which must be of one kind."""
        events = self.client_events if session is self.client else self.server_events
        taken = list(events)
        events.clear()
        for event in taken:
            assert isinstance(event, kind), event
        return taken  # type: ignore[return-value]


def join(
    carrier: Carrier,
    client_account: Account,
    server_account: Account,
    *,
    client_side: Side = Side.SP,
    wall: Callable[[], datetime] = lambda: WALL,
    secret: str = SECRET,
) -> SessionPair:
    """A pair of one carrier; the server knows ``secret`` under the client's login name."""
    server_side = Side.GATEWAY if client_side is Side.SP else Side.SP
    secrets = {client_account.name: secret}
    return SessionPair(
        carrier.session(client_account, Role.CLIENT, client_side, wall),
        carrier.session(server_account, Role.SERVER, server_side, wall, secrets.get),
    )

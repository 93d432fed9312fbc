"""SMPP sessions at the points where tests begin."""

from __future__ import annotations

from typing import Any

from smsgw.protocols import smpp
from smsgw.protocols.layout import Pdu
from smsgw.protocols.states import Role, Side
from tests.support.session_pair import SECRET, WALL, SessionPair, join

NAME = "901234"


def account(**settings: Any) -> smpp.SmppAccount:
    """A login both sides know."""
    return smpp.SmppAccount(name=NAME, secret=SECRET, **settings)


def pair(
    client: smpp.SmppAccount | None = None, server: smpp.SmppAccount | None = None, **how: Any
) -> SessionPair:
    """A client and a server that have not logged in."""
    return join(smpp.CARRIER, client or account(), server or account(), **how)


def bound(
    client: smpp.SmppAccount | None = None, server: smpp.SmppAccount | None = None
) -> SessionPair:
    """A client and a server that have logged in; nothing is left to read."""
    joined = pair(client, server)
    joined.bind()
    assert joined.client.bound
    assert joined.server.bound
    joined.client_events.clear()
    joined.server_events.clear()
    return joined


def client_session(**settings: Any) -> smpp.SmppSession:
    """A client that has just sent its login."""
    session = smpp.SmppSession(account(**settings), Role.CLIENT, Side.SP, lambda: WALL)
    session.connected(0.0)
    session.bind(0.0)
    return session


def server_session(**settings: Any) -> smpp.SmppSession:
    """A server that waits for a login."""
    session = smpp.SmppSession(
        account(**settings), Role.SERVER, Side.GATEWAY, lambda: WALL, {NAME: SECRET}.get
    )
    session.connected(0.0)
    return session


def login(cls: type[Any] = smpp.BindTransceiver, **fields: Any) -> Any:
    """A good login, but for ``fields``."""
    return cls(**{"system_id": NAME, "password": SECRET, "sequence_number": 1, **fields})


def submit(**fields: Any) -> smpp.SubmitSm:
    """A good submit, but for ``fields``."""
    return smpp.SubmitSm(
        **{"destination_addr": "8613800001001", "short_message": b"hello", **fields}
    )


def bound_server(cls: type[Any] = smpp.BindTransceiver, **settings: Any) -> smpp.SmppSession:
    """A server whose client logged in."""
    session = server_session(**settings)
    session.receive_data(login(cls).encode(), 0.0)
    session.data_to_send()
    session.events()
    return session


def bound_client(**settings: Any) -> smpp.SmppSession:
    """A client whose login was accepted."""
    session = client_session(**settings)
    session.data_to_send()
    session.receive_data(smpp.BindTransceiverResp(0, 1).encode(), 0.0)
    session.events()
    return session


def answers(session: smpp.SmppSession) -> list[Pdu]:
    """What a session wants to write, as PDUs."""
    return [smpp.decode(frame) for frame in smpp.Framer().split(session.data_to_send())]

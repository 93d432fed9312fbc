"""SMGP sessions at the points where tests begin."""

from __future__ import annotations

from typing import Any

from smsgw.protocols import smgp
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smgp import auth
from smsgw.protocols.states import Role, Side
from tests.support.session_pair import SECRET, WALL, SessionPair, join

NAME = "106901"


def account(**settings: Any) -> smgp.SmgpAccount:
    """A login both sides know."""
    return smgp.SmgpAccount(name=NAME, secret=SECRET, **settings)


def pair(
    client: smgp.SmgpAccount | None = None, server: smgp.SmgpAccount | None = None, **how: Any
) -> SessionPair:
    """A client and a server that have not logged in."""
    return join(smgp.CARRIER, client or account(), server or account(), **how)


def bound(
    client: smgp.SmgpAccount | None = None, server: smgp.SmgpAccount | None = None
) -> SessionPair:
    """A client and a server that have logged in; nothing is left to read."""
    joined = pair(client, server)
    joined.bind()
    assert joined.client.bound
    assert joined.server.bound
    joined.client_events.clear()
    joined.server_events.clear()
    return joined


def client_session(**settings: Any) -> smgp.SmgpSession:
    """A client that has just sent its login."""
    session = smgp.SmgpSession(account(**settings), Role.CLIENT, Side.SP, lambda: WALL)
    session.connected(0.0)
    session.bind(0.0)
    return session


def server_session(version: str = "3.0") -> smgp.SmgpSession:
    """A server that waits for a login."""
    session = smgp.SmgpSession(
        account(version=version), Role.SERVER, Side.GATEWAY, lambda: WALL, {NAME: SECRET}.get
    )
    session.connected(0.0)
    return session


def login(**fields: Any) -> smgp.Login:
    """A good login, but for ``fields``."""
    stamp = auth.login_timestamp(WALL)
    digest = auth.login_digest(NAME, SECRET, stamp)
    return smgp.Login(
        **{"client_id": NAME, "authenticator_client": digest, "timestamp": stamp, **fields}
    )


def submit(**fields: Any) -> smgp.Submit30:
    """A good submit, but for ``fields``."""
    return smgp.Submit30(**{"dest_term_id": ["13300001111"], "msg_content": b"hello", **fields})


def bound_server(mode: int = 2, version: str = "3.0") -> smgp.SmgpSession:
    """A server whose client logged in with ``mode``."""
    session = server_session(version)
    session.receive_data(login(login_mode=mode).encode(), 0.0)
    session.data_to_send()
    session.events()
    return session


def bound_client() -> smgp.SmgpSession:
    """A client whose login was accepted."""
    session = client_session()
    session.data_to_send()
    session.receive_data(smgp.LoginResp().encode(), 0.0)
    session.events()
    return session


def answers(session: smgp.SmgpSession) -> list[Pdu]:
    """What a session wants to write, as PDUs."""
    return [smgp.decode(frame) for frame in smgp.Framer().split(session.data_to_send())]

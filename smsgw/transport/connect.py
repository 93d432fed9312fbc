"""One call from settings to a link: for programs that use a carrier account without the gateway."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint

from smsgw.errors import ConfigError, EncodeError
from smsgw.protocols.account import LEAST, Account
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import carrier as carrier_named
from smsgw.protocols.states import Role
from smsgw.transport.endpoints import dial_endpoint
from smsgw.transport.link import Link, china_now
from smsgw.transport.listener import PeerListener
from smsgw.transport.observer import LinkObserver
from smsgw.transport.proxy import Proxy
from smsgw.transport.tls import ClientTls


def connect(
    *,
    protocol: str,
    login: str,
    secret: str,
    reactor: Any,
    host: str = "",
    port: int = 0,
    name: str = "",
    binds: int = 1,
    tls: ClientTls | None = None,
    proxy: Proxy | None = None,
    endpoint: IStreamClientEndpoint | None = None,
    listener: PeerListener | None = None,
    observer: LinkObserver | None = None,
    **settings: Any,
) -> Link:
    """Return a link that dials already, and keeps dialling until it is stopped.

    Set ``on_inbound`` at once, in the same turn of the reactor; ``submit`` may be called before the
    login is through. In asyncio, await ``link.submit(...).asFuture(loop)``.

    Args:
        protocol: ``cmpp``, ``smgp``, ``sgip`` or ``smpp``.
        login: The login name the carrier gave: 企业代码, system_id and so on.
        secret: The shared secret.
        reactor: Sockets and timers; an asyncio reactor is fine.
        host: Where the carrier's gateway listens.
        port: Its port; 0 = the specification's.
        name: What logs call the link; "" = the protocol.
        binds: How many connections the account may hold.
        tls: How connections are secured; None leaves them open.
        proxy: What to connect through.
        endpoint: Where to connect instead; then ``host``, ``port``, ``tls`` and ``proxy`` are not
            used.
        listener: Where the carrier dials us (SGIP). Await :meth:`Link.listen` to open it.
        observer: Told what happens.
        settings: Every other field of the protocol's account: ``window``, ``version``,
            ``service_id``, ….

    Raises:
        ConfigError: There is no such protocol, or it has no such setting; a setting cannot be; or
            no host is given.
    """
    carrier = carrier_named(protocol)
    account = _account(carrier, login, secret, settings)
    _check(carrier, account)
    if binds < 1:
        raise ConfigError("binds", f"is {binds}, at least 1")
    if endpoint is None:
        if not host:
            raise ConfigError("host", "is missing; write where the carrier's gateway listens")
        endpoint = dial_endpoint(reactor, host, port or carrier.port, tls=tls, proxy=proxy)
    link = Link(
        name or protocol,
        carrier,
        account,
        endpoint,
        reactor,
        binds=binds,
        listener=listener,
        observer=observer,
    )
    link.start()
    return link


def _account(carrier: Carrier, login: str, secret: str, settings: Mapping[str, Any]) -> Account:
    known = {field.name for field in dataclasses.fields(carrier.account) if field.init}
    own = sorted(known - {"name", "secret"})
    for key in settings:
        if key not in own:
            raise ConfigError(key, f"is no setting of {carrier.name}; it has {', '.join(own)}")
    return carrier.account(
        name=login,
        secret=secret,
        **{"version": carrier.codec.default_version, **settings},
    )


def _check(carrier: Carrier, account: Account) -> None:
    """Find out now what would otherwise fail at each connection."""
    if account.version not in carrier.versions:
        known = ", ".join(carrier.versions)
        raise ConfigError("version", f"{account.version!r} is none of {known}")
    for key, least in LEAST.items():
        if getattr(account, key) < least:
            raise ConfigError(key, f"is {getattr(account, key):g}, at least {least:g}")
    session = carrier.sessions(china_now)(account.logins[0], Role.CLIENT)
    try:
        session.bind(0.0)
    except EncodeError as error:
        raise ConfigError("login", f"or secret does not fit the login PDU: {error}") from error

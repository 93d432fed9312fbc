"""A link by its settings, where ports listen, and a link alone, without a gateway."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint

from smsgw.daemon.settings import DoorSettings, HttpSettings, LinkSettings, ListenerSettings
from smsgw.services.submission import LinkInfo
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Link
from smsgw.transport.listener import PeerListener
from smsgw.transport.observer import LinkObserver
from smsgw.transport.peers import peer_filter


def link_info(settings: LinkSettings) -> LinkInfo:
    """Return what composing a message for a link must know of it."""
    return LinkInfo(
        name=settings.name,
        access_number=settings.access_number,
        operator=settings.operator,
        codings=settings.codings,
        number_digits_max=settings.number_digits_max,
        content_octets_max=settings.carrier.content_octets_max,
        reference_width=settings.reference_width,
        family=settings.carrier.family,
    )


def listening(
    settings: HttpSettings | ListenerSettings | DoorSettings, reactor: Any
) -> IStreamServerEndpoint:
    """Where to listen, with TLS and PROXY headers as configured."""
    balancers = settings.balancers
    trusts: Callable[[str], bool] | None = None
    if balancers is not None:
        trusts = _anybody if balancers is True else peer_filter(balancers)
    listen = settings.listen
    return listen_endpoint(reactor, listen.host, listen.port, tls=settings.tls, balancers=trusts)


def _anybody(host: str) -> bool:
    return True


def lone_link(settings: LinkSettings, reactor: Any, observer: LinkObserver) -> Link:
    """Return a link with one connection that submits everything once; not started."""
    listener, there = settings.listener, None
    if listener is not None:
        endpoint = listening(listener, reactor)
        there = PeerListener(endpoint, listener.account, peer_filter(listener.allow))
    return Link(
        settings.name,
        settings.carrier,
        dataclasses.replace(settings.account, submit_sends=1),
        dial_endpoint(
            reactor, settings.host, settings.port, tls=settings.tls, proxy=settings.proxy
        ),
        reactor,
        listener=there,
        observer=observer,
        results=settings.results,
    )

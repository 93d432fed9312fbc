"""Wires a whole gateway from a configuration. No signals and no argv, so tests can run one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger

from smsgw.daemon.conversations import inbound_table, slot_plans
from smsgw.daemon.delivery import doubt_policy, retry_policy
from smsgw.daemon.settings import (
    Config,
    DoorSettings,
    HttpSettings,
    LinkSettings,
    ListenerSettings,
)
from smsgw.interfaces.http.app import make_app, make_site
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.interfaces.northbound.door import Door
from smsgw.interfaces.northbound.server import Northbound
from smsgw.routing.ported import PortedNumbers
from smsgw.routing.table import RouteTable
from smsgw.services.access.access import Access
from smsgw.services.access.callers import Configured
from smsgw.services.gateway import Gateway, LinkEntry
from smsgw.services.submission import LinkInfo
from smsgw.store.database import Database
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Link
from smsgw.transport.listener import PeerListener
from smsgw.transport.peers import peer_filter
from smsgw.transport.permits import ALWAYS, Permit

SWITCH_INTERVAL = 0.0001
"""Seconds between thread switches: at CPython's 5 ms a busy reactor starves the writer thread."""


class Assembly(Service):
    """A gateway with its HTTP door.

    Attributes:
        gateway: The gateway itself.
        metrics: What it counts.
        northbound: The doors for customers who bind to us; None without any.
        on_lost: As the gateway's.
    """

    log = Logger()

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._http: IListeningPort | None = None
        self.metrics = Metrics()
        self.metrics.expect(config.links)
        links = list(config.links.values())
        database = Database(
            config.gateway.database, reactor, node=config.gateway.node, lease=config.gateway.lease
        )
        database.writer.on_commit = self._committed
        services = (*config.extensions, *config.northbound.services)
        self.gateway = Gateway(
            database,
            [_entry(link, reactor, self.metrics, database) for link in links],
            route_table(config, reactor.seconds),
            inbound_table(config.links, services),
            slot_plans(config.links, config.conversations, services),
            reactor,
            self.metrics,
            doubt_policy(config.delivery),
            retry_policy(config.delivery),
            config.delivery.failover_after,
            config.quiet_hours,
            config.requests.presets,
            config.webhooks,
            accept_lost_extension=config.requests.accept_lost_extension,
        )
        self.northbound: Northbound | None = None
        if config.northbound.doors:
            self.northbound = _northbound(config, self.gateway, database, reactor, self.metrics)
        self.on_lost: Callable[[str], None] = lambda why: None
        self.gateway.on_lost = lambda why: self.on_lost(why)
        configured = [
            Configured(name=one.name, account=one.account, role=one.role, token=one.token)
            for one in config.tokens
        ]
        accounts = {service.account for service in services}
        self._access = Access(database, reactor, configured, accounts)
        app = make_app(self.gateway, self._access, self.metrics)
        self._site = make_site(app, reactor, config.http.allow)

    @property
    def url(self) -> str:
        """Where the HTTP API listens."""
        listen = self._config.http.listen
        port = self._http.getHost() if self._http is not None else listen
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        scheme = "http" if self._config.http.tls is None else "https"
        return f"{scheme}://{host}:{getattr(port, 'port', listen.port)}"

    def listener_port(self, link: str) -> int:
        """The port on which a link's gateway dials us."""
        return self.gateway.listener_port(link)

    async def start(self) -> None:
        """Open the store, take up what the last run left, listen, and dial.

        Raises:
            SmsgwError: The database cannot be used.
            CannotListenError: An address is taken or not ours.
        """
        sys.setswitchinterval(SWITCH_INTERVAL)
        await self.gateway.start()
        if self.northbound is not None:
            await self.northbound.start()
        endpoint = _port(self._config.http, self._reactor)
        self._http = await endpoint.listen(self._site)

    async def stop(self) -> None:
        """Take no more, finish what is in flight, unbind, close."""
        if self._http is not None:
            port, self._http = self._http, None
            await maybeDeferred(port.stopListening)
        await self._access.stop()
        if self.northbound is not None:
            await self.northbound.stop()
        await self.gateway.stop()

    def _committed(self, rows: int, seconds: float) -> None:
        self.metrics.committed(rows, seconds)
        if self.northbound is not None:
            self.northbound.committed()

    def startService(self) -> None:
        """For Twisted's own service runners; a failure to start is logged."""
        super().startService()  # type: ignore[no-untyped-call]
        started = Deferred.fromCoroutine(self.start())
        started.addErrback(lambda failure: self.log.failure("cannot start", failure))

    def stopService(self) -> Deferred[None]:
        """For Twisted's own service runners."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self.stop())


def make_gateway(config: Config, reactor: Any) -> Assembly:
    """Return a gateway that is wired and not started.

    Args:
        config: A checked configuration.
        reactor: Clock, timers, threads and sockets.
    """
    return Assembly(config, reactor)


def route_table(config: Config, clock: Callable[[], float]) -> RouteTable:
    """Return the rules in force; nothing is known of ported numbers yet."""
    operators = {link.name: link.operator for link in config.links.values() if link.account.sends}
    return RouteTable(operators, config.rules, PortedNumbers(clock))


def _entry(settings: LinkSettings, reactor: Any, metrics: Metrics, database: Database) -> LinkEntry:
    link = Link(
        settings.name,
        settings.carrier,
        settings.account,
        dial_endpoint(
            reactor, settings.host, settings.port, tls=settings.tls, proxy=settings.proxy
        ),
        reactor,
        binds=settings.binds,
        listener=_peer_listener(settings, reactor),
        observer=metrics,
        results=settings.results,
        permits=partial(_permit, database, settings.name),
    )
    info = LinkInfo(
        name=settings.name,
        access_number=settings.access_number,
        operator=settings.operator,
        codings=settings.codings,
        number_digits_max=settings.number_digits_max,
        content_octets_max=settings.carrier.content_octets_max,
        reference_width=settings.reference_width,
        family=settings.carrier.family,
    )
    return LinkEntry(link=link, info=info, rate=settings.rate)


def _northbound(
    config: Config, gateway: Gateway, database: Database, reactor: Any, metrics: Metrics
) -> Northbound:
    doors = [
        Door(
            carrier=door.carrier,
            endpoint=_port(door, reactor),
            allow=peer_filter(door.allow),
        )
        for door in config.northbound.doors
    ]
    customers = config.northbound.customers
    return Northbound(customers, doors, database, gateway.submission, reactor, metrics)


def _permit(database: Database, link: str, login: int, count: int) -> Permit:
    """Return the right to one of a login's connections, which all processes share."""
    return database.permit(f"{link}/{login}", count) or ALWAYS


def _peer_listener(settings: LinkSettings, reactor: Any) -> PeerListener | None:
    listener = settings.listener
    if listener is None:
        return None
    endpoint = _port(listener, reactor)
    return PeerListener(endpoint, listener.account, peer_filter(listener.allow))


def _port(
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

"""Wires a whole gateway from a configuration. No signals and no argv, so tests can run one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.daemon.changes import LinkChanges
from smsgw.daemon.conversations import inbound_table, slot_plans
from smsgw.daemon.delivery import doubt_policy, retry_policy
from smsgw.daemon.lag import ReactorLag
from smsgw.daemon.links import link_info, listening
from smsgw.daemon.settings import Config, LinkSettings
from smsgw.errors import SmsgwError
from smsgw.interfaces.http.app import make_app
from smsgw.interfaces.http.site import make_site
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.interfaces.northbound.door import Door
from smsgw.interfaces.northbound.server import Northbound
from smsgw.routing.inbound import Service as NumberService
from smsgw.routing.ported import PortedNumbers
from smsgw.routing.table import RouteTable
from smsgw.services.access.access import Access
from smsgw.services.access.callers import Configured
from smsgw.services.gateway import Gateway
from smsgw.services.link_control import LinkEntry
from smsgw.services.probe import Probe
from smsgw.services.terms import Terms
from smsgw.store.database import Database
from smsgw.transport.endpoints import dial_endpoint
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
        on_lost: As the gateway's; also called when :meth:`startService` fails.
    """

    log = Logger()

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._http: IListeningPort | None = None
        self.metrics = Metrics()
        self.metrics.expect(config.links)
        self._lag = ReactorLag(reactor, self.metrics.lagged)
        self.metrics.watch_lag(self._lag.worst)
        self._database = database = Database(
            config.gateway.database, reactor, node=config.gateway.node, lease=config.gateway.lease
        )
        database.writer.on_commit = self._committed
        self.gateway = Gateway(
            database,
            [self.entry(link) for link in config.links.values()],
            terms(config, reactor.seconds),
            reactor,
            self.metrics,
        )
        self.northbound: Northbound | None = None
        if config.northbound.doors:
            self.northbound = _northbound(config, self.gateway, database, reactor, self.metrics)
        self.on_lost: Callable[[str], None] = lambda why: None
        self.gateway.on_lost = lambda why: self.on_lost(why)
        self._access = Access(database, reactor, *_callers(config), self.metrics)
        self._probe = self._make_probe(config)
        api = make_app(self.gateway, self._access, self.metrics, northbound=self.northbound)
        http = config.http
        self._site = make_site(api, reactor, http.allow, http.connections, self.metrics)

    def _make_probe(self, config: Config) -> Probe:
        return Probe(
            config.probe,
            self.gateway.submission,
            self.gateway.records.message,
            self._reactor,
            self.metrics,
            self._database.permit("probe", 1) or ALWAYS,
            self.gateway.control.is_stopped,
        )

    def entry(self, settings: LinkSettings, before: Link | None = None) -> LinkEntry:
        """Return a link by its settings; not started.

        Args:
            settings: What it is.
            before: Whose place it takes. Where both speak the same protocol, what is counted and
                traced of that one goes on with this one.
        """
        traffic = None
        if before is not None and before.carrier is settings.carrier:
            traffic = before.traffic
        link = Link(
            settings.name,
            settings.carrier,
            settings.account,
            dial_endpoint(
                self._reactor,
                settings.host,
                settings.port,
                tls=settings.tls,
                proxy=settings.proxy,
            ),
            self._reactor,
            binds=settings.binds,
            listener=_peer_listener(settings, self._reactor, self.metrics),
            observer=self.metrics,
            results=settings.results,
            permits=partial(_permit, self._database, settings.name),
            traffic=traffic,
        )
        info = link_info(settings)
        listener = settings.listener
        listens = "" if listener is None or not listener.listen.port else str(listener.listen)
        return LinkEntry(link=link, info=info, rate=settings.rate, listens=listens)

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
        endpoint = listening(self._config.http, self._reactor)
        self._http = await endpoint.listen(self._site)
        self._lag.start()
        self._probe.start()

    async def stop(self) -> None:
        """Take no more, finish what is in flight, unbind, close.

        Until the end the API answers: that nothing new is taken, and how things are. Customers are
        unbound last, so that what became of their messages reaches them.
        """
        self._lag.stop()
        await self._probe.stop()
        await self.gateway.finish()
        if self.northbound is not None:
            await self.northbound.stop()
        if self._http is not None:
            port, self._http = self._http, None
            await maybeDeferred(port.stopListening)
        await self._access.stop()
        await self.gateway.stop()

    async def adopt(self, config: Config, links: LinkChanges) -> list[str]:
        """Go by another configuration: what it changes in links, and all that needs no restart.

        Returns a line for each link that cannot do all it should now.

        Raises:
            ConfigError: A port of a link cannot be opened; then nothing was changed.
            StoreError: Which links are stopped could not be read; then too.
            Conflict: The gateway is being stopped; then too.
        """
        control = self.gateway.control
        made = {name: self.entry(config.links[name]) for name in links.added}
        for name in links.restarted:
            made[name] = self.entry(config.links[name], control.entries[name].link)
        new = terms(config, self._reactor.seconds)
        await control.prepare(list(made.values()))
        for name in links.added:
            await control.add(made[name])
        self.gateway.adopt(new)
        self._access.configure(*_callers(config))
        self._site.allow(config.http.allow)
        if self.northbound is not None:
            await self.northbound.adopt(config.northbound.customers)
        if config.probe != self._config.probe:
            await self._probe.stop()
            self._probe = self._make_probe(config)
            self._probe.start()
        self._config = config
        for name in links.rate:
            control.agree(name, config.links[name].rate)
        for name in links.added:
            control.start_added(name)
        return await control.change([made[name] for name in links.restarted], links.removed)

    @property
    def config(self) -> Config:
        """What is in force."""
        return self._config

    def hurry(self) -> None:
        """Have :meth:`stop` wait for no more answers of carriers."""
        self.gateway.hurry()

    def _committed(self, rows: int, seconds: float) -> None:
        self.metrics.committed(rows, seconds)
        if self.northbound is not None:
            self.northbound.committed()

    def startService(self) -> None:
        """For Twisted's own service runners; a failure to start is logged."""
        super().startService()  # type: ignore[no-untyped-call]
        started = Deferred.fromCoroutine(self.start())
        started.addCallbacks(self._is_started, self._not_started)

    def _is_started(self, _: None) -> None:
        self.log.info("listening for HTTP on {url}", event="gateway.ready", url=self.url)

    def _not_started(self, failure: Failure) -> None:
        if failure.check(SmsgwError, CannotListenError):
            told, why = "cannot start: {why}", failure.getErrorMessage()
            self.log.critical(told, event="gateway.start_failed", why=why)
        else:
            self.log.failure("cannot start", failure, event="gateway.start_failed")
        self.on_lost("it could not start")

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


def terms(config: Config, clock: Callable[[], float]) -> Terms:
    """Return what a gateway goes by under a configuration, and may go by another later."""
    services = _services(config)
    return Terms(
        routes=route_table(config, clock),
        inbound_table=inbound_table(config.links, services),
        plans=slot_plans(config.links, config.conversations, services),
        doubt=doubt_policy(config.delivery),
        retry=retry_policy(config.delivery),
        failover_after=config.delivery.failover_after,
        quiet=config.quiet_hours,
        presets=config.requests.presets,
        webhook_rules=config.webhooks,
        retention=config.retention,
        accept_lost_extension=config.requests.accept_lost_extension,
    )


def _services(config: Config) -> tuple[NumberService, ...]:
    return (*config.extensions, *config.northbound.services)


def _callers(config: Config) -> tuple[list[Configured], set[str]]:
    """Return the tokens, and the departments that exist without one."""
    configured = [
        Configured(name=one.name, account=one.account, role=one.role, token=one.token)
        for one in config.tokens
    ]
    return configured, {service.account for service in _services(config)}


def _northbound(
    config: Config, gateway: Gateway, database: Database, reactor: Any, metrics: Metrics
) -> Northbound:
    doors = [
        Door(
            carrier=door.carrier,
            endpoint=listening(door, reactor),
            allow=peer_filter(door.allow),
        )
        for door in config.northbound.doors
    ]
    customers = config.northbound.customers
    return Northbound(customers, doors, database, gateway.submission, reactor, metrics)


def _permit(database: Database, link: str, login: int, count: int) -> Permit:
    """Return the right to one of a login's connections, which all processes share."""
    return database.permit(f"{link}/{login}", count) or ALWAYS


def _peer_listener(settings: LinkSettings, reactor: Any, metrics: Metrics) -> PeerListener | None:
    listener = settings.listener
    if listener is None:
        return None
    endpoint = listening(listener, reactor)
    return PeerListener(endpoint, listener.account, peer_filter(listener.allow), metrics)

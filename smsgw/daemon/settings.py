"""The configuration in force, as frozen dataclasses; :mod:`smsgw.daemon.config` makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smsgw.daemon.connections import BalancerSettings
from smsgw.daemon.sections import Address
from smsgw.model import Coding, MessageClass, Operator
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier, Result
from smsgw.routing.inbound import Service
from smsgw.routing.rules import Rule
from smsgw.services.northbound.customer import Customer
from smsgw.services.probe import ProbeSettings
from smsgw.services.quiet import QuietHours
from smsgw.services.requests.presets import Preset
from smsgw.services.retention import Retention
from smsgw.services.webhooks.addresses import Rules
from smsgw.store.address import Where
from smsgw.transport.certificates import ClientTls, ServerTls
from smsgw.transport.peers import Network
from smsgw.transport.proxy import Proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """``[gateway]``.

    Attributes:
        node: This process's number in ids, 0 to 1023; different in each process of an operator. On
            a PostgreSQL server each takes a free one itself.
        database: The SQLite file, or a PostgreSQL server's database.
        lease: How long a process on a PostgreSQL server may be silent until another takes over its
            work, in seconds; 0 with a file.
    """

    node: int
    database: Where
    lease: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """``[http]``: where the API listens, who besides this machine may connect, and how.

    Attributes:
        listen: Our address.
        allow: Who may connect.
        tls: How connections are secured; None leaves them open.
        balancers: Who may send PROXY headers, which all connections then need; None: nobody.
        connections: Most at a time.
    """

    listen: Address
    allow: tuple[Network, ...]
    tls: ServerTls | None = None
    balancers: BalancerSettings = None
    connections: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """``[tokens.NAME]``: a bearer token, the account it stands for, and what it may do there."""

    name: str
    account: str
    role: str
    token: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """``[links.NAME.listener]``: where the peer dials us, and the login and timers there."""

    listen: Address
    account: Account = dataclasses.field(repr=False)
    allow: tuple[Network, ...]
    tls: ServerTls | None = None
    balancers: BalancerSettings = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """``[links.NAME]``: one carrier account.

    Attributes:
        name: As in the file.
        carrier: Its protocol.
        account: The login, in the protocol's own dataclass.
        operator: Whose subscribers it reaches with the extension intact.
        host: The peer's address.
        port: The peer's port.
        access_number: The sender number without extension.
        number_digits_max: Most digits of a sender number, extension included.
        binds: Connections at a time.
        rate: PDUs per second over all binds; 0 is no limit.
        codings: Data codings it may use, best first.
        reference_width: Bits of the long message reference.
        listener: Where the peer dials us; None where it does not.
        results: What some result codes mean on this link, whatever the carrier's table says.
        tls: How its connections are secured; None leaves them open.
        proxy: What it dials through.
    """

    name: str
    carrier: Carrier
    account: Account = dataclasses.field(repr=False)
    operator: Operator
    host: str
    port: int
    access_number: str
    number_digits_max: int
    binds: int
    rate: float
    codings: tuple[Coding, ...]
    reference_width: Literal[8, 16]
    listener: ListenerSettings | None
    results: Mapping[int, Result]
    tls: ClientTls | None = None
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """``[conversations.PURPOSE]``: as in ``[conversations]``."""

    prefix: str
    digits: int
    live_for: float
    cool_down: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations(PlanSettings):
    """``[conversations]``: extensions that carry replies; times in seconds.

    Attributes:
        purposes: What is different for a preset, a request type, or ``conversation``.
    """

    purposes: Mapping[str, PlanSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """``[requests]``.

    Attributes:
        accept_lost_extension: Whether a clear reply without its extension decides the one open
            item at once.
        words: By preset and answer, what means it besides the built-in words.
        presets: By name, with these words.
    """

    accept_lost_extension: bool
    words: Mapping[str, Mapping[str, Sequence[str]]]
    presets: Mapping[str, Preset]


@dataclass(frozen=True, slots=True)
class UnknownSettings:
    """``[delivery.CLASS]``: as in ``[delivery]``."""

    unknown_wait: float
    on_unknown: Literal["resend", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """``[delivery]``: what follows when a carrier does not take a submit; times in seconds.

    Attributes:
        unknown_wait: How long a late report may still tell an unknown outcome.
        on_unknown: Send the message again then, or give it up.
        tries: Submits of what is refused for now, until that is final.
        retry_first: The wait after the first refusal; it doubles with each further one.
        retry_longest: The longest such wait.
        retry_quota: The wait after a refusal for a volume used up, or for the hour.
        failover_after: How long a link is down before what waits for it takes another one.
        classes: What is different for a message class after an unknown outcome.
    """

    unknown_wait: float
    on_unknown: Literal["resend", "fail"]
    tries: int
    retry_first: float
    retry_longest: float
    retry_quota: float
    failover_after: float
    classes: Mapping[MessageClass, UnknownSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """``[northbound.PROTOCOL]``: where customers of a protocol connect."""

    carrier: Carrier
    listen: Address
    allow: tuple[Network, ...]
    tls: ServerTls | None = None
    balancers: BalancerSettings = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NorthboundSettings:
    """Customers who bind to us, and the doors for them."""

    doors: tuple[DoorSettings, ...] = ()
    customers: tuple[Customer, ...] = ()

    @property
    def services(self) -> tuple[Service, ...]:
        """What makes the customers' numbers their own."""
        return tuple(service for one in self.customers for service in one.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """``[log]``.

    Attributes:
        level: From which on events are written: debug, info, warn or error.
        form: ``json``, ``text``, or ``auto``: text on a terminal.
    """

    level: str = "info"
    form: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole file, checked.

    Attributes:
        path: The file.
        gateway: The process.
        http: The API.
        tokens: Who may use it.
        links: The carriers, by name, in the order of the file.
        conversations: How replies find back.
        extensions: Departments' numbers and keyword services.
        quiet_hours: When nobody is asked anything.
        requests: How their replies are read.
        delivery: What follows an unknown outcome.
        webhooks: What webhooks may call.
        retention: How long things are kept.
        probe: How links are tried.
        rules: Routing rules in order; None for each operator's subscribers by its own links.
        northbound: Customers who bind to us.
        log: What the process logs, and how.
        warnings: What works and should be changed, one line each.
    """

    path: Path
    gateway: GatewaySettings
    http: HttpSettings
    tokens: tuple[TokenSettings, ...]
    links: dict[str, LinkSettings]
    conversations: Conversations
    extensions: tuple[Service, ...]
    quiet_hours: QuietHours
    requests: Requests
    delivery: DeliverySettings
    webhooks: Rules
    retention: Retention
    probe: ProbeSettings
    rules: tuple[Rule, ...] | None
    northbound: NorthboundSettings
    log: LogSettings
    warnings: tuple[str, ...]

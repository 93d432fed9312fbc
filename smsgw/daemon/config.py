"""``smsgw.toml`` -> frozen dataclasses.

Rules: an unknown key, a wrong type or an impossible combination is an error that names the dotted
path of the key and what to write; all errors of a file are found in one run. Secrets come from
``env:`` or ``file:``; one written in the file works and warns. What a protocol's login needs is
never listed here: the fields of its account dataclass are its keys.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from smsgw.daemon.accounts import (
    codings,
    read_account,
    read_listener,
    shown_account,
    shown_listener,
)
from smsgw.daemon.calendar import read_quiet_hours, shown_quiet_hours
from smsgw.daemon.connections import (
    check_allow,
    read_balancers,
    read_client_tls,
    read_database,
    read_lease,
    read_proxy,
    read_server_tls,
    shown_client_tls,
    shown_database,
    shown_node,
    shown_port,
    shown_proxy,
)
from smsgw.daemon.conversations import (
    check_plans,
    read_conversations,
    read_extensions,
    shown_conversations,
    shown_extension,
)
from smsgw.daemon.delivery import read_delivery, shown_delivery
from smsgw.daemon.logs import read_log, shown_log
from smsgw.daemon.northbound import read_northbound, shown_customer, shown_northbound
from smsgw.daemon.probe import read_probe, shown_probe
from smsgw.daemon.requests import read_requests, shown_requests
from smsgw.daemon.results import read_results, shown_results
from smsgw.daemon.retention import read_retention, shown_retention
from smsgw.daemon.routing import read_rules, shown_rule
from smsgw.daemon.sections import Address, Problems, Section
from smsgw.daemon.settings import (
    Config,
    Conversations,
    DeliverySettings,
    GatewaySettings,
    HttpSettings,
    LinkSettings,
    ListenerSettings,
    NorthboundSettings,
    TokenSettings,
)
from smsgw.daemon.webhooks import read_webhooks, shown_webhooks
from smsgw.errors import ConfigError, ConfigErrors, EncodeError
from smsgw.model import Operator, Segment
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.states import Role, Side
from smsgw.routing.rules import Rule
from smsgw.services.access.callers import is_free
from smsgw.services.access.roles import ADMIN, ROLES

__all__ = [
    "Address",
    "Config",
    "ConfigErrors",
    "Conversations",
    "DeliverySettings",
    "GatewaySettings",
    "HttpSettings",
    "LinkSettings",
    "ListenerSettings",
    "TokenSettings",
    "effective",
    "load",
]

TOKEN_CHARACTERS_MIN = 16
NODE_MAX = 1023
MASK = "***"

DEFAULT_OPERATORS = {
    "cmpp": Operator.MOBILE,
    "smgp": Operator.TELECOM,
    "sgip": Operator.UNICOM,
}
"""Whose network a protocol usually leads to; another protocol's link must say."""


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Config:
    """Return the configuration in a file.

    Args:
        path: The file; relative paths in it are relative to its folder.
        environ: Where ``env:`` secrets are; None for the process's own environment.

    Raises:
        ConfigErrors: Everything that is wrong with it.
    """
    path = Path(path)
    return read(_parse(path), path, environ)


def read(values: dict[str, Any], path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Return the configuration that a file at ``path`` would hold. As :func:`load`."""
    problems = Problems()
    root = Section(values, "", problems, path.parent, os.environ if environ is None else environ)
    gateway = _gateway(root.section("gateway"))
    http = _http(root.section("http"))
    tokens = _tokens(root)
    conversations = read_conversations(root.section("conversations"))
    quiet_hours = read_quiet_hours(root.section("quiet_hours"))
    requests = read_requests(root.section("requests"))
    delivery = read_delivery(root.section("delivery"))
    webhooks = read_webhooks(root.section("webhooks"))
    retention = read_retention(root.section("retention"))
    links = _links(root)
    extensions = read_extensions(root, links)
    northbound = read_northbound(root, links, extensions)
    check_plans(root, links, conversations, (*extensions, *northbound.services))
    rules = read_rules(root.section("routing"), links)
    probe = read_probe(root.section("probe"), links)
    log = read_log(root.section("log"))
    root.finish()
    _check_directions(root, links, rules)
    _check_listeners(http, links.values(), northbound, problems)
    problems.check()
    return Config(
        path=path,
        gateway=gateway,
        http=http,
        tokens=tokens,
        links=links,
        conversations=conversations,
        extensions=extensions,
        quiet_hours=quiet_hours,
        requests=requests,
        delivery=delivery,
        webhooks=webhooks,
        retention=retention,
        probe=probe,
        rules=rules,
        northbound=northbound,
        log=log,
        warnings=tuple(problems.warnings),
    )


def effective(config: Config) -> dict[str, Any]:
    """Return every value in force, defaults included, JSON-ready, secrets masked."""
    return {
        "gateway": {
            **shown_node(config.gateway.node, config.gateway.lease),
            **shown_database(config.gateway.database),
        },
        "http": {**_shown_listener(config.http), "connections": config.http.connections},
        "tokens": {
            token.name: {"token": MASK, "account": token.account, "role": token.role}
            for token in config.tokens
        },
        "conversations": shown_conversations(config.conversations),
        "extensions": {one.name: shown_extension(one) for one in config.extensions},
        "northbound": shown_northbound(config.northbound),
        "customers": {one.name: shown_customer(one) for one in config.northbound.customers},
        "quiet_hours": shown_quiet_hours(config.quiet_hours),
        "requests": shown_requests(config.requests),
        "delivery": shown_delivery(config.delivery),
        "webhooks": shown_webhooks(config.webhooks),
        "retention": shown_retention(config.retention),
        "probe": shown_probe(config.probe),
        "links": {name: _shown_link(link) for name, link in config.links.items()},
        "log": shown_log(config.log),
        "routing": {"rules": [shown_rule(rule) for rule in config.rules or ()]},
    }


def keys(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of every key in force, as :func:`effective` has it."""
    return _flat(effective(config), "")


def _flat(values: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield path + key, value


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problem = f"cannot read {path}: no such file; smsgw init writes one, -c FILE names another"
    except OSError as error:
        problem = f"cannot read {path}: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"{path} is not UTF-8 text: octet {error.start}"
    except tomllib.TOMLDecodeError as error:
        problem = f"{path} is not TOML: {error}"
    raise ConfigErrors([ConfigError("", problem)])


def _gateway(section: Section) -> GatewaySettings:
    database = read_database(section)
    lease = read_lease(section, database)
    node = section.integer("node", 0, 0, NODE_MAX)
    section.finish()
    return GatewaySettings(node=node, database=database, lease=lease)


def _http(section: Section) -> HttpSettings:
    listen = section.address("listen", "127.0.0.1:8080")
    settings = HttpSettings(
        listen=listen,
        allow=section.networks("allow"),
        tls=read_server_tls(section),
        balancers=read_balancers(section, listen),
        connections=section.integer("connections", 512, 2, 65536),
    )
    check_allow(section, listen, settings.balancers)
    section.finish()
    return settings


def _tokens(root: Section) -> tuple[TokenSettings, ...]:
    tokens: dict[str, TokenSettings] = {}
    for name, section in root.named_sections("tokens"):
        token = section.secret("token")
        if token and len(token) < TOKEN_CHARACTERS_MIN:
            section.add(
                "token",
                f"has {len(token)} characters, at least {TOKEN_CHARACTERS_MIN} are needed",
            )
        elif not all("!" <= char <= "~" for char in token):
            section.add("token", "has spaces or characters that are not ASCII")
        elif token and token in tokens:
            section.add("token", f"is the same as tokens.{tokens[token].name}.token")
        account = section.text("account", name, blank=False)
        role = section.choice("role", sorted(ROLES), ADMIN)
        if not is_free(name):
            problem = "is a name that something else is recorded under; use another word"
            root.problems.add(section.path, problem)
        section.finish()
        tokens[token] = TokenSettings(name=name, account=account, role=role, token=token)
    if not root.values.get("tokens"):
        root.problems.warn(
            "tokens",
            "none, so nobody can use the HTTP API but with tokens of smsgw token create; "
            "make one, or add [tokens.NAME]",
        )
    return tuple(tokens.values())


def _links(root: Section) -> dict[str, LinkSettings]:
    links: dict[str, LinkSettings] = {}
    for name, section in root.named_sections("links"):
        seen = len(root.problems.errors)
        carrier = CARRIERS.get(section.choice("protocol", sorted(CARRIERS)))
        if carrier is None or len(root.problems.errors) > seen:
            continue  # which keys it may have depends on its protocol
        link = _link(name, section, carrier)
        section.finish()
        if len(root.problems.errors) == seen:
            _check_link(section, link)
        links[name] = link
    if not root.values.get("links"):
        root.add("links", "there is none; add [links.NAME] with its protocol, host and login")
    return links


def _link(name: str, section: Section, carrier: Carrier) -> LinkSettings:
    account = read_account(section, carrier)
    return LinkSettings(
        name=name,
        carrier=carrier,
        account=account,
        operator=section.choice("operator", list(Operator), DEFAULT_OPERATORS.get(carrier.name)),
        host=section.host("host"),
        port=section.integer("port", carrier.port, 1, 65535),
        access_number=section.text("access_number", digits=True),
        number_digits_max=section.integer("number_digits_max", carrier.number_digits_max, 1, 32),
        binds=section.integer("binds", 1, 1, 100),
        rate=section.number("rate", 0.0, 0.0),
        codings=codings(section),
        reference_width=section.choice("reference_width", (8, 16), 8),
        listener=_listener(section, carrier, account),
        results=read_results(section, carrier),
        tls=read_client_tls(section),
        proxy=read_proxy(section),
    )


def _listener(link: Section, carrier: Carrier, account: Account) -> ListenerSettings | None:
    if not carrier.peer_dials:
        return None
    if not link.has("listener"):
        link.problems.warn(
            link.at("listener"),
            f"none, so no reply and no report arrives: {carrier.title} brings them over "
            "connections the carrier opens to us",
        )
        return None
    section = link.section("listener")
    seen = len(section.problems.errors)
    listen = section.address("listen")
    settings = ListenerSettings(
        listen=listen,
        account=read_listener(section, account),
        allow=section.networks("allow"),
        tls=read_server_tls(section),
        balancers=read_balancers(section, listen),
    )
    check_allow(section, listen, settings.balancers)
    section.finish()
    if len(section.problems.errors) == seen:
        _check_login(section, carrier, settings.account, Side.GATEWAY)
    return settings


def _check_link(section: Section, link: LinkSettings) -> None:
    """Check what needs several keys: that login and submits can be encoded."""
    _check_login(section, link.carrier, link.account, Side.SP)
    longest = Segment(
        to="1" + "0" * 10,
        source="1" * link.number_digits_max,
        coding=link.codings[-1],
        content=b"\x00\x41" * 70,
    )
    try:
        link.carrier.to_submit(link.account, link.account.version, longest).encode()
    except EncodeError as error:
        section.problems.add(section.path, f"a submit cannot be encoded: {error}")


def _check_login(section: Section, carrier: Carrier, account: Account, side: Side) -> None:
    session = carrier.session(account.logins[0], Role.CLIENT, side, lambda: datetime(2026, 1, 1))
    try:
        session.bind(0.0)
    except EncodeError as error:
        section.add("login", f"or secret does not fit the login PDU: {error}")


def _check_directions(
    root: Section, links: Mapping[str, LinkSettings], rules: Sequence[Rule] | None
) -> None:
    """Check that what logins for one direction leave out is done by another link."""
    sending = {link.operator for link in links.values() if link.account.sends}
    receiving = {
        (link.operator, link.access_number) for link in links.values() if link.account.receives
    }
    for link in links.values():
        path = f"links.{link.name}.{link.account.direction_key}"
        if not link.account.sends and link.operator not in sending:
            root.problems.add(
                path,
                f"this login only receives, and no other link of operator {link.operator} sends; "
                "let it do both, or add a link that sends",
            )
        if not link.account.receives and (link.operator, link.access_number) not in receiving:
            root.problems.warn(
                path,
                "this login only sends, so no reply and no report arrives; let it do both, or add "
                f"a link that receives for {link.access_number}",
            )
    for index, rule in enumerate(rules or ()):
        for name in rule.links:
            if name in links and not links[name].account.sends:
                root.problems.add(
                    f"routing.rules[{index}].links", f"{name} only receives; name links that send"
                )


def _check_listeners(
    http: HttpSettings,
    links: Iterable[LinkSettings],
    northbound: NorthboundSettings,
    problems: Problems,
) -> None:
    taken = {str(http.listen): "http.listen"}
    ports = [
        (f"links.{link.name}.listener.listen", link.listener.listen)
        for link in links
        if link.listener is not None
    ]
    ports += [(f"northbound.{door.carrier.name}.listen", door.listen) for door in northbound.doors]
    for path, listen in ports:
        other = path if listen.port == 0 else taken.setdefault(str(listen), path)
        if other != path:
            problems.add(path, f"{listen} is taken by {other}; use another port")


def _shown_listener(settings: HttpSettings | ListenerSettings) -> dict[str, Any]:
    return {
        "listen": str(settings.listen),
        "allow": [str(one) for one in settings.allow],
        **shown_port(settings.tls, settings.balancers),
    }


def _shown_link(link: LinkSettings) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "protocol": link.carrier.name,
        "operator": str(link.operator),
        "host": link.host,
        "port": link.port,
        "access_number": link.access_number,
        "number_digits_max": link.number_digits_max,
        "binds": link.binds,
        "rate": link.rate,
        "codings": [coding.name.lower() for coding in link.codings],
        "reference_width": link.reference_width,
        "tls": shown_client_tls(link.tls),
        **shown_proxy(link.proxy),
    }
    shown |= shown_account(link.account, MASK)
    shown |= {"results": shown_results(link.results)} if link.results else {}
    if link.listener is not None:
        listener = shown_listener(link.listener.account, MASK)
        shown["listener"] = _shown_listener(link.listener) | listener
    return shown

"""The keys about connections themselves: TLS, outbound proxies, the PROXY protocol, the database.

Files named here are read at load, so that one that cannot be used is an error of the
configuration; they are read again when they change.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from smsgw.daemon.sections import Address, Section
from smsgw.errors import ConfigError
from smsgw.store.address import Server, Where, where
from smsgw.transport.certificates import ClientTls, ServerTls, check
from smsgw.transport.peers import Network
from smsgw.transport.proxy import Proxy

MASK = "***"

LEASE_SECONDS = 15.0
LEASE_SECONDS_MIN = 1.0
"""A shorter one could end while a process is only busy."""

BalancerSettings = tuple[Network, ...] | Literal[True] | None
"""Who may send PROXY headers: these networks, anybody, or nobody."""


def read_client_tls(link: Section) -> ClientTls | None:
    """Return how a link is secured: ``tls = true``, or a table ``[links.NAME.tls]``."""
    if not link.has("tls") or link.values["tls"] is False:
        return None
    if link.values["tls"] is True:
        return ClientTls()
    section = link.section("tls")
    tls = ClientTls(
        ca=_file(section, "ca"),
        certificate=_file(section, "certificate"),
        key=_file(section, "key"),
        server_name=section.host("server_name") if section.has("server_name") else "",
        verify=section.flag("verify", True),
    )
    section.finish()
    if not tls.verify:
        section.problems.warn(
            section.at("verify"),
            "is false: whoever sits between us and the peer can read everything, the login too; "
            "name the peer's own certificate in ca instead",
        )
    if tls.key is not None and tls.certificate is None:
        section.add("certificate", "is missing: key is the private key of a certificate")
    else:
        _check(section, tls)
    return tls


def read_server_tls(listener: Section) -> ServerTls | None:
    """Return how a port of ours is secured: a table with certificate and key."""
    if not listener.has("tls") or listener.values["tls"] is False:
        return None
    if not isinstance(listener.values["tls"], dict):
        listener.add("tls", 'write a table: { certificate = "FILE.pem", key = "FILE.key" }')
        return None
    section = listener.section("tls")
    certificate = section.folder / section.text("certificate", blank=False)
    tls = ServerTls(certificate=certificate, key=_file(section, "key"), ca=_file(section, "ca"))
    section.finish()
    if section.values.get("certificate"):
        _check(section, tls)
    return tls


def read_proxy(link: Section) -> Proxy | None:
    """Return the proxy a link dials through."""
    has_password = link.has("proxy_password")
    if not link.has("proxy"):
        if has_password:
            link.add("proxy", "is missing: proxy_password is for one")
        return None
    text = link.text("proxy")
    try:
        proxy = Proxy.parse(text)
        if has_password:
            proxy = Proxy(
                scheme=proxy.scheme,
                host=proxy.host,
                port=proxy.port,
                user=proxy.user,
                password=link.secret("proxy_password"),
            )
        elif proxy.password:
            link.problems.warn(
                link.at("proxy"), 'has a password in it; write proxy_password = "env:VARIABLE"'
            )
        proxy.check()
    except ConfigError as error:
        link.add("proxy", error.problem)
        return None
    return proxy


def read_database(gateway: Section) -> Where:
    """Return where the messages are kept: a file, or a PostgreSQL server's database."""
    text = gateway.text("database", "smsgw.db", blank=False)
    try:
        place = where(text)
    except ConfigError as error:
        gateway.add("database", error.problem)
        place = Path(text)
    if isinstance(place, Path):
        if gateway.has("database_password"):
            gateway.add("database_password", "is for a database of a PostgreSQL server")
        return gateway.folder / place
    if gateway.has("database_password"):
        return dataclasses.replace(place, password=gateway.secret("database_password"))
    if place.password:
        gateway.problems.warn(
            gateway.at("database"),
            'has a password in it; write database_password = "env:VARIABLE"',
        )
    return place


def read_lease(gateway: Section, place: Where) -> float:
    """Return how long a process on a PostgreSQL server may be silent; 0 with a file."""
    if isinstance(place, Path):
        if gateway.has("lease"):
            gateway.add("lease", "is for a database of a PostgreSQL server")
        return 0.0
    if gateway.has("node"):
        gateway.add("node", "is for a file: processes on a PostgreSQL server number themselves")
    return gateway.duration("lease", LEASE_SECONDS, LEASE_SECONDS_MIN)


def shown_node(node: int, lease: float) -> dict[str, Any]:
    """Return a process's number or, where it takes one itself, its lease; JSON-ready."""
    return {"lease": lease} if lease else {"node": node}


def shown_database(place: Where) -> dict[str, str]:
    """Return where the messages are kept, JSON-ready, the password masked."""
    masked = {"database_password": MASK} if isinstance(place, Server) and place.password else {}
    return {"database": str(place), **masked}


def read_balancers(section: Section, listen: Address) -> BalancerSettings:
    """Return who may pass connections on, each with a PROXY header (``proxy_protocol``)."""
    written = section.values.get("proxy_protocol")
    if not isinstance(written, list):
        if not section.flag("proxy_protocol"):
            return None
        if not listen.loopback:
            section.problems.warn(
                section.at("proxy_protocol"),
                "is true: whoever can connect can say that it is any address of allow; name the "
                'balancers instead, such as ["10.0.0.5"]',
            )
        return True
    return section.networks("proxy_protocol")


def check_allow(section: Section, listen: Address, balancers: BalancerSettings) -> None:
    """Check that ``allow`` is there where others than this machine come from."""
    if section.values.get("allow"):
        return
    if not listen.loopback:
        section.add(
            "allow",
            f"is missing: {listen} can be reached from other machines; "
            'list the networks that may connect, such as ["10.0.0.0/8"]',
        )
    elif balancers is not None:
        section.add(
            "allow",
            "is missing: with proxy_protocol it is about the addresses that the balancer names; "
            'list the networks that may connect, such as ["10.0.0.0/8"]',
        )


def shown_client_tls(tls: ClientTls | None) -> Any:
    """Return the keys of a link's TLS and their values, JSON-ready."""
    if tls is None:
        return False
    return {
        "ca": _shown(tls.ca) or "the system's",
        "certificate": _shown(tls.certificate),
        "key": _shown(tls.key or tls.certificate),
        "server_name": tls.server_name,
        "verify": tls.verify,
    }


def shown_port(tls: ServerTls | None, balancers: BalancerSettings) -> dict[str, Any]:
    """Return the keys of a port of ours that this module reads, JSON-ready."""
    networks = [str(one) for one in balancers] if isinstance(balancers, tuple) else None
    passed_on = bool(balancers) if networks is None else networks
    return {"tls": _shown_server_tls(tls), "proxy_protocol": passed_on}


def _shown_server_tls(tls: ServerTls | None) -> Any:
    return tls is not None and {
        "certificate": _shown(tls.certificate),
        "key": _shown(tls.key or tls.certificate),
        "ca": _shown(tls.ca),
    }


def shown_proxy(proxy: Proxy | None) -> dict[str, str]:
    """Return a link's proxy, JSON-ready, the password masked."""
    if proxy is None:
        return {"proxy": ""}
    return {"proxy": str(proxy)} | ({"proxy_password": MASK} if proxy.password else {})


def _file(section: Section, key: str) -> Path | None:
    if not section.has(key):
        return None
    name = section.text(key, blank=False)
    return section.folder / name if name else None


def _check(section: Section, tls: ClientTls | ServerTls) -> None:
    try:
        for warning in check(tls):
            section.problems.warn(section.at("certificate"), warning)
    except ConfigError as error:
        section.add(error.path, error.problem)


def _shown(file: Path | None) -> str:
    return str(file) if file is not None else ""

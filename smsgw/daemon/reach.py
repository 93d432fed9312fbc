"""Checks of what is around: the database, our ports, the carriers, a gateway that runs."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory, Protocol

from smsgw.daemon.findings import Finding
from smsgw.daemon.machine import EXPIRES_SOON, folder
from smsgw.daemon.sections import Address
from smsgw.daemon.settings import Config, LinkSettings
from smsgw.errors import StoreError
from smsgw.store import census
from smsgw.store.database import holder, read_once
from smsgw.transport.endpoints import dial_endpoint

SKEW_SECONDS = 2.0
API_SECONDS = 5.0


# ---- database ----------------------------------------------------------------------------


def database(config: Config, now: float) -> Iterator[Finding]:
    """Check that the database can be used, and whether a gateway works on it."""
    place = config.gateway.database
    if isinstance(place, Path):
        yield from folder(place)
        if not place.exists():
            if place.parent.is_dir():
                yield Finding(
                    "ok", "database", f"{place} is not there yet; the first start makes it"
                )
            return
    try:
        found = read_once(place, census.look)
        skew = read_once(place, partial(_skew, now=now, began=time.monotonic()))
        working = holder(place)
    except StoreError as error:
        yield Finding("fail", "database", str(error), "see gateway.database and its password")
        return
    yield _schema(place, found)
    yield from _settings(place, found.settings)
    if abs(skew) > SKEW_SECONDS:
        said = f"the server's is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        yield Finding("warn", "clock", said, "run an NTP client on both")
    node = f"node {config.gateway.node}" if isinstance(place, Path) else "nodes by themselves"
    yield Finding("ok", "gateway", f"{working or 'none'} works on the database; {node}")


def _skew(connection: Connection, now: float, began: float) -> float:
    return census.skew_seconds(connection, now + time.monotonic() - began)


def _schema(place: object, found: census.Database) -> Finding:
    about = "schema"
    if not found.revision:
        return Finding("ok", about, f"{place} is empty; the first start makes it")
    if found.revision == found.needed:
        return Finding("ok", about, f"is at {found.revision}")
    said = f"is at {found.revision}, this version needs {found.needed}"
    todo = "smsgw db backup FILE, then smsgw db upgrade; or install the version that wrote it"
    return Finding("fail", about, said, todo)


def _settings(place: object, settings: dict[str, str]) -> Iterator[Finding]:
    if isinstance(place, Path):
        mode = settings["journal_mode"]
        if mode not in ("wal", "delete"):  # a copy that was put back is delete until the start
            todo = "use a local disk: the gateway sets wal at its start"
            yield Finding("warn", "database", f"journal mode is {mode}", todo)
        return
    for name in ("fsync", "autovacuum"):
        if settings[name] != "on":
            yield Finding("fail", "database", f"{name} is {settings[name]}", f"set {name} = on")
    if settings["synchronous_commit"] == "off":
        said = "synchronous_commit is off; the gateway turns it on for itself"
        yield Finding("ok", "database", said)
    yield Finding("ok", "database", f"PostgreSQL {settings['server_version']} at {place}")


# ---- ports of ours -----------------------------------------------------------------------


def ports(config: Config, working: str) -> Iterator[Finding]:
    """Check that we can listen where we are to, or that a gateway does.

    Args:
        config: The configuration.
        working: The gateway that works on the database, "" for none.
    """
    wanted: list[tuple[str, Address]] = [("http.listen", config.http.listen)]
    for name, link in config.links.items():
        if link.listener is not None:
            wanted.append((f"links.{name}.listener.listen", link.listener.listen))
    for door in config.northbound.doors:
        wanted.append((f"northbound.{door.carrier.name}.listen", door.listen))
    for about, address in wanted:
        yield _port(about, address, working)


def _port(about: str, address: Address, working: str) -> Finding:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address.host, address.port))
        except OSError as error:
            return _not_free(about, address, working, error)
    if working and address.port:
        said = f"nobody listens on {address}, though {working} works on the database"
        return Finding("warn", about, said, "is it another configuration? see its log")
    return Finding("ok", about, f"{address} is free")


def _not_free(about: str, address: Address, working: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE and working:
        return Finding("ok", about, f"{address} is in use, by {working} as it seems")
    if error.errno == errno.EADDRINUSE:
        todo = f"see who: ss -ltnp 'sport = :{address.port}'; stop it, or take another port"
        return Finding("fail", about, f"{address} is in use", todo)
    if error.errno == errno.EADDRNOTAVAIL:
        todo = "write one that ip address shows, or 0.0.0.0 with allow"
        return Finding("fail", about, f"{address.host} is no address of this machine", todo)
    if error.errno == errno.EACCES:
        todo = "take a port from 1024 on"
        return Finding("fail", about, f"{address} is for root only", todo)
    return Finding("fail", about, f"{address}: {os.strerror(error.errno or 0)}", "mend it")


# ---- a gateway that runs -----------------------------------------------------------------


def api(config: Config, working: str) -> Iterator[Finding]:
    """Ask a gateway that runs whether it is ready; blocks."""
    if not working:
        yield Finding("ok", "api", "no gateway runs; start it with: smsgw run")
        return
    listen = config.http.listen
    if not listen.port:
        yield Finding("ok", "api", "http.listen has port 0, so where it listens is in its log only")
        return
    try:
        reasons = _readiness(config, listen)
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        yield Finding("fail", "api", f"does not answer on {listen}: {why}", "see its log")
        return
    if reasons:
        yield Finding("fail", "api", f"answers and is not ready: {'; '.join(reasons)}")
    else:
        yield Finding("ok", "api", f"answers on {listen} and is ready")


def _readiness(config: Config, listen: Address) -> list[str]:
    try:
        ask(f"{url_of(config, listen)}/readyz")
        return []
    except urllib.error.HTTPError as error:
        with error:
            answer = json.loads(error.read())
            if not isinstance(answer, dict) or "reasons" not in answer:
                raise ValueError("what answers is not smsgw") from None
            return [str(one) for one in answer["reasons"]]


def url_of(config: Config, listen: Address) -> str:
    """Return where this machine reaches the API that listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    scheme = "http" if config.http.tls is None else "https"
    return f"{scheme}://{Address(host, listen.port)}"


def ask(url: str, token: str = "") -> bytes:
    """Return what a gateway on this machine answers; blocks for seconds at most.

    Raises:
        OSError: It cannot be reached, or answers with an error.
    """
    context = ssl.create_default_context()
    context.check_hostname = False  # it is this machine
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with opener.open(request, timeout=API_SECONDS) as response:
            answer: bytes = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"what answers speaks no HTTP: {type(error).__name__}") from error
    return answer


# ---- carriers ----------------------------------------------------------------------------


class _Look(Protocol):
    """Says nothing, and is closed again."""

    noisy = False


def links(config: Config, reactor: Any) -> Deferred[list[Finding]]:
    """Connect to each carrier as the gateway would, without a login; never fails."""
    looks = [Deferred.fromCoroutine(_reach(link, reactor)) for link in config.links.values()]

    def flat(results: list[tuple[bool, list[Finding]]]) -> list[Finding]:
        return [finding for _, found in results for finding in found]

    return DeferredList(looks).addCallback(flat)


async def _reach(link: LinkSettings, reactor: Any) -> list[Finding]:
    about, there = f"links.{link.name}", f"{link.host}:{link.port}"
    by = f" through {link.proxy.host}:{link.proxy.port}" if link.proxy is not None else ""
    endpoint = dial_endpoint(reactor, link.host, link.port, tls=link.tls, proxy=link.proxy)
    began = reactor.seconds()
    try:
        protocol: Any = await endpoint.connect(Factory.forProtocol(_Look))
    except Exception as error:
        return [Finding("fail", about, f"cannot reach {there}{by}: {error}", _todo(link))]
    took = f"{(reactor.seconds() - began) * 1000:.0f} ms"
    transport = protocol.transport
    said = f"{there} answers{by} after {took}, from {transport.getHost().host}"
    found = [Finding("ok", about, f"{said}; {'TLS' if link.tls else 'no TLS'}; not logged in")]
    if link.tls is not None:
        found += _peer_certificate(about, transport)
    transport.abortConnection()
    return found


def _todo(link: LinkSettings) -> str:
    if link.proxy is not None:
        return "see proxy, host and port, and that the proxy may connect there"
    if link.tls is not None:
        return "see host, port and tls; ask the carrier whether this address of ours is let in"
    return "see host and port, the firewall, the VPN; ask the carrier whether we are let in"


def _peer_certificate(about: str, transport: Any) -> list[Finding]:
    certificate = transport.getPeerCertificate()
    if certificate is None:
        return []
    found: x509.Certificate = certificate.to_cryptography()
    until = found.not_valid_after_utc
    said = f"the carrier's certificate holds until {until:%Y-%m-%d}"
    if until <= datetime.now(UTC) + EXPIRES_SOON:
        return [Finding("warn", about, said, "ask the carrier when it will be renewed")]
    return [Finding("ok", about, said)]

"""What another configuration changes, key by key, and whether that can be done while it runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from smsgw.daemon.config import MASK, keys
from smsgw.daemon.settings import Config
from smsgw.store.address import Server

LIVE = (
    "conversations",
    "customers",
    "delivery",
    "extensions",
    "http.allow",
    "links",
    "log.level",
    "probe",
    "quiet_hours",
    "requests",
    "retention",
    "routing",
    "tokens",
    "webhooks",
)
"""Tables and keys that may change while the gateway runs; any other key needs a restart."""


class Change(msgspec.Struct, frozen=True):
    """A key whose value changes.

    Attributes:
        path: Dotted, as in the file.
        before: Its value now, JSON-ready; None where it is new. A secret is masked.
        after: Its next value; None where it goes.
    """

    path: str
    before: Any
    after: Any


class LinkChanges(msgspec.Struct, frozen=True):
    """What becomes of links, by name.

    Attributes:
        added: They are new.
        removed: They finish and unbind.
        restarted: They finish, unbind, and dial anew.
        rate: Only their rate changes: they stay bound.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    restarted: tuple[str, ...]
    rate: tuple[str, ...]


def changes(before: Config, after: Config) -> list[Change]:
    """Return every key whose value differs, in the order of the file in force.

    The order of links is that of preference, and so a value too: that of ``links``.
    """
    old, new = dict(_values(before)), dict(_values(after))
    found = [
        Change(path, _shown(old.get(path)), _shown(new.get(path)))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]
    kept = [name for name in before.links if name in after.links]
    in_order = [name for name in after.links if name in before.links]
    if kept != in_order:
        found.append(Change("links", kept, in_order))
    return found


def needs_restart(found: list[Change]) -> list[str]:
    """Return the paths among them that cannot change while the gateway runs."""
    return [one.path for one in found if not one.path.startswith(_LIVE)]


def link_changes(before: Config, after: Config, found: list[Change]) -> LinkChanges:
    """Return what becomes of links."""
    touched: dict[str, set[str]] = {}
    for one in found:
        table, _, rest = one.path.partition(".")
        if table == "links":
            name, _, key = rest.partition(".")
            touched.setdefault(name, set()).add(key)
    kept = [name for name in touched if name in before.links and name in after.links]
    return LinkChanges(
        added=tuple(name for name in after.links if name not in before.links),
        removed=tuple(name for name in before.links if name not in after.links),
        restarted=tuple(name for name in kept if touched[name] != {"rate"}),
        rate=tuple(name for name in kept if touched[name] == {"rate"}),
    )


class _Secret(msgspec.Struct, frozen=True):
    """Stands for a secret: equal to that of the same one only."""

    digest: bytes


_LIVE = tuple(path for one in LIVE for path in ((one,) if "." in one else (f"{one}.",)))


def _values(config: Config) -> Iterator[tuple[str, Any]]:
    """Return the path and value of every key, secrets as digests."""
    secrets = dict(_secrets(config))
    for path, value in keys(config):
        known = secrets.get(path) if value == MASK or path == "probe.to" else None
        yield path, value if known is None else _Secret(known)


def _secrets(config: Config) -> Iterator[tuple[str, bytes]]:
    """Return the digest of every secret, by its path, and of what else is not shown: a phone."""
    if config.probe.to:
        yield "probe.to", _digest(config.probe.to)
    place = config.gateway.database
    if isinstance(place, Server):
        yield "gateway.database_password", _digest(place.password)
    for token in config.tokens:
        yield f"tokens.{token.name}.token", _digest(token.token)
    for customer in config.northbound.customers:
        yield f"customers.{customer.name}.secret", _digest(customer.login.secret)
    for name, link in config.links.items():
        yield f"links.{name}.secret", _digest(link.account.secret)
        if link.listener is not None:
            yield f"links.{name}.listener.secret", _digest(link.listener.account.secret)
        if link.proxy is not None:
            yield f"links.{name}.proxy_password", _digest(link.proxy.password)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _shown(value: Any) -> Any:
    return MASK if isinstance(value, _Secret) else value

"""The keys of one carrier login, derived from the protocol's account dataclass.

No protocol and no field of one is named here, except what all logins share: a new carrier's
settings become keys of ``[links.NAME]`` by being declared in its account.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Literal

from smsgw.daemon.sections import Section
from smsgw.model import Coding
from smsgw.protocols.account import LEAST, Account
from smsgw.protocols.carrier import Carrier

_CODINGS = {
    "ascii": Coding.ASCII,
    "ucs2": Coding.UCS2,
    "gbk": Coding.GBK,
}


def read_account(section: Section, carrier: Carrier) -> Account:
    """Return the login in a link's table; every field of its dataclass is a key.

    ``name`` is written ``login``; numbers with a fraction are durations.
    """
    hints = typing.get_type_hints(carrier.account)
    values: dict[str, Any] = {
        "name": section.text("login"),
        "secret": section.secret("secret"),
        "version": section.choice("version", carrier.versions, carrier.codec.default_version),
    }
    for field in dataclasses.fields(carrier.account):
        if field.init and field.name not in values:
            values[field.name] = read_field(section, field, hints[field.name])
    return carrier.account(**values)


def read_listener(section: Section, account: Account) -> Account:
    """Return the login that the peer uses where it dials us, in the listener's table of a link.

    An empty login with an empty secret is a peer that is known by its address alone, so it needs
    ``allow``.

    Args:
        section: ``[links.NAME.listener]``.
        account: The link's own login, whose values are the defaults.
    """
    hints = typing.get_type_hints(type(account))
    values: dict[str, Any] = {
        field.name: read_field(section, field, hints[field.name], getattr(account, field.name))
        for field in dataclasses.fields(account)
        if field.name in account.listener_keys
    }
    nameless = section.values.get("login") == "" == section.values.get("secret")
    if nameless and not section.values.get("allow"):
        section.add(
            "allow",
            "is missing: with an empty login and secret the peer is known by its address alone; "
            'list the addresses it connects from, such as ["192.0.2.10"]',
        )
    if nameless and section.values.get("proxy_protocol") is True:
        section.add(
            "proxy_protocol",
            "is true: with an empty login and secret, whoever can connect could say that it is "
            'the peer; name the balancers instead, such as ["10.0.0.5"]',
        )
    optional = "" if nameless else None
    name, secret = section.text("login", optional), "" if nameless else section.secret("secret")
    section.has("secret")
    return dataclasses.replace(account, name=name, secret=secret, **values)


def shown_listener(account: Account, mask: str) -> dict[str, Any]:
    """Return the keys of such a login and their values, JSON-ready, the secret masked."""
    keys = {name: getattr(account, name) for name in account.listener_keys}
    return {"login": account.name, "secret": mask if account.secret else "", **keys}


def shown_account(account: Account, mask: str) -> dict[str, Any]:
    """Return the keys of a login and their values, JSON-ready, the secret masked."""
    names = [one.name for one in dataclasses.fields(account) if one.init]
    rest = {name: getattr(account, name) for name in names if name not in ("name", "secret")}
    return {"login": account.name, "secret": mask, **rest}


def codings(section: Section) -> tuple[Coding, ...]:
    """Return the data codings a link may use, in the order of the file."""
    names = section.choices("codings", list(_CODINGS))
    if section.values.get("codings") == []:
        section.add("codings", f"is empty; name at least one of {', '.join(_CODINGS)}")
    return tuple(_CODINGS[name] for name in names or ("ascii", "ucs2"))


def read_field(
    section: Section, field: dataclasses.Field[Any], hint: Any, default: Any = dataclasses.MISSING
) -> Any:
    """Return the value of one field of an account; ``default`` in the place of its own."""
    if default is dataclasses.MISSING:
        default = None if field.default is dataclasses.MISSING else field.default
    least = LEAST.get(field.name, 0)
    if hint is bool:
        return section.flag(field.name, bool(default))
    if hint is str:
        return section.text(field.name, default)
    if hint is int:
        return section.integer(field.name, default, int(least))
    if hint is float:
        return section.duration(field.name, default, least)
    if typing.get_origin(hint) is Literal:
        return section.choice(field.name, typing.get_args(hint), default)
    raise TypeError(f"{field.name}: no TOML value is known for {hint!r}")

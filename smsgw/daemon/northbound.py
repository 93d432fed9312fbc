"""``[northbound.PROTOCOL]`` and ``[customers.NAME]``: who may bind to us, where, and as what."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from smsgw.daemon.accounts import read_field
from smsgw.daemon.connections import (
    check_allow,
    read_balancers,
    read_server_tls,
    shown_port,
)
from smsgw.daemon.sections import Section
from smsgw.daemon.settings import DoorSettings, LinkSettings, NorthboundSettings
from smsgw.errors import EncodeError
from smsgw.model import MessageClass
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.states import Role, Side
from smsgw.routing.inbound import Service
from smsgw.services.northbound.customer import Customer, check_ranges

BINDS_MAX = 100
MASK = "***"


def read_northbound(
    root: Section, links: Mapping[str, LinkSettings], services: Sequence[Service]
) -> NorthboundSettings:
    """Return doors and customers.

    Args:
        root: The whole file.
        links: Whose access numbers there are.
        services: The static extensions, which are not a customer's.
    """
    protocols = [name for name, carrier in CARRIERS.items() if carrier.refusals]
    doors = _doors(root, protocols)
    numbers = tuple(dict.fromkeys(link.access_number for link in links.values()))
    customers = [
        _customer(name, section, protocols, numbers)
        for name, section in root.named_sections("customers")
    ]
    found = [customer for customer in customers if customer is not None]
    _check_logins(root, found)
    _check_doors(root, found, doors)
    for name, problem in check_ranges(found, services):
        root.add(f"customers.{name}.extensions", problem)
    return NorthboundSettings(doors=doors, customers=tuple(found))


def shown_northbound(settings: NorthboundSettings) -> dict[str, Any]:
    """Return the doors, JSON-ready."""
    return {
        door.carrier.name: {
            "listen": str(door.listen),
            "allow": [str(one) for one in door.allow],
            **shown_port(door.tls, door.balancers),
        }
        for door in settings.doors
    }


def shown_customer(customer: Customer) -> dict[str, Any]:
    """Return a customer, JSON-ready, the secret masked."""
    login = customer.login
    return {
        "protocol": customer.carrier.name,
        "account": customer.account,
        "login": login.name,
        "secret": MASK,
        "extensions": list(customer.extensions),
        "access_number": customer.access_number,
        "allow": [str(one) for one in customer.networks],
        "binds": customer.binds,
        "rate": customer.rate,
        "class": str(customer.message_class),
        **{key: getattr(login, key) for key in login.customer_keys},
    }


def _doors(root: Section, protocols: Sequence[str]) -> tuple[DoorSettings, ...]:
    group = root.section("northbound")
    doors = []
    for name in protocols:
        if not group.has(name):
            continue
        section = group.section(name)
        listen = section.address("listen", f"127.0.0.1:{CARRIERS[name].port}")
        door = DoorSettings(
            carrier=CARRIERS[name],
            listen=listen,
            allow=section.networks("allow"),
            tls=read_server_tls(section),
            balancers=read_balancers(section, listen),
        )
        check_allow(section, listen, door.balancers)
        section.finish()
        doors.append(door)
    group.finish()
    return tuple(doors)


def _customer(
    name: str, section: Section, protocols: Sequence[str], numbers: Sequence[str]
) -> Customer | None:
    seen = len(section.problems.errors)
    carrier = CARRIERS[section.choice("protocol", protocols)]
    if len(section.problems.errors) > seen:
        return None  # which keys it may have depends on its protocol
    access_number = section.text("access_number", "", digits=True)
    if access_number and access_number not in numbers:
        known = ", ".join(numbers) or "(there is no link)"
        section.add("access_number", f"{access_number} is none of ours; write one of {known}")
    extensions = section.texts("extensions")
    if not extensions:
        section.add("extensions", 'is missing; write what its numbers begin with, such as ["80"]')
    for one in extensions:
        if not (one.isascii() and one.isdigit()) and one:
            section.add("extensions", f"{one!r} has other characters than digits")
    customer = Customer(
        name=name,
        carrier=carrier,
        login=_login(section, carrier),
        account=section.text("account", name, blank=False),
        extensions=extensions,
        access_number=access_number,
        access_numbers=(access_number,) if access_number else tuple(numbers),
        networks=section.networks("allow"),
        binds=section.integer("binds", 1, 1, BINDS_MAX),
        rate=section.number("rate", 0.0, 0.0),
        message_class=section.choice("class", list(MessageClass), MessageClass.NOTICE),
    )
    section.finish()
    if len(section.problems.errors) == seen:
        _check_login(section, customer)
    return customer


def _login(section: Section, carrier: Carrier) -> Account:
    hints = typing.get_type_hints(carrier.account)
    values: dict[str, Any] = {
        "name": section.text("login"),
        "secret": section.secret("secret"),
        "version": carrier.codec.default_version,
    }
    for field in dataclasses.fields(carrier.account):
        if field.name in carrier.account.customer_keys:
            values[field.name] = read_field(section, field, hints[field.name])
    return carrier.account(**values)


def _check_login(section: Section, customer: Customer) -> None:
    """Check that a client could send it."""
    carrier = customer.carrier
    session = carrier.session(customer.login, Role.CLIENT, Side.SP, lambda: datetime(2026, 1, 1))
    try:
        session.bind(0.0)
    except EncodeError as error:
        section.add("login", f"or secret does not fit the login PDU: {error}")


def _check_logins(root: Section, customers: Iterable[Customer]) -> None:
    known: dict[tuple[str, str], str] = {}
    for one in customers:
        other = known.setdefault((one.carrier.name, one.login.name), one.name)
        if other != one.name:
            problem = f"{one.login.name!r} is customers.{other}'s too; each needs its own"
            root.add(f"customers.{one.name}.login", problem)


def _check_doors(
    root: Section, customers: Iterable[Customer], doors: Sequence[DoorSettings]
) -> None:
    open_doors = {door.carrier.name for door in doors}
    for one in customers:
        if one.carrier.name not in open_doors:
            root.add(
                f"northbound.{one.carrier.name}",
                f"is missing, so customers.{one.name} could not connect; add it with listen",
            )

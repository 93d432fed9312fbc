"""A customer who binds to us: what was agreed with it, and which numbers are its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from smsgw.errors import ValidationError
from smsgw.model import MessageClass
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.routing.inbound import Service
from smsgw.routing.numbers import PrefixMap
from smsgw.transport.peers import Network


@dataclass(frozen=True, kw_only=True)
class Customer:
    """What was agreed with a customer.

    Attributes:
        name: As in the configuration.
        carrier: The protocol it speaks.
        login: Its name and secret, and the settings of its connections.
        account: Whose its messages are, and what phones write to its numbers.
        extensions: What its sender numbers have after the access number: one of these, with or
            without more digits.
        access_number: The one of ours that its messages go out from; "" is that of the link which
            sends them.
        access_numbers: All that it may write before its extension.
        networks: Where it may connect from; none is wherever the door is open to.
        binds: Connections at a time.
        rate: Submits per second over all of them, counted by recipient; 0 is no limit.
        message_class: How urgent its messages are.
    """

    name: str
    carrier: Carrier
    login: Account = field(repr=False)
    account: str
    extensions: tuple[str, ...]
    access_number: str = ""
    access_numbers: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    binds: int = 1
    rate: float = 0.0
    message_class: MessageClass = MessageClass.NOTICE

    def __post_init__(self) -> None:
        numbers = {
            access_number + extension: access_number
            for access_number in self.access_numbers
            for extension in self.extensions
        }
        object.__setattr__(self, "numbers", PrefixMap(numbers))

    numbers: PrefixMap[str] = field(init=False, repr=False, compare=False)
    """Access number and extension, to the access number."""

    @property
    def services(self) -> tuple[Service, ...]:
        """What makes its numbers its own, and nobody else's."""
        return tuple(
            Service(
                name=f"customers.{self.name}",
                account=self.account,
                extension=extension,
                access_number=self.access_number,
            )
            for extension in self.extensions
        )

    def extension_of(self, source: str) -> str:
        """Return the extension of a sender number as the customer wrote it; "" is its first.

        Raises:
            ValidationError: It is none of the customer's.
        """
        if not source:
            return self.extensions[0]
        found = self.numbers.longest(source)
        if found is None or not (source.isascii() and source.isdigit()):
            raise ValidationError("source", f"{source[:24]!r} is none of {self._ranges()}")
        return source[len(found[1]) :]

    def _ranges(self) -> str:
        first = self.access_numbers[0] if self.access_numbers else ""
        return ", ".join(f"{first}{extension}…" for extension in self.extensions)


def check_ranges(
    customers: Iterable[Customer], services: Sequence[Service]
) -> list[tuple[str, str]]:
    """Return, for each customer whose numbers another has too, its name and what is wrong."""
    taken = list(services)
    problems: list[tuple[str, str]] = []
    for customer in customers:
        for one in customer.services:
            for other in taken:
                if one.account != other.account and _overlap(one, other, customer.access_numbers):
                    whose = other.name if "." in other.name else f"extensions.{other.name}"
                    problem = f"{one.extension!r} and {other.extension!r} of {whose} overlap"
                    problems.append((customer.name, f"{problem}; one of them must change"))
        taken += customer.services
    return problems


def _overlap(one: Service, other: Service, access_numbers: Sequence[str]) -> bool:
    if not set(one.under(access_numbers)) & set(other.under(access_numbers)):
        return False
    if not other.extension:  # a keyword service, or whose all the rest is
        return not one.extension
    if not one.extension:
        return False
    return one.extension.startswith(other.extension) or other.extension.startswith(one.extension)

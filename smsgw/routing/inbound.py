"""Whose an inbound message is: the number it was sent to, split and looked up.

The number an inbound message was sent to is one of our access numbers and an extension. A live
conversation claims the extension first (elsewhere, by sender too); the static owners here come
next; what nobody owns goes to the general inbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from smsgw.routing.numbers import PrefixMap

COUNTRY = "86"
"""Some gateways write it before our access number too, as they do before a phone's."""


class Destination(msgspec.Struct, frozen=True, gc=False):
    """The number an inbound message was sent to, understood.

    Attributes:
        access_number: Ours, as configured.
        extension: The digits after it, or "".
        link: The link it belongs to; None when several links share the access number and the
            caller did not say which one delivered.
    """

    access_number: str
    extension: str
    link: str | None = None


class InboundTable:
    """Access numbers and their static owners.

    Args:
        access_numbers: Pairs of link name and access number; a link may have several, and links may
            share one.
        owners: Access number, with or without more digits, to the account that owns whatever
            arrives under it; the empty prefix owns the rest.
    """

    def __init__(
        self,
        access_numbers: Iterable[tuple[str, str]],
        owners: Mapping[str, str] | None = None,
    ) -> None:
        by_link: dict[str, dict[str, str | None]] = {}
        everywhere: dict[str, str | None] = {}
        for link, access_number in access_numbers:
            by_link.setdefault(link, {})[access_number] = link
            shared = everywhere.get(access_number, link) != link
            everywhere[access_number] = None if shared else link
        self._by_link = {link: PrefixMap(numbers) for link, numbers in by_link.items()}
        self._everywhere = PrefixMap(everywhere)
        self._owners = PrefixMap(owners or {})

    def destination(self, number: str, link: str | None = None) -> Destination | None:
        """Return the access number, longest match, and the extension after it.

        A number that matches nothing as it is written is tried again without 86 in front.

        Args:
            number: Where the message was sent to, as the carrier wrote it.
            link: Look only among this link's access numbers; None for those of all links.

        Returns:
            None when no access number matches.
        """
        numbers = self._everywhere if link is None else self._by_link.get(link)
        if numbers is None:
            return None
        for written in (number, number.removeprefix(COUNTRY)):
            found = numbers.longest(written)
            if found is not None:
                access_number, owner = found
                return Destination(access_number, written[len(access_number) :], owner)
        return None

    def owner(self, number: str) -> str | None:
        """Return the account that statically owns a number, longest match, or None."""
        spellings = (number, number.removeprefix(COUNTRY))
        found = [match for match in map(self._owners.longest, spellings) if match is not None]
        return max(found, key=lambda match: len(match[0]))[1] if found else None

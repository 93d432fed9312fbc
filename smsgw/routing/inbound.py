"""Whose an inbound message is: the number it was sent to, split and looked up.

The number an inbound message was sent to is one of our access numbers and an extension. A live
conversation claims the extension first (elsewhere, by sender too); the static owners here come
next: the service of the longest number that fits, by keyword where it has some, down to the account
of the access number itself. What nobody owns goes to the general inbox.
"""

from __future__ import annotations

import unicodedata
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


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A static extension: a department's number, or a service that is asked by keyword.

    Attributes:
        name: As it is configured.
        account: Whose what arrives there is.
        extension: What follows the access number; "" is the access number itself, with whatever
            follows it that is nobody else's.
        access_number: Under which of ours; "" is each of them.
        keywords: Only texts that begin with one of these; none takes what no keyword does.
    """

    name: str
    account: str
    extension: str
    access_number: str = ""
    keywords: tuple[str, ...] = ()

    def under(self, access_numbers: Iterable[str]) -> list[str]:
        """Return those of our access numbers it belongs to."""
        return [one for one in access_numbers if self.access_number in ("", one)]


def folded(text: str) -> str:
    """Return a text as keywords are compared: width, case and spaces around do not matter."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


class _Claim(msgspec.Struct, frozen=True):
    """Who owns what arrives under one number.

    Attributes:
        narrow: Whether it is more than an access number.
        words: Keyword and account, the longest keyword first.
        rest: Whose all the rest is, or None.
    """

    narrow: bool
    words: tuple[tuple[str, str], ...]
    rest: str | None

    def owner(self, text: str) -> tuple[str, bool] | None:
        """Return the account, and whether it is a service's; None when the text is not for it."""
        for word, account in self.words:
            if text.startswith(word):
                return account, True
        return None if self.rest is None else (self.rest, self.narrow)


class InboundTable:
    """Access numbers and their static owners.

    Args:
        access_numbers: Pairs of link name and access number; a link may have several, and links may
            share one.
        owners: Access number, with or without more digits, to the account that owns whatever
            arrives under it; the empty prefix owns the rest.
        services: The static extensions.
    """

    def __init__(
        self,
        access_numbers: Iterable[tuple[str, str]],
        owners: Mapping[str, str] | None = None,
        services: Iterable[Service] = (),
    ) -> None:
        by_link: dict[str, dict[str, str | None]] = {}
        everywhere: dict[str, str | None] = {}
        for link, access_number in access_numbers:
            by_link.setdefault(link, {})[access_number] = link
            shared = everywhere.get(access_number, link) != link
            everywhere[access_number] = None if shared else link
        self._by_link = {link: PrefixMap(numbers) for link, numbers in by_link.items()}
        self._everywhere = PrefixMap(everywhere)
        claimed = {digits: {"": account} for digits, account in (owners or {}).items()}
        for service in services:
            for access_number in service.under(everywhere):
                words = claimed.setdefault(access_number + service.extension, {})
                words.update((folded(one), service.account) for one in service.keywords or ("",))
        self._owners = PrefixMap(_chains(claimed, everywhere))

    def adopt(self, other: InboundTable) -> None:
        """Say what another table says from now on; on any thread: each answer needs one of them."""
        self._by_link, self._everywhere = other._by_link, other._everywhere
        self._owners = other._owners

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

    def owner(self, number: str, text: str = "") -> str | None:
        """Return the account that statically owns what was written to a number, or None.

        Args:
            number: Where it was sent to, as the carrier wrote it.
            text: What was written; keywords are looked for at its beginning.
        """
        found = self._owner(number, text)
        return found[0] if found else None

    def is_service(self, number: str, text: str) -> bool:
        """Tell whether a static extension, or a keyword, is what was written to.

        Then it is for that account: no reply that lost its extension.
        """
        found = self._owner(number, text)
        return found is not None and found[1]

    def _owner(self, number: str, text: str) -> tuple[str, bool] | None:
        spellings = (number, number.removeprefix(COUNTRY))
        found = [match for match in map(self._owners.longest, spellings) if match is not None]
        if not found:
            return None
        _, chain = max(found, key=lambda match: len(match[0]))
        written = folded(text)
        return next(filter(None, (claim.owner(written) for claim in chain)), None)


def _chains(
    claimed: Mapping[str, Mapping[str, str]], access_numbers: Iterable[str]
) -> dict[str, list[_Claim]]:
    """Return for each number its claim, then those of ever shorter numbers it begins with."""
    plain = {"", *access_numbers}
    claims = {}
    for digits, words in claimed.items():
        ordered = sorted(words.items(), key=lambda pair: -len(pair[0]))
        keywords = tuple((word, account) for word, account in ordered if word)
        claims[digits] = _Claim(digits not in plain, keywords, words.get(""))
    return {
        digits: [
            claims[digits[:length]]
            for length in range(len(digits), -1, -1)
            if digits[:length] in claims
        ]
        for digits in claims
    }

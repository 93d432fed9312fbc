"""A message planned anew for another link of its route: what it may take when its own fails it."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping

from smsgw.errors import ValidationError
from smsgw.model import MessageClass, Operator
from smsgw.routing.rules import draw
from smsgw.routing.table import RouteTable
from smsgw.services.submission import LinkInfo, signed, source_of
from smsgw.store.messages import MessageRow
from smsgw.store.reroute import Elsewhere, Why

Split = Callable[[LinkInfo, str, str, str], tuple[int, list[bytes]]]
"""(link, sender number, phone, text) -> coding, and each part's octets."""


class OtherLinks:
    """Finds another link for a message that is stored. For any thread.

    Args:
        routes: Which links may carry a message.
        links: Link name to what composing must know.
        up: Whether a link can send now; no other is taken.
        split: How a text is sent.
        chance: Random numbers from 0 to 1.
    """

    def __init__(
        self,
        routes: RouteTable,
        links: Mapping[str, LinkInfo],
        up: Callable[[str], bool],
        split: Split,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._routes = routes
        self._links = links
        self._up = up
        self._split = split
        self._chance = chance

    def find(self, message: MessageRow, but: Collection[str], why: Why) -> Elsewhere | None:
        """Return a message as another link of its route sends it.

        One whose sender wrote an extension stays with its access number, since that is where a
        reply finds back; one that was given its link by whoever sent it stays with that, as long
        as there is such a link.

        Args:
            message: As it is stored.
            but: Links it may not take.
            why: What happened to it.
        """
        try:
            route = self._routes.route(
                message.recipient,
                Operator(message.operator),
                MessageClass(message.message_class),
                message.account,
                message.expects_reply,
            )
        except ValidationError:
            return None
        allowed = why is not Why.UNDELIVERED or route.resend_undelivered
        given = message.link in self._links and message.link not in route.links
        if not allowed or given:
            return None
        tried = set(but)
        while shares := route.others(tried, self._up):
            name = draw(shares, self._chance())
            tried.add(name)
            if (link := self._links.get(name)) is None:
                continue  # it is no more, since just now
            if message.extension and link.access_number != message.access_number:
                continue
            try:
                source = source_of(link, message.extension)
                text = signed(message.text, link.signature)
                coding, contents = self._split(link, source, message.recipient, text)
            except ValidationError:
                continue
            return Elsewhere(link.name, link.access_number, coding, contents)
        return None

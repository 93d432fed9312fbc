"""What phones send: stored, and only then answered; repeats are answered and dropped.

A message that came in one piece is stored with its part in one commit. Long ones go to
:mod:`smsgw.delivery.reassembly`. What the store could not keep is not answered, so that the carrier
brings it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import commit_rows
from smsgw.delivery.reassembly import Reassembly
from smsgw.model import MoMessage
from smsgw.routing.numbers import strip_country
from smsgw.store.database import Database
from smsgw.store.inbox import RECEIVE, PartRow
from smsgw.text.udh import split_header
from smsgw.transport.link import Inbound

ID_SHOWN = 40
"""Characters of the carrier's id kept readable in a dedupe key; the digest covers all of it."""


class InboundMessages:
    """Takes the messages of all links.

    Args:
        database: Open.
        reactor: Its clock.
        reassembly: Gets what is new.
        learn: Told a link and who wrote over it, in the turn that stores what they wrote.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        reactor: IReactorTime,
        reassembly: Reassembly,
        learn: Callable[[str, Iterable[str]], None] = lambda link, phones: None,
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._reassembly = reassembly
        self._learn = learn

    def take(self, link: str, items: Sequence[Inbound]) -> Deferred[None]:
        """Store one link's messages and answer them; fires when that is done."""
        return Deferred.fromCoroutine(self._take(link, items))

    async def _take(self, link: str, items: Sequence[Inbound]) -> None:
        now = self._reactor.seconds()
        taken: list[Inbound] = []
        rows: list[PartRow] = []
        for item in items:
            if item.message is not None:
                taken.append(item)
                rows.append(self._row(link, item.message, item.octets, now))
        writer = self._database.writer
        received = Deferred.fromCoroutine(commit_rows(writer, RECEIVE, rows, self._reactor))
        # Asked for in the same turn, so in the same commit, after the parts themselves. What is
        # learned comes before the messages, so that the answer to one goes by it.
        self._learn(link, [row.sender for row in rows])
        alone = [row for row in rows if row.total == 1]
        joining = self._reassembly.whole(alone)
        outcomes = await received
        for item, outcome in zip(taken, outcomes, strict=True):
            if outcome is not None:
                item.acknowledge(0)
        joined = {row.id for row, stored in zip(alone, await joining, strict=True) if stored}
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is not None and not outcome.duplicate and row.id not in joined:
                self._reassembly.add(row)

    def _row(self, link: str, message: MoMessage, octets: bytes, now: float) -> PartRow:
        reference, total, sequence, body = "", 1, 1, message.content
        if message.udhi:
            header, body, problem = split_header(message.content)
            if problem:
                self.log.warn(
                    "link {link}: user data header: {why}",
                    event="inbound.header_broken",
                    link=link,
                    why=problem,
                )
            if header is not None and header.concatenation is not None:
                found = header.concatenation
                reference = f"{found.width}:{found.reference}"
                total, sequence = found.total, found.sequence
        part_id = self._database.ids.next()
        return PartRow(
            id=part_id,
            link=link,
            dedupe_key=dedupe_key(message, part_id),
            sender=strip_country(message.sender),
            destination=message.destination,
            reference=reference,
            total=total,
            sequence=sequence,
            coding=message.coding,
            content=body,
            pdu=octets,
            received_at=int(now * 1000),
        )


def dedupe_key(message: MoMessage, part_id: int) -> str:
    """Return what a repeat of the same delivery has in common with it, and nothing else has.

    The carrier's id alone is not enough: the parts of a long message may share one, and a gateway
    that starts its count anew gives an old one to a new message. So the content, header included,
    is part of the key. Without an id the carrier's receive time stands for it; without either no
    delivery is known to repeat another: what it says decides (:func:`smsgw.store.inbox.take_in`).
    """
    carrier_id = message.carrier_message_id
    if not carrier_id.strip("0"):
        carrier_id = ""  # a gateway that leaves it empty, which says nothing about repeats
    digest = hashlib.blake2b(digest_size=8)
    since = "" if carrier_id else message.received or str(part_id)
    about = (carrier_id, since, message.sender, message.destination)
    digest.update("\0".join(about).encode())
    digest.update(bytes((0, message.coding & 0xFF)))
    digest.update(message.content)
    return f"{carrier_id[:ID_SHOWN]}:{digest.hexdigest()}"

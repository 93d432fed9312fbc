"""Messages that came in one piece, made of their parts in the commit that stores those, together.

It comes to the same as :func:`smsgw.store.inbox.take_in` for one after the other: a message that
repeats one of a short while ago is none, and its part is that one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import msgspec
from sqlalchemy import Connection

from smsgw.model import Event
from smsgw.store import events
from smsgw.store.inbox import REPEAT_MS, InboundRow, PartRow
from smsgw.store.schema import inbound, inbound_part
from smsgw.store.statements import fetch_json, insert_rows, json_array, update_rows
from smsgw.store.writer import Operation

_as_tuple = msgspec.structs.astuple


class Arrival(NamedTuple):
    """A message of one part.

    Attributes:
        part: Given to :data:`smsgw.store.inbox.RECEIVE` in the same group of changes: so nobody
            else can see it yet.
        row: What is made of it.
    """

    part: PartRow
    row: InboundRow


class TakeIn(Operation[Arrival, bool | None]):
    """Insert messages; True for one that is news, False for one that repeats another.

    None, and nothing done, for one whose part is not stored, since it is a repeat itself.
    """

    name: ClassVar[str] = "take in"
    rank: ClassVar[int] = 5

    def execute(self, connection: Connection, rows: Sequence[Arrival]) -> list[bool | None]:
        """Take in those that say different things together, and then what says the same again."""
        results: list[bool | None] = [None] * len(rows)
        left = list(range(len(rows)))
        while left:
            first: dict[tuple[object, ...], int] = {}
            again = [
                place for place in left if first.setdefault(_said(rows[place]), place) != place
            ]
            found = _take_in(connection, [rows[place] for place in first.values()])
            for place, result in zip(first.values(), found, strict=True):
                results[place] = result
            left = again
        return results


TAKE_IN = TakeIn()


def _said(one: Arrival) -> tuple[object, ...]:
    part = one.part
    return part.sender, part.destination, part.reference, part.sequence, part.coding, part.content


_free_decoder = msgspec.json.Decoder(list[tuple[int]])
_FREE = "SELECT ROWS(id) FROM inbound_part WHERE id IN IDS(?) AND inbound_id IS NULL"

_repeats_decoder = msgspec.json.Decoder(list[tuple[int, int]])
_REPEATS = f"""SELECT ROWS(n.id, i.id) FROM inbound_part n
 CROSS JOIN inbound i CROSS JOIN inbound_part p WHERE n.id IN IDS(?)
 AND i.sender = n.sender AND i.destination = n.destination
 AND i.received_at >= n.received_at - {REPEAT_MS} AND i.parts = n.total
 AND p.inbound_id = i.id AND p.reference = n.reference AND p.total = n.total
 AND p.sequence = n.sequence AND p.coding = n.coding AND p.content = n.content
 AND NOT EXISTS (SELECT 1 FROM message m
  WHERE m.recipient = n.sender AND m.id > i.id AND m.expects_reply)"""


def _take_in(connection: Connection, arrivals: Sequence[Arrival]) -> list[bool | None]:
    """Take in messages none of which repeats another of them."""
    ids = json_array([one.part.id for one in arrivals])
    free = {part_id for (part_id,) in fetch_json(connection, _free_decoder, _FREE, ids)}
    own = {one.part.id: one.row.id for one in arrivals}
    repeated: dict[int, int] = {}
    for part_id, inbound_id in fetch_json(connection, _repeats_decoder, _REPEATS, ids):
        if inbound_id < own[part_id]:
            repeated[part_id] = max(inbound_id, repeated.get(part_id, 0))
    results: list[bool | None] = []
    new: list[tuple[object, ...]] = []
    claims: list[tuple[int, int]] = []
    told: list[Event] = []
    for part, row in arrivals:
        if part.id not in free:
            results.append(None)
            continue
        first = repeated.get(part.id)
        claims.append((part.id, row.id if first is None else first))
        results.append(first is None)
        data = {"from": row.sender, "to": row.destination, "text": row.text, "missing": row.missing}
        if first is None:
            new.append(_as_tuple(row))
            told.append(Event("inbound.received", row.id, row.account, data, at=row.received_at))
        else:
            told.append(Event("inbound.repeated", first, row.account, data, at=row.received_at))
    insert_rows(connection, inbound, new)
    update_rows(connection, inbound_part, ("id",), ("inbound_id",), claims)
    events.append(connection, 0, told)
    return results

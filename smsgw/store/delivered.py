"""Reports that a message of one part was delivered: what most reports are, written without ado.

Such a report names one segment, which waits for it, of a message that has no other. What is
otherwise in any way is left to :mod:`smsgw.store.reports`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection

from smsgw.model import MessageStatus
from smsgw.store import events, report_ids
from smsgw.store.progress import StatusChange, lock_matching
from smsgw.store.statements import fetch_json, json_array, run, shared

if TYPE_CHECKING:
    from smsgw.store.reports import ReportRow

_Found = tuple[str, int, str, str, str, int, int | None, int | bool]
"""A carrier's id; the message, account, recipient and class; when it was accepted, and was to be
sent; whether this segment is all that is open."""

_decoder = msgspec.json.Decoder(list[_Found])
_FIND = """SELECT ROWS(s.carrier_message_id, m.id, m.account, m.recipient,
 m.message_class, m.created_at, m.send_at,
 m.parts = 1 AND m.final_at IS NULL AND s.state = 'sent')
 FROM segment s JOIN message m ON m.id = s.message_id
 WHERE s.link = ? AND s.carrier_message_id IN TEXTS(?)"""
_SEGMENTS = """UPDATE segment SET state = 'delivered', stat = ?, error = ?, final_at = ?,
 next_attempt_at = NULL WHERE part = 1 AND message_id IN IDS(?)"""
_MESSAGES = "UPDATE message SET status = 'delivered', final_at = ? WHERE id IN IDS(?)"


def apply(connection: Connection, rows: Sequence[ReportRow]) -> list[StatusChange | None]:
    """End the messages that these reports say were delivered; None for each left to others."""
    changes: list[StatusChange | None] = [None] * len(rows)
    ended: dict[tuple[str, str, int], list[int]] = {}
    for link, places in _alone(connection, rows).items():
        for found in _open(connection, link, places):
            message_id, account, recipient, message_class, created_at, send_at = found[1:7]
            place = places[found[0]]
            row = rows[place]
            if row.recipient in ("", recipient):
                changes[place] = StatusChange(
                    message_id,
                    account,
                    MessageStatus.DELIVERED,
                    "",
                    row.at,
                    message_class,
                    max(created_at, send_at or 0),
                )
                ended.setdefault((row.stat, row.error, row.at), []).append(message_id)
    for (stat, error, at), message_ids in ended.items():
        ids = json_array(message_ids)
        run(connection, _SEGMENTS, stat, error, at, ids)
        run(connection, _MESSAGES, at, ids)
    told = [(c.at, "message.delivered", c.message_id, c.account, "") for c in changes if c]
    events.note(connection, told)
    return changes


def _alone(connection: Connection, rows: Sequence[ReportRow]) -> dict[str, dict[str, int]]:
    """Return by link and id the places of the reports that are the only ones of their id here."""
    forms = report_ids.forms(connection)
    links: dict[str, dict[str, int]] = {}
    repeated: list[tuple[str, str]] = []
    for place, row in enumerate(rows):
        places = links.setdefault(row.link, {})
        if places.setdefault(row.carrier_message_id, place) != place:
            repeated.append((row.link, row.carrier_message_id))
    for link, carrier_message_id in repeated:
        links[link].pop(carrier_message_id, None)
    return {
        link: {key: p for key, p in places.items() if _says_delivered(rows[p])}
        for link, places in links.items()
        if link not in forms  # an id may be spelled otherwise there, and then fit another segment
    }


def _says_delivered(row: ReportRow) -> bool:
    return row.status is MessageStatus.DELIVERED and bool(row.stat)


def _open(connection: Connection, link: str, ids: Collection[str]) -> list[_Found]:
    """Return what waits for a report under one of these ids, unless several have the id."""
    if not ids:
        return []
    wanted = json_array(list(ids))
    if shared(connection):
        locked = set(lock_matching(connection, link, wanted))
        found = fetch_json(connection, _decoder, _FIND, link, wanted)
        found = [one for one in found if one[1] in locked]
    else:
        found = fetch_json(connection, _decoder, _FIND, link, wanted)
    times = Counter(map(itemgetter(0), found))
    return [one for one in found if one[7] and times[one[0]] == 1]

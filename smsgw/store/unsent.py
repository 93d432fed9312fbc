"""Ends of what was not sent: past its time, or canceled; and what waits where.

The queue is searched on reading connections: a look at all of it costs 70 ms for each million rows,
which the writer does not have. What was found there leaves it by key, on the writer, and only what
is still there counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection

from smsgw.errors import Conflict, NotFound
from smsgw.store import messages
from smsgw.store.ids import node_of
from smsgw.store.messages import QueueRow
from smsgw.store.nodes import NOBODY
from smsgw.store.progress import Batch, MessageNow, StatusChange
from smsgw.store.queue import give_up, take_out
from smsgw.store.schema import queue
from smsgw.store.statements import fetch_json, ids_of, insert_rows, json_array

CANCELED_ERROR = "canceled before it was sent"

CANCEL_TRIES = 3
"""How often a message is looked for again that was where it was found no more."""


class Census(msgspec.Struct, array_like=True, gc=False):
    """What waits of one link and class.

    Attributes:
        link: Which link.
        message_class: Which class.
        due: Segments that could be sent now.
        earliest: The first time at which one of all expires (ms).
    """

    link: str
    message_class: str
    due: int
    earliest: int


class Place(msgspec.Struct, array_like=True, frozen=True):
    """Where a segment stands in the queue: its key."""

    node: int
    link: str
    message_class: str
    due_at: int
    message_id: int
    part: int


_CENSUS = """SELECT ROWS(link, message_class, due, earliest) FROM (SELECT link, message_class,
 count(CASE WHEN due_at <= ? THEN 1 END) AS due, min(valid_until) AS earliest
 FROM queue WHERE node = ? GROUP BY link, message_class) q"""
_PLACE = "SELECT ROWS(node, link, message_class, due_at, message_id, part)"
_OVERDUE = (
    _PLACE
    + """ FROM (SELECT * FROM queue WHERE node = ? AND link = ? AND message_class = ?
 AND valid_until <= ? LIMIT ?) q"""
)
_WAITS_AT = (
    _PLACE
    + """ FROM queue WHERE node IN IDS(?) AND link IN TEXTS(?) AND message_class = ?
 AND due_at IN IDS(?) AND message_id = ?"""
)
_WAITS = _PLACE + " FROM queue WHERE message_id = ?"
_WAITS_IN = (
    _PLACE
    + """ FROM queue WHERE node IN IDS(?) AND link = ? AND message_class = ? AND due_at {due}
 AND message_id = ?"""
)
_WAITS_NOW = tuple(_WAITS_IN.format(due=due) for due in ("= 0", "> 0"))
"""Wherever a message may be by now, on the writer: there the whole queue cannot be searched."""

_BETWEEN = """SELECT ROWS(node, link, message_class, due_at, message_id, part, valid_until)
 FROM queue WHERE node IN IDS(?) AND link IN TEXTS(?) AND message_class = ? AND due_at {due}
 AND message_id BETWEEN ? AND ?"""
_WAITS_BETWEEN = tuple(_BETWEEN.format(due=due) for due in ("= 0", "> 0"))
_LINKS = "SELECT ROWS(link) FROM (SELECT DISTINCT link FROM queue) q"

_NODES = "SELECT ROWS(id) FROM node"

_census_decoder = msgspec.json.Decoder(list[Census])
_nodes_decoder = msgspec.json.Decoder(list[tuple[int]])
_links_decoder = msgspec.json.Decoder(list[tuple[str]])
_rows_decoder = msgspec.json.Decoder(list[tuple[int, str, str, int, int, int, int]])
_place_decoder = msgspec.json.Decoder(list[Place])


def census(connection: Connection, node: int, now_ms: int) -> list[Census]:
    """Return what waits for each link and class that anything waits for."""
    return fetch_json(connection, _census_decoder, _CENSUS, now_ms, node)


# ---- past its time -----------------------------------------------------------------------


def overdue(
    connection: Connection, node: int, link: str, message_class: str, now_ms: int, limit: int
) -> list[Place]:
    """Find up to ``limit`` queued segments of one lane whose message is past ``valid_until``."""
    lane = (node, link, message_class, now_ms, limit)
    return fetch_json(connection, _place_decoder, _OVERDUE, *lane)


def expire(connection: Connection, places: Sequence[Place], now_ms: int) -> list[StatusChange]:
    """Give up segments that :func:`overdue` found; return the ends of messages that followed.

    It runs on the writer's connection.
    """
    left = _leave(connection, places)
    batch = Batch(connection)
    batch.load({message_id for message_id, _ in left})
    changes: list[StatusChange] = []
    for key in left:
        now = batch.find(*key)
        if now is not None and now.state == "queued":  # else a report told the outcome meanwhile
            changes += give_up(batch, now, now_ms)
    batch.save()
    return changes


def _leave(connection: Connection, places: Iterable[Place | QueueRow]) -> list[tuple[int, int]]:
    """Take segments out of the queue; return the keys of those that were still there."""
    groups: dict[tuple[tuple[int, str, str, int], int], list[int]] = {}
    for one in places:
        lane = (one.node, one.link, one.message_class, one.due_at)
        groups.setdefault((lane, one.part), []).append(one.message_id)
    return [
        key for (lane, part), ids in groups.items() for key in take_out(connection, lane, ids, part)
    ]


# ---- canceled ----------------------------------------------------------------------------


def places_of(connection: Connection, node: int, account: str, message_id: int) -> list[Place]:
    """Find where the parts of a message wait.

    Raises:
        NotFound: No such message, or it is another account's.
    """
    message = messages.get(connection, message_id)
    if message is None or message.account != account:
        raise NotFound(f"message {message_id}: not recorded")
    if message.final_at is not None:
        return []
    parts = messages.segments_of(connection, message)
    if any(part.state not in ("queued", "scheduled") for part in parts):
        return []
    dues = {0, message.send_at or 0, *(part.next_attempt_at or 0 for part in parts)}
    lane = (json_array([part.link for part in parts]), message.message_class)
    owners = json_array([node, NOBODY, node_of(message_id)])
    known = (owners, *lane, json_array(list(dues)), message_id)
    found = fetch_json(connection, _place_decoder, _WAITS_AT, *known)
    if len(found) < message.parts:  # put back at another time, or not there any more
        found = fetch_json(connection, _place_decoder, _WAITS, message_id)
    return found


def cancel(
    connection: Connection, message_id: int, places: Sequence[Place], now_ms: int
) -> StatusChange:
    """End a message none of whose parts was handed to a link; return its end.

    It runs on the writer's connection.

    Args:
        connection: The writer's.
        message_id: Which message.
        places: Where its parts wait, from :func:`places_of`.
        now_ms: The present time.

    Raises:
        Conflict: A part of it may have left, or it came to an end before; nothing changed.
    """
    batch = Batch(connection)
    batch.load([message_id])  # from here on it takes no other link
    message = batch.messages[message_id]
    untouched = all(
        one.state == "queued" and not one.possible_duplicate for one in batch.parts(message)
    )
    if not (untouched and _leaves_whole(connection, message, places)):
        shown = messages.get(connection, message_id)
        status = message.status if shown is None else shown.status
        status = "being sent" if status in ("queued", "scheduled") else status
        raise Conflict(f"message {message_id} is {status}: too late to cancel it")
    canceled = _canceled(now_ms)
    ends = [one for part in batch.parts(message) for one in batch.move(part, *canceled)]
    batch.save()
    return ends[0]


def _leaves_whole(connection: Connection, message: MessageNow, places: Sequence[Place]) -> bool:
    """Take all parts of a message out of the queue, also where it went since it was found."""
    left = _leave(connection, places)
    for _ in range(CANCEL_TRIES):
        if len(left) == message.parts:
            return True
        left += _leave(connection, _places_now(connection, message))
    return len(left) == message.parts


def _places_now(connection: Connection, message: MessageNow) -> list[Place]:
    """Find where a message waits that has changed its link or its node, or was put back later."""
    nodes = [row[0] for row in fetch_json(connection, _nodes_decoder, _NODES)]
    owners = {ids_of(connection).node, NOBODY, node_of(message.id), *nodes}
    row = messages.get(connection, message.id)
    kind = "" if row is None else row.message_class
    lane = (json_array(list(owners)), message.link, kind, message.id)
    return [
        one for query in _WAITS_NOW for one in fetch_json(connection, _place_decoder, query, *lane)
    ]


# ---- canceled together -------------------------------------------------------------------


def links_waited_for(connection: Connection) -> list[str]:
    """Return the links for which anything waits."""
    return [row[0] for row in fetch_json(connection, _links_decoder, _LINKS)]


def waiting_between(
    connection: Connection, links: Sequence[str], message_class: str, first_id: int, last_id: int
) -> list[QueueRow]:
    """Find what waits of messages that one node made in one go.

    Args:
        connection: Any connection.
        links: Where it may wait, from :func:`links_waited_for`.
        message_class: The messages' own.
        first_id: The first message.
        last_id: The last one.
    """
    node = node_of(first_id)
    nodes = [row[0] for row in fetch_json(connection, _nodes_decoder, _NODES)]
    owners = json_array(list({node, NOBODY, *nodes}))
    lane = (owners, json_array(links), message_class, first_id, last_id)
    found = [
        row
        for query in _WAITS_BETWEEN
        for row in fetch_json(connection, _rows_decoder, query, *lane)
    ]
    return [QueueRow(*row) for row in found if node_of(row[4]) == node]


def cancel_all(
    connection: Connection, places: Sequence[QueueRow], now_ms: int
) -> list[StatusChange]:
    """End those messages none of whose parts was handed to a link; return their ends.

    It runs on the writer's connection. What moved since it was found stays as it is.

    Args:
        connection: The writer's.
        places: Where all parts of the messages wait, from :func:`waiting_between`.
        now_ms: The present time.
    """
    batch = Batch(connection)
    batch.load({one.message_id for one in places})
    untouched = {
        message.id
        for message in batch.messages.values()
        if all(one.state == "queued" and not one.possible_duplicate for one in batch.parts(message))
    }
    tried = {(one.message_id, one.part): one for one in places if one.message_id in untouched}
    left = _leave(connection, tried.values())
    parts = Counter(message_id for message_id, _ in left)
    changes: list[StatusChange] = []
    back: list[QueueRow] = []
    for key in left:
        message = batch.messages[key[0]]
        if parts[message.id] < message.parts:
            back.append(tried[key])
        else:
            changes += batch.move(batch.parts(message)[key[1] - 1], *_canceled(now_ms))
    insert_rows(connection, queue, [msgspec.structs.astuple(row) for row in back])
    batch.save()
    return changes


def _canceled(now_ms: int) -> tuple[str, int, str, str]:
    return "canceled", now_ms, "", CANCELED_ERROR

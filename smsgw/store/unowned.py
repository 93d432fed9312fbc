"""Work that changes its node: only where several processes share a PostgreSQL database.

What waits for a link goes to whoever has one of that link's connections. A process that has none
queues it for nobody, or gives up what it had; who has one claims it in pages. What a dead process
was sending becomes ``unknown``, what it had queued is nobody's.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from smsgw.model import MessageClass
from smsgw.store import nodes
from smsgw.store.nodes import NOBODY
from smsgw.store.queue import Interrupted, settle_interrupted
from smsgw.store.statements import ids_of, run

_MOVE = """UPDATE queue SET node = ? WHERE ctid = ANY(ARRAY(
 SELECT ctid FROM queue WHERE node = ? {which} LIMIT ? FOR UPDATE SKIP LOCKED))"""
_CLAIM = _MOVE.format(which="AND link = ? AND message_class = ? ORDER BY due_at, message_id, part")
_GIVE = _MOVE.format(which="AND link = ?")
_PASS_ON = _MOVE.format(which="")
_ANY = "SELECT EXISTS (SELECT 1 FROM queue WHERE node = ? AND link = ?)"


class Misplaced(msgspec.Struct, gc=False):
    """Links whose queue does not stand where it should: with nobody, or with us."""

    unclaimed: list[str]
    not_ours: list[str]


def misplaced(
    connection: Connection, node: int, served: Collection[str], others: Collection[str]
) -> Misplaced:
    """Find what is to be claimed, and what is to be given back.

    Args:
        connection: Any connection.
        node: Ours.
        served: Links that we have a connection of.
        others: Links that only others have connections of.
    """

    def waits(owner: int, link: str) -> bool:
        return bool(run(connection, _ANY, owner, link).scalar())

    return Misplaced(
        [link for link in served if waits(NOBODY, link)],
        [link for link in others if waits(node, link)],
    )


def claim(
    connection: Connection, link: str, classes: Sequence[MessageClass], limit: int
) -> dict[MessageClass, int]:
    """Make ours what waits of a link and is nobody's: ``limit`` of each class.

    It runs on the writer's connection.

    Returns:
        How many of each class; ``limit`` when there may be more.
    """
    node = ids_of(connection).node
    return {
        kind: run(connection, _CLAIM, node, NOBODY, link, str(kind), limit).rowcount
        for kind in classes
    }


def give_back(connection: Connection, link: str, limit: int) -> int:
    """Make nobody's what waits of a link and is ours; return how much it was.

    It runs on the writer's connection. Call it again while it returns ``limit``.
    """
    return run(connection, _GIVE, NOBODY, ids_of(connection).node, link, limit).rowcount


class TakenOver(msgspec.Struct, gc=False):
    """A dead node that we look after.

    Attributes:
        node: Its number.
        epoch: What makes it ours.
        interrupted: What became of what it was sending.
    """

    node: int
    epoch: int
    interrupted: Interrupted


def begin_take_over(
    connection: Connection, node: int, seconds: float, now_ms: int, until: Mapping[str, int]
) -> TakenOver | None:
    """Take over a node whose lease has ended; None when somebody else does, or it came back.

    It runs on the writer's connection. Go on with :func:`pass_on`.

    Args:
        connection: The writer's.
        node: Which.
        seconds: How long nobody else is to take it over.
        now_ms: The present time.
        until: Class to when waiting for an unknown outcome ends.
    """
    if not nodes.lock_ended(connection, node):
        return None
    epoch = secrets.randbits(62)
    nodes.seize(connection, node, epoch, seconds)
    return TakenOver(node, epoch, settle_interrupted(connection, node, now_ms, until))


def pass_on(connection: Connection, taken: TakenOver, limit: int) -> int:
    """Make nobody's what a dead node had queued, and forget the node when that was all.

    It runs on the writer's connection. Call it again while it returns ``limit``.
    """
    moved = run(connection, _PASS_ON, NOBODY, taken.node, limit).rowcount
    if moved < limit:
        nodes.forget(connection, taken.node, taken.epoch)
    return moved

"""The processes that write to one PostgreSQL database: their numbers, and each one's lease.

A process has a number, its node, for as long as it renews the lease; what it queued and what it is
sending carries that number. When a lease has ended another process takes the node's work over, in
one transaction that locks the node's row. Every transaction of a writer ends by locking the row of
its own node, so whoever has lost it commits nothing more: not even one that was only held up.

Times are the server's, so clocks of different machines need not agree.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection

from smsgw.errors import StoreError
from smsgw.store.ids import NODE_MAX

NOBODY = -1
"""The node of what waits for whoever has a connection of its link."""

CLAIM_LOCK = 0x736D7303
"""An advisory lock: one process at a time chooses a free number. (``sms``, and a number.)"""

_LEASE = "smsgw.lease"
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

_ENDED = f"SELECT id FROM node WHERE lease_until < {_NOW}"
_FREE = f"""SELECT min(n) FROM generate_series(0, {NODE_MAX}) n
 WHERE NOT EXISTS (SELECT 1 FROM node WHERE id = n)"""
_TAKE = f"UPDATE node SET epoch = %s, name = %s, lease_until = {_NOW} + %s WHERE id = %s"
_NEW = f"INSERT INTO node (epoch, name, lease_until, id) VALUES (%s, %s, {_NOW} + %s, %s)"
_RENEW = f"UPDATE node SET lease_until = {_NOW} + %s WHERE id = %s AND epoch = %s"
_ALIVE = f"SELECT count(*) FROM node WHERE lease_until >= {_NOW}"
_HELD = f"""SELECT id, epoch, name, (lease_until - {_NOW}) / 1000.0 FROM node
 WHERE lease_until >= {_NOW} ORDER BY id"""


class LeaseLost(StoreError):
    """Another process has taken this one's work over: nothing it writes is kept any more."""


class Lease(msgspec.Struct, frozen=True):
    """A node that is ours.

    Attributes:
        node: Its number.
        epoch: What tells this claim from all others.
        seconds: How long it holds after each renewal.
        lost: Called, on any thread, when it turns out not to be ours any more.
    """

    node: int
    epoch: int
    seconds: float
    lost: Callable[[], None] = lambda: None

    @property
    def millis(self) -> int:
        """How long it holds, in milliseconds."""
        return int(self.seconds * 1000)


def own_name() -> str:
    """Return what this process is called among people: its host and its number there."""
    return f"{socket.gethostname()}/{os.getpid()}"


def claim(connection: Connection, seconds: float, lost: Callable[[], None]) -> Lease:
    """Take a node whose process is known to be gone, with the work it left, or else a new one.

    It is gone when its lease has ended, or when it was on this host and has no connection any more:
    so a start after a crash goes on at once.

    Raises:
        StoreError: All numbers are taken.
    """
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
    ended = _ENDED + " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    statement = _TAKE
    number = connection.exec_driver_sql(ended).scalar()
    if number is None:
        number = _forsaken(connection)
    if number is None:
        statement = _NEW
        number = connection.exec_driver_sql(_FREE).scalar()
    if number is None:
        raise StoreError(f"all {NODE_MAX + 1} nodes are taken (table node); stop one of them")
    lease = Lease(number, secrets.randbits(62), seconds, lost)
    connection.exec_driver_sql(statement, (lease.epoch, own_name(), lease.millis, number))
    hold(connection, lease)
    return lease


def hold(connection: Connection, lease: Lease) -> None:
    """Show, for as long as this connection lives, that the process of a lease is there."""
    key = _key(lease.node, lease.epoch)
    connection.exec_driver_sql("SELECT pg_advisory_lock_shared(%s)", (key,))


def _forsaken(connection: Connection) -> int | None:
    """Return a node of this host whose process is gone, and all its connections with it."""
    query = """SELECT id, epoch FROM node WHERE starts_with(name, %s)
 ORDER BY id FOR UPDATE SKIP LOCKED"""
    for number, epoch in connection.exec_driver_sql(query, (f"{socket.gethostname()}/",)).all():
        lock = "SELECT pg_try_advisory_xact_lock(%s)"
        if connection.exec_driver_sql(lock, (_key(number, epoch),)).scalar():
            return int(number)
    return None


def _key(node: int, epoch: int) -> int:
    """Return the number of the lock that the connections of a node's process share."""
    name = f"smsgw node {node} {epoch}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True)


def renew(connection: Connection, lease: Lease) -> bool:
    """Make a lease hold for its whole time again; tell whether it was still ours."""
    values = (lease.millis, lease.node, lease.epoch)
    return connection.exec_driver_sql(_RENEW, values).rowcount == 1


def give_back(connection: Connection, lease: Lease) -> None:
    """End a lease whose node has left nothing to do, or whose successor may begin at once."""
    left = """SELECT EXISTS (SELECT 1 FROM queue WHERE node = %s)
 OR EXISTS (SELECT 1 FROM sending WHERE node = %s)"""
    works = connection.exec_driver_sql(left, (lease.node, lease.node)).scalar_one()
    end = "UPDATE node SET lease_until = 0" if works else "DELETE FROM node"
    where = " WHERE id = %s AND epoch = %s"
    connection.exec_driver_sql(end + where, (lease.node, lease.epoch))


def alive(connection: Connection) -> int:
    """Return how many nodes there are whose lease holds."""
    return int(connection.exec_driver_sql(_ALIVE).scalar_one())


def at_work(connection: Connection) -> list[str]:
    """Return the processes whose lease holds, for people, as ``node 3 (host/4711), 12 s left``.

    Those of this host that are gone, and have only left their lease, are not at work. It locks
    what they held until the transaction ends.
    """
    found = []
    for number, epoch, name, left in connection.exec_driver_sql(_HELD).all():
        lock = "SELECT pg_try_advisory_xact_lock(%s)"
        ours = name.startswith(f"{socket.gethostname()}/")
        if ours and connection.exec_driver_sql(lock, (_key(number, epoch),)).scalar():
            continue
        found.append(f"node {number} ({name}), {max(1, round(left))} s left")
    return found


def ended(connection: Connection) -> list[int]:
    """Return the nodes whose lease has ended."""
    return [row[0] for row in connection.exec_driver_sql(_ENDED + " ORDER BY id")]


def lock_ended(connection: Connection, node: int) -> bool:
    """Be the only one to take over a node, until this transaction ends; False when it is not to be.

    Its process commits nothing from here on, if it is there at all.
    """
    query = _ENDED + " AND id = %s FOR UPDATE SKIP LOCKED"
    return connection.exec_driver_sql(query, (node,)).scalar() is not None


def seize(connection: Connection, node: int, epoch: int, seconds: float) -> None:
    """Make a locked node ours for so long, until what it left is seen to."""
    connection.exec_driver_sql(_TAKE, (epoch, own_name(), int(seconds * 1000), node))


def forget(connection: Connection, node: int, epoch: int) -> None:
    """Delete a node that was seized, now that nothing carries its number."""
    connection.exec_driver_sql("DELETE FROM node WHERE id = %s AND epoch = %s", (node, epoch))


# ---- what a writer holds -----------------------------------------------------------------


def give_lease(connection: Connection, lease: Lease) -> None:
    """Make what this connection commits depend on a lease."""
    connection.info[_LEASE] = lease


def lease_of(connection: Connection) -> Lease | None:
    """Return the lease that what this connection commits depends on, or None."""
    lease: Lease | None = connection.info.get(_LEASE)
    return lease

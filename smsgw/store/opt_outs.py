"""Phones that opted out of bulk and notices, of one account or of all: rows are never purged.

Of a phone that was erased a keyed hash stands in its place: it still opts out, and nobody reads the
number. The key is in the same database, so whoever has that can try numbers one by one; the hash is
no secret, only no number.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
from sqlalchemy import Connection, select

from smsgw.model import Event
from smsgw.store import events
from smsgw.store.schema import opt_out, secret
from smsgw.store.statements import ids_of, insert_new, update_rows

HASHED = "hash-"
"""How a hash begins; no phone does."""

KEY_OCTETS = 32
DIGEST_OCTETS = 16
_KEY = "opt_out"
_CHANGING = ("id", "source", "since", "ended_at")

_table = opt_out.c


class OptOutRow(msgspec.Struct, gc=False):
    """A row of ``opt_out``; the fields are its columns, in their order."""

    id: int
    phone: str
    account: str
    source: str
    since: int
    ended_at: int | None = None


def key(connection: Connection) -> bytes:
    """Return the key of the hashes, in a transaction of the writer; it is made at first."""
    insert_new(connection, secret, [(_KEY, os.urandom(KEY_OCTETS))])
    found = connection.execute(select(secret.c.value).where(secret.c.name == _KEY)).scalar_one()
    return bytes(found)


def digest(phone: str, key: bytes) -> bytes:
    """Return the octets by which a phone is known, as it is written or as its hash."""
    if phone.startswith(HASHED):
        return bytes.fromhex(phone.removeprefix(HASHED))
    return blake2b(phone.encode(), key=key, digest_size=DIGEST_OCTETS).digest()


def hashed(phone: str, key: bytes) -> str:
    """Return what stands for an erased phone."""
    return HASHED + digest(phone, key).hex()


def add(connection: Connection, phones: Sequence[str], account: str, source: str, now: int) -> int:
    """Record that phones opt out; returns how many had not, and tells of those.

    Args:
        connection: In a transaction of the writer.
        phones: Normalised.
        account: Whose messages; "" is everybody's.
        source: Who says so, such as ``sms`` or ``api:NAME``.
        now: Milliseconds since the Unix epoch.
    """
    return _change(connection, phones, account, now, source)


def remove(
    connection: Connection, phones: Sequence[str], account: str, source: str, now: int
) -> int:
    """Record that phones opt in again; returns how many had opted out, and tells of those."""
    return _change(connection, phones, account, now, source, ended_at=now)


def end_all(connection: Connection, phone: str, account: str, source: str, now: int) -> int:
    """Record that a phone opts in again by its own word; returns how many opt-outs that ends.

    Args:
        connection: In a transaction of the writer.
        phone: Normalised.
        account: Whose messages it wants again: with those of everybody; "" is all there are.
        source: As :func:`add`.
        now: Likewise.
    """
    names = (phone, hashed(phone, key(connection)))
    rows = select(_table.account).where(_table.phone.in_(names), _table.ended_at.is_(None))
    accounts = connection.execute(rows).scalars().all()
    wanted = [one for one in accounts if not account or one in ("", account)]
    return sum(remove(connection, [phone], one, source, now) for one in wanted)


def _change(
    connection: Connection,
    phones: Sequence[str],
    account: str,
    now: int,
    source: str,
    ended_at: int | None = None,
) -> int:
    opts_out = ended_at is None
    known = key(connection)
    names = {hashed(phone, known): phone for phone in phones}
    written = [*names, *names.values()]
    query = select(opt_out).where(_table.phone.in_(written), _table.account == account)
    there = [OptOutRow(*row) for row in connection.execute(query.with_for_update())]
    rows = {names.get(row.phone, row.phone): row for row in there}
    new, other, told = [], [], []
    for phone in names.values():
        row = rows.get(phone)
        if (row is not None and row.ended_at is None) == opts_out:
            continue
        row_id = ids_of(connection).next()
        if row is None:
            new.append(msgspec.structs.astuple(OptOutRow(row_id, phone, account, source, now)))
        else:
            since = now if opts_out else row.since
            other.append((row.phone, account, row_id, source, since, ended_at))
        kind = "number.opted_out" if opts_out else "number.opted_in"
        told.append(Event(kind, row_id, account, {"phone": phone, "source": source}))
    insert_new(connection, opt_out, new)
    update_rows(connection, opt_out, ("phone", "account"), _CHANGING, other)
    events.append(connection, now, told)
    return len(told)


def changed(connection: Connection, after: int = 0, limit: int = 5000) -> list[OptOutRow]:
    """Return what changed after an id, oldest change first, with what is over."""
    query = select(opt_out).where(_table.id > after).order_by(_table.id).limit(limit)
    return [OptOutRow(*row) for row in connection.execute(query)]


def page(
    connection: Connection,
    *,
    account: str | None = None,
    phones: Sequence[str] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[OptOutRow]:
    """Return opt-outs in force, the newest change first.

    Args:
        connection: Any connection.
        account: Only of its messages; "" is of everybody's.
        phones: Only of these, hashes among them; none is of all.
        before: The id of the last one of the page before.
        limit: The most to return.
    """
    query = select(opt_out).where(_table.ended_at.is_(None))
    if account is not None:
        query = query.where(_table.account == account)
    if phones:
        query = query.where(_table.phone.in_(phones))
    if before is not None:
        query = query.where(_table.id < before)
    rows = connection.execute(query.order_by(_table.id.desc()).limit(limit))
    return [OptOutRow(*row) for row in rows]

"""The audit chains: rows that vouch for the one before, appended and read in order.

A process appends to the chain of its own node, so that none waits for another. The hash of a row is
SHA-256 over the hash of the row before (32 zero octets before the first) and the row's other
columns, each as a netstring: so no two rows have the same octets. ``docs/evidence.md`` says the
same for whoever checks it without us.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, and_, bindparam, func, select, tuple_

from smsgw.store.schema import audit
from smsgw.store.statements import ids_of, insert_rows

_as_tuple = msgspec.structs.astuple
_encode = msgspec.json.Encoder(order="sorted").encode

BEGINNING = bytes(32)
"""What stands for the hash before the first row of a chain."""


class Entry(msgspec.Struct, frozen=True):
    """Something that was done.

    Attributes:
        actor: Who did it: a phone, a token's name, or ``gateway``.
        action: What, such as ``request.answered``.
        account: Whose business it is; "" when nobody's in particular.
        subject_id: What it was done to.
        detail: JSON object; digests in place of texts that people wrote.
    """

    actor: str
    action: str
    account: str
    subject_id: int
    detail: Mapping[str, Any]


class AuditRow(msgspec.Struct, gc=False):
    """A row of ``audit``; the fields are its columns, in their order."""

    chain: int
    sequence: int
    at: int
    actor: str
    action: str
    account: str
    subject_id: int
    detail: str
    hash: bytes


class Head(msgspec.Struct, frozen=True):
    """A row of a chain by its hash; of the last one it vouches for all of them."""

    chain: int
    sequence: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.chain}:{self.sequence}:{self.hash.hex()}"


def netstrings(values: Iterable[object]) -> bytes:
    """Return values as text, each after its length: ``3:abc,`` (octets of UTF-8, in decimal)."""
    octets = (str(value).encode() for value in values)
    return b"".join(b"%d:%b," % (len(one), one) for one in octets)


def digest(value: str | bytes) -> str:
    """Return SHA-256 of a text's UTF-8, or of octets, in hexadecimal."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


def hash_of(previous: bytes, row: AuditRow) -> bytes:
    """Return what a row's ``hash`` must be.

    Args:
        previous: The hash of the row before; :data:`BEGINNING` before the first.
        row: Its own ``hash`` is not looked at.
    """
    return hashlib.sha256(previous + netstrings(_as_tuple(row)[:-1])).digest()


def append(connection: Connection, now: int, entries: Sequence[Entry]) -> None:
    """Add to this process's chain, in the caller's transaction on the writer thread.

    Args:
        connection: Inside the transaction that does what the entries tell of.
        now: Milliseconds since the Unix epoch.
        entries: In the order in which it was done.
    """
    if not entries:
        return
    chain = ids_of(connection).node
    last = head(connection, chain)
    sequence, previous = (last.sequence, last.hash) if last else (0, BEGINNING)
    rows = []
    for place, entry in enumerate(entries, sequence + 1):
        row = AuditRow(
            chain,
            place,
            now,
            _storable(entry.actor),
            _storable(entry.action),
            _storable(entry.account),
            entry.subject_id,
            _encode(entry.detail).decode(),
            b"",
        )
        row.hash = previous = hash_of(previous, row)
        rows.append(_as_tuple(row))
    insert_rows(connection, audit, rows)


def _storable(text: str) -> str:
    """Return a text as either database keeps it: PostgreSQL's cannot hold a NUL."""
    return text.replace("\0", "\ufffd")


_HEAD = (
    select(audit.c.chain, audit.c.sequence, audit.c.hash)
    .where(audit.c.chain == bindparam("chain"))
    .order_by(audit.c.sequence.desc())
    .limit(1)
)


def head(connection: Connection, chain: int) -> Head | None:
    """Return the last row of a chain, or None when there is none."""
    row = connection.execute(_HEAD, {"chain": chain}).first()
    return Head(*row) if row is not None else None


def heads(connection: Connection) -> list[Head]:
    """Return the last row of every chain, in the chains' order."""
    found = (head(connection, chain) for chain in chains(connection))
    return [one for one in found if one is not None]


def chains(connection: Connection) -> list[int]:
    """Return the numbers of all chains; a look-up for each, however long they are."""
    found: list[int] = []
    while True:
        query = select(func.min(audit.c.chain))
        if found:
            query = query.where(audit.c.chain > found[-1])
        chain = connection.execute(query).scalar()
        if chain is None:
            return found
        found.append(chain)


def page(
    connection: Connection,
    *,
    after: tuple[int, int] = (-1, 0),
    account: str | None = None,
    limit: int = 50,
) -> list[AuditRow]:
    """Return rows by chain and sequence.

    Args:
        connection: Any connection.
        after: Chain and sequence of the last row of the page before.
        account: Only its rows; None is everyone's.
        limit: The most to return.
    """
    place = tuple_(audit.c.chain, audit.c.sequence)
    query = (
        select(audit)
        .where(place > tuple_(*after, types=(BigInteger, BigInteger)))
        .order_by(audit.c.chain, audit.c.sequence)
        .limit(limit)
    )
    if account is not None:
        query = query.where(audit.c.account == account)
    return [AuditRow(*row) for row in connection.execute(query)]


def of_subject(connection: Connection, subject_id: int) -> list[tuple[AuditRow, bytes | None]]:
    """Return what was done to something, oldest first, each with the hash of the row before it.

    Two of different chains in the same millisecond come in the order of the chains. A row before
    that is gone is None.
    """
    before = audit.alias("before")
    follows = and_(
        before.c.chain == audit.c.chain,
        before.c.sequence == audit.c.sequence - 1,
    )
    query = (
        select(audit, before.c.hash.label("previous"))
        .join(before, follows, isouter=True)
        .where(audit.c.subject_id == subject_id)
        .order_by(audit.c.at, audit.c.chain, audit.c.sequence)
    )
    found: list[tuple[AuditRow, bytes | None]] = []
    for *columns, previous in connection.execute(query):
        row = AuditRow(*columns)
        found.append((row, BEGINNING if row.sequence == 1 else previous))
    return found

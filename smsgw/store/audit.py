"""The audit chains: rows that vouch for the one before, appended and read in order.

A process appends to the chain of its own node, so that none waits for another. The hash of a row is
SHA-256 over the hash of the row before (32 zero octets before the first) and the digest of its
content: SHA-256 over its seal, 16 random octets, and its other columns, each as a netstring, so
that no two rows have the same octets. ``docs/evidence.md`` says the same for whoever checks it
without us.

When a person is erased from a row, the digest of what it held takes the place of the seal: the
chain still follows, and without the seal nobody can find what it was by trying. What the row holds
from then on, the entry of the erasure vouches for (:data:`ERASED`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, and_, bindparam, func, select, tuple_, update

from smsgw.store.schema import audit
from smsgw.store.statements import ids_of, insert_rows

_as_tuple = msgspec.structs.astuple
_encode = msgspec.json.Encoder(order="sorted").encode

BEGINNING = bytes(32)
"""What stands for the hash before the first row of a chain."""

SEAL_OCTETS = 16
CONTENT_OCTETS = 32

ERASED = "phone.erased"
"""Action of the entry that vouches, in ``entries`` by their places, for what rows hold since."""

PURGED = "records.purged"
"""Action of the entry that says, in ``until`` by table, up to which id rows may be gone."""

NOTHING = 0
"""Subject of entries that are about no one thing."""


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
    seal: bytes
    hash: bytes

    @property
    def erased(self) -> bool:
        """Whether something was erased from it."""
        return len(self.seal) == CONTENT_OCTETS

    @property
    def place(self) -> str:
        """Its chain and sequence, as entries name it."""
        return f"{self.chain}:{self.sequence}"


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


def shown_digest(row: AuditRow) -> str:
    """Return the digest of what a row shows now, in hexadecimal, without its seal."""
    return digest(netstrings(_as_tuple(row)[:-2]))


def content_of(row: AuditRow) -> bytes:
    """Return the digest of what a row held when it was written."""
    if row.erased:
        return row.seal
    return hashlib.sha256(row.seal + netstrings(_as_tuple(row)[:-2])).digest()


def hash_of(previous: bytes, row: AuditRow) -> bytes:
    """Return what a row's ``hash`` must be.

    Args:
        previous: The hash of the row before; :data:`BEGINNING` before the first.
        row: Its own ``hash`` is not looked at.
    """
    return hashlib.sha256(previous + content_of(row)).digest()


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
    seals = os.urandom(SEAL_OCTETS * len(entries))
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
            seals[-SEAL_OCTETS:],
            b"",
        )
        seals = seals[:-SEAL_OCTETS]
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


def about_nothing(connection: Connection, action: str) -> list[AuditRow]:
    """Return the entries of an action that is about no one thing, by chain and sequence."""
    query = (
        select(audit)
        .where(audit.c.subject_id == NOTHING, audit.c.action == action)
        .order_by(audit.c.chain, audit.c.sequence)
    )
    return [AuditRow(*row) for row in connection.execute(query)]


def erase(connection: Connection, row: AuditRow, shown: AuditRow) -> None:
    """Have a row show something else from now on; an entry must vouch for that.

    Args:
        connection: In the transaction that appends the entry.
        row: As it is.
        shown: What it is to show: only ``actor`` and ``detail`` differ.
    """
    connection.execute(
        update(audit)
        .where(audit.c.chain == row.chain, audit.c.sequence == row.sequence)
        .values(actor=shown.actor, detail=shown.detail, seal=content_of(row))
    )

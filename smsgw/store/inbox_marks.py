"""What each account has read of what phones sent, its own messages and those that are nobody's.

Up to ``read_until`` all is read; of what is newer, what is named in ``inbound_read``. That id stays
a day behind: until then a message with a lower one may still be committed, by another process or
after a while without database, and must not be read before anybody saw it. It moves when an account
says that it has read all up to a message, and for one that names each when what it named is all
there is (:func:`covered`): so there are no more names than since the oldest message not read.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from smsgw.errors import ValidationError
from smsgw.store.ids import first_at
from smsgw.store.inbox import InboundRow
from smsgw.store.schema import inbound, inbound_read, inbox_mark
from smsgw.store.statements import insert_new

ID_MAX = (1 << 63) - 1

LATE_MS = 86_400_000
"""How much later than its id a message may be committed."""


def page(
    connection: Connection,
    account: str,
    *,
    general: bool = True,
    unread: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[tuple[InboundRow, bool]]:
    """Return an account's messages newest first, and whether it has not read each.

    Args:
        connection: Any connection.
        account: Whose, and who reads.
        general: Those that are nobody's as well.
        unread: Only what it has not read.
        before: Id of the last one of the page before.
        limit: The most to return.
    """
    new = _unread(connection, account)
    query = select(inbound, new.label("unread")).where(_visible(account, general))
    if unread:
        query = query.where(new)
    if before is not None:
        query = query.where(inbound.c.id < before)
    rows = connection.execute(query.order_by(inbound.c.id.desc()).limit(limit))
    return [(InboundRow(*row[:-1]), bool(row[-1])) for row in rows]


def read(connection: Connection, account: str, ids: Sequence[int]) -> int:
    """Note that an account has read these; return how many it had not.

    Raises:
        ValidationError: One is not there, or another account's; nothing changed.
    """
    query = select(inbound.c.id).where(inbound.c.id.in_(ids), _visible(account, True))
    found = set(connection.execute(query).scalars())
    for place, one in enumerate(ids):
        if one not in found:
            raise ValidationError(f"ids[{place}]", f"there is no inbound message {one}")
    return note(connection, account, list(found))


def note(connection: Connection, account: str, ids: Sequence[int]) -> int:
    """Note that an account has read these, which it may see; return how many it had not."""
    until = _read_until(connection, account)
    return insert_new(connection, inbound_read, [(one, account) for one in ids if one > until])


# ---- everything up to an id --------------------------------------------------------------


def boundary(up_to: int, now_ms: int) -> int:
    """Return how far :func:`move` may go when an account has read everything up to an id."""
    return min(up_to, first_at(now_ms - LATE_MS))


def unread_until(connection: Connection, account: str, until: int) -> int:
    """Count what an account has not read up to a boundary; that may be long: not on the writer."""
    new = (_visible(account, True), _unread(connection, account), inbound.c.id <= until)
    return connection.execute(select(func.count()).select_from(inbound).where(*new)).scalar_one()


def unread_between(
    connection: Connection, account: str, after: int, up_to: int, limit: int
) -> list[int]:
    """Return what an account has not read after an id, up to another one, the oldest first."""
    new = (_visible(account, True), _unread(connection, account))
    query = select(inbound.c.id).where(*new, inbound.c.id > after, inbound.c.id <= up_to)
    return list(connection.execute(query.order_by(inbound.c.id).limit(limit)).scalars())


def covered(connection: Connection, account: str, now_ms: int, limit: int) -> int:
    """Return how far :func:`move` may go since everything up to there is read; 0 for no further.

    At most ``limit`` messages, of whatever account, are looked at.
    """
    mark, until = _read_until(connection, account), boundary(ID_MAX, now_ms)
    key = inbound.c.id
    some = select(key).where(key > mark, key <= until).order_by(key)
    last = connection.execute(some.limit(1).offset(limit - 1)).scalar()
    until = until if last is None else last
    new = (_visible(account, True), _unread(connection, account), key <= until)
    oldest = connection.execute(select(key).where(*new).order_by(key).limit(1)).scalar()
    until = until if oldest is None else oldest - 1
    return until if until > mark else 0


def move(connection: Connection, account: str, until: int) -> None:
    """Note that an account has read everything up to a boundary; never back."""
    before = _read_until(connection, account)
    mark, rows = inbox_mark.c, inbound_read.c
    further = update(inbox_mark).where(mark.account == account, mark.read_until < until)
    connection.execute(further.values(read_until=until))
    insert_new(connection, inbox_mark, [(account, until)])
    now = _read_until(connection, account)
    covered = (rows.inbound_id > before, rows.inbound_id <= now)
    connection.execute(delete(inbound_read).where(rows.account == account, *covered))


def _read_until(connection: Connection, account: str) -> int:
    query = select(inbox_mark.c.read_until).where(inbox_mark.c.account == account)
    return connection.execute(query).scalar() or 0


def _visible(account: str, general: bool) -> ColumnElement[bool]:
    own = inbound.c.account == account
    return or_(own, inbound.c.account == "") if general else own


def _unread(connection: Connection, account: str) -> ColumnElement[bool]:
    rows = inbound_read.c
    named = select(literal(1)).where(rows.account == account, rows.inbound_id == inbound.c.id)
    return and_(inbound.c.id > _read_until(connection, account), ~named.exists())

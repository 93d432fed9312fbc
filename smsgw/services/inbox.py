"""What an account has read of what phones sent: some messages, or all up to one.

Of an account that names each message it reads, the mark follows by itself, a piece at a time: what
is read up to some message needs no names.

All up to one may be very many: those that one mark covers are counted by a reader. The few days'
newest are noted one by one, in the same commit as the mark unless they are more than
:data:`PIECE_ROWS`; what is broken off then is gone on with when it is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from smsgw.store import inbox_marks
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember

if TYPE_CHECKING:
    from sqlalchemy import Connection

PIECE_ROWS = 5000
"""Messages that are noted in one go: some ten milliseconds of the writer."""


async def read(
    store: Database,
    account: str,
    ids: Sequence[int],
    now_ms: int,
    once: Once[int] | None = None,
) -> int:
    """Note that an account has read these; return how many it had not.

    Args:
        store: The open database.
        account: Whose, and who reads.
        ids: What it has read.
        now_ms: The present time.
        once: What it makes of that is recorded in the same commit.

    Raises:
        ValidationError: One is not there; its field is such as ``ids[2]``, and nothing changed.
    """
    look = partial(inbox_marks.covered, account=account, now_ms=now_ms, limit=PIECE_ROWS)
    until = await store.read(look)

    def work(connection: Connection) -> int:
        count = inbox_marks.read(connection, account, ids)
        if until:
            inbox_marks.move(connection, account, until)
        return remember(connection, once, count)

    return await store.writer.run(work)


async def read_until(
    store: Database, account: str, up_to: int, now_ms: int, once: Once[int] | None = None
) -> int:
    """Note that an account has read everything up to an id; return how many it had not.

    Args:
        store: The open database.
        account: Whose, and who reads.
        up_to: The newest one it saw.
        now_ms: The present time.
        once: What it makes of that is recorded in the last commit.
    """
    until = after = inbox_marks.boundary(up_to, now_ms)
    count = await store.read(partial(inbox_marks.unread_until, account=account, until=until))
    look = partial(inbox_marks.unread_between, account=account, up_to=up_to, limit=PIECE_ROWS)
    while len(newer := await store.read(partial(look, after=after))) == PIECE_ROWS:
        count += await store.writer.run(partial(inbox_marks.note, account=account, ids=newer))
        after = newer[-1]

    def work(connection: Connection) -> int:
        noted = inbox_marks.note(connection, account, newer)
        inbox_marks.move(connection, account, until)
        return remember(connection, once, count + noted)

    return await store.writer.run(work)

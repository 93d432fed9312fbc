"""What an account has read of what phones sent: some messages, or all up to one.

All up to one may be very many, so they are counted by a reader and noted piece by piece: the writer
has other work. What is broken off is gone on with when it is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from smsgw.store import inbox_marks
from smsgw.store.database import Database

if TYPE_CHECKING:
    pass

PIECE_ROWS = 5000
"""Messages that are noted in one go: some ten milliseconds of the writer."""

T = TypeVar("T")


async def read(store: Database, account: str, ids: Sequence[int]) -> int:
    """Note that an account has read these; return how many it had not.

    Raises:
        ValidationError: One is not there; its field is such as ``ids[2]``, and nothing changed.
    """
    note = partial(inbox_marks.read, account=account, ids=ids)
    count: int = await store.writer.run(note)
    return count


async def read_until(store: Database, account: str, up_to: int, now_ms: int) -> int:
    """Note that an account has read everything up to an id; return how many it had not.

    Args:
        store: The open database.
        account: Whose, and who reads.
        up_to: The newest one it saw.
        now_ms: The present time.
    """
    until = after = inbox_marks.boundary(up_to, now_ms)
    count = await store.read(partial(inbox_marks.unread_until, account=account, until=until))
    await store.writer.run(partial(inbox_marks.move, account=account, until=until))
    look = partial(inbox_marks.unread_between, account=account, up_to=up_to, limit=PIECE_ROWS)
    while newer := await store.read(partial(look, after=after)):
        count += await store.writer.run(partial(inbox_marks.note, account=account, ids=newer))
        after = newer[-1]
    return count

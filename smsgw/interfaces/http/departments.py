"""What a department sees: its own, and that of all below it.

Each department is asked for a page of its own, which an index finds at once; the pages are put
together here. What is nobody's in particular comes from each of them, and counts once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from smsgw.errors import NotFound
from smsgw.interfaces.http.calls import Call
from smsgw.services.gateway import Json

Find = Callable[[str], Awaitable[Sequence[Json]]]


async def newest(call: Call, find: Find, limit: int) -> Sequence[Json]:
    """Return the rows that ``find`` gives for each department, the greatest ids first."""
    if not call.below:
        return await find(call.account)
    return sorted(await _all(call, find), key=_id, reverse=True)[:limit]


async def oldest(call: Call, find: Find, limit: int) -> Sequence[Json]:
    """Return the rows that ``find`` gives for each department, the least ids first."""
    if not call.below:
        return await find(call.account)
    return sorted(await _all(call, find), key=_id)[:limit]


async def one(call: Call, find: Callable[[str], Awaitable[Json]]) -> Json:
    """Return what the first department has that has it.

    Raises:
        NotFound: None has; as the department itself says it.
    """
    try:
        return await find(call.account)
    except NotFound:
        for account in call.below:
            try:
                return await find(account)
            except NotFound:
                continue
        raise


async def _all(call: Call, find: Find) -> list[Json]:
    found: dict[str, Json] = {}
    for account in (call.account, *call.below):
        for row in await find(account):
            found.setdefault(row["id"], row)
    return list(found.values())


def _id(row: Json) -> tuple[int, ...]:
    """Return an id as numbers: those of the audit chain are two."""
    return tuple(map(int, row["id"].split("-")))

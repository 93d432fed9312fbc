"""What is counted of either database."""

from __future__ import annotations

from smsgw.model import MessageStatus
from smsgw.store import survey
from smsgw.store.database import Database
from smsgw.store.outbox import SETTLE, Settlement
from tests.support.delivery import stored, taken
from tests.support.reactor import reactor_test
from tests.support.store import NOW
from tests.support.stores import Place, opened


async def settled(database: Database, link: str, state: MessageStatus) -> None:
    items = await stored(database, link=link)
    await taken(database, items)
    row = Settlement(items[0].message_id, 1, link, "newsroom", state, NOW, "0a" * 8, first=False)
    row.next_attempt_at = NOW + 600_000 if state is MessageStatus.UNKNOWN else None
    await database.writer.batch(SETTLE, [row])


@reactor_test
async def test_unknown_outcomes_are_counted_by_link(place: Place) -> None:
    async with opened(place) as database:
        assert await database.read(survey.unknown_segments) == {}
        await settled(database, "cmcc", MessageStatus.UNKNOWN)
        await settled(database, "cmcc", MessageStatus.UNKNOWN)
        await settled(database, "cmcc", MessageStatus.SENT)
        await settled(database, "ctcc", MessageStatus.UNKNOWN)
        assert await database.read(survey.unknown_segments) == {"cmcc": 2, "ctcc": 1}


@reactor_test
async def test_a_database_knows_its_size(place: Place) -> None:
    async with opened(place) as database:
        octets, free = await database.read(database.backend.size)
        assert octets > 100_000
        assert free is None or free > 0
        assert (free is None) == (not str(database.backend).endswith(".db"))
        assert await database.read(survey.requests_open) == 0

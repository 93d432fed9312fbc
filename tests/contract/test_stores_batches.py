"""Batches on both databases: what is counted, what is listed, what is ended together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete
from twisted.internet.defer import gatherResults

from smsgw.errors import Conflict, NotFound
from smsgw.model import MessageClass
from smsgw.model import MessageStatus as S
from smsgw.store import batches, unsent
from smsgw.store.backlog import end_waits
from smsgw.store.batches import Counted, Range
from smsgw.store.database import Database
from smsgw.store.messages import MessageRow
from smsgw.store.progress import StatusChange
from smsgw.store.schema import message
from tests.support.reactor import reactor_test
from tests.support.store import NOW, StoredMessages, batch_row
from tests.support.stores import Place, opened, within

ACCOUNT = "newsroom"
CLASS = "interactive"


async def stored(database: Database, *states: Sequence[S], **fields: Any) -> list[MessageRow]:
    """A batch with id 1 and a message for each of these, whose parts stand so."""
    ids = database.ids.take(len(states))

    def make(store: StoredMessages) -> list[MessageRow]:
        made = [
            store.message(*parts, id=message_id, reference=str(place), **fields)
            for place, (message_id, parts) in enumerate(zip(ids, states, strict=True))
        ]
        batches.insert(store.connection, batch_row(1, len(ids)), ids)
        return made

    return await within(database, make)


async def counted(database: Database) -> Counted:
    found = await database.read(partial(batches.progress, account=ACCOUNT, batch_id=1))
    counted = await database.read(partial(batches.count, uncounted=found.uncounted))
    counted.tally.add(found.tally)
    return counted


async def canceled(database: Database, made: Sequence[MessageRow]) -> list[StatusChange]:
    links = await database.read(unsent.links_waited_for)
    first_id, last_id = made[0].id, made[-1].id
    find = partial(unsent.waiting_between, links=links, message_class=CLASS)
    places = await database.read(partial(find, first_id=first_id, last_id=last_id))
    return await database.writer.run(partial(unsent.cancel_all, places=places, now_ms=NOW + 5))


@reactor_test
async def test_a_batch_is_found_by_its_account_only(place: Place) -> None:
    async with opened(place) as database:
        await stored(database, (S.QUEUED,))
        find = partial(batches.find, batch_id=1)
        assert await database.read(partial(find, account=ACCOUNT)) == batch_row(1, 1)
        with pytest.raises(NotFound, match="batch 1: not recorded"):
            await database.read(partial(find, account="sales"))
        assert await database.read(partial(batches.page, account="sales")) == []


@reactor_test
async def test_its_messages_are_counted_until_all_have_ended(place: Place) -> None:
    async with opened(place) as database:
        made = await stored(database, (S.QUEUED,), (S.SENT,), (S.SENDING,))
        found = await counted(database)
        assert found.tally.counts == {"queued": 2, "sent": 1}
        assert (found.tally.finished, found.kept) == (0, [])
        await within(database, lambda store: store.settle(made[0], S.REJECTED))
        await within(database, lambda store: store.settle(made[2], S.REJECTED, at=NOW + 7))
        found = await counted(database)
        assert found.tally.counts == {"rejected": 2, "sent": 1}
        assert (found.tally.first_final_at, found.tally.last_final_at) == (NOW + 1, NOW + 7)
        assert found.kept == []


@reactor_test
async def test_what_has_ended_is_counted_once(place: Place) -> None:
    async with opened(place) as database:
        made = await stored(database, (S.SENDING,), (S.SENDING,))
        for message in made:
            await within(database, lambda store, one=message: store.settle(one, S.REJECTED))
        found = await counted(database)
        assert found.tally.counts == {"rejected": 2}
        assert [one.first_id for one in found.kept] == [made[0].id]
        await database.writer.run(partial(batches.keep, batch_id=1, kept=found.kept))
        assert await database.read(partial(batches.unfinished, batch_id=1)) == []
        again = await database.read(partial(batches.progress, account=ACCOUNT, batch_id=1))
        assert (again.tally, again.uncounted) == (found.tally, [])


@reactor_test
async def test_of_what_nothing_came_of_yet_only_the_first_message_is_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "RANGE", 2)
    async with opened(place) as database:
        made = await stored(database, *[(S.QUEUED,)] * 5, status="scheduled")
        look = partial(batches.progress, account=ACCOUNT, batch_id=1)
        found = await database.read(look)
        assert (found.tally.counts, found.uncounted) == ({"scheduled": 5}, [])
        # The second one of a range is ended, and the whole of another one, which has no rows left.
        await canceled(database, made[3:4])
        gone = delete(message).where(message.c.id == made[4].id)
        await database.writer.run(lambda connection: connection.execute(gone) and None)
        found = await database.read(look)
        assert found.tally.counts == {"scheduled": 2}
        ranges = [one.range for one in found.uncounted]
        assert ranges == [Range(made[2].id, made[3].id), Range(made[4].id, made[4].id)]
        found = await counted(database)
        assert found.tally.counts == {"scheduled": 3, "canceled": 1}


@reactor_test
async def test_when_most_have_ended_only_the_others_are_looked_at_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST", 2)
    async with opened(place) as database:
        made = await stored(database, *[(S.SENDING,)] * 4, (S.SENDING, S.SENDING))
        for message in made[:2]:
            await within(database, lambda store, one=message: store.settle(one, S.REJECTED))
        found = await counted(database)
        assert (found.tally.counts, found.kept) == ({"rejected": 2, "queued": 3}, [])
        await within(database, lambda store: store.settle(made[2], S.EXPIRED, at=NOW + 8))
        found = await counted(database)
        await database.writer.run(partial(batches.keep, batch_id=1, kept=found.kept))
        ranges = [Range(made[0].id, made[-1].id)]
        assert await database.read(partial(batches.unfinished, batch_id=1)) == ranges
        look = partial(batches.progress, account=ACCOUNT, batch_id=1)
        (open_,) = (await database.read(look)).uncounted
        assert (open_.open_ids, open_.weight) == ([made[3].id, made[4].id], 2)

        await within(database, lambda store: store.settle(made[4], S.SENT, part=2))
        found = await counted(database)
        statuses = {"rejected": 2, "expired": 1, "queued": 1, "sending": 1}
        assert (found.tally.counts, found.kept) == (statuses, [])
        assert found.tally.last_final_at == NOW + 8
        await within(database, lambda store: store.settle(made[3], S.REJECTED, at=NOW + 9))
        found = await counted(database)
        await database.writer.run(partial(batches.keep, batch_id=1, kept=found.kept))
        (open_,) = (await database.read(look)).uncounted
        assert open_.open_ids == [made[4].id]
        await within(database, lambda store: store.settle(made[4], S.REJECTED, at=NOW + 10))
        found = await counted(database)
        await database.writer.run(partial(batches.keep, batch_id=1, kept=found.kept))
        whole = await database.read(look)
        assert (whole.tally.counts, whole.uncounted) == ({"rejected": 4, "expired": 1}, [])
        assert (whole.tally.first_final_at, whole.tally.last_final_at) == (NOW + 1, NOW + 10)
        assert await database.read(partial(batches.unfinished, batch_id=1)) == []


@reactor_test
async def test_other_messages_made_at_the_same_time_are_not_its_own(place: Place) -> None:
    async with opened(place) as database:
        ids = database.ids.take(2)
        between = ids[0] | 5 << 12  # of node 5, in the same millisecond

        def make(store: StoredMessages) -> MessageRow:
            batches.insert(store.connection, batch_row(1, 2), ids)
            store.message(id=between)
            store.message(id=ids[0])
            return store.message(S.SENDING, id=ids[1])

        sent = await within(database, make)
        found = await database.read(partial(batches.progress, account=ACCOUNT, batch_id=1))
        assert found.tally.counts == {"queued": 2}
        await within(database, lambda store: store.settle(sent, S.SENT))
        found = await counted(database)
        assert found.tally.counts == {"queued": 1, "sent": 1}
        listed = await database.read(partial(batches.messages_page, account=ACCOUNT, batch_id=1))
        assert [one.id for one in listed] == ids[::-1]
        links = ["cmcc"]
        find = partial(unsent.waiting_between, links=links, message_class=CLASS)
        places = await database.read(partial(find, first_id=ids[0], last_id=between))
        assert [one.message_id for one in places] == ids[:1]


@reactor_test
async def test_its_messages_are_listed_page_by_page_over_all_ranges(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "RANGE", 2)
    async with opened(place) as database:
        made = await stored(database, *[(S.QUEUED,)] * 4, (S.SENT,))
        await within(database, lambda store: store.message())
        ranges = await database.read(partial(batches.unfinished, batch_id=1))
        assert ranges == [Range(made[i].id, made[min(i + 1, 4)].id) for i in (0, 2, 4)]
        look = partial(batches.messages_page, account=ACCOUNT, batch_id=1)
        first = await database.read(partial(look, limit=3))
        rest = await database.read(partial(look, limit=3, before=first[-1].id))
        assert [one.reference for one in first + rest] == ["4", "3", "2", "1", "0"]
        sent = await database.read(partial(look, status="sent"))
        assert [one.reference for one in sent] == ["4"]


@reactor_test
async def test_all_that_was_not_handed_to_a_link_is_ended_together(place: Place) -> None:
    async with opened(place) as database:
        made = await stored(
            database,
            (S.QUEUED,),
            (S.QUEUED, S.QUEUED),
            (S.SENDING,),
            (S.QUEUED, S.SENDING),
            (S.SENT, S.QUEUED),
            (S.SENT,),
        )
        changes = await canceled(database, made)
        assert sorted(change.message_id for change in changes) == [made[0].id, made[1].id]
        assert {change.status for change in changes} == {S.CANCELED}
        # What was not ended waits where it did.
        left = await within(database, lambda store: store.queued())
        assert left == [(0, made[3].id, 1), (0, made[4].id, 2)]
        shown = [await within(database, lambda store, one=one: store.now(one)) for one in made]
        assert [one.final_at for one in shown[:2]] == [NOW + 5, NOW + 5]
        assert await canceled(database, made) == []


@reactor_test
async def test_what_is_tried_again_later_is_ended_too(place: Place) -> None:
    async with opened(place) as database:
        (refused,) = await stored(database, (S.SENDING,))
        await within(database, lambda store: store.retry(refused, NOW + 900))
        changes = await canceled(database, [refused])
        assert [change.message_id for change in changes] == [refused.id]
        assert await within(database, lambda store: store.queued()) == []


@reactor_test
async def test_what_may_have_reached_the_phone_is_not_ended(place: Place) -> None:
    async with opened(place) as database:
        (doubtful,) = await stored(database, (S.SENDING,))

        def resend(store: StoredMessages) -> None:
            store.settle(
                doubtful, S.UNKNOWN, carrier_message_id="0a", next_attempt_at=NOW, attempts=1
            )
            end_waits(store.connection, NOW, dict.fromkeys(map(str, MessageClass), 3), 100)

        await within(database, resend)
        assert len(await within(database, lambda store: store.queued())) == 1
        assert await canceled(database, [doubtful]) == []
        assert len(await within(database, lambda store: store.queued())) == 1


@reactor_test
async def test_a_batch_that_was_canceled_or_is_full_takes_no_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as database:
        await stored(database, (S.QUEUED,))
        row = await database.read(partial(batches.find, account=ACCOUNT, batch_id=1))
        extend = partial(batches.extend, row=row)
        await database.writer.run(partial(extend, ids=database.ids.take(2)))
        monkeypatch.setattr(batches, "MESSAGES_MAX", 4)
        with pytest.raises(Conflict, match="has 3 messages and would have 2 more, limit 4"):
            await database.writer.run(partial(extend, ids=database.ids.take(2)))
        cancel = partial(batches.cancel, account=ACCOUNT, batch_id=1, now_ms=NOW)
        both = await gatherResults([database.writer.run(cancel), database.writer.run(cancel)])
        assert [one.canceled_at for one in both] == [NOW, NOW]
        with pytest.raises(Conflict, match="batch 1 was canceled"):
            await database.writer.run(partial(extend, ids=database.ids.take(1)))
        found = await database.read(partial(batches.find, account=ACCOUNT, batch_id=1))
        assert found.messages == 3

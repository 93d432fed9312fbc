"""Work of one process that another does: claimed, given back, taken over; on a real PostgreSQL."""

from __future__ import annotations

import pytest

from smsgw.errors import Conflict
from smsgw.model import MessageClass, MessageStatus
from smsgw.store import unowned, unsent
from smsgw.store.address import Server
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT
from smsgw.store.nodes import NOBODY
from smsgw.store.queue import QueuedSegment
from smsgw.store.reroute import BEGINNING, Elsewhere, give_finder, move_waiting
from smsgw.store.unowned import Misplaced, TakenOver
from tests.integration.store.test_several_writers import two, while_open
from tests.support.reactor import reactor_test
from tests.support.store import NOW, StoredMessages, accepted, message_row, queued_segment
from tests.support.stores import execute, schema_server, server, shown, within

__all__ = ["schema_server", "server"]

S = MessageStatus
CLASSES = [MessageClass.REALTIME, MessageClass.INTERACTIVE]
UNTIL = {"interactive": NOW + 9}
DEAD = "INSERT INTO node VALUES (7, 1, 'gone/1', 0)"


def owners(server: Server) -> dict[int, int]:
    return dict(execute(server, "SELECT node, count(*) FROM queue GROUP BY node"))


async def waiting_for_nobody(database: Database, count: int) -> list[int]:
    """Messages that are queued for whoever can send them."""
    rows = [message_row(database.ids) for _ in range(count)]
    await database.writer.batch(ACCEPT, [accepted(row, NOBODY) for row in rows])
    return [row.id for row in rows]


def claim(limit: int = 10):
    return lambda s: unowned.claim(s.connection, "cmcc", CLASSES, limit)


@reactor_test
async def test_what_is_nobodys_is_claimed_once_and_by_pages(server: Server) -> None:
    async with two(server) as (one, other):
        await waiting_for_nobody(one, 5)
        first, second = await while_open(
            one, claim(3), lambda: other.writer.run(lambda c: claim()(StoredMessages(c, other.ids)))
        )
        assert first == {MessageClass.REALTIME: 0, MessageClass.INTERACTIVE: 3}
        assert second == {MessageClass.REALTIME: 0, MessageClass.INTERACTIVE: 2}
        assert owners(server) == {0: 3, 1: 2}


@reactor_test
async def test_only_what_waits_of_a_link_is_given_back(server: Server) -> None:
    async with two(server) as (one, other):
        for link in ("cmcc", "cmcc", "ctcc"):
            await within(one, lambda s, link=link: s.message(link=link))
        await within(other, lambda s: s.message())
        give = [await within(one, lambda s: unowned.give_back(s.connection, "cmcc", 1))]
        give += [await within(one, lambda s: unowned.give_back(s.connection, "cmcc", 5))]
        assert (give, owners(server)) == ([1, 1], {NOBODY: 2, 0: 1, 1: 1})
        found = await one.read(lambda c: unowned.misplaced(c, 0, ["cmcc"], ["ctcc", "cucc"]))
        assert found == Misplaced(["cmcc"], ["ctcc"])


async def dead(database: Database) -> tuple[int, int]:
    """A message that a dead process was sending, and one that it had queued."""

    def make(store: StoredMessages) -> tuple[int, int]:
        sending, queued = store.message(S.SENDING), store.message()
        for table in ("queue", "sending"):
            store.connection.exec_driver_sql(f"UPDATE {table} SET node = 7")
        return sending.id, queued.id

    return await within(database, make)


def begin(database: Database):
    return database.writer.run(
        lambda c: unowned.begin_take_over(c, 7, seconds=60, now_ms=NOW, until=UNTIL)
    )


@reactor_test
async def test_the_work_of_a_dead_process_goes_to_who_can_do_it(server: Server) -> None:
    async with two(server) as (one, _):
        sending, queued = await dead(one)
        execute(server, DEAD)
        taken = await begin(one)
        assert taken.interrupted.count == 1
        assert [(await shown(one, key))[0] for key in (sending, queued)] == ["unknown", "queued"]
        moved = [await one.writer.run(lambda c: unowned.pass_on(c, taken, 1)) for _ in range(2)]
        assert (moved, owners(server)) == ([1, 0], {NOBODY: 1})
        assert execute(server, "SELECT * FROM node") == []
        assert execute(server, "SELECT * FROM sending") == []


@reactor_test
async def test_a_dead_process_is_taken_over_once(server: Server) -> None:
    async with two(server) as (one, other):
        await dead(one)
        execute(server, DEAD)

        def take(store: StoredMessages) -> TakenOver | None:
            return unowned.begin_take_over(store.connection, 7, 60, NOW, UNTIL)

        first, second = await while_open(one, take, lambda: begin(other))
        assert (first.interrupted.count, second) == (1, None)
        assert await begin(other) is None  # it has a lease again, as long as the first goes on


@reactor_test
async def test_one_that_lives_is_not_taken_over(server: Server) -> None:
    async with two(server) as (one, _):
        execute(server, f"INSERT INTO node VALUES (7, 1, 'there/1', {2**50})")
        assert await begin(one) is None


@reactor_test
async def test_what_another_process_is_sending_cannot_be_canceled(server: Server) -> None:
    async with two(server) as (one, other):
        message = await within(one, lambda s: s.message())
        places = await other.read(lambda c: unsent.places_of(c, 1, "newsroom", message.id))
        assert [place.node for place in places] == [0]

        def cancel() -> object:
            work = other.writer.run(lambda c: unsent.cancel(c, message.id, places, NOW))
            return work.addErrback(lambda failure: failure.trap(Conflict))

        taken, refused = await while_open(one, lambda s: s.take([queued_segment(message)]), cancel)
        assert (taken.missing, refused) == (set(), Conflict)
        assert (await shown(one, message.id))[0] == "queued"


@pytest.mark.parametrize("owner", [0, NOBODY])
@reactor_test
async def test_what_waits_elsewhere_can_be_canceled(server: Server, owner: int) -> None:
    async with two(server) as (one, other):
        message = await within(one, lambda s: s.message())
        execute(server, "UPDATE queue SET node = %s", owner)
        places = await other.read(lambda c: unsent.places_of(c, 1, "newsroom", message.id))
        change = await other.writer.run(lambda c: unsent.cancel(c, message.id, places, NOW))
        assert (change.status, owners(server)) == (S.CANCELED, {})


@reactor_test
async def test_what_another_process_claims_meanwhile_can_be_canceled(server: Server) -> None:
    async with two(server) as (one, other):
        execute(server, f"INSERT INTO node VALUES (0, 1, 'there/1', {2**50})")
        (message_id,) = await waiting_for_nobody(other, 1)
        places = await other.read(lambda c: unsent.places_of(c, 1, "newsroom", message_id))
        claimed, change = await while_open(
            one,
            claim(),
            lambda: other.writer.run(lambda c: unsent.cancel(c, message_id, places, NOW)),
        )
        assert claimed[MessageClass.INTERACTIVE] == 1
        assert (change.status, owners(server)) == (S.CANCELED, {})


@reactor_test
async def test_what_takes_another_link_meanwhile_can_be_canceled(server: Server) -> None:
    async with two(server) as (one, other):
        elsewhere = Elsewhere("ctcc", "10690002", 0, [b"a", b"b"])
        await one.equip(lambda c: give_finder(c, lambda *_: elsewhere))
        message = await within(one, lambda s: s.message())
        places = await other.read(lambda c: unsent.places_of(c, 1, "newsroom", message.id))

        def move(store: StoredMessages) -> list[QueuedSegment]:
            lane = ("cmcc", "interactive")
            return move_waiting(store.connection, *lane, NOW, BEGINNING, 9).moved

        moved, change = await while_open(
            one,
            move,
            lambda: other.writer.run(lambda c: unsent.cancel(c, message.id, places, NOW)),
        )
        assert [item.link for item in moved] == ["ctcc", "ctcc"]
        assert (change.status, owners(server)) == (S.CANCELED, {})
        assert (await shown(one, message.id))[0] == "canceled"

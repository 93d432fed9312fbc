"""Several processes on one PostgreSQL database: what two of them do at once comes out right.

Each is a database of its own here, with its own writer thread. What a test lets one of them wait
for inside its transaction, the other does meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from threading import Event as ThreadEvent
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from smsgw.errors import Conflict
from smsgw.model import Event, MessageClass, MessageStatus
from smsgw.services import ledger
from smsgw.services.ledger import ASSIGNMENT, CONVERSATION, Owner, SlotPlan
from smsgw.store import backlog, events, requests, revisions
from smsgw.store.address import Server
from smsgw.store.database import Database, upgrade
from smsgw.store.inbox import RECEIVE, PartRow, Received
from smsgw.store.outbox import SETTLE
from smsgw.store.reports import REPORTS, ReportFate, rematch_parked
from smsgw.store.requests import RequestRows
from tests.support.reactor import reactor_test
from tests.support.store import (
    NOW,
    PHONE,
    StoredMessages,
    part_row,
    report_row,
    request_row,
    settlement,
)
from tests.support.stores import execute, kinds, opened, shown, within

S = MessageStatus
T = TypeVar("T")

LOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted"


class Meanwhile:
    """What one writer does while the other stands still before its commit."""

    def __init__(self) -> None:
        self.there: Deferred[None] = Deferred()
        self.go_on = ThreadEvent()

    def stand(self, _: object = None) -> None:
        """Called on a writer's thread, inside its transaction."""
        if not self.go_on.is_set():  # once: what lost a race is done again
            reactor.callFromThread(self.there.callback, None)
            assert self.go_on.wait(5)


@asynccontextmanager
async def two(server: Server) -> AsyncIterator[tuple[Database, Database]]:
    async with opened(server, 0) as one, opened(server, 1) as other:
        yield one, other


async def while_open(
    first: Database, fn: Callable[[StoredMessages], T], second: Callable[[], Deferred[Any]]
) -> tuple[T, Any]:
    """Do ``fn`` in a transaction of ``first``; commit it when ``second`` waits for it, or is done.

    Returns:
        What both gave.
    """
    meanwhile = Meanwhile()

    def work(store: StoredMessages) -> T:
        result = fn(store)
        events.write_noted(store.connection)
        meanwhile.stand()
        return result

    one = Deferred.fromCoroutine(within(first, work))
    await meanwhile.there
    other = second()
    server = str(first.backend)
    for _ in range(2000):
        if other.called or (await deferToThread(execute, Server.parse(server), LOCKED))[0][0]:
            break
    meanwhile.go_on.set()
    return await one, await other


@reactor_test
async def test_events_get_their_ids_in_the_order_of_the_commits(server: Server) -> None:
    async with two(server) as (one, other):
        other.ids.continue_after(2**62)  # its clock is far ahead

        def note(kind: str) -> Callable[[Connection], None]:
            return lambda c: events.append(c, NOW, [Event(kind, 1)])

        for turn in range(3):
            await other.writer.run(note(f"other {turn}"))
            await while_open(
                one,
                lambda s, kind=f"one {turn}": note(kind)(s.connection),
                lambda kind=f"next {turn}": other.writer.run(note(kind)),
            )
        kinds = [event.kind for event in await one.read(events.list_after)]
        assert kinds == [f"{who} {turn}" for turn in range(3) for who in ("other", "one", "next")]


@reactor_test
async def test_a_message_whose_parts_end_at_two_places_at_once_ends_once(server: Server) -> None:
    async with two(server) as (one, other):
        message = await within(one, lambda s: s.message(S.SENT, S.SENT))
        execute(server, "UPDATE segment SET carrier_message_id = part::text")
        first, second = await while_open(
            one,
            lambda s: s.report("1"),
            lambda: other.writer.batch(REPORTS, [report_row("2", S.DELIVERED)]),
        )
        assert first.changes == []
        assert [change.status for change in second[0].changes] == [S.DELIVERED]
        assert (await shown(one, message.id))[0] == "delivered"


@reactor_test
async def test_a_report_that_met_its_answer_halfway_is_found_by_the_sweep(server: Server) -> None:
    async with two(server) as (one, other):
        message = await within(one, lambda s: s.message(S.SENDING))
        answer = settlement(message, S.SENT, carrier_message_id="0a", first=True, attempts=1)
        settled, (reported,) = await while_open(
            one,
            lambda s: SETTLE.execute(s.connection, [answer])[0],
            lambda: other.writer.batch(REPORTS, [report_row("0a", S.DELIVERED)]),
        )
        assert (settled.changes, reported.fate) == ([], ReportFate.PARKED)
        assert (await shown(one, message.id))[0] == "sent"
        (found,) = await within(one, lambda s: rematch_parked(s.connection, NOW + 30_000, 10))
        assert [change.status for change in found.changes] == [S.DELIVERED]


@reactor_test
async def test_a_wait_that_two_find_over_ends_once(server: Server) -> None:
    async with two(server) as (one, other):
        message = await within(one, lambda s: s.message(S.SENDING))
        row = settlement(message, S.UNKNOWN, next_attempt_at=NOW, attempts=1)
        await one.writer.batch(SETTLE, [row])

        def end(connection: Connection) -> list[backlog.Ended]:
            return backlog.end_waits(connection, NOW, dict.fromkeys(MessageClass, 3), 10)

        first, second = await while_open(
            one, lambda s: end(s.connection), lambda: other.writer.run(end)
        )
        assert (len(first), second) == (1, [])
        assert await within(one, lambda s: s.queued()) == [(NOW, message.id, 1)]
        assert (await kinds(one)).count("message.resent") == 1


@reactor_test
async def test_a_wait_that_is_over_and_begins_again_meanwhile_does_not_end(server: Server) -> None:
    async with two(server) as (one, other):
        message = await within(one, lambda s: s.message(S.SENDING))
        row = settlement(message, S.UNKNOWN, next_attempt_at=NOW, attempts=1)
        await one.writer.batch(SETTLE, [row])

        def end(connection: Connection) -> list[backlog.Ended]:
            return backlog.end_waits(connection, NOW, dict.fromkeys(MessageClass, 3), 10)

        def resend(store: StoredMessages) -> None:
            (ended,) = end(store.connection)
            store.take([ended.resend])
            store.settle(message, S.UNKNOWN, next_attempt_at=NOW + 60_000, attempts=2)

        _, second = await while_open(one, resend, lambda: other.writer.run(end))
        assert second == []
        assert await within(one, lambda s: s.queued()) == []
        assert (await kinds(one)).count("message.resent") == 1


@reactor_test
async def test_many_waits_that_four_end_at_once_end_once_each(server: Server) -> None:
    count, limit = 60, 10
    async with two(server) as (one, other), opened(server, 2) as third, opened(server, 3) as last:

        def doubtful(store: StoredMessages) -> list[int]:
            made = [store.message(S.SENDING, S.SENDING) for _ in range(count)]
            for turn, row in enumerate(made):
                for part in (1, 2):
                    due = NOW - (turn * 7 + part) % 50  # others than the ids are in order
                    store.settle(row, S.UNKNOWN, part, next_attempt_at=due)
            return [row.id for row in made]

        def end(connection: Connection) -> list[backlog.Ended]:
            often = dict.fromkeys(MessageClass, 2)
            return backlog.end_waits(connection, NOW, often, limit)

        made = await within(one, doubtful)

        async def sweep(database: Database) -> list[tuple[int, int]]:
            keys: list[tuple[int, int]] = []
            while await within(one, lambda s: _waits(s.connection)):
                ended = await database.writer.run(end)
                keys += [item.resend.key for item in ended if item.resend is not None]
            return keys

        work = [Deferred.fromCoroutine(sweep(each)) for each in (one, other, third, last)]
        resent = [key for done in await gatherResults(work) for key in done]
        assert sorted(resent) == [(key, part) for key in made for part in (1, 2)]
        queued = await within(one, lambda s: s.queued())
        assert sorted((key, part) for _, key, part in queued) == sorted(resent)
        told = await one.read(lambda c: events.list_after(c, limit=9999))
        pairs = [(e.subject_id, e.data["part"]) for e in told if e.kind == "message.resent"]
        assert sorted(pairs) == sorted(resent)


def _waits(connection: Connection) -> int:
    query = "SELECT count(*) FROM segment WHERE state = 'unknown'"
    return int(connection.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize("count", [1, 6])
@reactor_test
async def test_what_two_receive_at_once_is_stored_once(server: Server, count: int) -> None:
    async with two(server) as (one, other):
        parts = [part_row(one.ids, dedupe_key=f"{n}") for n in range(count)]

        def repeated(part: PartRow) -> PartRow:
            return part_row(other.ids, dedupe_key=part.dedupe_key)

        new = part_row(other.ids)
        first, second = await while_open(
            one,
            lambda s: RECEIVE.execute(s.connection, parts),
            lambda: other.writer.batch(RECEIVE, [*map(repeated, parts), new]),
        )
        assert first == [Received(False, part.id) for part in parts]
        assert second == [*(Received(True, part.id) for part in parts), Received(False, new.id)]


@reactor_test
async def test_two_questions_at_once_get_different_extensions(server: Server) -> None:
    async with two(server) as (one, other):
        tries: list[int] = []

        def ask(connection: Connection, assignment: int) -> ledger.Allocation:
            tries.append(assignment)
            plan = SlotPlan(digits=1, cool_down_seconds=0)
            owner = Owner(ASSIGNMENT, assignment)
            return ledger.allocate(connection, PHONE, "1069", plan, NOW, owner)

        first, second = await while_open(
            one, lambda s: ask(s.connection, 1), lambda: other.writer.run(lambda c: ask(c, 2))
        )
        assert first.extension != second.extension
        for assignment in range(3, 11):
            await one.writer.run(lambda c, a=assignment: ask(c, a))
        for number, ended in enumerate((first, second), 1):
            owner, at = Owner(ASSIGNMENT, number), NOW - 2 + number
            end = partial(ledger.release, slot_id=ended.slot_id, owner=owner, now=at)
            assert await one.writer.run(end)
        again, last = await while_open(
            one, lambda s: ask(s.connection, 11), lambda: other.writer.run(lambda c: ask(c, 12))
        )
        assert (again.extension, last.extension) == (first.extension, second.extension)
        assert tries == list(range(1, 13))  # no transaction was done again


@reactor_test
async def test_many_at_once_from_two_processes_never_share_a_live_slot(server: Server) -> None:
    """Both race for few numbers: first uses, then used ones again; and nobody is told of a race."""
    async with two(server) as (one, other):
        taken = frozenset("3456789")
        plan = SlotPlan(digits=2, life_seconds=100, cool_down_seconds=0, taken=taken)

        def ask(connection: Connection, number: int, now: int) -> str:
            owner = Owner(CONVERSATION if number % 2 else ASSIGNMENT, number)
            return ledger.allocate(connection, PHONE, "1069", plan, now, owner).extension

        for turn in range(3):
            now = NOW + turn * 100_000  # all of the turn before have ended
            asked = [
                database.writer.run(lambda c, n=number, now=now: ask(c, n, now))
                for number in range(15)
                for database in (one, other)
            ]
            given = [await one for one in asked]
            assert sorted(given) == [f"{number:02d}" for number in range(30)]
        late = one.writer.run(lambda c: ask(c, 1, now))
        with pytest.raises(ledger.ConversationsExhausted):
            await late
        generations = execute(server, "SELECT DISTINCT generation FROM slot")
        assert generations == [(3,)]


@reactor_test
async def test_of_two_who_decide_at_once_the_second_looks_again(server: Server) -> None:
    async with two(server) as (one, other):
        request = request_row(1)
        await one.writer.run(lambda c: requests.insert(c, RequestRows(request, [], [])))

        def decide(connection: Connection) -> int:
            found = requests.get(connection, 1)
            assert found is not None
            if not requests.advance_version(connection, found.request):
                raise Conflict("changed by somebody else meanwhile")
            return found.request.version

        given = await while_open(
            one, lambda s: decide(s.connection), lambda: other.writer.run(decide)
        )
        assert given == (1, 2)


@reactor_test
async def test_a_deadlock_is_got_over(server: Server) -> None:
    async with two(server) as (one, other):
        first = await within(one, lambda s: s.message(S.SENT))
        second = await within(one, lambda s: s.message(S.SENT))
        execute(server, "UPDATE segment SET carrier_message_id = message_id::text")

        def across(store: StoredMessages) -> Any:
            store.report(f"{first.id}")
            meanwhile.stand()
            return store.report(f"{second.id}")

        meanwhile = Meanwhile()
        crossing = Deferred.fromCoroutine(within(one, across))
        await meanwhile.there
        rows = [report_row(f"{message.id}", S.DELIVERED) for message in (second, first)]
        turns = [within(other, lambda s, r=row: s.report(r.carrier_message_id)) for row in rows]
        both = [Deferred.fromCoroutine(turn) for turn in turns]
        while not (await deferToThread(execute, server, LOCKED))[0][0]:
            pass
        meanwhile.go_on.set()
        # Whoever gives way finds both reported; which of the two that is, the server decides.
        crossed, other_second, other_first = [(await turn).fate for turn in (crossing, *both)]
        assert sorted((crossed, other_second)) == ["duplicate", "matched"]
        assert other_first == other_second
        told = [event.kind for event in await one.read(events.list_after)]
        assert told.count("message.delivered") == 2


@reactor_test
async def test_two_that_start_on_an_empty_database_make_its_schema_once(
    bare_server: Server,
) -> None:
    starts = [deferToThread(upgrade, bare_server) for _ in range(3)]
    found = [await start for start in starts]
    head = revisions.head()
    assert sorted(found) == [("", head), (head, head), (head, head)]

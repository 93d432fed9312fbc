from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from smsgw.errors import NotFound, StoreError
from smsgw.model import Event, MessageStatus
from smsgw.store import database as database_module
from smsgw.store import events, messages
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT, AcceptedMessage
from smsgw.store.outbox import SETTLE, Settlement
from smsgw.store.writer import Operation, Writer
from tests.support.reactor import reactor_test
from tests.support.store import message_row, segment_row

Look = Callable[..., list[tuple[Any, ...]]]


class Note(Operation[str, int]):
    """Writes its rows as events; refuses "poison", and forgets the result of "lost"."""

    name: ClassVar[str] = "note"
    rank: ClassVar[int] = 9

    def __init__(self, database: Database) -> None:
        self.database = database

    def execute(self, connection: Connection, rows: Sequence[str]) -> list[int]:
        told = [Event(row, 1) for row in rows]
        events.append(connection, self.database.ids, 1, told)
        if "poison" in rows:
            raise NotFound("poison: not recorded")
        return [event.id for event in told if event.kind != "lost"]


class Early(Note):
    rank: ClassVar[int] = 8


def note(database: Database, kind: str) -> Callable[[Connection], str]:
    def write(connection: Connection) -> str:
        events.append(connection, database.ids, 1, [Event(kind, 1)])
        return kind

    return write


def accepted(database: Database) -> AcceptedMessage:
    message = message_row(database.ids)
    return message, [segment_row(database.ids, message)], []


def kinds(look: Look) -> list[str]:
    return [kind for (kind,) in look("SELECT kind FROM event ORDER BY id")]


async def failure_of(deferred: Deferred[Any]) -> BaseException:
    try:
        await deferred
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


class TestGroupCommit:
    @reactor_test
    async def test_a_deferred_fires_only_when_others_can_see_the_commit(
        self, database: Database, look: Look
    ) -> None:
        row = accepted(database)
        waiting = database.writer.batch(ACCEPT, [row])
        assert not waiting.called
        assert look("SELECT count(*) FROM message") == [(0,)]
        seen: list[Any] = []
        waiting.addCallback(lambda _: seen.extend(look("SELECT id FROM message")))
        await waiting
        assert seen == [(row[0].id,)]

    @reactor_test
    async def test_all_of_one_reactor_turn_is_one_commit(self, database: Database) -> None:
        writer = database.writer
        told: list[tuple[int, float]] = []
        writer.on_commit = lambda rows, seconds: told.append((rows, seconds))
        rows = [accepted(database) for _ in range(30)]
        waiting = [writer.batch(ACCEPT, rows[start : start + 10]) for start in (0, 10, 20)]
        last = writer.run(note(database, "last"))
        assert writer.queued == 31

        results = await gatherResults([*waiting, last])

        assert [part for group in results[:3] for part in group] == [row[0].id for row in rows]
        assert results[3] == "last"
        assert (writer.commits, writer.rows, writer.queued) == (1, 31, 0)
        (rows_told, seconds) = told[0]
        assert rows_told == 31
        assert writer.seconds == seconds > 0

    @reactor_test
    async def test_what_comes_while_the_writer_works_is_the_next_group(
        self, database: Database
    ) -> None:
        writer = database.writer
        await writer.run(note(database, "one"))
        first = writer.run(note(database, "two"))
        more: list[Deferred[str]] = []
        reactor.callLater(0, lambda: more.extend(writer.run(note(database, k)) for k in "345"))
        await first
        await gatherResults(more)
        assert writer.commits == 3

    @reactor_test
    async def test_operations_run_by_rank_and_then_functions_in_order(
        self, database: Database, look: Look
    ) -> None:
        writer = database.writer
        late, early = Note(database), Early(database)
        waiting: list[Deferred[Any]] = [
            writer.run(note(database, "run 1")),
            writer.batch(late, ["late 1"]),
            writer.batch(early, ["early 1", "early 2"]),
            writer.run(note(database, "run 2")),
            writer.batch(late, ["late 2"]),
        ]
        results = await gatherResults(waiting)
        assert kinds(look) == ["early 1", "early 2", "late 1", "late 2", "run 1", "run 2"]
        assert [len(result) for result in results] == [5, 1, 2, 5, 1]

    @reactor_test
    async def test_an_observer_that_fails_spoils_nothing(self, database: Database) -> None:
        database.writer.on_commit = lambda rows, seconds: {}[rows]
        assert await database.writer.run(note(database, "kept")) == "kept"

    @reactor_test
    async def test_no_rows_need_no_commit(self, database: Database) -> None:
        assert await database.writer.batch(ACCEPT, []) == []
        assert database.writer.commits == 0


class TestFailures:
    @reactor_test
    async def test_a_poison_row_fails_alone(self, database: Database, look: Look) -> None:
        writer, operation = database.writer, Note(database)
        good, bad, other, single = (
            writer.batch(operation, ["good"]),
            writer.batch(operation, ["beside", "poison"]),
            writer.batch(operation, ["also good"]),
            writer.run(note(database, "run")),
        )
        row = accepted(database)
        message = writer.batch(ACCEPT, [row])
        assert isinstance(await failure_of(bad), NotFound)
        assert [len(await good), len(await other), await single] == [1, 1, "run"]
        assert await message == [row[0].id]
        assert kinds(look) == ["good", "also good", "run"]
        assert writer.commits == 1

    @reactor_test
    async def test_what_the_database_refuses_is_a_store_error_without_the_texts(
        self, database: Database
    ) -> None:
        message, segments, told = accepted(database)
        await database.writer.batch(ACCEPT, [(message, segments, told)])
        again = database.writer.batch(ACCEPT, [(message, segments, told)])
        fresh = database.writer.batch(ACCEPT, [accepted(database)])
        error = await failure_of(again)
        assert isinstance(error, StoreError)
        assert str(error) == "accept: UNIQUE constraint failed: message.id"
        assert len(await fresh) == 1

    @reactor_test
    async def test_a_settlement_of_nothing_spoils_no_other(self, database: Database) -> None:
        message, (segment,), _ = row = accepted(database)
        await database.writer.batch(ACCEPT, [row])
        bad = database.writer.batch(SETTLE, [Settlement(1, 1, MessageStatus.SENT, 1)])
        good = database.writer.batch(
            SETTLE, [Settlement(segment.id, message.id, MessageStatus.SENT, 1)]
        )
        assert "segment 1: not recorded" in str(await failure_of(bad))
        assert [result.applied for result in await good] == [True]

    @reactor_test
    async def test_a_failing_function_undoes_only_itself(
        self, database: Database, look: Look
    ) -> None:
        def fails(connection: Connection) -> None:
            note(database, "undone")(connection)
            raise NotFound("request 5")

        def breaks(connection: Connection) -> None:
            note(database, "undone")(connection)
            messages.insert(connection, [], [segment_row(database.ids, message_row(database.ids))])

        run = database.writer.run
        before, own, its, after = (
            run(note(database, "before")),
            run(fails),
            run(breaks),
            run(note(database, "after")),
        )
        assert isinstance(await failure_of(own), NotFound)
        error = await failure_of(its)
        assert str(error) == "run: FOREIGN KEY constraint failed"
        assert isinstance(error, StoreError)
        assert [await before, await after] == ["before", "after"]
        assert kinds(look) == ["before", "after"]

    @reactor_test
    async def test_a_failing_commit_fails_everything_and_keeps_nothing(
        self, database: Database, look: Look
    ) -> None:
        def owes_a_parent(connection: Connection) -> None:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            messages.insert(connection, [], [segment_row(database.ids, message_row(database.ids))])

        writer = database.writer
        waiting: list[Deferred[Any]] = [
            writer.batch(Note(database), ["a", "b"]),
            writer.run(owes_a_parent),
            writer.run(note(database, "c")),
        ]
        for deferred in waiting:
            error = await failure_of(deferred)
            assert isinstance(error, StoreError)
            assert str(error) == "commit: FOREIGN KEY constraint failed"
        assert kinds(look) == []
        assert (writer.commits, writer.rows, writer.queued) == (0, 0, 0)
        assert await writer.run(note(database, "next")) == "next"

    @reactor_test
    async def test_a_transaction_the_database_ended_itself_is_no_commit(
        self, database: Database, look: Look
    ) -> None:
        def ends_it(connection: Connection) -> None:
            connection.exec_driver_sql("ROLLBACK")  # as SQLite does when the disk is full

        first = database.writer.run(note(database, "first"))
        second = database.writer.run(ends_it)
        assert isinstance(await failure_of(first), StoreError)
        assert isinstance(await failure_of(second), StoreError)
        assert await database.writer.run(note(database, "next")) == "next"
        assert kinds(look) == ["next"]

    @reactor_test
    async def test_results_that_do_not_fit_the_rows_are_a_failure(
        self, database: Database, look: Look
    ) -> None:
        operation = Note(database)
        lost = database.writer.batch(operation, ["kept", "lost"])
        fine = database.writer.batch(operation, ["fine"])
        assert "note: 1 results for 2 rows" in str(await failure_of(lost))
        assert len(await fine) == 1
        assert kinds(look) == ["fine"]

    @reactor_test
    async def test_a_file_locked_by_another_program_fails_the_group_only(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.02)
        database = Database(path, reactor)
        database.open()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            error = await failure_of(database.writer.run(note(database, "refused")))
            assert str(error) == "commit: database is locked"
            other.execute("ROLLBACK")
        assert await database.writer.run(note(database, "next")) == "next"
        await database.close()


class TestClosing:
    @reactor_test
    async def test_closing_commits_what_waits_and_refuses_what_comes(
        self, path: Path, look: Look
    ) -> None:
        database = Database(path, reactor)
        database.open()
        writer = database.writer
        first = writer.run(note(database, "first"))
        await writer.run(note(database, "second"))
        waiting = [writer.run(note(database, f"{n}")) for n in range(5)]
        one, two = database.close(), writer.close()
        refused = [writer.run(note(database, "late")), writer.batch(Note(database), ["late"])]
        assert await gatherResults([first, *waiting]) == ["first", "0", "1", "2", "3", "4"]
        for deferred in refused:
            assert "being closed" in str(await failure_of(deferred))
        await gatherResults([one, two])
        assert "not open" in str(await failure_of(writer.run(note(database, "later"))))
        assert kinds(look) == ["first", "second", "0", "1", "2", "3", "4"]
        await database.close()

    @reactor_test
    async def test_closing_while_the_thread_works_waits_for_it(
        self, path: Path, look: Look
    ) -> None:
        database = Database(path, reactor)
        database.open()
        first = database.writer.run(note(database, "first"))
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, turn.callback, None)
        await turn  # the group is with the thread now
        second = database.writer.run(note(database, "second"))
        await database.close()
        assert (await first, await second) == ("first", "second")
        assert kinds(look) == ["first", "second"]

    @reactor_test
    async def test_a_writer_never_started_refuses_and_closes(self) -> None:
        writer = Writer(reactor)
        assert "not open" in str(await failure_of(writer.run(lambda _: None)))
        await writer.close()

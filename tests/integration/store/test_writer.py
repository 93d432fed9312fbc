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
from twisted.logger import Logger

from smsgw.errors import NotFound, StoreError
from smsgw.model import Event, MessageStatus
from smsgw.store import events, sqlite
from smsgw.store import writer as writer_module
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT, AcceptedMessage
from smsgw.store.outbox import SETTLE
from smsgw.store.writer import SINGLES_MAX, Operation, Writer
from tests.support.reactor import reactor_test
from tests.support.store import accepted, message_row, settlement

Look = Callable[..., list[tuple[Any, ...]]]


class Note(Operation[str, int]):
    """Writes its rows as events; refuses "poison", and forgets the result of "lost"."""

    name: ClassVar[str] = "note"
    rank: ClassVar[int] = 9

    def execute(self, connection: Connection, rows: Sequence[str]) -> list[int]:
        events.append(connection, 1, [Event(row, 1) for row in rows])
        if "poison" in rows:
            raise NotFound("poison: not recorded")
        return [len(row) for row in rows if row != "lost"]


class Early(Note):
    rank: ClassVar[int] = 8


def note(kind: str) -> Callable[[Connection], str]:
    def write(connection: Connection) -> str:
        events.append(connection, 1, [Event(kind, 1)])
        return kind

    return write


def message_of(database: Database) -> AcceptedMessage:
    return accepted(message_row(database.ids))


def orphan(connection: Connection) -> None:
    """Insert a step of a request that does not exist."""
    connection.exec_driver_sql(
        "INSERT INTO step VALUES (1, 99, 0, '', 'all', true, '{}', 'open', '', NULL, NULL)"
    )


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
        row = message_of(database)
        waiting = database.writer.batch(ACCEPT, [row])
        assert not waiting.called
        assert look("SELECT count(*) FROM message") == [(0,)]
        seen: list[Any] = []
        waiting.addCallback(lambda _: seen.extend(look("SELECT id FROM message")))
        await waiting
        assert seen == [(row[0].id,)]

    @reactor_test
    async def test_watchers_are_called_when_what_was_written_can_be_read(
        self, database: Database, look: Callable[..., list[tuple[Any, ...]]]
    ) -> None:
        row = message_of(database)
        seen: list[Any] = []
        database.writer.watchers.append(lambda: seen.append(look("SELECT id FROM message")))
        await database.writer.batch(ACCEPT, [row])
        assert seen == [[(row[0].id,)]]

    @reactor_test
    async def test_all_of_one_reactor_turn_is_one_commit(self, database: Database) -> None:
        writer = database.writer
        told: list[tuple[int, float]] = []
        writer.on_commit = lambda rows, seconds: told.append((rows, seconds))
        rows = [message_of(database) for _ in range(30)]
        waiting = [writer.batch(ACCEPT, rows[start : start + 10]) for start in (0, 10, 20)]
        last = writer.run(note("last"))
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
        await writer.run(note("one"))
        first = writer.run(note("two"))
        more: list[Deferred[str]] = []
        reactor.callLater(0, lambda: more.extend(writer.run(note(k)) for k in "345"))
        await first
        await gatherResults(more)
        assert writer.commits == 3

    @reactor_test
    async def test_many_functions_share_no_transaction_but_rows_never_wait_for_them(
        self, database: Database
    ) -> None:
        writer = database.writer
        groups: list[int] = []
        writer.on_commit = lambda rows, seconds: groups.append(rows)
        many = [writer.run(note(f"{turn}")) for turn in range(2 * SINGLES_MAX + 1)]
        rows = [message_of(database) for _ in range(5)]
        accepted = writer.batch(ACCEPT, rows)
        accepted.addCallback(lambda _: groups.append(0))
        assert await gatherResults(many) == [f"{turn}" for turn in range(2 * SINGLES_MAX + 1)]
        assert groups == [SINGLES_MAX + 5, 0, SINGLES_MAX, 1]
        told = await database.read(lambda c: events.list_after(c, kinds=["0", "31", "32", "64"]))
        assert [event.kind for event in told] == ["0", "31", "32", "64"]

    @reactor_test
    async def test_functions_that_write_many_rows_take_turns(self, database: Database) -> None:
        writer = database.writer
        groups: list[int] = []
        writer.on_commit = lambda rows, seconds: groups.append(rows)
        waiting = [writer.run(note("a")), writer.run(note("b"), 1000), writer.run(note("c"), 2000)]
        waiting.append(writer.run(note("d")))
        assert writer.queued == 3002
        assert await gatherResults(waiting) == ["a", "b", "c", "d"]
        assert groups == [1001, 2000, 1]

    @reactor_test
    async def test_operations_run_by_rank_and_then_functions_in_order(
        self, database: Database, look: Look
    ) -> None:
        writer = database.writer
        late, early = Note(), Early()
        waiting: list[Deferred[Any]] = [
            writer.run(note("run 1")),
            writer.batch(late, ["late 1"]),
            writer.batch(early, ["early 1", "early 2"]),
            writer.run(note("run 2")),
            writer.batch(late, ["late 2"]),
        ]
        results = await gatherResults(waiting)
        assert kinds(look) == ["early 1", "early 2", "late 1", "late 2", "run 1", "run 2"]
        assert [len(result) for result in results] == [5, 1, 2, 5, 1]

    @reactor_test
    async def test_an_observer_that_fails_spoils_nothing(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged: list[Any] = []
        monkeypatch.setattr(writer_module, "_log", Logger(observer=logged.append))
        database.writer.on_commit = lambda rows, seconds: {}[rows]
        assert await database.writer.run(note("kept")) == "kept"
        assert [(one["event"], one["count"]) for one in logged] == [("store.observer_failed", 1)]

    @reactor_test
    async def test_no_rows_need_no_commit(self, database: Database) -> None:
        assert await database.writer.batch(ACCEPT, []) == []
        assert database.writer.commits == 0


class TestFailures:
    @reactor_test
    async def test_a_poison_row_fails_alone(self, database: Database, look: Look) -> None:
        writer, operation = database.writer, Note()
        good, bad, other, single = (
            writer.batch(operation, ["good"]),
            writer.batch(operation, ["beside", "poison"]),
            writer.batch(operation, ["also good"]),
            writer.run(note("run")),
        )
        row = message_of(database)
        message = writer.batch(ACCEPT, [row])
        assert isinstance(await failure_of(bad), NotFound)
        assert [len(await good), len(await other), await single] == [1, 1, "run"]
        assert await message == [row[0].id]
        assert kinds(look) == ["message.queued", "good", "also good", "run"]
        assert writer.commits == 1

    @reactor_test
    async def test_what_the_database_refuses_is_a_store_error_without_the_texts(
        self, database: Database
    ) -> None:
        row = message_of(database)
        await database.writer.batch(ACCEPT, [row])
        again = database.writer.batch(ACCEPT, [row])
        fresh = database.writer.batch(ACCEPT, [message_of(database)])
        error = await failure_of(again)
        assert isinstance(error, StoreError)
        assert str(error) == "accept: UNIQUE constraint failed: message.id"
        assert len(await fresh) == 1

    @reactor_test
    async def test_a_settlement_of_nothing_spoils_no_other(self, database: Database) -> None:
        message, _ = row = message_of(database)
        await database.writer.batch(ACCEPT, [row])
        nothing = message_row(database.ids)
        sent = MessageStatus.SENT
        bad = database.writer.batch(SETTLE, [settlement(nothing, sent)])
        good = database.writer.batch(SETTLE, [settlement(message, sent)])
        assert f"message {nothing.id} part 1: not recorded" in str(await failure_of(bad))
        assert [result.applied for result in await good] == [True]

    @reactor_test
    async def test_a_failing_function_undoes_only_itself(
        self, database: Database, look: Look
    ) -> None:
        def fails(connection: Connection) -> None:
            note("undone")(connection)
            raise NotFound("request 5")

        def breaks(connection: Connection) -> None:
            note("undone")(connection)
            orphan(connection)

        run = database.writer.run
        before, own, its, after = (
            run(note("before")),
            run(fails),
            run(breaks),
            run(note("after")),
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
            orphan(connection)

        writer = database.writer
        waiting: list[Deferred[Any]] = [
            writer.batch(Note(), ["a", "b"]),
            writer.run(owes_a_parent),
            writer.run(note("c")),
        ]
        for deferred in waiting:
            error = await failure_of(deferred)
            assert isinstance(error, StoreError)
            assert str(error) == "commit: FOREIGN KEY constraint failed"
        assert kinds(look) == []
        assert (writer.commits, writer.rows, writer.queued) == (0, 0, 0)
        assert await writer.run(note("next")) == "next"

    @reactor_test
    async def test_a_transaction_the_database_ended_itself_is_no_commit(
        self, database: Database, look: Look
    ) -> None:
        def ends_it(connection: Connection) -> None:
            connection.exec_driver_sql("ROLLBACK")  # as SQLite does when the disk is full

        first = database.writer.run(note("first"))
        second = database.writer.run(ends_it)
        assert isinstance(await failure_of(first), StoreError)
        assert isinstance(await failure_of(second), StoreError)
        assert await database.writer.run(note("next")) == "next"
        assert kinds(look) == ["next"]

    @reactor_test
    async def test_results_that_do_not_fit_the_rows_are_a_failure(
        self, database: Database, look: Look
    ) -> None:
        operation = Note()
        lost = database.writer.batch(operation, ["kept", "lost"])
        fine = database.writer.batch(operation, ["fine"])
        assert "note: 1 results for 2 rows" in str(await failure_of(lost))
        assert len(await fine) == 1
        assert kinds(look) == ["fine"]

    @reactor_test
    async def test_a_file_locked_by_another_program_fails_the_group_only(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.02)
        database = Database(path, reactor)
        database.open()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            error = await failure_of(database.writer.run(note("refused")))
            assert str(error) == "commit: database is locked"
            other.execute("ROLLBACK")
        assert await database.writer.run(note("next")) == "next"
        await database.close()


class TestClosing:
    @reactor_test
    async def test_closing_commits_what_waits_and_refuses_what_comes(
        self, path: Path, look: Look
    ) -> None:
        database = Database(path, reactor)
        database.open()
        writer = database.writer
        first = writer.run(note("first"))
        await writer.run(note("second"))
        waiting = [writer.run(note(f"{n}")) for n in range(5)]
        one, two = database.close(), writer.close()
        refused = [writer.run(note("late")), writer.batch(Note(), ["late"])]
        assert await gatherResults([first, *waiting]) == ["first", "0", "1", "2", "3", "4"]
        for deferred in refused:
            assert "being closed" in str(await failure_of(deferred))
        await gatherResults([one, two])
        assert "not open" in str(await failure_of(writer.run(note("later"))))
        assert kinds(look) == ["first", "second", "0", "1", "2", "3", "4"]
        await database.close()

    @reactor_test
    async def test_closing_while_the_thread_works_waits_for_it(
        self, path: Path, look: Look
    ) -> None:
        database = Database(path, reactor)
        database.open()
        first = database.writer.run(note("first"))
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, turn.callback, None)
        await turn  # the group is with the thread now
        second = database.writer.run(note("second"))
        await database.close()
        assert (await first, await second) == ("first", "second")
        assert kinds(look) == ["first", "second"]

    @reactor_test
    async def test_a_writer_never_started_refuses_and_closes(self) -> None:
        writer = Writer(reactor)
        assert "not open" in str(await failure_of(writer.run(lambda _: None)))
        await writer.close()

"""A PostgreSQL server that is not there, goes away, or comes back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from smsgw.errors import StoreError
from smsgw.model import Event
from smsgw.store import commit, events, inbox, postgresql, progress, pulse, queue, reports
from smsgw.store.address import Server
from smsgw.store.database import Database, read_once, upgrade
from smsgw.store.messages import ACCEPT
from smsgw.store.pulse import Pulse
from smsgw.store.statements import ids_of, run
from tests.support.reactor import reactor_test, until
from tests.support.store import NOW, accepted, message_row
from tests.support.stores import execute, kinds, opened
from tests.support.tcp_proxy import TcpProxy

LOST = "the connection to the database was lost"
KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture
def proxy(server: Server) -> Iterator[TcpProxy]:
    """What stands between us and the server."""
    proxy = TcpProxy(server.host, server.port)
    yield proxy
    proxy.away()


@pytest.fixture
def behind(server: Server, proxy: TcpProxy) -> Server:
    """The server, as it is seen through the proxy."""
    return dataclasses.replace(server, host="127.0.0.1", port=proxy.port)


def note(kind: str) -> Callable[[Connection], str]:
    def write(connection: Connection) -> str:
        events.append(connection, NOW, [Event(kind, 1)])
        return kind

    return write


async def failure_of(database: Database, fn: Callable[[Connection], Any]) -> str:
    with pytest.raises(StoreError) as caught:
        await database.writer.run(fn)
    return str(caught.value)


class TestLost:
    @reactor_test
    async def test_a_session_ended_between_two_commits_fails_one_group(
        self, server: Server
    ) -> None:
        async with opened(server) as database:
            await database.writer.run(note("before"))
            execute(server, KILL)
            row = accepted(message_row(database.ids))
            with pytest.raises(StoreError, match=LOST):
                await database.writer.batch(ACCEPT, [row])
            assert await database.writer.batch(ACCEPT, [row]) == [row[0].id]
            assert await kinds(database) == ["before", "message.queued"]
            assert await database.writer.run(ids_of) is database.ids

    @pytest.mark.parametrize("statement", ["SELECT pg_terminate_backend(pg_backend_pid())", KILL])
    @reactor_test
    async def test_a_session_ended_inside_a_transaction_keeps_nothing_of_it(
        self, server: Server, statement: str
    ) -> None:
        async with opened(server) as database:

            def killed(connection: Connection) -> None:
                note("undone")(connection)
                events.write_noted(connection)
                if statement is KILL:
                    execute(server, statement)
                else:
                    connection.exec_driver_sql(statement)

            first = database.writer.run(note("first"))
            assert await failure_of(database, killed) == LOST
            with pytest.raises(StoreError, match=LOST):
                await first
            assert await database.writer.run(note("next")) == "next"
            assert await kinds(database) == ["next"]

    @reactor_test
    async def test_readers_find_the_server_again(self, server: Server) -> None:
        async with opened(server) as database:
            for _ in range(3):
                assert await kinds(database) == []
                execute(server, KILL)

    @reactor_test
    async def test_a_commit_that_the_server_never_got_is_told_as_lost(
        self, behind: Server, proxy: TcpProxy
    ) -> None:
        async with opened(behind) as database:
            proxy.cut_at = b"COMMIT"
            assert await failure_of(database, note("undone")) == LOST
            assert await database.writer.run(note("next")) == "next"
            assert await kinds(database) == ["next"]

    @reactor_test
    async def test_a_commit_whose_answer_was_lost_is_known_to_be_kept(
        self, behind: Server, proxy: TcpProxy
    ) -> None:
        async with opened(behind) as database:
            proxy.cut_at, proxy.answer = b"COMMIT", True
            assert await database.writer.run(note("kept")) == "kept"
            assert await kinds(database) == ["kept"]
            assert database.writer.commits == 1

    @pytest.mark.parametrize("kept", [True, False])
    @reactor_test
    async def test_a_commit_in_doubt_waits_until_the_server_is_back(
        self, behind: Server, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch, kept: bool
    ) -> None:
        monkeypatch.setattr(commit, "PAUSES", (0.01,))
        async with opened(behind) as database:
            proxy.cut_at, proxy.answer, proxy.leave = b"COMMIT", kept, True
            writing: Deferred[str] = database.writer.run(note("kept"))
            await until(lambda: proxy.is_away)
            await deferLater(reactor, 0.05)  # it is looked for meanwhile
            assert not writing.called
            proxy.back()
            try:
                told = await writing
            except StoreError as error:
                told = str(error)
            assert told == ("kept" if kept else LOST)
            assert await kinds(database) == ["kept"] * kept

    @reactor_test
    async def test_a_commit_in_doubt_waits_for_nothing_any_more_when_we_end(
        self, behind: Server, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commit, "PAUSES", (0.01,))
        async with opened(behind) as database:
            proxy.cut_at, proxy.leave = b"COMMIT", True
            told = Deferred.fromCoroutine(failure_of(database, note("doubtful")))
            await until(lambda: proxy.is_away)
            others = Deferred.fromCoroutine(failure_of(database, note("undone")))
            assert (told.called, database.writer.queued) == (False, 2)
            assert database.writer.busy_seconds > 0.0
        assert await told == "the connection was lost, and whether the commit was kept is not known"
        assert (await others).startswith("the database is away: ")

    @reactor_test
    async def test_while_the_server_is_away_groups_fail_at_once_and_it_is_looked_for_again(
        self, behind: Server, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commit, "PAUSES", (0.02,))
        async with opened(behind) as database:
            proxy.away()
            assert await failure_of(database, note("undone")) == LOST
            for _ in range(3):
                told = await failure_of(database, note("undone"))
                assert told.startswith("the database is away: connection failed: ")
            proxy.back()
            told = ""
            while told != "back":
                try:
                    told = await database.writer.run(note("back"))
                except StoreError:
                    await deferLater(reactor, 0.005)
            assert await kinds(database) == ["back"]

    @reactor_test
    async def test_whoever_asks_is_told_that_the_server_is_away_and_that_it_is_back(
        self, behind: Server, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commit, "PAUSES", (0.01,))
        monkeypatch.setattr(pulse, "FRESH_SECONDS", 0.0)
        async with opened(behind) as database:
            asked = Pulse(database, reactor)
            proxy.away()
            assert await asked.problem() == f"nothing can be written: {LOST}"
            told = await asked.problem()
            assert told.startswith("nothing can be written: the database is away: ")
            proxy.back()
            while await asked.problem():
                await deferLater(reactor, 0.005)

    @reactor_test
    async def test_closing_while_the_server_is_away_ends(
        self, behind: Server, proxy: TcpProxy
    ) -> None:
        async with opened(behind) as database:
            proxy.away()
            assert await failure_of(database, note("undone")) == LOST


class TestAtTheStart:
    def test_a_server_that_is_away_is_one_line_without_the_password(
        self, behind: Server, proxy: TcpProxy
    ) -> None:
        proxy.away()
        place = dataclasses.replace(behind, password="open sesame")
        for use in (Database(place, reactor).open, lambda: upgrade(place)):
            with pytest.raises(StoreError) as caught:
                use()
            told = str(caught.value)
            assert told.startswith(f"{behind}: cannot be used as a database: connection failed: ")
            assert "\n" not in told
            assert "sesame" not in told
            assert "refused" in told

    def test_a_database_that_is_not_there_is_named(self, server: Server) -> None:
        place = dataclasses.replace(server, name="smsgw_nowhere")
        with pytest.raises(StoreError, match='database "smsgw_nowhere" does not exist'):
            Database(place, reactor).open()
        with pytest.raises(StoreError, match='database "smsgw_nowhere" does not exist'):
            read_once(place, events.list_after)

    def test_an_old_server_is_refused(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgresql, "POSTGRESQL_NEEDED", 99)
        with pytest.raises(StoreError, match=r"PostgreSQL is \d+, needed 99 or newer"):
            upgrade(server)

    @reactor_test
    async def test_what_is_acknowledged_is_on_the_servers_disk(self, server: Server) -> None:
        execute(server, f'ALTER DATABASE "{server.name}" SET synchronous_commit = off')
        try:
            async with opened(server) as database:

                def setting(connection: Connection) -> Any:
                    return connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()

                assert await database.writer.run(setting) == "on"
        finally:
            execute(server, f'ALTER DATABASE "{server.name}" RESET synchronous_commit')


@reactor_test
async def test_a_lock_that_another_program_holds_fails_the_group_only(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", 0.02)
    async with opened(server) as database:
        with psycopg.connect(str(server)) as other:
            other.execute("LOCK TABLE event")
            told = await failure_of(database, note("refused"))
            assert told == "commit: canceling statement due to lock timeout"
            other.rollback()
        assert await database.writer.run(note("next")) == "next"
        assert await kinds(database) == ["next"]


LOOKED_UP = {
    queue._TAKE_SHARED: ("[5]", 0, "cmcc", "bulk", 0, 1),
    queue._TOLD: ("[5]", 1),
    progress._BY_MESSAGE: ("[5]",),
    progress._LOCK: ("[5]",),
    progress._LOCK_MATCHING: ("cmcc", '["0a"]'),
    progress._ENDED: ("delivered", "DELIVRD", "000", NOW, 1, "[5]"),
    reports._PARKED: ("cmcc", '["0a"]'),
    inbox._KNOWN: ("cmcc", '["key"]'),
}


@pytest.mark.parametrize("text", LOOKED_UP)
@reactor_test
async def test_a_long_table_is_never_read_whole_though_nothing_is_known_of_it(
    server: Server, text: str
) -> None:
    async with opened(server) as database:
        rows = [accepted(message_row(database.ids)) for _ in range(2000)]
        await database.writer.batch(ACCEPT, rows)

        def explain(connection: Connection) -> list[str]:
            found = run(connection, "EXPLAIN " + text, *LOOKED_UP[text])
            return [row[0].strip() for row in found]

        plan = await database.writer.run(explain)
    assert not any("Seq Scan" in line for line in plan), plan
    conditions = [line for line in plan if line.startswith("Index Cond")]
    keys = ("message_id = ", "id = ", "carrier_message_id = ", "dedupe_key = ")
    assert conditions
    assert all(any(key in line for key in keys) for line in conditions), plan

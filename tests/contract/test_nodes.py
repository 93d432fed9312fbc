"""Several processes on one PostgreSQL database: their numbers, leases, places and calls."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from smsgw.delivery.portability import FORGOTTEN_SECONDS, READ_SECONDS, Portability
from smsgw.errors import StoreError
from smsgw.model import Operator
from smsgw.routing.ported import PortedNumbers
from smsgw.store import commit, nodes, ported
from smsgw.store.address import Server
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT
from smsgw.store.presence import CHANNEL, Permit
from tests.support.delivery import started_clock
from tests.support.reactor import reactor_test
from tests.support.store import PHONE, accepted, message_row
from tests.support.stores import SERVER, execute

LEASE = 2.0
LONG = 60.0
KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@asynccontextmanager
async def joined(server: Server, lease: float = LONG) -> AsyncIterator[Database]:
    """A process that has claimed its node."""
    database = Database(server, reactor, lease=lease)
    database.open()
    try:
        yield database
    finally:
        await database.close()


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await deferLater(reactor, 0.005)


def place_of(database: Database, size: int = 1) -> Permit:
    permit = database.permit("cmcc", size)
    assert permit is not None
    permit.ask(lambda: None)
    return permit


def held(*permits: Permit) -> int:
    return sum(permit.held for permit in permits)


def nodes_now(server: Server) -> list[int]:
    return [row[0] for row in execute(server, "SELECT id FROM node ORDER BY id")]


class TestNodes:
    @reactor_test
    async def test_each_process_has_a_number_of_its_own_and_gives_it_back(
        self, server: Server
    ) -> None:
        async with joined(server) as one:
            async with joined(server) as two:
                assert (one.ids.node, two.ids.node) == (0, 1)
                assert nodes_now(server) == [0, 1]
            assert nodes_now(server) == [0]
            async with joined(server) as three:
                assert three.ids.node == 1
                assert three.ids.next() >> 12 & 1023 == 1
        assert nodes_now(server) == []

    @reactor_test
    async def test_a_file_has_one_process_and_no_lease(self, tmp_path) -> None:
        database = Database(tmp_path / "smsgw.db", reactor, lease=LONG)
        database.open()
        assert (database.presence, database.permit("cmcc", 1)) == (None, None)
        await database.close()

    @reactor_test
    async def test_a_lease_is_renewed_for_as_long_as_the_process_lives(
        self, server: Server
    ) -> None:
        async with joined(server, LEASE):
            ends = "SELECT lease_until FROM node"
            (first,) = execute(server, ends)
            await until(lambda: execute(server, ends)[0] > first)

    @reactor_test
    async def test_a_start_takes_the_number_of_one_that_died(self, server: Server) -> None:
        execute(server, "INSERT INTO node VALUES (7, 1, 'gone/1', 0)")
        async with joined(server) as one:
            assert one.ids.node == 7
            assert execute(server, "SELECT name FROM node") == [(nodes.own_name(),)]

    @reactor_test
    async def test_a_start_after_a_crash_goes_on_at_once(self, server: Server) -> None:
        gone = f"INSERT INTO node VALUES (7, 1, %s, {2**50})"
        execute(server, gone, f"{socket.gethostname()}/1")
        async with joined(server) as one, joined(server) as two:
            assert (one.ids.node, two.ids.node) == (7, 0)

    @reactor_test
    async def test_one_of_another_host_is_only_gone_when_its_lease_ended(
        self, server: Server
    ) -> None:
        execute(server, f"INSERT INTO node VALUES (7, 1, 'elsewhere/1', {2**50})")
        async with joined(server) as one:
            assert one.ids.node == 0

    @reactor_test
    async def test_what_a_stopped_process_left_waiting_is_taken_over_at_once(
        self, server: Server
    ) -> None:
        async with joined(server) as one:
            await one.writer.batch(ACCEPT, [accepted(message_row(one.ids))])
        assert execute(server, "SELECT id, lease_until FROM node") == [(0, 0)]

    @reactor_test
    async def test_who_lost_the_lease_commits_nothing_more_and_is_told(
        self, server: Server
    ) -> None:
        async with joined(server) as one:
            assert one.presence is not None
            lost: list[str] = []
            one.presence.on_lost = lost.append
            await one.writer.batch(ACCEPT, [accepted(message_row(one.ids))])
            execute(server, "UPDATE node SET epoch = epoch + 1")
            with pytest.raises(StoreError, match="another process has taken over"):
                await one.writer.batch(ACCEPT, [accepted(message_row(one.ids))])
            assert execute(server, "SELECT count(*) FROM message") == [(1,)]
            await until(lambda: lost)
        assert len(lost) == 1
        assert nodes_now(server) == [0]  # it is somebody else's

    @reactor_test
    async def test_a_lost_lease_is_noticed_without_a_commit(self, server: Server) -> None:
        async with joined(server, LEASE) as one:
            assert one.presence is not None
            lost: list[str] = []
            one.presence.on_lost = lost.append
            permit = place_of(one)
            await until(lambda: permit.held)
            execute(server, "UPDATE node SET epoch = epoch + 1")
            await until(lambda: lost)
            assert not permit.held

    @reactor_test
    async def test_others_are_told_of_a_lease_that_ended_when_they_know_the_time(
        self, server: Server
    ) -> None:
        async with joined(server, LEASE) as one:
            assert one.presence is not None
            over: list[list[int]] = []
            one.presence.on_ended = over.append
            execute(server, "INSERT INTO node VALUES (7, 1, 'gone/1', 0)")
            await until(lambda: over)
            assert over[0] == [7]


class TestPlaces:
    @reactor_test
    async def test_all_processes_together_hold_no_more_than_there_are(self, server: Server) -> None:
        async with joined(server, LEASE) as one, joined(server, LEASE) as two:
            first = [place_of(one, 2), place_of(one, 2)]
            second = [place_of(two, 2), place_of(two, 2)]
            await until(lambda: held(*first, *second) == 2)
            locks = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
 AND mode = 'ExclusiveLock'
 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
            assert execute(server, locks) == [(2,)]

    @reactor_test
    async def test_a_place_that_is_given_back_is_the_next_ones(self, server: Server) -> None:
        async with joined(server) as one, joined(server) as two:
            first = place_of(one)
            await until(lambda: first.held)
            second = place_of(two)
            first.drop()
            await until(lambda: second.held)
            assert not first.held

    @reactor_test
    async def test_one_alone_has_all_and_gives_back_when_another_comes(
        self, server: Server
    ) -> None:
        async with joined(server, LEASE) as one:
            permits = [place_of(one, 2), place_of(one, 2)]
            await until(lambda: held(*permits) == 2)
            async with joined(server, LEASE):
                await until(lambda: permits[1].wanted_back)
                assert (permits[0].wanted_back, held(*permits)) == (False, 2)
            await until(lambda: not permits[1].wanted_back)

    @reactor_test
    async def test_places_are_lost_with_the_connection_and_asked_for_again(
        self, server: Server
    ) -> None:
        async with joined(server, LEASE) as one:
            permit, told = one.permit("cmcc", 1), list[bool]()
            assert permit is not None
            permit.ask(lambda: told.append(permit.held))
            await until(lambda: told)
            kill = """SELECT pg_terminate_backend(pid) FROM pg_locks
 WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND database = (SELECT oid FROM pg_database
 WHERE datname = current_database())"""
            assert execute(server, kill) == [(True,)]
            await until(lambda: told == [True, False, True])


class TestCalls:
    @reactor_test
    async def test_a_call_reaches_the_others(self, server: Server) -> None:
        async with joined(server) as one:
            assert one.presence is not None
            called: list[str] = []
            one.presence.on_called = called.append
            permit = place_of(one)
            await until(lambda: permit.held)  # it listens
            execute(server, "SELECT pg_notify(%s, 'cmcc')", CHANNEL)
            await until(lambda: called)
            assert called == ["cmcc"]


@reactor_test
async def test_a_session_that_takes_no_changes_is_left_for_one_that_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "PAUSES", (0.01,))
    setting, every = f'ALTER DATABASE "{server.name}"', Server.parse(SERVER)
    async with joined(server) as one:

        async def refusal() -> str:
            try:
                await one.writer.batch(ACCEPT, [accepted(message_row(one.ids), one.ids.node)])
            except StoreError as error:
                return str(error)
            return ""

        try:
            execute(every, f"{setting} SET default_transaction_read_only = on")
            execute(server, KILL)
            while "read-only transaction" not in await refusal():
                await deferLater(reactor, 0.005)
        finally:
            execute(every, f"{setting} RESET default_transaction_read_only")
        while await refusal():
            await deferLater(reactor, 0.005)


class TestPortedNumbers:
    @reactor_test
    async def test_what_one_learns_or_forgets_the_others_know_at_once(self, server: Server) -> None:
        async with joined(server) as one, joined(server) as two:
            nodes = []
            for database in (one, two):
                numbers = PortedNumbers(reactor.seconds)
                node = Portability(database, reactor, numbers, {"cucc": Operator.UNICOM})
                await node.start()
                nodes.append((node, numbers))
            (first, known), (second, other) = nodes
            execute(server, "SELECT pg_notify(%s, 'what is no id')", ported.CHANNEL)
            first.learn("cucc", [PHONE])
            await until(lambda: known.find(PHONE) and other.find(PHONE))
            assert await second.forget([PHONE]) == 1
            await until(lambda: known.find(PHONE) is None)
            phones = [f"13900001{number:03}" for number in range(40)]
            for phone in phones:
                first.learn("cucc", [phone])
            await until(lambda: all(other.find(phone) for phone in phones))
            first.stop()
            second.stop()
            first.learn("cucc", [PHONE])  # what is heard after the end is not read

    @reactor_test
    async def test_what_is_to_be_erased_waits_until_others_have_forgotten_it(
        self, server: Server
    ) -> None:
        async with joined(server) as database:
            clock = started_clock()
            numbers = PortedNumbers(clock.seconds)
            node = Portability(database, clock, numbers, {"cucc": Operator.UNICOM})
            node.learn("cucc", [PHONE])
            await until(lambda: numbers.find(PHONE))
            gone = Deferred.fromCoroutine(node.forget_everywhere([PHONE]))
            await until(clock.getDelayedCalls)
            assert numbers.find(PHONE) is None
            clock.advance(READ_SECONDS)
            assert not gone.called
            clock.advance(FORGOTTEN_SECONDS)
            await gone
            await node.forget_everywhere([PHONE])  # nobody believes it: nothing to wait for

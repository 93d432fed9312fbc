"""Whether the database keeps what it is given, as whoever asks is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as ThreadEvent

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from smsgw.errors import StoreError
from smsgw.store.database import Database
from smsgw.store.pulse import FRESH_SECONDS, PATIENCE_SECONDS, Pulse
from tests.support.delivery import rename
from tests.support.reactor import reactor_test
from tests.support.stores import Place, opened, place

__all__ = ["place"]


@contextmanager
def held_up(database: Database) -> Iterator[Deferred[None]]:
    """Let the writer wait for something, as a disk or a lock makes it wait."""
    go_on = ThreadEvent()
    done = database.writer.run(lambda connection: go_on.wait(5) and None)
    yield done
    go_on.set()


@reactor_test
async def test_a_database_that_works_leaves_no_trace_of_being_asked(place: Place) -> None:
    async with opened(place) as database:
        clock = Clock()
        pulse = Pulse(database, clock)
        assert await gatherResults([pulse.problem() for _ in range(3)]) == [""] * 3
        assert await pulse.problem() == ""
        assert database.writer.commits == 1
        clock.advance(FRESH_SECONDS)
        assert await pulse.problem() == ""
        assert database.writer.commits == 2
        query = "SELECT count(*) FROM rerouted"
        assert await database.read(lambda c: c.exec_driver_sql(query).scalar()) == 0
        assert clock.getDelayedCalls() == []


@reactor_test
async def test_what_cannot_be_written_is_said_until_it_can(place: Place) -> None:
    async with opened(place) as database:
        clock = Clock()
        pulse = Pulse(database, clock)
        await rename(database, "rerouted", "hidden")
        told = await pulse.problem()
        assert told.startswith("nothing can be written: run: ")
        assert "rerouted" in told
        await rename(database, "hidden", "rerouted")
        clock.advance(FRESH_SECONDS)
        assert await pulse.problem() == ""


@reactor_test
async def test_a_database_that_does_not_answer_is_said_in_time(place: Place) -> None:
    async with opened(place) as database:
        clock = Clock()
        pulse = Pulse(database, clock)
        with held_up(database) as done:
            first = pulse.problem()
            clock.advance(PATIENCE_SECONDS / 2)
            second = pulse.problem()
            assert not first.called
            clock.advance(PATIENCE_SECONDS / 2)
            assert await first == await second == "the database has not answered for 2 s"
            clock.advance(9.0)
            assert await pulse.problem() == "the database has not answered for 11 s"
        await done
        await database.writer.run(lambda connection: None)
        clock.advance(FRESH_SECONDS)
        assert await pulse.problem() == ""
        assert clock.getDelayedCalls() == []


@reactor_test
async def test_a_database_that_is_closed_says_so(place: Place) -> None:
    async with opened(place) as database:
        pulse = Pulse(database, Clock())
        with pytest.raises(StoreError):
            await database.read(lambda c: c.exec_driver_sql("SELECT nothing"))
    assert await pulse.problem() == "nothing can be written: the database is not open"

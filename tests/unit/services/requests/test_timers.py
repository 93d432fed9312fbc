"""Timers on a clock that goes when told to, and a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from smsgw.daemon.clock import FOLLOWS, SteadyClock
from smsgw.errors import StoreError
from smsgw.services.requests import timers as module
from smsgw.services.requests.timers import LATE_SECONDS, LOOK_SECONDS, TimerKind, Timers
from smsgw.store import timers
from smsgw.store.ids import IdSource
from smsgw.store.timers import TimerRow
from tests.support.requests import MemoryStore, result_of
from tests.support.store import NOW

T = TypeVar("T")

HOUR = 3600.0


class Store(MemoryStore):
    """One that can be away, or keep a read waiting."""

    away = False
    reads = 0
    held: Deferred[None] | None = None

    def run(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        return fail(StoreError("the database is away")) if self.away else super().run(fn)

    def read(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        self.reads += 1
        found = self.run(fn)
        return found if self.held is None else self.held.addCallback(lambda _: found)


class Rig:
    """A store, timers, and what they fired."""

    def __init__(self, clock: Clock | None = None, *, shared: bool = False) -> None:
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(NOW / 1000)
        self.store = Store()
        self.fired: list[int] = []
        self.tried: list[tuple[int, float]] = []
        self.failing: dict[int, BaseException] = {}
        self.waits: dict[int, Deferred[None]] = {}
        self.timers = Timers(self.store, self.clock, self.fire, shared=shared)

    def fire(self, timer: TimerRow) -> Deferred[None]:
        """As the engine does: take it and do what it is for, in one transaction."""
        self.tried.append((timer.id, self.clock.seconds() - NOW / 1000))
        assert int(self.clock.seconds() * 1000) >= timer.due_at

        def work(connection: Connection) -> None:
            if timer.id in self.failing:
                raise self.failing[timer.id]
            if timers.take(connection, timer.id):
                self.fired.append(timer.id)

        if timer.id in self.waits:
            return self.waits[timer.id].addCallback(lambda _: self.store.run(work))
        return self.store.run(work)

    def set(self, timer_id: int, seconds: float, wake: bool = True) -> TimerRow:
        due_at = NOW + round(seconds * 1000)
        row = TimerRow(timer_id, TimerKind.REMIND, 7, 8, 0, due_at)
        with self.store.transaction() as connection:
            timers.set(connection, [row])
        if wake:
            self.timers.wake(due_at)
        return row

    def left(self) -> list[int]:
        with self.store.transaction() as connection:
            return [row.id for row in timers.of_request(connection, 7)]

    def close(self) -> None:
        result_of(self.timers.stop())
        assert self.clock.getDelayedCalls() == []
        self.store.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What was logged, in the words of the log."""
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_namespace"].startswith(module.__name__):
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_a_timer_fires_when_it_is_due_and_not_again(rig: Rig) -> None:
    rig.timers.start()
    rig.set(1, 10.123)
    rig.clock.advance(10.12)
    assert rig.fired == []
    rig.clock.advance(0.0041)
    assert rig.fired == [1]
    rig.clock.advance(HOUR)
    assert (rig.fired, rig.left()) == ([1], [])


def test_what_came_due_while_nobody_ran_fires_at_the_start_in_the_order_of_its_time(
    rig: Rig,
) -> None:
    for timer_id, seconds in [(1, -5.0), (2, -HOUR), (3, 5.0), (4, -5.0)]:
        rig.set(timer_id, seconds)
    rig.clock.advance(1)
    assert rig.fired == []
    rig.timers.start()
    assert rig.fired == [2, 1, 4]


def test_an_earlier_timer_comes_first_however_late_it_is_set(rig: Rig) -> None:
    rig.timers.start()
    rig.set(1, 10)
    rig.set(2, 5)
    rig.set(3, 20)
    rig.clock.advance(5.1)
    assert rig.fired == [2]
    rig.set(4, 0)
    rig.clock.advance(0)
    assert rig.fired == [2, 4]
    rig.clock.pump([5, 10])
    assert rig.fired == [2, 4, 1, 3]


def test_a_timer_that_is_cleared_or_moved_does_not_fire(rig: Rig) -> None:
    rig.timers.start()
    rig.set(1, 5)
    rig.set(2, 5)
    with rig.store.transaction() as connection:
        timers.take(connection, 1)
        timers.move(connection, 2, NOW + 8000)
    rig.clock.advance(6)
    assert rig.fired == []
    rig.clock.advance(2.1)
    assert rig.fired == [2]


def test_what_another_process_set_is_found_soon(rig: Rig) -> None:
    rig.timers.start()
    rig.set(1, 3, wake=False)
    rig.clock.advance(LOOK_SECONDS)
    assert rig.fired == [1]


def test_a_timer_set_while_the_store_is_read_is_not_forgotten(rig: Rig) -> None:
    rig.store.held = Deferred()
    rig.timers.start()
    rig.set(1, 1)  # after what is read was read
    rig.clock.advance(2)
    assert rig.fired == []
    held, rig.store.held = rig.store.held, None
    held.callback(None)
    rig.clock.advance(0)
    assert rig.fired == [1]


def test_a_thousand_at_once_all_fire_a_batch_at_a_time(rig: Rig) -> None:
    with rig.store.transaction() as connection:
        rows = [TimerRow(made, "prompt", made, 0, 0, NOW) for made in range(1, 1001)]
        timers.set(connection, rows)
    rig.timers.start()
    assert rig.fired == list(range(1, 1001))
    assert rig.store.reads == 11


def test_with_nothing_to_do_the_store_is_looked_at_twice_a_minute(rig: Rig) -> None:
    rig.timers.start()
    for _ in range(3600):
        rig.clock.advance(1)
    assert rig.store.reads <= HOUR / LOOK_SECONDS + 1


# ---- what fails -----------------------------------------------------------------------------


def test_one_that_fails_is_tried_again_ever_later_and_holds_up_no_other(
    rig: Rig, said: list[str]
) -> None:
    rig.timers.start()
    rig.failing[1] = StoreError("value too long")
    rig.set(1, 10)
    rig.set(2, 10)
    rig.set(3, 11)
    for _ in range(1650):
        rig.clock.advance(0.1)
    assert rig.fired == [2, 3]
    tried = [at for timer_id, at in rig.tried if timer_id == 1]
    assert tried == pytest.approx([10, 11, 16, 46, 106], abs=1)
    assert rig.timers.failing == 1
    problem = "timer remind of request 7 failed, again in {} s: value too long"
    assert said == [problem.format(pause) for pause in (1, 5, 30, 60, 60)]
    del rig.failing[1]
    rig.clock.advance(60)
    assert (rig.fired, rig.timers.failing) == ([2, 3, 1], 0)


def test_more_that_fail_than_a_batch_takes_hold_up_no_other(rig: Rig) -> None:
    for timer_id in range(1, 302):
        rig.failing[timer_id] = ZeroDivisionError()
        rig.set(timer_id, 0)
    del rig.failing[301]
    rig.timers.start()
    assert (rig.fired, rig.timers.failing) == ([301], 300)


def test_what_raises_or_is_a_mistake_of_ours_is_logged_with_its_place(said: list[str]) -> None:
    rig = Rig()

    def broken(timer: TimerRow) -> Deferred[None]:
        raise KeyError("subject")

    rig.timers = Timers(rig.store, rig.clock, broken)
    rig.set(1, 0)
    rig.timers.start()
    assert said[0].startswith("timer remind of request 7 failed, again in 1 s: Traceback")
    assert "in broken" in said[0]
    rig.close()


def test_what_is_left_where_it_was_is_not_fired_all_the_time(said: list[str]) -> None:
    rig = Rig()
    calls: list[int] = []

    def idle(timer: TimerRow) -> Deferred[None]:
        calls.append(timer.id)
        return succeed(None)

    rig.timers = Timers(rig.store, rig.clock, idle)
    rig.set(1, 0)
    rig.timers.start()
    assert calls == [1]
    assert said == ["timer remind of request 7 failed, again in 1 s: it was not taken"]
    rig.clock.advance(1.1)
    assert calls == [1, 1]
    rig.close()


def test_one_that_fails_after_it_was_taken_is_done(rig: Rig, said: list[str]) -> None:
    row = rig.set(1, 0)

    def failing_late(timer: TimerRow) -> Deferred[None]:
        done = rig.fire(timer)
        return done.addCallback(lambda _: fail(StoreError("nobody listens")))

    rig.timers = Timers(rig.store, rig.clock, failing_late)
    rig.timers.start()
    assert (rig.fired, rig.timers.failing) == ([row.id], 0)
    assert said == ["timer remind of request 7 failed: nobody listens"]
    rig.clock.advance(HOUR)
    assert rig.fired == [row.id]


def test_what_failed_and_was_cleared_is_forgotten(rig: Rig) -> None:
    rig.timers.start()
    rig.failing[1] = StoreError("no")
    rig.set(1, 0)
    rig.clock.advance(0.01)
    assert rig.timers.failing == 1
    with rig.store.transaction() as connection:
        timers.clear(connection, 7)
    rig.clock.pump([LOOK_SECONDS] * 2)
    assert rig.timers.failing == 0


def test_a_database_that_is_away_is_waited_for(rig: Rig, said: list[str]) -> None:
    rig.timers.start()
    rig.set(1, 10)
    rig.store.away = True
    for _ in range(200):
        rig.clock.advance(1)
    assert rig.fired == []
    problem = "timers of requests could not be looked after, again in {} s: the database is away"
    assert said[:4] == [problem.format(pause) for pause in (1, 5, 30, 30)]
    assert len(said) < 10
    rig.store.away = False
    rig.clock.pump([30, 30])
    assert rig.fired == [1]
    rig.store.away = True
    rig.clock.advance(LOOK_SECONDS)
    assert said[-1] == problem.format(1)


def test_a_database_that_goes_away_meanwhile_is_waited_for(rig: Rig) -> None:
    rig.waits[1] = Deferred()
    rig.set(1, 0)
    rig.timers.start()
    rig.store.away = True
    rig.waits.pop(1).callback(None)
    assert (rig.fired, rig.timers.failing) == ([], 0)
    rig.store.away = False
    rig.clock.advance(1.1)
    assert rig.fired == [1]


# ---- the end, other processes, and the machine's clock -----------------------------------------


def test_a_stop_waits_for_what_was_begun_and_begins_no_more(rig: Rig) -> None:
    rig.waits[1] = Deferred()
    for timer_id in range(1, 102):
        rig.set(timer_id, 0)
    rig.timers.start()
    ended: list[None] = []
    rig.timers.stop().addCallback(ended.append)
    assert ended == []
    rig.waits.pop(1).callback(None)
    assert ended == [None]
    assert (sorted(rig.fired), rig.left()) == (list(range(1, 101)), [101])
    rig.set(102, 0)
    assert rig.clock.getDelayedCalls() == []


def test_a_stop_while_the_store_is_read_fires_nothing(rig: Rig) -> None:
    rig.store.held = Deferred()
    rig.set(1, 0)
    rig.timers.start()
    stopped = rig.timers.stop()
    held, rig.store.held = rig.store.held, None
    held.callback(None)
    result_of(stopped)
    assert (rig.fired, rig.tried) == ([], [])


def test_where_several_share_the_store_each_takes_its_own_and_what_others_are_late_with() -> None:
    rig = Rig(shared=True)
    mine, other = (IdSource(node, lambda: NOW / 1000).next() for node in (0, 1))
    rig.timers.start()
    rig.set(mine, 10)
    rig.set(other, 10)
    rig.clock.advance(10.1)
    assert rig.fired == [mine]
    rig.clock.advance(LATE_SECONDS - 0.2)
    assert rig.fired == [mine]
    rig.clock.advance(0.2)
    assert rig.fired == [mine, other]
    rig.close()


class SteadyReactor(Clock):
    """A reactor on our steady clock, beside a machine's clock that is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.on = self.set_by = 0.0
        self.steady = SteadyClock(lambda: NOW / 1000 + self.on + self.set_by, lambda: self.on)
        self.rightNow = self.steady()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.on += 0.1
            self.advance(self.steady() - self.rightNow)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_clock_that_is_set_by_an_hour_neither_hurries_nor_holds_up_a_timer(step: float) -> None:
    reactor = SteadyReactor()
    rig = Rig(reactor)
    rig.timers.start()
    rig.set(1, 20)
    rig.set(2, 600)
    reactor.pass_time(10)
    reactor.set_by = step
    for timer_id, seconds in [(1, 20), (2, 600)]:
        while timer_id not in rig.fired:
            reactor.pass_time(0.1)
        assert seconds / (1 + FOLLOWS) - 0.2 < reactor.on < seconds / (1 - FOLLOWS) + 0.2
    reactor.set_by = 0.0
    reactor.pass_time(60)
    assert (rig.fired, rig.left()) == ([1, 2], [])
    rig.close()

"""Parts in any order, twice, over two processes that come and go: none lost, none doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from smsgw.delivery.reassembly import TIMEOUT_SECONDS, Reassembly
from smsgw.routing.inbound import InboundTable
from smsgw.store.database import Database
from smsgw.store.ids import IdSource
from smsgw.store.inbox import RECEIVE, InboundRow, PartRow
from smsgw.store.schema import event, inbound, inbound_part, message, metadata
from smsgw.store.statements import give_ids
from tests.support.delivery import started_clock
from tests.support.store import part_row

PHONES = ("13800001001", "13800001002")

parts = st.tuples(
    st.just("part"),
    st.integers(0, 1),  # over which process
    st.sampled_from(PHONES),
    st.integers(1, 2),  # reference
    st.integers(2, 3),  # total
    st.integers(0, 2),  # which part
    st.integers(0, 1),  # what it says
)
steps = st.one_of(
    parts,
    parts,
    parts,
    st.tuples(st.just("store"), st.integers(1, 5)),
    st.tuples(st.just("time"), st.sampled_from([1, 100, 301])),
    st.tuples(st.just("start"), st.integers(0, 1)),
)


class SlowStore:
    """A store in memory whose writes and reads happen, in order, when a test says so."""

    def __init__(self, clock: Callable[[], float]) -> None:
        engine = create_engine("sqlite://")
        self.connection = engine.connect()
        metadata.create_all(self.connection, [message, event, inbound, inbound_part])
        self.ids = IdSource(0, clock)
        give_ids(self.connection, self.ids)
        self.writer = self
        self._asked: list[tuple[Callable[[Connection], Any], Deferred[Any]]] = []
        self._answers: list[tuple[Deferred[Any], Any]] = []

    def run(self, fn: Callable[[Connection], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._asked.append((fn, done))
        return done

    read = run

    def step(self) -> bool:
        """Do one thing that was asked for, or tell one outcome; False when there is nothing."""
        if self._asked and len(self._answers) < 2:
            fn, done = self._asked.pop(0)
            savepoint = self.connection.begin_nested()
            try:
                outcome = fn(self.connection)
                savepoint.commit()
            except Exception:
                savepoint.rollback()
                outcome = Failure()
            self._answers.append((done, outcome))
        elif self._answers:
            done, outcome = self._answers.pop(0)
            if not done.called:
                done.callback(outcome)
        else:
            return False
        return True


class Town:
    """Two processes on one store."""

    def __init__(self) -> None:
        self.clock = started_clock()
        self.store = SlowStore(self.clock.seconds)
        self.delivered: Counter[int] = Counter()
        self.processes = [self.made(), self.made()]

    def made(self) -> Reassembly:
        table = InboundTable([("cmcc", "10690001")])
        store = cast(Database, self.store)
        made = Reassembly(store, self.clock, table, self.deliver)
        made.log = _Silent()  # type: ignore[assignment]
        return made

    def deliver(self, row: InboundRow) -> None:
        self.delivered[row.id] += 1

    def part(
        self, process: int, phone: str, reference: int, total: int, place: int, words: int
    ) -> None:
        row = part_row(
            self.store.ids,
            sender=phone,
            reference=f"8:{reference}",
            total=total,
            sequence=place % total + 1,
            content=f"{place % total}{words}".encode("utf-16-be"),
            received_at=int(self.clock.seconds() * 1000),
        )
        stored = self.store.run(lambda c: RECEIVE.execute(c, [row]))
        stored.addCallback(lambda _: self.processes[process].add(row))

    def start(self, process: int) -> None:
        self.processes[process].stop()
        self.processes[process] = self.made()
        self.processes[process].recover().addErrback(lambda failure: None)

    def drain(self) -> None:
        while self.store.step():
            pass

    def settle(self) -> None:
        """Let everything end that waits for the store or for time."""
        self.drain()
        for process in (0, 1):
            self.start(process)
            self.drain()
        for _ in range(4):
            self.clock.advance(TIMEOUT_SECONDS + 1)
            self.drain()
        for one in self.processes:
            one.stop()
        assert self.clock.getDelayedCalls() == []

    def rows(self) -> list[InboundRow]:
        return [InboundRow(*row) for row in self.store.connection.execute(select(inbound))]

    def parts(self) -> list[PartRow]:
        return [PartRow(*row) for row in self.store.connection.execute(select(inbound_part))]


class _Silent:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def run(todo: list[tuple[Any, ...]]) -> Town:
    town = Town()
    for what, *how in todo:
        if what == "part":
            town.part(*how)
        elif what == "store":
            for _ in range(how[0]):
                town.store.step()
        elif what == "time":
            town.clock.advance(how[0])
        else:
            town.start(*how)
    town.settle()
    return town


@given(st.lists(steps, max_size=30))
def test_every_part_is_in_one_message_and_every_message_is_of_one_mind(
    todo: list[tuple[Any, ...]],
) -> None:
    town = run(todo)
    by_message: dict[int | None, list[PartRow]] = {}
    for part in town.parts():
        by_message.setdefault(part.inbound_id, []).append(part)
    assert None not in by_message, "a part is in no message"
    for row in town.rows():
        members = by_message[row.id]
        said = {part.sequence: part.content for part in members}
        assert len({(part.sender, part.reference, part.total) for part in members}) == 1
        assert all(said[part.sequence] == part.content for part in members)
        missing = sorted(set(range(1, row.parts + 1)).difference(said))
        assert row.missing == (
            "1-2"
            if missing == [1, 2]
            else "2-3"
            if missing == [2, 3]
            else ",".join(map(str, missing))
        )
        assert town.delivered[row.id] <= 1


@given(st.lists(steps.filter(lambda one: one[0] != "time" or one[1] == 1), max_size=25))
def test_a_message_whose_parts_say_one_thing_is_told_once(todo: list[tuple[Any, ...]]) -> None:
    town = run([(*one[:6], 0) if one[0] == "part" else one for one in todo])
    rows = town.rows()
    of = {part.inbound_id: part for part in town.parts()}
    messages = Counter((row.sender, of[row.id].reference, row.parts) for row in rows)
    assert all(count == 1 for count in messages.values()), messages

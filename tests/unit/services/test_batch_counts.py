"""How far a batch is when counting takes long: told again for a while, counted once for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from smsgw.errors import NotFound, StoreError
from smsgw.model import MessageStatus as S
from smsgw.services import batch_counts
from smsgw.services.batch_counts import TOLD_AGAIN, BatchCounts, Count
from smsgw.store import batches
from smsgw.store.messages import MessageRow
from tests.support.memory import MemoryStore, Time, result_of
from tests.support.store import StoredMessages, batch_row

T = TypeVar("T")

ACCOUNT = "newsroom"
BATCH = 1


class SlowStore(MemoryStore):
    """Each read takes ``seconds``; while ``held`` is a list, reads wait in it to be let go."""

    def __init__(self, time: Time) -> None:
        super().__init__(time)
        self.time = time
        self.seconds = 0.0
        self.reads = 0
        self.held: list[Deferred[None]] | None = None

    def read(self, fn: Callable[[Connection], T], rows: int = 1) -> Deferred[T]:
        self.reads += 1
        if self.held is None:
            return self._read(fn)
        gate: Deferred[None] = Deferred()
        self.held.append(gate)
        return gate.addCallback(lambda _: self._read(fn))

    def _read(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        self.time.advance(self.seconds)
        return self.run(fn)

    def let_go(self) -> None:
        held, self.held = self.held or [], None
        for gate in held:
            gate.callback(None)


class Scene:
    """A batch of messages that are being sent, none of them of a range that is done with."""

    def __init__(self, messages: int = 2) -> None:
        self.time = Time()
        self.store = SlowStore(self.time)
        self.counts = BatchCounts(self.store, self.time)  # type: ignore[arg-type]
        self.made: list[MessageRow] = []
        ids = self.store.ids.take(messages)

        def make(connection: Connection) -> None:
            store = StoredMessages(connection, self.store.ids)
            self.made = [store.message(S.SENDING, id=one) for one in ids]
            batches.insert(connection, batch_row(BATCH, 0), ids)

        result_of(self.store.run(make))
        self.settle(0, S.SENT)

    def settle(self, place: int, state: S) -> None:
        def work(connection: Connection) -> None:
            StoredMessages(connection, self.store.ids).settle(self.made[place], state)

        result_of(self.store.run(work))

    def look(self) -> Deferred[Count]:
        return Deferred.fromCoroutine(self.counts.of(ACCOUNT, BATCH))

    def sent(self) -> int:
        return result_of(self.look()).tally.counts.get("sent", 0)


def test_what_is_counted_fast_is_counted_at_every_look() -> None:
    scene = Scene()
    assert scene.sent() == 1
    scene.settle(1, S.SENT)
    assert scene.sent() == 2


def test_what_took_long_is_told_again_and_says_when_it_was_counted() -> None:
    scene = Scene()
    scene.store.seconds = 1.0
    counted = result_of(scene.look())
    scene.store.seconds, scene.store.reads = 0.0, 0
    scene.settle(1, S.SENT)
    again = result_of(scene.look())
    assert again is counted
    assert scene.store.reads == 1  # the batch's own row
    assert scene.time() - again.at >= 2.0


def test_who_looks_when_it_grows_old_has_it_counted_for_the_next_ones() -> None:
    scene = Scene()
    scene.store.seconds = 1.0
    counted = result_of(scene.look())
    scene.store.seconds = 0.0
    scene.settle(1, S.SENT)
    scene.time.advance(TOLD_AGAIN / 2 * counted.seconds)
    assert scene.sent() == 1
    assert scene.sent() == 2


def test_nobody_is_told_what_is_too_old() -> None:
    scene = Scene()
    scene.store.seconds = 1.0
    counted = result_of(scene.look())
    scene.settle(1, S.SENT)
    scene.time.advance(TOLD_AGAIN * counted.seconds)
    assert scene.sent() == 2


def test_nobody_is_told_what_a_batch_was_before_it_grew_or_was_canceled() -> None:
    scene = Scene()
    scene.store.seconds = 1.0
    assert result_of(scene.look()).row.messages == 2
    more = scene.store.ids.take(1)

    def extend(connection: Connection) -> None:
        StoredMessages(connection, scene.store.ids).message(id=more[0])
        batches.extend(connection, batches.find(connection, ACCOUNT, BATCH), more)

    result_of(scene.store.run(extend))
    found = result_of(scene.look())
    assert (found.row.messages, found.tally.counts) == (3, {"sent": 1, "queued": 2})


def test_it_is_counted_once_for_all_who_wait() -> None:
    scene = Scene()
    result_of(scene.look())
    scene.store.reads = 0
    scene.store.held = []
    looks = [scene.look() for _ in range(3)]
    first, scene.store.held = scene.store.held, []
    for gate in first:  # each has found the batch; one of them counts
        gate.callback(None)
    assert len(scene.store.held) == 1
    scene.store.let_go()
    assert len({id(result_of(one)) for one in looks}) == 1


def test_what_began_to_be_counted_last_is_what_is_told() -> None:
    scene = Scene()
    scene.store.seconds, scene.store.held = 1.0, []
    early = Deferred.fromCoroutine(scene.counts.now(ACCOUNT, BATCH))
    waiting, scene.store.held = scene.store.held, None
    scene.time.advance(1.0)
    late = result_of(Deferred.fromCoroutine(scene.counts.now(ACCOUNT, BATCH)))
    waiting[0].callback(None)
    assert result_of(early).at < late.at
    assert result_of(scene.look()) is late


def test_all_who_wait_hear_why_it_could_not_be_counted() -> None:
    scene = Scene()
    scene.store.held = []
    looks = [scene.look() for _ in range(2)]
    first, scene.store.held = scene.store.held, []
    for gate in first:
        gate.callback(None)
    for gate in scene.store.held:
        gate.errback(StoreError("the database is away"))
    for one in looks:
        with pytest.raises(StoreError, match="the database is away"):
            result_of(one)
    scene.store.held = None
    assert scene.sent() == 1


def test_a_count_that_nobody_waits_for_may_fail() -> None:
    scene = Scene()
    scene.store.seconds = 1.0
    counted = result_of(scene.look())
    scene.store.seconds = 0.0
    scene.time.advance(TOLD_AGAIN / 2 * counted.seconds)
    scene.store.held = []
    look = scene.look()
    (found,), scene.store.held = scene.store.held, []
    found.callback(None)
    assert result_of(look) is counted
    scene.store.held.pop().errback(StoreError("the database is away"))
    scene.store.held = None
    assert scene.sent() == 1


def test_another_account_is_told_nothing() -> None:
    scene = Scene()
    scene.store.seconds = 1.0
    result_of(scene.look())
    with pytest.raises(NotFound):
        result_of(Deferred.fromCoroutine(scene.counts.of("sales", BATCH)))


def test_a_large_one_is_counted_in_pieces_and_what_is_done_with_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "RANGE", 1)
    monkeypatch.setattr(batch_counts, "PIECE", 1)
    scene = Scene(3)
    scene.settle(1, S.REJECTED)
    scene.settle(2, S.REJECTED)
    scene.store.reads = 0
    assert result_of(scene.look()).tally.counts == {"sent": 1, "rejected": 2}
    assert scene.store.reads == 2 + 3
    scene.store.reads = 0
    assert result_of(scene.look()).tally.counts == {"sent": 1, "rejected": 2}
    assert scene.store.reads == 2 + 1


def test_few_counts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_counts, "KEPT_MAX", 1)
    scene = Scene()
    ids = scene.store.ids.take(1)
    make = batch_row(BATCH + 1, 0)
    result_of(scene.store.run(lambda connection: batches.insert(connection, make, ids)))
    scene.store.seconds = 1.0
    counted = result_of(scene.look())
    other = Deferred.fromCoroutine(scene.counts.of(ACCOUNT, BATCH + 1))
    assert result_of(other).row.id == BATCH + 1
    assert result_of(scene.look()) is not counted

"""Batches where time matters: slices, times of their own, tallies that are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
from sqlalchemy import update
from twisted.internet.defer import Deferred

from smsgw.errors import Conflict, Overloaded, StoreError, ValidationError
from smsgw.model import MessageClass, MessageStatus
from smsgw.services import group_sending, submission
from smsgw.services.group_sending import (
    CANCEL_SECONDS,
    RECIPIENTS_MAX,
    SLICE,
    NewBatch,
    Recipient,
    Taken,
)
from smsgw.store import batches, idempotency
from smsgw.store.idempotency import KeyRow, Once
from smsgw.store.schema import batch
from tests.support.batches import BatchDesk
from tests.support.memory import MemoryStore, Time, result_of
from tests.support.store import NOW

MOBILE = "13800001001"
BATCH = NewBatch(text="早新闻", message_class=MessageClass.BULK)


class Scene(BatchDesk):
    def __init__(self) -> None:
        self.time = Time()
        super().__init__(MemoryStore(self.time), self.time)

    def create(self, *phones: str, new: NewBatch = BATCH) -> Deferred[int]:
        return self.take(*phones, new=new).addCallback(lambda taken: taken.id)

    def take(self, *phones: str, new: NewBatch = BATCH) -> Deferred[Taken]:
        people = [Recipient(one) for one in phones or (MOBILE,)]
        return Deferred.fromCoroutine(self.batches.create("oa", new, people))

    def extend(self, batch_id: int, *phones: str) -> None:
        people = [Recipient(one) for one in phones]
        result_of(Deferred.fromCoroutine(self.batches.extend("oa", batch_id, people)))

    def show(self, batch_id: int) -> dict[str, object]:
        return result_of(Deferred.fromCoroutine(self.batches.show("oa", batch_id)))

    def cancel(
        self, batch_id: int, once: Once[dict[str, object]] | None = None
    ) -> dict[str, object]:
        return result_of(Deferred.fromCoroutine(self.batches.cancel("oa", batch_id, once)))


def test_a_long_batch_is_planned_in_slices_and_accepted_at_once() -> None:
    scene = Scene()
    made = scene.create(*[MOBILE] * (2 * SLICE + 1))
    assert scene.sent == []
    scene.time.advance(0)
    shown = scene.show(result_of(made))
    assert (shown["messages"], len(scene.sent)) == (2 * SLICE + 1, 2 * SLICE + 1)
    ids = [one.message_id for one in scene.sent]
    assert ids == sorted(ids)


def test_long_batches_are_taken_one_at_a_time_and_few_wait() -> None:
    scene = Scene()
    long = [MOBILE] * (SLICE + 1)
    first, second = scene.create(*long), scene.create(*long, "1")
    short = result_of(scene.create(MOBILE))  # it waits for none of them
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_sending, "WAITING_MAX", 1)
        with pytest.raises(Overloaded, match="1 long batches wait already"):
            result_of(scene.create(*long))
    assert not first.called
    assert len(scene.time.getDelayedCalls()) == 1  # the second one has not begun
    scene.time.advance(0)
    assert len(scene.sent) == SLICE + 2
    with pytest.raises(ValidationError):
        result_of(second)
    third = scene.create(*long)
    scene.time.advance(0)
    assert len({short, result_of(first), result_of(third)}) == 3


def test_one_wrong_number_in_a_late_slice_refuses_all() -> None:
    scene = Scene()
    made = scene.create(*[MOBILE] * SLICE, "1")
    scene.time.advance(0)
    with pytest.raises(ValidationError, match=rf"^recipients\[{SLICE}\]\.to: "):
        result_of(made)
    assert scene.sent == []


def test_who_opted_out_is_left_out_and_all_others_are_sent_to() -> None:
    scene = Scene()
    gone = "13800001002"
    scene.opted_out.add(gone)
    made = scene.take(gone, *[MOBILE] * SLICE, gone, MOBILE)
    scene.time.advance(0)
    taken = result_of(made)
    assert taken[1:] == (SLICE + 1, [0, SLICE + 1])
    assert scene.show(taken.id)["messages"] == SLICE + 1
    assert {one.recipient for one in scene.sent} == {MOBILE}
    assert len(scene.sent) == SLICE + 1


def test_a_batch_of_nobody_but_who_opted_out_is_refused() -> None:
    scene = Scene()
    scene.opted_out.add(MOBILE)
    with pytest.raises(ValidationError, match=r"^recipients: all 2 opted out of bulk messages"):
        result_of(scene.create(MOBILE, MOBILE))
    assert scene.sent == []


def test_who_opted_out_excuses_no_mistake_of_others() -> None:
    scene = Scene()
    scene.opted_out.add(MOBILE)
    with pytest.raises(ValidationError, match=r"^recipients\[1\]\.to: "):
        result_of(scene.create(MOBILE, "1", "13800001002"))
    assert scene.sent == []


def test_too_many_recipients_are_refused() -> None:
    with pytest.raises(ValidationError, match="recipients: 10001 recipients, allowed 1 to 10000"):
        result_of(Scene().create(*[MOBILE] * (RECIPIENTS_MAX + 1)))


def test_more_parts_than_memory_is_for_are_refused() -> None:
    scene = Scene()
    long = NewBatch(text="长" * 670)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submission, "PARTS_MAX", 21)
        with pytest.raises(ValidationError, match=r"^recipients: more than 21 parts of"):
            result_of(scene.create(*[MOBILE] * 3, new=long))
        assert scene.sent == []
        result_of(scene.create(*[MOBILE] * 2, new=long))
    assert len(scene.sent) == 20


def test_when_too_much_waits_nothing_is_accepted() -> None:
    scene = Scene()
    scene.store.queued = 10**6
    with pytest.raises(Overloaded):
        result_of(scene.create())


def test_a_batch_for_later_waits_and_its_recipients_of_after_then_do_not() -> None:
    scene = Scene()
    at = datetime.fromtimestamp(NOW / 1000, UTC) + timedelta(hours=1)
    batch_id = result_of(
        scene.create(new=NewBatch(text="早新闻", send_at=at, valid_for=60, reference="news"))
    )
    scene.extend(batch_id, MOBILE)
    due = NOW + 3_600_000
    assert [one.due_at for one in scene.sent] == [due, due]
    assert [one.valid_until for one in scene.sent] == [due + 60_000] * 2
    shown = scene.show(batch_id)
    assert shown["counts"]["scheduled"] == 2  # type: ignore[index]
    scene.time.advance(4000)
    scene.extend(batch_id, MOBILE)
    assert [one.due_at for one in scene.sent] == [due, due, 0]
    assert scene.cancel(batch_id)["canceled"] == 3
    assert scene.ended == [MessageStatus.CANCELED] * 3


def test_nothing_is_added_to_a_batch_whose_text_was_purged() -> None:
    scene = Scene()
    batch_id = result_of(scene.create())
    blank = update(batch).where(batch.c.id == batch_id).values(text="")
    scene.store.writer.run(lambda connection: connection.execute(blank))
    with pytest.raises(Conflict, match=f"^batch {batch_id} is old and its text was purged"):
        scene.extend(batch_id, MOBILE)
    assert len(scene.sent) == 1


def test_canceling_many_stops_in_time_and_is_gone_on_with() -> None:
    scene = Scene()
    batch_id = result_of(scene.create(MOBILE, MOBILE))
    for _ in range(2):
        scene.extend(batch_id, MOBILE)
    scene.on_end = lambda: scene.time.advance(CANCEL_SECONDS)
    answers = [scene.cancel(batch_id) for _ in range(4)]
    assert [(one["canceled"], one["more"]) for one in answers] == [
        (2, True),
        (1, True),
        (1, True),
        (0, False),
    ]
    assert ("finished" in answers[0], answers[-1]["finished"], scene.sent) == (False, 4, [])


def test_canceling_that_is_broken_off_has_recorded_with_its_key_how_far_it_came() -> None:
    scene = Scene()
    batch_id = result_of(scene.create(MOBILE, MOBILE))
    scene.extend(batch_id, MOBILE)

    def once(told: dict[str, object]) -> KeyRow:
        return KeyRow("oa", "k", b"", 200, "{}", msgspec.json.encode(told), NOW)

    def recorded() -> dict[str, object]:
        row = result_of(scene.store.read(partial(idempotency.get, account="oa", name="k")))
        assert row is not None
        told: dict[str, object] = msgspec.json.decode(row.body)
        return told

    def break_off() -> None:
        raise StoreError("the process ends")

    scene.on_end = break_off
    with pytest.raises(StoreError):
        scene.cancel(batch_id, once)
    assert (recorded()["canceled"], recorded()["more"]) == (2, True)
    scene.on_end = lambda: None
    rest = scene.cancel(batch_id, once)
    assert (rest["canceled"], rest["more"]) == (1, False)
    assert recorded() == rest


def test_what_has_ended_is_remembered_and_a_database_that_cannot_is_no_harm() -> None:
    scene = Scene()
    batch_id = result_of(scene.create(MOBILE, MOBILE))
    with pytest.MonkeyPatch.context() as patch:

        def refuse(*args: object, **kwargs: object) -> None:
            raise StoreError("the disk is full")

        patch.setattr(batches, "keep", refuse)
        assert scene.cancel(batch_id)["finished"] == 2
    unfinished = partial(batches.unfinished, batch_id=batch_id)
    assert len(result_of(scene.store.read(unfinished))) == 1
    assert scene.show(batch_id)["finished"] == 2
    assert result_of(scene.store.read(unfinished)) == []
    assert scene.show(batch_id)["finished"] == 2

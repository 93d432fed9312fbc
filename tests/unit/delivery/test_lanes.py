from __future__ import annotations

from itertools import count

import pytest

from smsgw.delivery.lanes import Lanes
from smsgw.model import MessageClass
from smsgw.store.ids import IdSource
from smsgw.store.queue import QueuedSegment
from tests.support.store import NOW, message_row, queued_segment

REALTIME, INTERACTIVE, NOTICE, BULK = MessageClass

_tick = count()
IDS = IdSource(0, lambda: NOW / 1000 + next(_tick))


def made(kind: MessageClass = NOTICE, parts: int = 1, **fields: int) -> list[QueuedSegment]:
    message = message_row(IDS, parts=parts, message_class=str(kind))
    return [queued_segment(message, part, **fields) for part in range(1, parts + 1)]


def one(kind: MessageClass = NOTICE, **fields: int) -> QueuedSegment:
    return made(kind, **fields)[0]


def put(lanes: Lanes, kind: MessageClass, number: int) -> None:
    for _ in range(number):
        assert lanes.put(one(kind))


def kinds(picked: list[QueuedSegment]) -> list[MessageClass]:
    return [item.message_class for item in picked]


def test_what_waits_for_a_pause_only_is_kept_though_its_lane_is_full() -> None:
    lanes = Lanes(2)
    first, second = one(), one()
    for item in (first, second):
        assert lanes.put(item)
    assert lanes.pick(2, NOW)[0] == [first, second]
    put(lanes, NOTICE, 2)
    lanes.put_later(second, NOW + 500, bounded=False)
    lanes.put_later(first, NOW + 500, bounded=False)
    assert len(lanes) == 4
    assert lanes.pick(2, NOW + 500)[0] == [first, second]


def test_it_tells_whether_the_store_has_more() -> None:
    lanes = Lanes(1)
    put(lanes, NOTICE, 1)
    assert not lanes.any_in_store()
    assert not lanes.put(one())
    assert lanes.any_in_store()


def test_what_is_urgent_goes_first() -> None:
    lanes = Lanes(100)
    for kind in (BULK, NOTICE, INTERACTIVE, REALTIME):
        put(lanes, kind, 1)
    picked, _ = lanes.pick(10, NOW)
    assert kinds(picked) == [REALTIME, INTERACTIVE, NOTICE, BULK]


def test_an_urgent_one_that_comes_late_is_in_the_next_window_before_bulk() -> None:
    lanes = Lanes(1000)
    put(lanes, BULK, 500)
    lanes.pick(16, NOW)
    put(lanes, REALTIME, 1)
    picked, _ = lanes.pick(16, NOW)
    assert REALTIME in kinds(picked)[:2]


def test_urgent_and_other_classes_have_each_their_room() -> None:
    lanes = Lanes(100)
    for kind in MessageClass:
        put(lanes, kind, 20)
    picked, _ = lanes.pick(100, NOW, urgent=3, others=2)
    assert sorted(kinds(picked).count(kind) for kind in (REALTIME, INTERACTIVE)) == [0, 3]
    assert sum(kinds(picked).count(kind) for kind in (NOTICE, BULK)) == 2
    assert lanes.pick(100, NOW, urgent=0, others=-1) == ([], [])
    assert len(lanes.pick(4, NOW, urgent=3, others=3)[0]) == 4


def test_a_lane_counts_what_came_and_what_went() -> None:
    lanes = Lanes(2)
    put(lanes, BULK, 2)
    assert not lanes.put(one(BULK))
    assert lanes.of("bulk").backlog == 3
    lanes.pick(1, NOW)
    assert lanes.of("bulk").backlog == 2


def test_what_was_read_of_a_message_that_ended_is_given_up() -> None:
    lanes = Lanes(9)
    ended = one(ended=True)
    lanes.load(ended)
    assert lanes.pick(9, NOW) == ([], [ended])


def test_all_lanes_are_served_by_weight_so_that_none_starves() -> None:
    lanes = Lanes(1000)
    for kind in MessageClass:
        put(lanes, kind, 200)
    picked, _ = lanes.pick(29 * 4, NOW)
    assert [kinds(picked).count(kind) for kind in MessageClass] == [64, 32, 16, 4]


def test_one_lane_keeps_its_order() -> None:
    lanes = Lanes(100)
    items = made(parts=3) + made(parts=2)
    for item in items:
        lanes.put(item)
    picked = lanes.pick(2, NOW)[0] + lanes.pick(9, NOW)[0]
    assert picked == items


def test_what_was_put_back_comes_first_again_in_its_order() -> None:
    lanes = Lanes(100)
    items = made(parts=5)
    for item in items:
        lanes.put(item)
    picked, _ = lanes.pick(3, NOW)
    lanes.put_back(picked)
    assert lanes.pick(9, NOW)[0] == items


def test_above_the_limit_a_segment_stays_in_the_store_and_all_after_it() -> None:
    lanes = Lanes(2)
    put(lanes, BULK, 2)
    assert not lanes.put(one(BULK))
    assert lanes.put(one(REALTIME))
    lanes.pick(9, NOW)
    assert not lanes.put(one(BULK))
    assert [lane.message_class for lane in lanes.hungry()] == [BULK]


def test_while_a_lane_is_loaded_what_comes_stays_behind_it() -> None:
    lanes = Lanes(4)
    lane = next(iter(lanes))
    lane.loading = True
    assert not lanes.put(one(REALTIME))
    assert lane.more
    assert lanes.hungry() == []
    assert lanes.load(one(REALTIME))


def test_a_segment_is_in_memory_only_once() -> None:
    lanes = Lanes(10)
    item = one()
    assert lanes.put(item)
    assert lanes.put(item)
    assert lanes.load(item)
    assert len(lanes) == 1
    assert not lanes.hold(item)
    assert lanes.held == {item.key}
    lanes.release(item)
    assert lanes.held == set()
    assert lanes.hold(item)


def test_the_parts_of_a_message_are_held_each_for_itself() -> None:
    lanes = Lanes(10)
    first, second = made(parts=2)
    lanes.put(first)
    assert lanes.held == {first.key}
    assert lanes.load(second)
    lanes.release(first)
    assert lanes.held == {second.key}


def test_what_has_a_time_of_its_own_waits_for_it() -> None:
    lanes = Lanes(10)
    item = one(due_at=NOW + 5000)
    assert lanes.put(item)
    assert lanes.pick(9, NOW) == ([], [])
    assert lanes.next_due() == NOW + 5000
    assert lanes.pick(9, NOW + 5000)[0] == [item]


def test_a_lane_is_found_by_its_class() -> None:
    lanes = Lanes(10)
    put(lanes, BULK, 1)
    assert len(lanes.of("bulk")) == 1
    assert lanes.of("notice").message_class is NOTICE


def test_loading_stops_at_the_limit() -> None:
    lanes = Lanes(1)
    assert lanes.load(one())
    assert not lanes.load(one())


def test_a_retry_waits_until_it_is_due_and_then_comes_first() -> None:
    lanes = Lanes(10)
    later = one(due_at=NOW + 5000)
    lanes.load(later)
    fresh = one()
    lanes.put(fresh)
    assert lanes.next_due() == NOW + 5000
    assert lanes.any_ready()
    assert lanes.pick(9, NOW)[0] == [fresh]
    assert not lanes.any_ready()
    other = one()
    lanes.put(other)
    assert lanes.pick(9, NOW + 5000)[0] == [later, other]
    assert lanes.next_due() is None


def test_retries_due_together_keep_the_order_of_their_segments() -> None:
    lanes = Lanes(10)
    items = made(parts=3)
    for item in (items[2], items[0], items[1]):
        lanes.hold(item)
        lanes.put_later(item, NOW + 1000)
    assert lanes.pick(9, NOW + 1000)[0] == items


def test_a_retry_without_room_is_left_to_the_store() -> None:
    lanes = Lanes(1)
    item = one()
    lanes.put(item)
    lanes.pick(1, NOW)
    lanes.put(one())
    lanes.put_later(item, NOW + 1)
    assert item.key not in lanes.held
    lanes.pick(9, NOW)
    assert len(lanes.hungry()) == 1


def test_what_is_past_its_time_is_given_up_and_takes_no_place() -> None:
    lanes = Lanes(10)
    old, fresh = one(), one()
    old.valid_until = NOW
    lanes.put(old)
    lanes.put(fresh)
    assert lanes.pick(1, NOW) == ([fresh], [old])


def test_the_other_parts_of_a_failed_message_are_given_up() -> None:
    lanes = Lanes(10)
    failed, other = made(parts=3), one()
    for item in (*failed, other):
        lanes.put(item)
    first, _ = lanes.pick(1, NOW)
    lanes.fail([first[0].message_id])
    lanes.release(first[0])
    assert lanes.pick(9, NOW) == ([other], failed[1:])


@pytest.mark.parametrize("parts", [1, 2])
def test_a_failure_is_forgotten_with_the_last_part(parts: int) -> None:
    lanes = Lanes(10)
    items = made(parts=parts)
    for item in items:
        lanes.put(item)
    lanes.fail([items[0].message_id])
    assert lanes.failed(items[0]) == (parts > 1)
    for item in items:
        lanes.release(item)
    assert not lanes.failed(items[0])

from __future__ import annotations

from smsgw.delivery.ready import Ready
from smsgw.model import MessageClass
from smsgw.store.ids import IdSource
from smsgw.store.queue import QueuedSegment
from tests.support.store import NOW, message_row, queued_segment

REALTIME, INTERACTIVE, NOTICE, BULK = MessageClass
IDS = IdSource(0, lambda: NOW / 1000)


def made(kind: MessageClass, count: int = 1) -> list[QueuedSegment]:
    return [queued_segment(message_row(IDS, message_class=str(kind))) for _ in range(count)]


def test_what_is_urgent_leaves_before_what_was_there_and_each_class_keeps_its_order() -> None:
    ready, bulk = Ready(), made(BULK, 4)
    ready.add(bulk)
    assert ready.take(1) == bulk[:1]
    urgent = made(REALTIME, 2)
    ready.add(urgent)
    assert (ready.count(True), ready.count(False), len(ready)) == (2, 3, 5)
    assert ready.take(3) == [*urgent, bulk[1]]
    assert ready.take(9) == bulk[2:]
    assert (ready.take(1), len(ready)) == ([], 0)


def test_none_starves() -> None:
    ready = Ready()
    for kind in MessageClass:
        ready.add(made(kind, 100))
    taken = [item.message_class for item in ready.take(29 * 3)]
    assert [taken.count(kind) for kind in MessageClass] == [48, 24, 12, 3]


def test_what_is_put_back_comes_first_again() -> None:
    ready, items = Ready(), made(NOTICE, 5)
    ready.add(items)
    ready.put_back(ready.take(3))
    assert ready.take(5) == items


def test_some_or_all_are_forgotten() -> None:
    ready, items = Ready(), [*made(INTERACTIVE, 2), *made(BULK, 2)]
    ready.add(items)
    ready.remove(items[1:3])
    assert list(ready) == [items[0], items[3]]
    assert ready.clear() == [items[0], items[3]]
    assert len(ready) == 0

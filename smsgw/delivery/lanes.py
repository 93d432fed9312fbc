"""What waits in memory for one link: four lanes by class, served by weight. No I/O.

An urgent lane is served more often than a slower one, and none starves. Inside a lane the order is
the order of arrival, so the parts of a message stay in order; a segment due again goes to the
front. Each lane holds a bounded number of segments: what is above it stays in the store, and
:attr:`Lane.more` remembers that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import TypeVar

from smsgw.model import MessageClass
from smsgw.store.queue import QueuedSegment

WEIGHTS = {
    MessageClass.REALTIME: 16,
    MessageClass.INTERACTIVE: 8,
    MessageClass.NOTICE: 4,
    MessageClass.BULK: 1,
}
"""Segments of a class per round, while all classes have some; in order of service."""

URGENT = frozenset((MessageClass.REALTIME, MessageClass.INTERACTIVE))
"""Classes that wait for no other: one-time codes and approvals."""


class Shelf:
    """Segments of one class, in order.

    Attributes:
        message_class: Which class.
        urgent: Whether it is one of :data:`URGENT`.
        ready: To be sent, in order.
        credit: How many more are served in this round.
    """

    __slots__ = ("credit", "message_class", "ready", "urgent")

    def __init__(self, message_class: MessageClass) -> None:
        self.message_class = message_class
        self.urgent = message_class in URGENT
        self.ready: deque[QueuedSegment] = deque()
        self.credit = 0


S = TypeVar("S", bound=Shelf)


def next_served(shelves: Sequence[S]) -> S | None:
    """Return whose turn it is among those that have something: by weight, so that none starves."""
    first: S | None = None
    for shelf in shelves:
        if shelf.ready:
            if shelf.credit > 0:
                return shelf
            if first is None:
                first = shelf
    if first is not None:  # none that waits has a turn left: a new round begins
        for shelf in shelves:
            shelf.credit = WEIGHTS[shelf.message_class]
    return first


class Lane(Shelf):
    """The segments of one class that wait to be taken.

    Attributes:
        later: Heap of (when in ms, key, segment): due again at that time.
        more: The store has segments of this lane that are not in memory.
        loading: They are being read.
        backlog: About how many wait that could be sent now, in memory and in the store: as the
            dispatcher counted them, and what came and went since.
    """

    __slots__ = ("backlog", "later", "loading", "more")

    def __init__(self, message_class: MessageClass) -> None:
        super().__init__(message_class)
        self.later: list[tuple[int, tuple[int, int], QueuedSegment]] = []
        self.more = False
        self.loading = False
        self.backlog = 0

    def __len__(self) -> int:
        return len(self.ready) + len(self.later)

    @property
    def waits_since(self) -> int | None:
        """Since when (ms) the front of the lane waits; None when nothing in memory does."""
        fronts = [item.waits_since for item in islice(self.ready, 1)]
        fronts += [entry[2].waits_since for entry in islice(self.later, 1)]
        return min(fronts, default=None)


class Lanes:
    """All that one link has to send, and what it is sending.

    A segment is held from :meth:`put` or :meth:`load` until :meth:`release`, so that reading the
    store again does not bring it twice.

    Args:
        limit: The most segments in one lane.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lanes = {kind: Lane(kind) for kind in WEIGHTS}
        self._held: set[tuple[int, int]] = set()
        self._siblings: dict[int, int] = {}  # held segments of each message of several parts
        self._failed: set[int] = set()  # those of them that can no longer arrive whole

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def of(self, message_class: str) -> Lane:
        """Return a class's lane."""
        return self._lanes[MessageClass(message_class)]

    @property
    def held(self) -> frozenset[tuple[int, int]]:
        """Keys of the segments in memory."""
        return frozenset(self._held)

    def put(self, item: QueuedSegment) -> bool:
        """Take a new segment; False when it stays in the store for now."""
        lane = self._lanes[item.message_class]
        lane.backlog += 1
        if lane.more or lane.loading or len(lane) >= self.limit:
            lane.more = True
            return False
        self._enter(lane, item)
        return True

    def load(self, item: QueuedSegment) -> bool:
        """Take a segment that was read from the store; False when there is no room."""
        lane = self._lanes[item.message_class]
        if len(lane) >= self.limit:
            lane.more = True
            return False
        self._enter(lane, item)
        return True

    def _enter(self, lane: Lane, item: QueuedSegment) -> None:
        if not self.hold(item):
            return
        if item.due_at:
            heappush(lane.later, (item.due_at, item.key, item))
        else:
            lane.ready.append(item)

    def hold(self, item: QueuedSegment) -> bool:
        """Note that a segment is in memory; False when it was."""
        key = item.key
        if key in self._held:
            return False
        self._held.add(key)
        if item.total > 1:
            message_id = item.message_id
            self._siblings[message_id] = self._siblings.get(message_id, 0) + 1
        return True

    def release(self, item: QueuedSegment) -> None:
        """Forget a segment: it is settled, or stays in the store."""
        self._held.discard(item.key)
        message_id = item.message_id
        left = self._siblings.get(message_id)
        if left is None:
            return
        if left > 1:
            self._siblings[message_id] = left - 1
        else:
            del self._siblings[message_id]
            self._failed.discard(message_id)

    def clear(self) -> None:
        """Forget all that waits: others send it."""
        for lane in self:
            for item in [*lane.ready, *(entry[2] for entry in lane.later)]:
                self.release(item)
            lane.ready.clear()
            lane.later.clear()
            lane.more = False
            lane.backlog = 0

    def drop(self, message_ids: Collection[int]) -> None:
        """Forget the waiting segments of messages that take another link."""
        for lane in self:
            gone = [item for item in lane.ready if item.message_id in message_ids]
            gone += [entry[2] for entry in lane.later if entry[2].message_id in message_ids]
            if gone:
                kept = [item for item in lane.ready if item.message_id not in message_ids]
                lane.ready.clear()
                lane.ready.extend(kept)
                lane.later = [e for e in lane.later if e[2].message_id not in message_ids]
                heapify(lane.later)
                lane.backlog -= len(gone)
            for item in gone:
                self.release(item)

    def fail(self, message_ids: Iterable[int]) -> None:
        """Note that messages can no longer arrive whole: their other parts are not sent."""
        if self._siblings:
            self._failed.update(one for one in message_ids if one in self._siblings)

    def failed(self, item: QueuedSegment) -> bool:
        """Tell whether another part of the segment's message failed."""
        return item.ended or item.message_id in self._failed

    def put_back(self, items: Iterable[QueuedSegment]) -> None:
        """Return picked segments to the front of their lanes, in order."""
        for item in reversed(list(items)):
            self._lanes[item.message_class].ready.appendleft(item)

    def put_later(self, item: QueuedSegment, due: int, bounded: bool = True) -> None:
        """Keep a held segment until it is due (ms); without room, leave it to the store.

        Args:
            item: The segment.
            due: When; what is due together leaves in the order of arrival, before all others.
            bounded: Whether the limit holds. What only waits for a pause to end is no more than a
                window, and must not be overtaken by what is behind it.
        """
        lane = self._lanes[item.message_class]
        if bounded and len(lane) >= self.limit:
            lane.more = True
            self.release(item)
        else:
            heappush(lane.later, (due, item.key, item))

    def pick(
        self, count: int, now: int, urgent: int | None = None, others: int | None = None
    ) -> tuple[list[QueuedSegment], list[QueuedSegment]]:
        """Take up to ``count`` segments to send, and on the way those to give up.

        A segment to give up is past ``valid_until``, or a part of a message that failed.

        Args:
            count: The most to send.
            now: The present time in milliseconds.
            urgent: The most of urgent classes among them.
            others: The most of the other classes among them.
        """
        picked: list[QueuedSegment] = []
        given_up: list[QueuedSegment] = []
        room = {
            True: count if urgent is None else urgent,
            False: count if others is None else others,
        }
        open_lanes = [lane for lane in self if room[lane.urgent] > 0]
        self._wake(now)
        while len(picked) < count and (lane := next_served(open_lanes)) is not None:
            item = lane.ready.popleft()
            lane.backlog -= 1
            if item.valid_until <= now or self.failed(item):
                given_up.append(item)
                continue
            lane.credit -= 1
            picked.append(item)
            room[lane.urgent] -= 1
            if not room[lane.urgent]:
                open_lanes = [other for other in open_lanes if other.urgent is not lane.urgent]
        return picked, given_up

    def next_due(self) -> int | None:
        """Return when the next waiting segment is due (ms), or None."""
        return min((lane.later[0][0] for lane in self if lane.later), default=None)

    def any_ready(self) -> bool:
        """Tell whether a segment could be picked."""
        return any(lane.ready for lane in self)

    def any_in_store(self) -> bool:
        """Tell whether the store has segments that are not in memory yet."""
        return any(lane.more or lane.loading for lane in self)

    def hungry(self) -> list[Lane]:
        """Return lanes that are half empty while the store has more for them."""
        return [
            lane for lane in self if lane.more and not lane.loading and len(lane) <= self.limit // 2
        ]

    def _wake(self, now: int) -> None:
        for lane in self:
            due: list[QueuedSegment] = []
            while lane.later and lane.later[0][0] <= now:
                due.append(heappop(lane.later)[2])
            lane.ready.extendleft(reversed(due))

"""What waits in memory for one link: four lanes by class, served by weight. No I/O.

An urgent lane is served more often than a slower one, and none starves. Inside a lane the order is
the order of arrival, so the parts of a message stay in order; a segment due again goes to the
front. Each lane holds a bounded number of segments: what is above it stays in the store, and
:attr:`Lane.more` remembers that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from smsgw.model import MessageClass
from smsgw.store.queue import QueuedSegment

WEIGHTS = {
    MessageClass.REALTIME: 16,
    MessageClass.INTERACTIVE: 8,
    MessageClass.NOTICE: 4,
    MessageClass.BULK: 1,
}
"""Segments of a class per round, while all classes have some; in order of service."""


class Lane:
    """The segments of one class.

    Attributes:
        message_class: Which class.
        ready: To be sent, in order.
        later: Heap of (when in ms, key, segment): due again at that time.
        more: The store has segments of this lane that are not in memory.
        loading: They are being read.
    """

    __slots__ = ("credit", "later", "loading", "message_class", "more", "ready")

    def __init__(self, message_class: MessageClass) -> None:
        self.message_class = message_class
        self.ready: deque[QueuedSegment] = deque()
        self.later: list[tuple[int, tuple[int, int], QueuedSegment]] = []
        self.more = False
        self.loading = False
        self.credit = 0

    def __len__(self) -> int:
        return len(self.ready) + len(self.later)


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
        if item.key in self._held:
            return False
        self._held.add(item.key)
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

    def fail(self, message_id: int) -> None:
        """Note that a message can no longer arrive whole: its other parts are not sent."""
        if message_id in self._siblings:
            self._failed.add(message_id)

    def failed(self, item: QueuedSegment) -> bool:
        """Tell whether another part of the segment's message failed."""
        return item.message_id in self._failed

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

    def pick(self, count: int, now: int) -> tuple[list[QueuedSegment], list[QueuedSegment]]:
        """Take up to ``count`` segments to send, and on the way those to give up.

        A segment to give up is past ``valid_until``, or a part of a message that failed.
        """
        picked: list[QueuedSegment] = []
        given_up: list[QueuedSegment] = []
        self._wake(now)
        while len(picked) < count and (lane := self._next_lane()) is not None:
            item = lane.ready.popleft()
            if item.valid_until <= now or self.failed(item):
                given_up.append(item)
            else:
                lane.credit -= 1
                picked.append(item)
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

    def _next_lane(self) -> Lane | None:
        waiting = [lane for lane in self if lane.ready]
        if not waiting:
            return None
        for lane in waiting:
            if lane.credit > 0:
                return lane
        for lane in self:
            lane.credit = WEIGHTS[lane.message_class]
        return waiting[0]

"""What one link took out of the queue and has not submitted yet: served by class, like the lanes.

So that the window stays full while the store is busy, a few segments are taken ahead. An urgent one
that comes then does not wait behind them: it has room of its own, and its turn comes first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from smsgw.delivery.lanes import WEIGHTS, Shelf, next_served
from smsgw.store.queue import QueuedSegment


class Ready:
    """Segments that wait for nothing but the link; in the order of arrival inside a class."""

    def __init__(self) -> None:
        self._shelves = [Shelf(kind) for kind in WEIGHTS]
        self._by_class = {shelf.message_class: shelf for shelf in self._shelves}

    def __len__(self) -> int:
        return sum(len(shelf.ready) for shelf in self._shelves)

    def __iter__(self) -> Iterator[QueuedSegment]:
        return chain.from_iterable([shelf.ready for shelf in self._shelves])

    def count(self, urgent: bool) -> int:
        """Return how many are of urgent classes, or of the others."""
        return sum(len(shelf.ready) for shelf in self._shelves if shelf.urgent is urgent)

    def add(self, items: Iterable[QueuedSegment]) -> None:
        """Take segments, each behind those of its class."""
        for item in items:
            self._by_class[item.message_class].ready.append(item)

    def put_back(self, items: Collection[QueuedSegment]) -> None:
        """Take segments that were here before, in order, in front of those of their class."""
        for item in reversed(list(items)):
            self._by_class[item.message_class].ready.appendleft(item)

    def take(self, count: int) -> list[QueuedSegment]:
        """Return up to ``count``, by the weights of their classes; they are no longer here."""
        filled = [shelf for shelf in self._shelves if shelf.ready]
        if len(filled) == 1:
            one = filled[0].ready
            return [one.popleft() for _ in range(min(count, len(one)))]
        taken: list[QueuedSegment] = []
        while len(taken) < count and (shelf := next_served(filled)) is not None:
            shelf.credit -= 1
            taken.append(shelf.ready.popleft())
        return taken

    def remove(self, items: Collection[QueuedSegment]) -> None:
        """Forget some of them."""
        gone = {item.key for item in items}
        for shelf in self._shelves:
            kept = [item for item in shelf.ready if item.key not in gone]
            shelf.ready.clear()
            shelf.ready.extend(kept)

    def clear(self) -> list[QueuedSegment]:
        """Return all of them in order of service; none is left."""
        items = list(self)
        for shelf in self._shelves:
            shelf.ready.clear()
        return items

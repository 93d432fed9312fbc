"""Handfuls of segments that are out of the queue, until something came of each segment. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from smsgw.store.queue import QueuedSegment


class Handfuls:
    """Counts what nothing came of yet; a handful that is done with may be forgotten."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        self._done: list[int] = []

    def opened(self, handful: int, items: Iterable[QueuedSegment]) -> None:
        """Note which segments a handful has; 0 is none."""
        count = 0
        for item in items:
            item.handful = handful
            count += 1
        if handful:
            self._left[handful] = count

    def came_to_something(self, item: QueuedSegment) -> None:
        """Count a segment that is settled, or in the queue again."""
        left = self._left.get(item.handful, 0) - 1
        if left > 0:
            self._left[item.handful] = left
        elif item.handful:
            del self._left[item.handful]
            self._done.append(item.handful)
        item.handful = 0

    def take_done(self) -> list[int]:
        """Return handfuls to forget, for whoever forgets them now."""
        done, self._done = self._done, []
        return done

    def not_forgotten(self, done: list[int]) -> None:
        """Keep them for the next time: the store could not."""
        self._done += done

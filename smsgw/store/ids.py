"""Identifiers: 63-bit, time ordered, unique per node.

An id is 41 bits of milliseconds since 2020-01-01 UTC, 10 bits of node and 12 bits of sequence.
People and programs outside see it as a decimal string.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

EPOCH_MS = 1_577_836_800_000
"""2020-01-01T00:00:00Z in Unix milliseconds: where the 41 bits start (they end in 2089)."""

NODE_BITS = 10
SEQUENCE_BITS = 12
NODE_MAX = (1 << NODE_BITS) - 1
_SEQUENCE_MASK = (1 << SEQUENCE_BITS) - 1


def node_of(made: int) -> int:
    """Return the node that made an id."""
    return made >> SEQUENCE_BITS & NODE_MAX


def first_at(ms: int) -> int:
    """Return the least id that can be made at a time, in milliseconds since the Unix epoch."""
    return max(0, ms - EPOCH_MS) << (NODE_BITS + SEQUENCE_BITS)


def made_at(made: int) -> int:
    """Return when an id was made, in milliseconds since the Unix epoch."""
    return (made >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS


class IdSource:
    """Makes ids that grow, for any thread.

    When the clock stands still or goes back, ids go on from the last one: more than 4096 ids in one
    millisecond borrow from the next.

    Args:
        node: This process's number, 0 to 1023; two processes of one installation never share it.
        clock: Seconds since the Unix epoch.

    Raises:
        ValueError: ``node`` does not fit its ten bits.
    """

    def __init__(self, node: int, clock: Callable[[], float]) -> None:
        if not 0 <= node <= NODE_MAX:
            raise ValueError(f"node: {node}, allowed 0 to {NODE_MAX}")
        self.node = node
        self._clock = clock
        self._lock = Lock()
        self._ticks = 0  # milliseconds and sequence as one number, so that overflow carries

    def become(self, node: int) -> None:
        """Make ids of another node from now on: of one that was claimed, before any is made."""
        self.node = node

    def next(self) -> int:
        """Return an id greater than every one before it."""
        return self.take(1)[0]

    def take(self, count: int) -> list[int]:
        """Return ``count`` ids in growing order: cheaper than as many calls of :meth:`next`."""
        now = (int(self._clock() * 1000) - EPOCH_MS) << SEQUENCE_BITS
        node = self.node << SEQUENCE_BITS
        with self._lock:
            first = max(now, self._ticks + 1)
            self._ticks = first + count - 1
        return [
            (tick >> SEQUENCE_BITS) << (NODE_BITS + SEQUENCE_BITS) | node | tick & _SEQUENCE_MASK
            for tick in range(first, first + count)
        ]

    def continue_after(self, used: int) -> None:
        """Make every later id greater than ``used``: an id already in the database."""
        ticks = (used >> (NODE_BITS + SEQUENCE_BITS)) << SEQUENCE_BITS
        node = node_of(used)
        if node == self.node:
            ticks |= used & _SEQUENCE_MASK
        else:  # in the same millisecond all of a greater node's ids are greater
            ticks = ticks - 1 if node < self.node else ticks | _SEQUENCE_MASK
        with self._lock:
            self._ticks = max(self._ticks, ticks)

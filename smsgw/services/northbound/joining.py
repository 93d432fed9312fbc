"""Long messages that customers submit in parts, until the last part is there.

Each part is answered by itself once it is durable, so the store has those that wait; here they are
only put together. What never becomes whole is given up, and the reports on its parts say so. Of
what was joined lately the ids are remembered: who lost its connection before the answer submits a
part again. Over a connection that lives the same parts are another message, however alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from smsgw.errors import Overloaded
from smsgw.store.customers import SubmittedPart

JOIN_SECONDS = 300.0
"""From the first part; then what is there is given up."""

PARTS_MAX = 5000
"""Parts of a customer that may wait for others; above it none of a new message is taken."""

REMEMBERED_MAX = 1000
REMEMBERED_SECONDS = 180.0
"""How long the parts of a joined message are known when they come again: T times N of CMPP."""

RETRY_SECONDS = 10

Key = tuple[str, str, str, str, int]


class Group(msgspec.Struct, eq=False):
    """The parts so far of one message."""

    key: Key
    first_at: float
    parts: dict[int, SubmittedPart]

    @property
    def is_whole(self) -> bool:
        """Whether none is missing."""
        return len(self.parts) == self.key[-1]

    @property
    def rows(self) -> list[SubmittedPart]:
        """Its parts in their order."""
        return [self.parts[sequence] for sequence in sorted(self.parts)]


class _Joined(msgspec.Struct, eq=False):
    """A joined message: its parts, until when they are known, and whether an answer got lost."""

    parts: dict[int, SubmittedPart]
    until: float
    lost: Callable[[], bool]


def key_of(part: SubmittedPart) -> Key:
    """What the parts of one message have in common."""
    return part.customer, part.source, part.recipients, part.reference, part.total


class Joining:
    """Puts parts together.

    Args:
        give_up: Called with what will not become whole, and why.
    """

    def __init__(self, give_up: Callable[[Group, str], None]) -> None:
        self._give_up = give_up
        self._groups: dict[Key, Group] = {}  # oldest first
        self._waiting: dict[str, int] = {}
        self._joined: dict[Key, _Joined] = {}

    def known(self, part: SubmittedPart, now: float) -> tuple[int, bool] | None:
        """Return the id of a part that came before, and whether its message is complete."""
        key = key_of(part)
        group = self._groups.get(key)
        found = None if group is None else group.parts.get(part.sequence)
        if found is not None and _same(found, part):
            return found.id, False
        joined = self._joined.get(key) if group is None else None
        if joined is not None and now < joined.until and joined.lost():
            found = joined.parts.get(part.sequence)
            if found is not None and _same(found, part):
                return found.id, True
        return None

    def add(self, part: SubmittedPart, now: float) -> Group:
        """Put a part where it belongs; return its message as it is then.

        A message that is whole stays here until :meth:`close`.

        Raises:
            Overloaded: Too many parts wait already.
        """
        key = key_of(part)
        group = self._groups.get(key)
        if group is not None and part.sequence in group.parts:
            self.close(group)
            self._give_up(group, "its reference was used for another message")
            group = None
        if group is None:
            if self._waiting.get(part.customer, 0) >= PARTS_MAX:
                problem = f"{PARTS_MAX} parts of long messages wait for others"
                raise Overloaded(problem, RETRY_SECONDS)
            group = self._groups[key] = Group(key, now, {})
        group.parts[part.sequence] = part
        self._waiting[part.customer] = self._waiting.get(part.customer, 0) + 1
        return group

    def complete(self, part: SubmittedPart, others: Iterable[SubmittedPart]) -> Group | None:
        """Add what other processes took of a part's message; return it, closed, if it is whole."""
        group = self._groups.get(key_of(part))
        if group is None:
            return None
        for other in others:
            if other.sequence not in group.parts:
                group.parts[other.sequence] = other
                self._waiting[other.customer] += 1
        if not group.is_whole:
            return None
        self.close(group)
        return group

    def remove(self, part: SubmittedPart) -> None:
        """Forget a part that was refused."""
        group = self._groups.get(key_of(part))
        if group is not None and group.parts.get(part.sequence) is part:
            del group.parts[part.sequence]
            self._waiting[part.customer] -= 1
            if not group.parts:
                del self._groups[group.key]

    def close(self, group: Group) -> None:
        """Take a message away."""
        if self._groups.get(group.key) is group:
            del self._groups[group.key]
            self._waiting[group.key[0]] -= len(group.parts)

    def remember(self, group: Group, now: float, lost: Callable[[], bool]) -> None:
        """Know the parts of a joined message when they come again.

        Args:
            group: The message.
            now: The present time.
            lost: Whether the connection over which its last part came broke.
        """
        self._joined.pop(group.key, None)
        self._joined[group.key] = _Joined(group.parts, now + REMEMBERED_SECONDS, lost)
        if len(self._joined) > REMEMBERED_MAX:
            del self._joined[next(iter(self._joined))]

    def reopen(self, parts: Iterable[SubmittedPart], first_at: float) -> None:
        """Wait on with parts of a message that could not be recorded."""
        for part in parts:
            self.add(part, first_at)

    def expire(self, now: float) -> None:
        """Give up what waited too long."""
        for group in list(self._groups.values()):
            if group.first_at + JOIN_SECONDS > now:
                break
            self.close(group)
            total = group.key[-1]
            why = f"{len(group.parts)} of {total} parts came within {JOIN_SECONDS:g} s"
            self._give_up(group, why)

    @property
    def due(self) -> float | None:
        """When :meth:`expire` has something to do; None while nothing waits."""
        for group in self._groups.values():
            return group.first_at + JOIN_SECONDS
        return None


def _same(one: SubmittedPart, other: SubmittedPart) -> bool:
    return (one.coding, one.content) == (other.coding, other.content)

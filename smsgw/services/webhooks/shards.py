"""Which webhooks this process delivers to, among those that share a database.

Webhooks are dealt into a few shards by their ids, and a shard belongs to who holds its place in a
pool of the database (:mod:`smsgw.store.presence`): the places vanish with their holder, and are
shared out evenly. A process that is alone has them all.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smsgw.store.presence import Permit

POOL = "webhooks"
SHARDS = 16


def shard_of(webhook_id: int) -> int:
    """Return the shard of a webhook: ids are not spread evenly, so their digests are."""
    return zlib.crc32(str(webhook_id).encode()) % SHARDS


class Shards:
    """The shards that are ours.

    Args:
        permit: Returns the right to a place of a pool; None when there is nobody to share with.
        changed: Called when there are more or fewer of them, or some are wanted back.
    """

    def __init__(
        self, permit: Callable[[str, int], Permit | None], changed: Callable[[], None]
    ) -> None:
        self._permit = permit
        self._changed = changed
        self._permits: list[Permit] = []
        self._ours: dict[int, Permit | None] = {}
        self.shared = False

    def start(self) -> None:
        """Ask for as many as we can get."""
        found = [self._permit(POOL, SHARDS) for _ in range(SHARDS)]
        self._permits = [one for one in found if one is not None]
        self.shared = bool(self._permits)
        if not self.shared:
            self._ours = dict.fromkeys(range(SHARDS))
        for one in self._permits:
            one.ask(self._learn)

    def has(self, webhook_id: int) -> bool:
        """Whether we deliver to a webhook."""
        return shard_of(webhook_id) in self._ours

    def wanted_back(self) -> set[int]:
        """Return the shards that others have fewer of."""
        return {
            number
            for number, permit in self._ours.items()
            if permit is not None and permit.wanted_back
        }

    def give_back(self, number: int) -> None:
        """Let others have a shard whose webhooks we do not deliver to any more."""
        permit = self._ours.pop(number, None)
        if permit is not None:
            permit.drop()
            permit.ask(self._learn)

    def _learn(self) -> None:
        self._ours = {one.number: one for one in self._permits if one.held}
        self._changed()

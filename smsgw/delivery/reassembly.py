"""Long messages from phones: joined from their parts, or delivered with what is missing named.

Parts are known by sender, destination, reference with its width, and total; not by connection. The
store has them all, so a start finds every group again. What is joined is written with its parts'
claim in one transaction, so that a part belongs to one message only.

Spec: text-and-long-messages.md section 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.errors import Conflict
from smsgw.routing.inbound import InboundTable
from smsgw.routing.numbers import mask
from smsgw.store import inbox
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow, PartRow
from smsgw.text.charset import Family
from smsgw.text.segmentation import join

if TYPE_CHECKING:
    from sqlalchemy import Connection

TIMEOUT_SECONDS = 300.0
"""From the first part; then the message is delivered without the missing ones."""

REMEMBERED_SECONDS = 600.0
"""How long a joined message is remembered, to know repeats of its parts that have a new id."""

REMEMBERED_MAX = 1000
PARTS_MAX = 20_000
"""Parts in memory over all groups; above it the oldest group is delivered incomplete."""

PAGE = 1000
"""Parts read from the store at a time."""

GROUPS_PER_SENDER = 32
STORE_PAUSE_SECONDS = 1.0
STORE_TRIES = 60

GAP = "…"
"""Stands in the text where parts are missing."""

REPEATED = "repeated"
"""Outcome of a part that repeats one of a message joined before; nobody is told of it."""

MISSING_CHARACTERS = 64

_Key = tuple[str, str, str, int]


class _Group(msgspec.Struct, eq=False):
    """The parts so far of one long message; ``repeats`` are ids of parts that came again."""

    key: _Key
    first_at: float
    parts: dict[int, PartRow]
    repeats: list[int]


class Reassembly:
    """Joins parts into messages and hands them on.

    Args:
        database: Open.
        reactor: Its clock and timers.
        table: Whose an access number is.
        deliver: Called with each message once it is committed; it must not raise.
        timeout: Seconds from a message's first part until it is delivered incomplete.
        parts_max: Parts in memory.
        families: Link name to who gave its coding octets their meaning; "chinese" where missing.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        reactor: IReactorTime,
        table: InboundTable,
        deliver: Callable[[InboundRow], None],
        *,
        timeout: float = TIMEOUT_SECONDS,
        parts_max: int = PARTS_MAX,
        families: Mapping[str, Family] | None = None,
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._table = table
        self._deliver = deliver
        self._timeout = timeout
        self._parts_max = parts_max
        self._families = families or {}
        self._groups: dict[_Key, _Group] = {}  # oldest first
        self._parts = 0
        self._by_sender: Counter[str] = Counter()
        self._joined: dict[_Key, tuple[float, dict[int, bytes]]] = {}  # oldest first
        self._timer: IDelayedCall | None = None
        self._running: set[Deferred[None]] = set()
        self._stopped = False

    @property
    def waiting(self) -> int:
        """Parts in memory that wait for others."""
        return self._parts

    def whole(self, part: PartRow) -> Deferred[bool]:
        """Make a message of one part, in the commit that stores the part.

        Call it in the turn in which the part is given to the writer. Fires with False when the part
        turns out to be a repeat, or could not be stored.
        """
        row = self._row([part], ())
        claim = self._database.writer.run(_insert(row, [part.id]))

        def committed(_: None) -> bool:
            self._deliver(row)
            return True

        return claim.addCallbacks(committed, lambda failure: False)

    def add(self, part: PartRow) -> None:
        """Take a committed part that belongs to no message yet."""
        if self._stopped:
            return
        if part.total <= 1:
            self._store(self._row([part], ()), [part.id])
            return
        key = (part.sender, part.destination, part.reference, part.total)
        if self._is_repeat(key, part):
            row = self._row([part], _absent({part.sequence}, part.total))
            row.outcome, row.handled_at = REPEATED, part.received_at
            self._store(row, [part.id])
            return
        group = self._groups.get(key)
        if group is not None and part.sequence in group.parts:
            known = group.parts[part.sequence]
            if known.id == part.id or part.id in group.repeats:
                return  # came in while a start was reading the store
            if known.content == part.content:
                group.repeats.append(part.id)
                return
            self._close(group)  # the phone uses the reference for another message
            group = None
        if group is None:
            group = self._open(key, part.received_at / 1000)
        group.parts[part.sequence] = part
        self._parts += 1
        if len(group.parts) == part.total:
            self._close(group)
        self._arm()

    def recover(self) -> Deferred[None]:
        """Take up the parts that the last run left, once, before any come in."""
        return Deferred.fromCoroutine(self._recover())

    async def _recover(self) -> None:
        after = (0, 0)
        while not self._stopped:
            page = partial(inbox.waiting_parts, after=after, limit=PAGE)
            parts = await self._database.read(page)
            for part in parts:
                self.add(part)
            if len(parts) < PAGE:
                return
            after = (parts[-1].received_at, parts[-1].id)
            await DeferredList(list(self._running))  # what this page completed, before the next

    def stop(self) -> None:
        """Stop the timers. What waits is in the store."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for running in list(self._running):
            running.cancel()

    # ---- groups --------------------------------------------------------------------------

    def _open(self, key: _Key, first_at: float) -> _Group:
        sender = key[0]
        if self._by_sender[sender] >= GROUPS_PER_SENDER:
            self._evict(next(g for g in self._groups.values() if g.key[0] == sender))
        while self._parts >= self._parts_max:
            self._evict(next(iter(self._groups.values())))
        group = _Group(key, first_at, {}, [])
        self._groups[key] = group
        self._by_sender[sender] += 1
        return group

    def _evict(self, group: _Group) -> None:
        self.log.warn(
            "too many unfinished messages: one from {sender} is delivered incomplete",
            sender=mask(group.key[0]),
        )
        self._close(group)

    def _close(self, group: _Group) -> None:
        """Make a message of what a group has."""
        del self._groups[group.key]
        self._parts -= len(group.parts)
        sender, total = group.key[0], group.key[3]
        self._by_sender[sender] -= 1
        if not self._by_sender[sender]:
            del self._by_sender[sender]
        parts = [group.parts[sequence] for sequence in sorted(group.parts)]
        missing = _absent(group.parts, total)
        if not missing:
            self._remember(group)
        self._store(self._row(parts, missing), [part.id for part in parts] + group.repeats)

    def _remember(self, group: _Group) -> None:
        contents = {sequence: part.content for sequence, part in group.parts.items()}
        self._joined.pop(group.key, None)
        self._joined[group.key] = (self._reactor.seconds() + REMEMBERED_SECONDS, contents)
        if len(self._joined) > REMEMBERED_MAX:
            del self._joined[next(iter(self._joined))]

    def _is_repeat(self, key: _Key, part: PartRow) -> bool:
        until, contents = self._joined.get(key, (0.0, {}))
        return self._reactor.seconds() < until and contents.get(part.sequence) == part.content

    def _arm(self) -> None:
        """Have one timer, for the oldest group."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for group in self._groups.values():
            wait = group.first_at + self._timeout - self._reactor.seconds()
            self._timer = self._reactor.callLater(max(0.0, wait), self._expire)
            break

    def _expire(self) -> None:
        now = self._reactor.seconds()
        for group in list(self._groups.values()):
            if group.first_at + self._timeout > now:
                break
            self.log.warn(
                "a long message from {sender} has {got} of {total} parts after {timeout} s",
                sender=mask(group.key[0]),
                got=len(group.parts),
                total=group.key[3],
                timeout=self._timeout,
            )
            self._close(group)
        self._arm()

    # ---- rows ----------------------------------------------------------------------------

    def _row(self, parts: Sequence[PartRow], missing: Sequence[int]) -> InboundRow:
        first = parts[0]
        number = first.destination
        found = self._table.destination(number, first.link) or self._table.destination(number)
        return InboundRow(
            id=self._database.ids.next(),
            link=first.link,
            sender=first.sender,
            destination=number,
            access_number=found.access_number if found else "",
            extension=found.extension if found else "",
            text=_text(parts, self._families.get(first.link, "chinese")),
            parts=first.total,
            missing=missing_text(missing),
            received_at=max(part.received_at for part in parts),
            account=self._table.owner(number) or "",
        )

    def _store(self, row: InboundRow, part_ids: list[int]) -> None:
        running = Deferred.fromCoroutine(self._store_and_deliver(row, part_ids))
        self._running.add(running)

        def ended(outcome: Any) -> None:
            self._running.discard(running)
            log_failure(self.log, outcome)

        running.addBoth(ended)

    async def _store_and_deliver(self, row: InboundRow, part_ids: list[int]) -> None:
        for _ in range(STORE_TRIES):
            try:
                await self._database.writer.run(_insert(row, part_ids))
            except CancelledError:
                raise
            except Conflict as error:
                self.log.warn("{error}", error=str(error))
                return
            except Exception as error:
                self.log.error("inbound {id}: not stored: {error}", id=row.id, error=str(error))
                await deferLater(self._reactor, STORE_PAUSE_SECONDS, lambda: None)
            else:
                if row.handled_at is None:
                    self._deliver(row)
                return
        self.log.critical("inbound {id}: waits for the next start", id=row.id)


def _insert(row: InboundRow, part_ids: list[int]) -> Callable[[Connection], None]:
    return partial(inbox.insert_inbound, row=row, part_ids=part_ids)


def _absent(present: Iterable[int], total: int) -> list[int]:
    return sorted(set(range(1, total + 1)).difference(present))


def _text(parts: Sequence[PartRow], family: Family) -> str:
    """Join each run of neighbouring parts, with a mark where some are missing between them."""
    runs = groupby(enumerate(parts), lambda pair: pair[1].sequence - pair[0])
    texts = [join([(p.coding, p.content) for _, p in run], family) for _, run in runs]
    before = GAP if parts[0].sequence > 1 else ""
    after = GAP if parts[-1].sequence < parts[-1].total else ""
    return before + GAP.join(texts) + after


def missing_text(numbers: Sequence[int]) -> str:
    """Return part numbers as people read them: ``2,5-7``; cut with a mark when there are many."""
    ranges: list[str] = []
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        first, last = members[0], members[-1]
        ranges.append(str(first) if first == last else f"{first}-{last}")
    text = ",".join(ranges)
    if len(text) <= MISSING_CHARACTERS:
        return text
    mark = f",… ({len(numbers)})"
    return text[: text.rindex(",", 0, MISSING_CHARACTERS - len(mark) + 1)] + mark

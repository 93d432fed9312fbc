"""Long messages from phones: joined from their parts, or delivered with what is missing named.

Parts are known by sender, destination, reference with its width, and total; not by connection or
link. The store has them all, so a start finds every group again, and one of several processes what
the others took in. What is joined is written with its parts' claim in one transaction, so that a
part belongs to one message only.

Spec: text-and-long-messages.md section 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.errors import Conflict, StoreError
from smsgw.routing.inbound import InboundTable
from smsgw.routing.numbers import mask
from smsgw.store import inbox
from smsgw.store.arrivals import TAKE_IN, Arrival
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow, PartRow
from smsgw.text.charset import Family
from smsgw.text.segmentation import join

if TYPE_CHECKING:
    from sqlalchemy import Connection

TIMEOUT_SECONDS = 300.0
"""From the first part; then the message is delivered without the missing ones."""

PARTS_MAX = 20_000
"""Parts in memory over all groups; above it the oldest group is delivered incomplete."""

PAGE = 1000
"""Parts read from the store at a time."""

GROUPS_PER_SENDER = 32
STORE_PAUSE_SECONDS = 1.0
STORE_TRIES = 86_400
"""How often a message that is whole is offered to the store: it may be in trouble for a night."""

GAP = "…"
"""Stands in the text where parts are missing."""

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

    Attributes:
        incomplete: Messages handed on with parts missing, by why: ``expired`` or ``evicted``.
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
        self.incomplete = Counter(expired=0, evicted=0)
        self._timeout = timeout
        self._parts_max = parts_max
        self._families = {} if families is None else families
        self._groups: dict[_Key, _Group] = {}  # oldest first
        self._parts = 0
        self._by_sender: Counter[str] = Counter()
        self._timer: IDelayedCall | None = None
        self._claiming: set[int] = set()
        self._running: set[Deferred[None]] = set()
        self._stopped = False

    @property
    def waiting(self) -> int:
        """Parts in memory that wait for others."""
        return self._parts

    def whole(self, parts: Sequence[PartRow]) -> Deferred[list[bool]]:
        """Make messages of one part each, in the commit that stores the parts.

        Call it in the turn in which the parts are given to the writer. Fires with False for a part
        that turns out to be a repeat, or could not be stored.
        """
        arrivals = [Arrival(part, self._row([part], ())) for part in parts]

        def committed(results: Sequence[bool | None]) -> list[bool]:
            for (_, row), is_new in zip(arrivals, results, strict=True):
                if is_new:
                    self._deliver(row)
            return [is_new is not None for is_new in results]

        taken = self._database.writer.batch(TAKE_IN, arrivals)
        return taken.addCallbacks(committed, lambda failure: [False] * len(arrivals))

    def add(self, part: PartRow) -> None:
        """Take a committed part that belongs to no message yet."""
        if self._stopped:
            return
        if part.total <= 1:
            self._store(self._row([part], ()), [part.id])
            return
        group = self._place(part)
        if group is not None:
            self._run(self._find_others(group))

    def _place(self, part: PartRow) -> _Group | None:
        """Put a part where it belongs; return its message when that has not got all it needs."""
        if self._stopped:
            return None
        key = _key(part)
        group = self._groups.get(key)
        if group is not None and part.sequence in group.parts:
            known = group.parts[part.sequence]
            if known.id == part.id or part.id in group.repeats:
                return None  # read from the store meanwhile
            if known.content == part.content:
                group.repeats.append(part.id)
                return None
            self._close(group)  # the phone uses the reference for another message
            group = None
        if group is None:
            group = self._open(key, part.received_at / 1000)
        group.parts[part.sequence] = part
        self._parts += 1
        is_whole = len(group.parts) == part.total
        if is_whole:
            self._close(group)
        self._arm()
        return None if is_whole else group

    async def _find_others(self, group: _Group) -> None:
        """Take up what another process has stored of a message; know the repeat of one joined."""
        parts = list(group.parts.values())
        since = int((group.first_at - self._timeout) * 1000)
        ours = self._claiming.copy()  # of a message before it, whose claim the store may not show
        find = partial(inbox.beside, parts=parts, since=since)
        try:
            others, is_repeat = await self._database.read(find)
        except StoreError as error:
            told = "other parts could not be looked for: {why}"
            self.log.warn(told, event="inbound.parts_not_read", why=str(error))
            return
        if self._groups.get(group.key) is not group:
            return
        if is_repeat and len(group.parts) == len(parts):
            self._close(group)
            return
        for other in others:
            if self._groups.get(group.key) is group and other.id not in ours:
                self._place(other)

    def recover(self) -> Deferred[None]:
        """Take up the parts that the last run left, once, before any come in."""
        return Deferred.fromCoroutine(self._recover())

    async def _recover(self) -> None:
        after = (0, 0)
        while not self._stopped:
            page = partial(inbox.waiting_parts, after=after, limit=PAGE)
            parts = await self._database.read(page)
            for part in parts:
                if part.total > 1:
                    self._place(part)
                else:
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
            event="inbound.parts_evicted",
            sender=mask(group.key[0]),
        )
        self.incomplete["evicted"] += 1
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
        self._store(self._row(parts, missing), [part.id for part in parts] + group.repeats)

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
                event="inbound.parts_expired",
                sender=mask(group.key[0]),
                got=len(group.parts),
                total=group.key[3],
                timeout=self._timeout,
            )
            self.incomplete["expired"] += 1
            self._close(group)
        self._arm()

    # ---- rows ----------------------------------------------------------------------------

    def _row(self, parts: Sequence[PartRow], missing: Sequence[int]) -> InboundRow:
        first = parts[0]
        number = first.destination
        found = self._table.destination(number, first.link) or self._table.destination(number)
        text = _text(parts, self._families.get(first.link, "chinese"))
        return InboundRow(
            id=self._database.ids.next(),
            link=first.link,
            sender=first.sender,
            destination=number,
            access_number=found.access_number if found else "",
            extension=found.extension if found else "",
            text=text,
            parts=first.total,
            missing=missing_text(missing),
            received_at=max(part.received_at for part in parts),
            account=self._table.owner(number, text) or "",
        )

    def _store(self, row: InboundRow, part_ids: list[int]) -> None:
        self._claiming.update(part_ids)
        self._run(self._store_and_deliver(row, part_ids))

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        running = Deferred.fromCoroutine(work)
        self._running.add(running)

        def ended(outcome: Any) -> None:
            self._running.discard(running)
            log_failure(self.log, outcome)

        running.addBoth(ended)

    async def _store_and_deliver(self, row: InboundRow, part_ids: list[int]) -> None:
        try:
            await self._claim(row, part_ids)
        finally:
            self._claiming.difference_update(part_ids)

    async def _claim(self, row: InboundRow, part_ids: list[int]) -> None:
        for _ in range(STORE_TRIES):
            try:
                is_new = await self._database.writer.run(_insert(row, part_ids))
            except CancelledError:
                raise
            except Conflict as error:
                self.log.warn("{why}", event="inbound.parts_taken", why=str(error))
                await self._take_back(part_ids)
                return
            except Exception as error:
                self.log.warn(
                    "inbound {inbound_id}: not stored: {why}",
                    event="inbound.waits",
                    inbound_id=row.id,
                    why=str(error),
                )
                await deferLater(self._reactor, STORE_PAUSE_SECONDS, lambda: None)
            else:
                if is_new:
                    self._deliver(row)
                return
        told = "inbound {inbound_id}: waits for the next start"
        self.log.critical(told, event="inbound.given_up", inbound_id=row.id)

    async def _take_back(self, part_ids: list[int]) -> None:
        """Keep the parts that another process has not made a message of."""
        for part in await self._database.read(partial(inbox.waiting_among, part_ids=part_ids)):
            self._place(part)


def _key(part: PartRow) -> _Key:
    return part.sender, part.destination, part.reference, part.total


def _insert(row: InboundRow, part_ids: list[int]) -> Callable[[Connection], bool]:
    return partial(inbox.take_in, row=row, part_ids=part_ids)


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

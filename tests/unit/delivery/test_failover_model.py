"""Two links of one route in every kind of trouble, beside what the phones saw.

Whatever is refused, lost, answered late, reported, moved, canceled or restarted, in any order:
every message comes to an end or was taken, none is forgotten, no second copy is without its mark.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.errors import Conflict, Disposition
from smsgw.model import MessageStatus, Segment, SubmitResult
from smsgw.protocols.carrier import ResultKind
from smsgw.store import events, unsent
from smsgw.store.messages import MessageRow, decode_contents
from smsgw.store.queue import QueuedSegment
from smsgw.store.reports import REPORTS, ReportRow
from smsgw.store.reroute import NOT_RECEIVED, Elsewhere, Why
from tests.support.delivery import message_of, queue_of, segments_of, stored
from tests.support.links import LATER, NO_ANSWER, REFUSED, TOO_FAST, UNSENT, FakeLink, accepted
from tests.support.reactor import reactor_test
from tests.support.scenes import Scene, scene

NOT_OURS = SubmitResult(10, Disposition.FINAL, "", "Src_Id error", ResultKind.SOURCE)
VOLUME = SubmitResult(75, Disposition.RETRY, "", "over its daily volume", ResultKind.QUOTA)
ANSWERS = [None] * 12 + [LATER, REFUSED, NOT_OURS, VOLUME, TOO_FAST, NO_ANSWER, NO_ANSWER, UNSENT]
"""What a carrier says to a submit; None: it takes it."""

S = MessageStatus
STATES = [(S.DELIVERED, "DELIVRD")] * 3 + [(S.UNDELIVERED, "UNDELIV"), (S.UNDELIVERED, "MK:1")]
ENDS = {S.SENT, S.DELIVERED, S.UNDELIVERED, S.EXPIRED, S.REJECTED, S.CANCELED}


class Copy:
    """One submit of a segment, and what became of it as the carrier knows it."""

    def __init__(self, link: str, segment: Segment, context: Any, number: int) -> None:
        self.link, self.to, self.part = link, segment.to, segment.part
        self.context = context
        self.id = f"{number:08x}"
        self.taken: bool | None = None  # None: nobody was told
        self.report = ""

    @property
    def may_have_arrived(self) -> bool:
        return self.taken is not False and self.report not in NOT_RECEIVED


class Carrier(FakeLink):
    """A link that knows all copies, and may be asked about the ones it left unanswered."""

    def __init__(self, name: str, world: World) -> None:
        super().__init__(name, window=world.chance.choice([1, 2, 4]))
        self.world = world
        self.copies: list[Copy] = []
        self.open: list[Copy] = []
        self.late: list[Copy] = []

    def submit_many(self, items: Sequence[tuple[Segment, Any]]) -> int:
        taken = super().submit_many(items)
        for segment, context in items[:taken]:
            copy = Copy(self.name, segment, context, len(self.copies))
            self.copies.append(copy)
            self.open.append(copy)
            self.world.submitted(copy)
        return taken

    def say(self, *says: SubmitResult | None) -> None:
        """Answer the oldest submits."""
        said = list(zip(self.open, says, strict=False))
        del self.open[: len(said)]
        for copy, result in said:
            if result is NO_ANSWER:
                self.late.append(copy)
            else:
                copy.taken = result is None
        self.answer(*[accepted(copy.id) if one is None else one for copy, one in said])

    def say_late(self, result: SubmitResult | None) -> None:
        """Answer one that was given up."""
        if self.late:
            copy = self.late.pop()
            copy.taken = result is None
            self.on_results([(copy.context, result or accepted(copy.id))])

    def go_down(self) -> None:
        self.up = False
        self.say(*[self.world.chance.choice([NO_ANSWER, UNSENT]) for _ in self.open])
        self.late.clear()


class World:
    """Two carriers, and all copies of every segment."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.copies: defaultdict[tuple[str, int], list[Copy]] = defaultdict(list)
        self.doubted: set[str] = set()
        self.canceled: set[int] = set()
        self.items: list[QueuedSegment] = []
        self.links = (Carrier("cmcc", self), Carrier("ctcc", self))

    def submitted(self, copy: Copy) -> None:
        before = self.copies[copy.to, copy.part]
        if any(one.may_have_arrived for one in before):
            self.doubted.add(copy.to)
        before.append(copy)

    def elsewhere(self, message: MessageRow, but: Collection[str], why: Why) -> Elsewhere | None:
        for link in self.links:
            if link.up and link.name not in but:
                contents = decode_contents(message.contents)
                return Elsewhere(link.name, "10690002", message.coding, contents)
        return None

    # ---- what may happen -----------------------------------------------------------------

    async def accept(self, s: Scene, link: Carrier) -> None:
        now = int(s.clock.seconds() * 1000)
        due = now + self.chance.choice([500, 5000, 60_000]) if self.chance.random() < 0.2 else 0
        items = await stored(
            s.database,
            due_at=due,
            recipient=f"1380000{len(self.items):04d}",
            link=link.name,
            parts=self.chance.choice([1, 1, 1, 2, 3]),
            status="scheduled" if due else "queued",
            send_at=due or None,
            valid_until=now + self.chance.choice([50_000, 86_400_000, 86_400_000]),
        )
        self.items += items
        s.dispatcher.offer(items)

    async def report(self, s: Scene, link: Carrier) -> None:
        taken = [copy for copy in link.copies if copy.taken and not copy.report]
        if taken:
            copy = self.chance.choice(taken)
            status, copy.report = self.chance.choice(STATES)
            at = int(s.clock.seconds() * 1000)
            row = ReportRow(link.name, copy.id, copy.to, status, copy.report, "", at)
            (told,) = await s.database.writer.batch(REPORTS, [row])
            s.dispatcher.offer(told.moved or [])
            s.dispatcher.follow(told.changes)

    async def cancel(self, s: Scene) -> None:
        key = self.chance.choice(self.items[-8:]).message_id
        find = partial(unsent.places_of, node=0, account="newsroom", message_id=key)
        now = int(s.clock.seconds() * 1000)
        places = await s.database.read(find)
        end = partial(unsent.cancel, message_id=key, places=places, now_ms=now)
        try:
            s.dispatcher.follow([await s.database.writer.run(end)])
        except Conflict:
            return
        self.canceled.add(key)

    async def restart(self, s: Scene) -> None:
        await s.stop()
        for link in self.links:
            link.unanswered.clear()
            link.open.clear()
            link.late.clear()
        s.dispatcher = s.make()
        await s.dispatcher.recover()

    async def anything(self, s: Scene) -> None:
        chance, link = self.chance.random(), self.chance.choice(self.links)
        if chance < 0.25 or not self.items:
            await self.accept(s, link)
        elif chance < 0.6:
            link.say(*self.chance.choices(ANSWERS, k=3))
        elif chance < 0.68:
            link.say_late(self.chance.choice([None, REFUSED, LATER]))
        elif chance < 0.85:
            await self.report(s, link)
        elif chance < 0.9:
            link.go_down() if link.up else link.come_up()
        elif chance < 0.97:
            await self.cancel(s)
        else:
            await self.restart(s)
        if self.chance.random() < 0.6:
            await s.pass_time(self.chance.choice([0.01, 1.0, 3.0, 31.0]))

    async def calm_down(self, s: Scene) -> None:
        """Every link works again, for long enough."""
        for link in self.links:
            link.come_up()
        for _ in range(60):
            await s.pass_time(31.0)
            for link in self.links:
                link.say(*[None for _ in link.open])
        await s.quiet()

    # ---- what must be true then ----------------------------------------------------------

    async def check(self, s: Scene) -> None:
        assert await queue_of(s.database) == []
        for state in s.dispatcher.state().values():
            assert (state["queued"], state["sending"]) == (0, 0)
        told = await s.database.read(partial(events.list_after, limit=10_000))
        marked = {one.subject_id for one in told if one.data.get("possible_duplicate")}
        for first in {item.message_id: item for item in self.items}.values():
            message = await message_of(s.database, first)
            copies = [self.copies[message.recipient, part + 1] for part in range(message.parts)]
            assert message.status in ENDS
            if message.status in ("sent", "delivered"):
                assert all(any(one.taken for one in every) for every in copies)
            if message.id in self.canceled:
                assert not any(one.may_have_arrived for every in copies for one in every)
            if message.recipient in self.doubted and message.id not in marked:
                parts = await segments_of(s.database, self.items)
                mine = [part for part in parts if part.message_id == message.id]
                assert any(part.possible_duplicate for part in mine)


@pytest.mark.parametrize("seed", range(4))
@reactor_test
async def test_nothing_is_lost_and_no_second_copy_is_silent_on_two_links(
    tmp_path: Path, seed: int
) -> None:
    world = World(seed)
    async with scene(
        tmp_path,
        *world.links,
        elsewhere=world.elsewhere,
        failover_after=20.0,
        lane_limit=world.chance.choice([2, 5, 100]),
        policy=RetryPolicy(first_seconds=2.0, attempts=5, quota_seconds=30.0),
        doubt=DoubtPolicy(wait_seconds=30.0, attempts=3),
    ) as s:
        await s.dispatcher.recover()
        for _ in range(60):
            await world.anything(s)
        await world.calm_down(s)
        await world.check(s)

"""Votes of anyone: texts sent to a number on the screen, counted once a phone.

Rules: while a vote is open its number means nothing else. Whatever came before the end counts:
closing reads what still waits, and then nothing is counted any more. How a text is counted is in
:mod:`smsgw.services.requests.counting`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from smsgw.errors import Conflict, StoreError, ValidationError
from smsgw.services.choices import Choice
from smsgw.services.ledger import SlotPlans
from smsgw.services.requests.counting import LATE_MS, Cast, Count, CountVotes
from smsgw.services.requests.places import choices_of, present
from smsgw.services.requests.presets import Preset
from smsgw.services.requests.settings import (
    Audience,
    VoteSettings,
    request_settings,
)
from smsgw.store import ballots, evidence, slots
from smsgw.store.ballots import Number, NumberRow
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow
from smsgw.store.requests import RequestRows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from smsgw.services.requests.changes import Changes

READ_SECONDS = 5.0
"""How often the numbers of other processes' votes are looked for."""


# ---- its numbers -------------------------------------------------------------------------


def is_open_to_all(rows: RequestRows) -> bool:
    """Whether anyone may answer a request."""
    vote = request_settings(rows.request.settings).vote
    return vote is not None and vote.audience is Audience.ANYONE


def open_numbers(changes: Changes, rows: RequestRows) -> None:
    """Take the numbers of a new vote of anyone, under each of our access numbers.

    Raises:
        ValidationError: One of them means something else already, or is too long.
        Conflict: One is another open vote's.
    """
    if not is_open_to_all(rows):
        return
    request, plans = rows.request, changes.tools.plans
    extension = (request_settings(request.settings).vote or VoteSettings()).extension
    taken = []
    for access_number in plans.digits_max:
        problem = _problem(plans, access_number, extension)
        if not problem and slots.live_at(changes.connection, access_number, extension, changes.now):
            problem = f"{extension} under {access_number} stands for a question that is open"
        if problem:
            raise ValidationError("vote.extension", problem)
        row = NumberRow(access_number, extension, request.id, request.account)
        if not ballots.claim(changes.connection, row):
            raise Conflict(
                f"vote.extension: {extension} under {access_number} is another open vote's; close "
                "that one, or write other digits"
            )
        taken.append(access_number + extension)
    if not taken:
        raise ValidationError("vote.extension", "there is no link whose number it could follow")
    changes.emit("request.vote_opened", request.id, request.account, numbers=taken)


def _problem(plans: SlotPlans, access_number: str, extension: str) -> str:
    """Why a number cannot be a vote's; "" when it can."""
    number = access_number + extension
    limit = plans.digits_max[access_number]
    if len(number) > limit:
        return f"{number} has {len(number)} digits, limit {limit}; shorten it"
    for static in plans.taken.get(access_number, ()):
        if extension.startswith(static):
            return f"{static} under {access_number} is a static extension; write other digits"
    for plan in plans.all(access_number):
        if len(extension) == plan.length and extension.startswith(plan.prefix):
            return f"the plan {plan.name} gives out {extension}; write other digits, or fewer"
    for other in plans.digits_max:
        if len(other) > len(access_number) and number.startswith(other):
            return f"{number} begins with our access number {other}; write other digits"
    return ""


# ---- the result --------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a vote came to.

    Attributes:
        counts: Votes by the key of the answer, each of them, in order.
        unclear: Messages that nobody can read; 0 where named people vote.
        late: Messages that came after the end.
        digest: SHA-256 of the ballots; "" where named people vote.
    """

    counts: dict[str, int]
    unclear: int = 0
    late: int = 0
    digest: str = ""

    @property
    def votes(self) -> int:
        """All that count."""
        return sum(self.counts.values())

    def told(self) -> dict[str, Any]:
        """Return it as the event of the end has it, and the audit chain."""
        data: dict[str, Any] = {"tally": self.counts, "votes": self.votes, "unclear": self.unclear}
        return data | ({"ballots_sha256": self.digest} if self.digest else {})

    def written(self, choices: Iterable[Choice]) -> str:
        """Return it as people read it."""
        counts = "，".join(f"{one.label} {self.counts[one.key]}票" for one in choices)
        return f"{counts}，共{self.votes}票"


def result_of(connection: Connection, preset: Preset, rows: RequestRows) -> Result:
    """Return how a vote stands."""
    (step,) = rows.steps
    keys = [one.key for one in choices_of(preset, step)]
    if not is_open_to_all(rows):
        given = Counter(row.decision for row in present(rows, step))
        return Result({key: given[key] for key in keys})
    counts = evidence.tally(connection, rows.request.id)
    unclear, late = ballots.uncounted(connection, rows.request.id)
    return Result({key: counts.get(key, 0) for key in keys}, unclear, late)


def close(changes: Changes, rows: RequestRows) -> Result | None:
    """Count what waits of a vote and close its numbers; returns the result, None for no vote."""
    request = rows.request
    if request_settings(request.settings).vote is None:
        return None
    preset, connection = changes.preset_of(request), changes.connection
    if not is_open_to_all(rows):
        return result_of(connection, preset, rows)
    for number in ballots.close(connection, request.id, changes.now):
        after = 0
        while waiting := ballots.waiting(connection, number.number, after):
            count = Count(connection, changes.tools.presets, number, changes.now, closing=True)
            count.settle(waiting)
            after = waiting[-1].id
    found = result_of(connection, preset, rows)
    digest = ballots.digest(connection, request.id)
    return Result(found.counts, found.unclear, found.late, digest)


def shown(connection: Connection, vote: VoteSettings, rows: RequestRows, now: Result) -> Any:
    """Return a vote's settings and how it stands, JSON-ready."""
    told: dict[str, Any] = {"audience": vote.audience, "counts": vote.counts}
    if vote.audience is Audience.ANYONE:
        numbers = ballots.numbers_of(connection, rows.request.id)
        told |= {"extension": vote.extension, "numbers": ["".join(one.number) for one in numbers]}
        told |= {"unclear": now.unclear, "late": now.late}
    return told | {"votes": now.votes}


# ---- many at a time ----------------------------------------------------------------------


class Votes:
    """Knows which numbers are votes', and has what comes there counted together.

    What it knows is only where to look first: whether a number takes votes is decided in the
    transaction that counts them, and what is not known here is read like any other reply.

    Args:
        store: Open before :meth:`start`.
        presets: The kinds of request, by name.
        plans: How extensions are made.
        reactor: Its clock and timers.
        shared: Whether other processes open votes in the same database.
    """

    log = Logger()

    def __init__(
        self,
        store: Database,
        presets: Mapping[str, Preset],
        plans: SlotPlans,
        reactor: IReactorTime,
        *,
        shared: bool = False,
    ) -> None:
        self._store = store
        self._plans = plans
        self._clock = reactor
        self._shared = shared
        self._operation = CountVotes(presets)
        self._numbers: set[Number] = set()
        self._timer = LoopingCall(self._follow)
        self._timer.clock = reactor

    async def start(self) -> None:
        """Learn the numbers; before the first message is read."""
        await self._read()
        if self._shared:
            self._timer.start(READ_SECONDS, now=False)

    def stop(self) -> None:
        """Look for no more."""
        if self._timer.running:
            self._timer.stop()

    def adopt(self, plans: SlotPlans) -> None:
        """Go by other plans from now on."""
        self._plans = plans
        read = Deferred.fromCoroutine(self._follow())
        read.addErrback(lambda failure: self.log.failure("votes", failure, event="votes.not_read"))

    def add(self, extension: str) -> None:
        """Know of a vote that was opened here."""
        self._numbers.update((access_number, extension) for access_number in self._plans.digits_max)

    def take(self, row: InboundRow) -> Deferred[str] | None:
        """Count a message if its number is known for a vote's; else None.

        Returns:
            Fires after the commit with the outcome; with "" when it is no vote after all.
        """
        if (row.access_number, row.extension) not in self._numbers:
            return None
        counted = self._store.writer.batch(self._operation, [Cast(row, self._now())])
        return counted.addCallback(itemgetter(0))

    async def _follow(self) -> None:
        try:
            await self._read()
        except StoreError as error:
            if self._timer.running:
                told = "numbers of votes not read: {why}"
                self.log.warn(told, event="votes.not_read", why=str(error))

    async def _read(self) -> None:
        find = partial(ballots.numbers, closed_since=self._now() - LATE_MS)
        found = await self._store.read(find)
        self._numbers = {row.number for row in found if not self._is_needed(row)}

    def _is_needed(self, row: NumberRow) -> bool:
        """Whether a configuration that changed gives a vote's number to somebody else."""
        known = row.access_number in self._plans.digits_max
        return known and bool(_problem(self._plans, *row.number))

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)

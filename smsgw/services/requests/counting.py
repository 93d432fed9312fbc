"""Reads texts that anyone sent to a vote's number, and counts them, many in one transaction.

Rules: a phone's first vote counts, or its last, by the order in which the messages came in, in
whatever order they are read. Nobody is answered. What nobody can read stays for a person to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from smsgw.model import Event
from smsgw.services.questions import Question
from smsgw.services.replies import Kind, read
from smsgw.services.requests.places import own_answers
from smsgw.services.requests.presets import Preset
from smsgw.services.requests.settings import Counts, request_settings, step_settings
from smsgw.store import ballots, events
from smsgw.store import requests as rows_of
from smsgw.store.ballots import BallotRow, NumberRow
from smsgw.store.inbox import InboundRow
from smsgw.store.writer import Operation

if TYPE_CHECKING:
    from sqlalchemy import Connection

LATE_MS = 7 * 86_400_000
"""So long after its end a vote's number still takes what comes as late votes."""

TEXTS_KEPT = 4096
"""Different texts of one question whose reading is remembered."""

DECIDED, REPEATED, UNCLEAR, LATE = "decided", "repeated", "unclear", "late"


@lru_cache(maxsize=64)
def _reader(question: Question) -> Callable[[str], str]:
    """Return what tells the key of the choice that a text names; "" when it is not clear."""

    @lru_cache(maxsize=TEXTS_KEPT)
    def choose(text: str) -> str:
        reading = read(text, question)
        return reading.choice if reading.kind is Kind.CLEAR else ""

    return choose


def settle(
    connection: Connection, presets: Mapping[str, Preset], rows: Sequence[InboundRow], now: int
) -> list[str]:
    """Read messages and count those that are votes, in one transaction on the writer thread.

    Args:
        connection: The transaction.
        presets: The kinds of request, by name.
        rows: Stored messages; what was handled before is left as it is.
        now: Milliseconds since the Unix epoch.

    Returns:
        What became of each: ``decided`` (it counts), ``repeated`` (the phone had voted),
        ``unclear``, ``late``; "" for one that is no vote.
    """
    wanted = {(row.access_number, row.extension) for row in rows}
    found = ballots.locked(connection, wanted)
    of_request: dict[int, list[InboundRow]] = {}
    for row in rows:
        number = found.get((row.access_number, row.extension))
        if number is not None and _takes(number, now):
            of_request.setdefault(number.request_id, []).append(row)
    outcomes: dict[int, str] = {}
    for number in {one.request_id: one for one in found.values()}.values():
        if number.request_id in of_request:
            count = Count(connection, presets, number, now)
            outcomes |= count.settle(of_request[number.request_id])
    return [outcomes.get(row.id, "") for row in rows]


def _takes(number: NumberRow, now: int) -> bool:
    return number.closed_at is None or now - number.closed_at < LATE_MS


@dataclass
class Count:
    """Counts messages for one vote."""

    connection: Connection
    presets: Mapping[str, Preset]
    number: NumberRow
    now: int
    told: list[Event] = field(default_factory=list)
    closing: bool = False

    def settle(self, rows: Iterable[InboundRow]) -> dict[int, str]:
        """Count those messages for it that nobody has read; returns the outcomes of all."""
        by_id = {row.id: row for row in rows}
        known = ballots.outcomes(self.connection, list(by_id))
        mine = [by_id[one] for one in sorted(known) if not known[one]]
        return known | self._settle(mine) if mine else known

    def _settle(self, mine: list[InboundRow]) -> dict[int, str]:
        if self.number.closed_at is None or self.closing:
            outcomes = self._count(mine)
        else:
            outcomes = dict.fromkeys((row.id for row in mine), LATE)
        together: dict[str, list[int]] = {}
        for inbound_id, outcome in outcomes.items():
            together.setdefault(outcome, []).append(inbound_id)
            if outcome != DECIDED:
                self._tell("inbound.handled", inbound_id, outcome=outcome)
        about = (self.now, self.number.request_id, self.number.account)
        for outcome, ids in together.items():
            ballots.mark_handled(self.connection, ids, outcome, *about)
        events.append(self.connection, self.now, self.told)
        return outcomes

    def _count(self, rows: list[InboundRow]) -> dict[int, str]:
        choose, newer_counts = self._rules()
        outcomes: dict[int, str] = {}
        votes: list[tuple[InboundRow, str]] = []
        for row in rows:
            choice = "" if row.missing else choose(row.text)
            if choice:
                votes.append((row, choice))
            else:
                outcomes[row.id] = UNCLEAR
        request_id = self.number.request_id
        phones = {row.sender for row, _ in votes}
        known = ballots.of_phones(self.connection, request_id, phones)
        before = set(known)
        changed = set()
        for row, choice in votes:
            outcomes[row.id] = REPEATED
            old = known.get(row.sender)
            if old is not None and (row.id > old.inbound_id) is not newer_counts:
                continue
            ballot = BallotRow(request_id, row.sender, choice, row.id, self.now)
            known[row.sender] = ballot
            changed.add(row.sender)
            if old is None:
                self._tell("vote.counted", row.id, choice=choice)
            elif old.choice != choice:
                self._tell("vote.counted", row.id, choice=choice, instead_of=old.choice)
            else:
                continue
            outcomes[row.id] = DECIDED
        ballots.put(
            self.connection,
            [known[phone] for phone in changed - before],
            [known[phone] for phone in changed & before],
        )
        return outcomes

    def _rules(self) -> tuple[Callable[[str], str], bool]:
        """How texts are read, and whether a newer vote takes the place of an older one."""
        rows = rows_of.get(self.connection, self.number.request_id)
        if rows is None:
            raise AssertionError(f"vote {self.number.request_id} has a number and no request")
        preset, (step,) = self.presets[rows.request.preset], rows.steps
        question = own_answers(preset, step_settings(step.settings).answers)
        vote = request_settings(rows.request.settings).vote
        return _reader(question), vote is not None and vote.counts is Counts.LAST

    def _tell(self, kind: str, inbound_id: int, **data: str) -> None:
        about = {"request_id": str(self.number.request_id), **data}
        self.told.append(Event(kind, inbound_id, self.number.account, about))


class Cast(NamedTuple):
    """A message that may be a vote, and when it is read; milliseconds."""

    row: InboundRow
    at: int


class CountVotes(Operation[Cast, str]):
    """Count what came to the numbers of votes; see :func:`settle`."""

    name: ClassVar[str] = "count votes"
    rank: ClassVar[int] = 6

    def __init__(self, presets: Mapping[str, Preset]) -> None:
        self._presets = presets

    def execute(self, connection: Connection, rows: Sequence[Cast]) -> list[str]:
        """Count them all for the votes they are for."""
        now = max(one.at for one in rows)
        return settle(connection, self._presets, [one.row for one in rows], now)

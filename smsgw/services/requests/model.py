"""What a request is, how answers fold into a step, and what follows from that. Pure.

The answers of a step are a set keyed by assignee: the first answer of each one stands, a repeated
or later one changes nothing. Nothing is ever added up, so an assignee who answers twice never looks
like another one. :func:`mask` shows the same as 1-2-4 bits, read-only.

Reminders, escalation and delegation will be further effects of :func:`advance`, driven by time.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec


class Decision(enum.StrEnum):
    """One assignee's answer."""

    YES = "yes"
    NO = "no"


class Rule(enum.StrEnum):
    """When a step is decided.

    ``all``: every assignee must approve, and the first rejection ends the step. ``any``: the first
    approval ends it; it is rejected when every assignee rejected.
    """

    ALL = "all"
    ANY = "any"


class Outcome(enum.StrEnum):
    """How a step or a request ended."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Progress(enum.StrEnum):
    """The life of a step."""

    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


class AssigneeDraft(msgspec.Struct):
    """Whom to ask, as a customer writes it."""

    phone: str
    name: str = ""


class StepDraft(msgspec.Struct):
    """One step, as a customer writes it: who is asked at the same time, and the rule."""

    assignees: list[AssigneeDraft]
    rule: str = "all"


@dataclass(frozen=True)
class Assignee:
    """One place of a step: a person who is asked.

    Attributes:
        id: The assignment's.
        position: From 0; the bit in :func:`mask`.
    """

    id: int
    position: int


@dataclass(frozen=True)
class Answer:
    """One answer, by the assignment it belongs to."""

    assignee: int
    decision: Decision


@dataclass(frozen=True)
class Step:
    """One step of a request."""

    id: int
    rule: Rule
    progress: Progress
    assignees: tuple[Assignee, ...]


@dataclass(frozen=True)
class Request:
    """A request: its steps in order and the answers that count, oldest first."""

    closed: bool
    steps: tuple[Step, ...]
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class StepState:
    """A step with its answers folded in.

    Attributes:
        approved: Assignments that approved.
        rejected: Assignments that rejected.
        pending: Assignments without an answer, in order.
        outcome: None while undecided.
    """

    approved: frozenset[int]
    rejected: frozenset[int]
    pending: tuple[int, ...]
    outcome: Outcome | None


@dataclass(frozen=True)
class Mask:
    """A step in bits: the assignee at position 0 is 1, the next 2, then 4 and so on."""

    full: int
    approved: int
    rejected: int


@dataclass(frozen=True)
class OpenStep:
    """Ask the assignees of this step."""

    step_id: int


@dataclass(frozen=True)
class CloseStep:
    """The step is decided; who has not answered need not any more."""

    step_id: int
    outcome: Outcome


@dataclass(frozen=True)
class CloseRequest:
    """The request is decided."""

    outcome: Outcome


Effect = OpenStep | CloseStep | CloseRequest


def fold(step: Step, answers: Iterable[Answer]) -> StepState:
    """Return the state of a step after ``answers``; those of others than its assignees are nothing.

    Folding more of the same answers gives the same state.
    """
    first: dict[int, Decision] = {}
    members = {assignee.id for assignee in step.assignees}
    for answer in answers:
        if answer.assignee in members:
            first.setdefault(answer.assignee, answer.decision)
    approved = frozenset(key for key, value in first.items() if value is Decision.YES)
    rejected = frozenset(key for key, value in first.items() if value is Decision.NO)
    pending = tuple(assignee.id for assignee in step.assignees if assignee.id not in first)
    return StepState(approved, rejected, pending, _outcome(step.rule, approved, rejected, pending))


def _outcome(
    rule: Rule, approved: frozenset[int], rejected: frozenset[int], pending: tuple[int, ...]
) -> Outcome | None:
    if rule is Rule.ALL:
        if rejected:
            return Outcome.REJECTED
        return None if pending else Outcome.APPROVED
    if approved:
        return Outcome.APPROVED
    return None if pending else Outcome.REJECTED


def advance(request: Request) -> list[Effect]:
    """Return what has to happen now, in order; nothing when only answers are awaited."""
    if request.closed:
        return []
    effects: list[Effect] = []
    for step in request.steps:
        if step.progress is Progress.CLOSED:
            continue
        if step.progress is Progress.WAITING:
            return [*effects, OpenStep(step.id)]
        outcome = fold(step, request.answers).outcome
        if outcome is None:
            return effects
        effects.append(CloseStep(step.id, outcome))
        if outcome is Outcome.REJECTED:
            return [*effects, CloseRequest(outcome)]
    return [*effects, CloseRequest(Outcome.APPROVED)]


def mask(step: Step, state: StepState) -> Mask:
    """Return a folded step as bits by position."""

    def bits(ids: Iterable[int]) -> int:
        wanted = set(ids)
        return sum(1 << one.position for one in step.assignees if one.id in wanted)

    everyone = (assignee.id for assignee in step.assignees)
    return Mask(bits(everyone), bits(state.approved), bits(state.rejected))

"""What a request is, how answers fold into a step, and what follows from that. Pure.

The answers of a step are a set keyed by place: one stands for each, a repeated one changes nothing.
Nothing is ever added up, so an assignee who answers twice never looks like another one.
:func:`mask` shows the same as 1-2-4 bits, read-only.

What time brings (reminders, escalation, deadlines) is in :mod:`smsgw.services.requests.due`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from smsgw.errors import ValidationError
from smsgw.services.choices import Effect

ALL, ANY = "all", "any"

_QUORUM = re.compile(r"([1-9][0-9]?) of ([1-9][0-9]?)")


class Outcome(enum.StrEnum):
    """How a step or a request ended."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Progress(enum.StrEnum):
    """The life of a step."""

    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


class Rule(msgspec.Struct, frozen=True):
    """When a step is decided.

    It is approved as soon as ``needed`` assignees approved. It is rejected by the first rejection
    when ``reject_ends``, else when everybody has answered and too few approved.
    """

    needed: int
    reject_ends: bool


def parse_rule(text: str, reject_ends: bool | None, people: int, field: str) -> Rule:
    """Return the rule that ``all``, ``any`` or ``2 of 3`` names for a step of so many people.

    Args:
        text: As a customer writes it.
        reject_ends: Whether one rejection decides; None is True for ``all`` and else False.
        people: The step's assignees.
        field: The path that an error names.

    Raises:
        ValidationError: It is no rule, or not one for so many people.
    """
    if text == ALL:
        return Rule(people, reject_ends is not False)
    if text == ANY:
        return Rule(1, bool(reject_ends))
    quorum = _QUORUM.fullmatch(text)
    if quorum is None:
        raise ValidationError(field, f'{text!r} is no rule; write all, any or such as "2 of 3"')
    needed, total = int(quorum[1]), int(quorum[2])
    if total != people or needed > total:
        problem = f"{text!r} in a step of {people}; write 1 to {people} of {people}"
        raise ValidationError(field, problem)
    return Rule(needed, bool(reject_ends))


@dataclass(frozen=True)
class Place:
    """One place of a step: a person who is asked, or the one it was handed on to.

    Attributes:
        id: The present assignment's.
        position: From 0; the bit in :func:`mask`.
        decides: Whether this one's answer decides the step alone: an escalation.
        effect: What its answer does; None without one.
    """

    id: int
    position: int
    decides: bool = False
    effect: Effect | None = None


@dataclass(frozen=True)
class Step:
    """One step of a request, with the answers that count.

    Attributes:
        id: The step's.
        rule: When it is decided.
        progress: Its life.
        places: Who is asked, in order.
        open_ended: Whether anybody may answer: only time, or a person, ends it.
    """

    id: int
    rule: Rule
    progress: Progress
    places: tuple[Place, ...]
    open_ended: bool = False


@dataclass(frozen=True)
class Request:
    """A request: its steps in order."""

    closed: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class StepState:
    """A step with its answers folded in.

    Attributes:
        approved: Assignments that approved.
        rejected: Assignments that rejected.
        pending: Assignments without an answer, in order; an escalation is never awaited.
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


Action = OpenStep | CloseStep | CloseRequest


def fold(step: Step) -> StepState:
    """Return the state of a step after the answers so far."""
    with_effect = {
        effect: frozenset(one.id for one in step.places if one.effect is effect)
        for effect in (Effect.FOR, Effect.AGAINST)
    }
    pending = tuple(one.id for one in step.places if one.effect is None and not one.decides)
    approved, rejected = with_effect[Effect.FOR], with_effect[Effect.AGAINST]
    return StepState(approved, rejected, pending, _outcome(step, pending))


def _outcome(step: Step, pending: tuple[int, ...]) -> Outcome | None:
    if step.open_ended:
        return None
    for one in step.places:
        if one.decides and one.effect is Effect.FOR:
            return Outcome.APPROVED
        if one.decides and one.effect is Effect.AGAINST:
            return Outcome.REJECTED
    effects = [one.effect for one in step.places if not one.decides]
    if step.rule.reject_ends and Effect.AGAINST in effects:
        return Outcome.REJECTED
    if effects.count(Effect.FOR) >= step.rule.needed:
        return Outcome.APPROVED
    return None if pending else Outcome.REJECTED


def advance(request: Request) -> list[Action]:
    """Return what has to happen now, in order; nothing when only answers are awaited."""
    if request.closed:
        return []
    actions: list[Action] = []
    for step in request.steps:
        if step.progress is Progress.CLOSED:
            continue
        if step.progress is Progress.WAITING:
            return [*actions, OpenStep(step.id)]
        outcome = fold(step).outcome
        if outcome is None:
            return actions
        actions.append(CloseStep(step.id, outcome))
        if outcome is Outcome.REJECTED:
            return [*actions, CloseRequest(outcome)]
    return [*actions, CloseRequest(Outcome.APPROVED)]


def mask(step: Step, state: StepState) -> Mask:
    """Return a folded step as bits by position; escalations have none."""

    def bits(ids: Iterable[int]) -> int:
        wanted = set(ids)
        return sum(1 << one.position for one in step.places if one.id in wanted and not one.decides)

    return Mask(bits(one.id for one in step.places), bits(state.approved), bits(state.rejected))

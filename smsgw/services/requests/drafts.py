"""Checks what a customer asks for, and turns it into rows. Every error names its field by path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smsgw.errors import ValidationError
from smsgw.routing.numbers import normalise
from smsgw.services.requests.changes import Composer
from smsgw.services.requests.model import AssigneeDraft, Rule, StepDraft
from smsgw.services.requests.presets import Preset
from smsgw.store.ids import IdSource
from smsgw.store.requests import AssignmentRow, RequestRow, RequestRows, StepRow

SUBJECT_MAX = 100
BODY_MAX = 2000
NAME_MAX = 64
REFERENCE_MAX = 128
REASON_MAX = 1000
STEPS_MAX = 20
ASSIGNEES_MAX = 50


def check_texts(
    preset: str, presets: Mapping[str, Preset], subject: str, body: str, reference: str
) -> None:
    """Check everything of a new request but its steps.

    Raises:
        ValidationError: Its field says which.
    """
    if preset not in presets:
        known = ", ".join(presets)
        raise ValidationError("preset", f"{preset!r} is no preset; write one of {known}")
    if not subject.strip():
        raise ValidationError("subject", "empty; say what is to be decided")
    check_length("subject", subject, SUBJECT_MAX)
    check_length("body", body, BODY_MAX)
    check_length("reference", reference, REFERENCE_MAX)


def check_length(field: str, text: str, limit: int) -> None:
    """Raise ValidationError when ``text`` has more than ``limit`` characters."""
    if len(text) > limit:
        raise ValidationError(field, f"{len(text)} characters, limit {limit}; shorten it")


def check_steps(steps: Sequence[StepDraft], composer: Composer) -> list[StepDraft]:
    """Return the steps with normalised phones, each of which some link serves.

    Raises:
        ValidationError: Its field is a path such as ``steps[0].assignees[1].phone``.
    """
    if not 1 <= len(steps) <= STEPS_MAX:
        raise ValidationError("steps", f"{len(steps)} steps, allowed 1 to {STEPS_MAX}")
    return [_check_step(place, step, composer) for place, step in enumerate(steps)]


def _check_step(place: int, step: StepDraft, composer: Composer) -> StepDraft:
    path = f"steps[{place}]"
    if step.rule not in tuple(Rule):
        known = ", ".join(Rule)
        raise ValidationError(f"{path}.rule", f"{step.rule!r} is no rule; write one of {known}")
    count = len(step.assignees)
    if not 1 <= count <= ASSIGNEES_MAX:
        raise ValidationError(
            f"{path}.assignees", f"{count} assignees, allowed 1 to {ASSIGNEES_MAX}"
        )
    seen: dict[str, int] = {}
    checked: list[AssigneeDraft] = []
    for index, assignee in enumerate(step.assignees):
        where = f"{path}.assignees[{index}]"
        check_length(f"{where}.name", assignee.name, NAME_MAX)
        phone = normalise(assignee.phone, f"{where}.phone")
        if phone in seen:
            raise ValidationError(
                f"{where}.phone",
                f"the same number as assignees[{seen[phone]}]; name each phone once per step",
            )
        seen[phone] = index
        try:
            composer.sender_for(phone)
        except ValidationError as error:
            raise ValidationError(f"{where}.phone", error.problem) from error
        checked.append(AssigneeDraft(phone, assignee.name.strip()))
    return StepDraft(checked, step.rule)


def rows(request: RequestRow, steps: Sequence[StepDraft], ids: IdSource) -> RequestRows:
    """Return the rows of a new request, every step waiting."""
    made = RequestRows(request, [], [])
    for place, draft in enumerate(steps):
        step = StepRow(ids.next(), request.id, place, draft.rule, "waiting")
        made.steps.append(step)
        made.assignments.extend(
            AssignmentRow(
                id=ids.next(),
                request_id=request.id,
                step_id=step.id,
                position=index,
                name=assignee.name,
                phone=assignee.phone,
                state="waiting",
            )
            for index, assignee in enumerate(draft.assignees)
        )
    return made

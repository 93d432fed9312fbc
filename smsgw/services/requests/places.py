"""The people of a request as its rows have them: who is asked now, and what they may answer. Pure.

Several rows at one position of a step are one place that was handed on: the last one counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from smsgw.errors import ValidationError
from smsgw.services import questions
from smsgw.services.choices import Choice
from smsgw.services.questions import Question
from smsgw.services.requests import model
from smsgw.services.requests.model import Progress, Rule
from smsgw.services.requests.presets import PRESETS, Preset
from smsgw.services.requests.settings import Audience, Confirmation, request_settings, step_settings
from smsgw.store.requests import AssignmentRow, RequestRows, StepRow

ASSIGNEE, ESCALATION = "assignee", "escalation"

DELEGATED = "delegated"


def step_by_id(rows: RequestRows, step_id: int) -> StepRow:
    """Return a step of the request."""
    return next(step for step in rows.steps if step.id == step_id)


def assignment_by_id(rows: RequestRows, assignment_id: int) -> AssignmentRow | None:
    """Return an assignment of the request, or None."""
    return next((row for row in rows.assignments if row.id == assignment_id), None)


def present(rows: RequestRows, step: StepRow) -> list[AssignmentRow]:
    """Return who has the places of a step now."""
    return [row for row in rows.of_step(step.id) if row.state != DELEGATED]


def successor(rows: RequestRows, row: AssignmentRow) -> AssignmentRow:
    """Return who has the place of ``row`` now: itself unless it was handed on."""
    while row.state == DELEGATED:
        row = next(one for one in rows.assignments if one.delegated_from == row.id)
    return row


def choices_of(preset: Preset, step: StepRow) -> tuple[Choice, ...]:
    """Return what may be answered in a step."""
    return step_settings(step.settings).answers or preset.choices


def choice_by_key(preset: Preset, step: StepRow, key: str) -> Choice | None:
    """Return the choice of a step that a key names, or None."""
    return next((one for one in choices_of(preset, step) if one.key == key), None)


def question_of(preset: Preset, rows: RequestRows, row: AssignmentRow) -> Question:
    """Return what a person may answer, and how a reply is read."""
    answers = step_settings(step_by_id(rows, row.step_id).settings).answers
    question = _answers(preset, answers) if answers else preset.question
    coded = request_settings(rows.request.settings).confirmation is Confirmation.CODE
    return dataclasses.replace(question, with_code=True) if coded else question


def _answers(preset: Preset, answers: Sequence[Choice]) -> Question:
    """Return the question of answers that were accepted once, whatever words are configured now."""
    try:
        return own_answers(preset, answers)
    except ValidationError:
        return own_answers(PRESETS[preset.name], answers)


def own_answers(preset: Preset, answers: Sequence[Choice], path: str = "answers") -> Question:
    """Return the question that a step's own answers make.

    Raises:
        ValidationError: They cannot be told apart; its field begins with ``path``.
    """
    return questions.ask(answers, preset.question if preset.question.choices else None, path)


def rule_of(rows: RequestRows, step: StepRow) -> Rule:
    """Return the rule of a stored step."""
    people = len({row.position for row in rows.of_step(step.id) if row.role == ASSIGNEE})
    return model.parse_rule(step.rule, step.reject_ends, people, "rule")


def as_model(rows: RequestRows, preset: Preset) -> model.Request:
    """Return a stored request as the pure model has it."""
    steps = tuple(step_model(rows, step, preset) for step in rows.steps)
    return model.Request(rows.request.state != "open", steps)


def step_model(rows: RequestRows, step: StepRow, preset: Preset) -> model.Step:
    """Return a stored step as the pure model has it."""
    effects = {one.key: one.effect for one in choices_of(preset, step)}
    places = tuple(
        model.Place(row.id, row.position, row.role == ESCALATION, effects.get(row.decision))
        for row in present(rows, step)
    )
    vote = request_settings(rows.request.settings).vote
    open_ended = vote is not None and vote.audience is Audience.ANYONE
    rule = model.Rule(1, False) if open_ended else rule_of(rows, step)
    return model.Step(step.id, rule, Progress(step.state), places, open_ended)

"""Applies what follows from answers and from time: steps open and close, people are told.

Rules: every change of a request raises its version, compared and set, so that of two deciders at
the same time one is told (``Conflict``). When a request is over, questions that were not sent yet
are taken back, who was asked and had not answered is told, and so is the applicant.
"""

from __future__ import annotations

from typing import Any

from smsgw.services.choices import Choice, Effect
from smsgw.services.requests import model, votes
from smsgw.services.requests.asking import dismiss, notify, release
from smsgw.services.requests.changes import Changes, conflict
from smsgw.services.requests.model import Outcome
from smsgw.services.requests.opening import open_step
from smsgw.services.requests.places import (
    as_model,
    choice_by_key,
    choices_of,
    present,
    step_by_id,
)
from smsgw.services.requests.timers import TimerKind
from smsgw.store import requests as rows_of
from smsgw.store import timers
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRows, StepRow

_STATE = {Outcome.EXPIRED: "expired", Outcome.WITHDRAWN: "withdrawn"}


def advance(changes: Changes, rows: RequestRows, *, strict: bool = False) -> None:
    """Apply what follows from the answers so far, and raise the request's version.

    Args:
        changes: The transaction.
        rows: The request as it is now, the new answer included; changed in place.
        strict: Raise when somebody cannot be asked, instead of noting it.

    Raises:
        Conflict: Somebody else changed the request first; undo the transaction.
        ValidationError: Strict, and somebody cannot be asked.
    """
    preset = changes.preset_of(rows.request)
    for action in model.advance(as_model(rows, preset)):
        if isinstance(action, model.OpenStep):
            open_step(changes, rows, step_by_id(rows, action.step_id), strict)
        elif isinstance(action, model.CloseStep):
            _close_step(changes, rows, step_by_id(rows, action.step_id), action.outcome)
        else:
            _close_request(changes, rows, action.outcome)
    raise_version(changes, rows)


def raise_version(changes: Changes, rows: RequestRows) -> None:
    """Write a request's own columns under its next version.

    Raises:
        Conflict: Somebody else changed it first; undo the transaction.
    """
    request = rows.request
    columns = {
        "state": request.state,
        "outcome": request.outcome,
        "closed_at": request.closed_at,
    }
    if not rows_of.advance_version(changes.connection, request, **columns):
        raise conflict(request)
    request.version += 1


def record(
    changes: Changes, rows: RequestRows, row: AssignmentRow, choice: Choice, answer: AnswerRow
) -> None:
    """Record an assignee's answer and apply what follows.

    An answer that leaves the question open (``progress``) is noted; one that replaces an earlier
    one is counted instead of it.

    Raises:
        Conflict: Somebody else changed the request first; undo the transaction.
    """
    told = {"decision": choice.key, "label": choice.label, "reason": answer.reason}
    told |= {"channel": answer.channel, "rule": answer.rule, "actor": answer.actor}
    if answer.anomaly:
        told["anomaly"] = answer.anomaly
    rows_of.insert_answer(changes.connection, answer)
    if choice.effect is Effect.PROGRESS:
        row.progress, row.reason = choice.key, answer.reason
        rows_of.save_assignment(changes.connection, row)
        changes.tell("request.progressed", rows, row, **told)
        raise_version(changes, rows)
        return
    if row.decision:
        told["instead_of"] = row.decision
    row.state, row.decision = "answered", choice.key
    row.reason, row.answered_at = answer.reason, changes.now
    rows_of.save_assignment(changes.connection, row)
    release(changes, rows.request, row)
    timers.clear(changes.connection, rows.request.id, TimerKind.REMIND, [row.id])
    changes.tell("request.answered", rows, row, **told)
    advance(changes, rows)


def end(changes: Changes, rows: RequestRows, outcome: Outcome) -> None:
    """End an open request whatever was answered: it expired, or was withdrawn.

    Raises:
        Conflict: Somebody else changed the request first; undo the transaction.
    """
    for step in rows.steps:
        if step.state == "open":
            _close_step(changes, rows, step, outcome)
    _close_request(changes, rows, outcome)
    raise_version(changes, rows)


def end_step(changes: Changes, rows: RequestRows, step: StepRow, outcome: Outcome) -> None:
    """End an open step whose time is over, with what that means for the request.

    Raises:
        Conflict: Somebody else changed the request first; undo the transaction.
    """
    if outcome is not Outcome.APPROVED:
        end(changes, rows, outcome)
        return
    _close_step(changes, rows, step, outcome)
    advance(changes, rows)


def _close_step(changes: Changes, rows: RequestRows, step: StepRow, outcome: Outcome) -> None:
    request = rows.request
    step.state, step.outcome, step.closed_at = "closed", outcome.value, changes.now
    rows_of.save_step(changes.connection, step)
    people = present(rows, step)
    timers.clear(changes.connection, request.id, subjects=[step.id, *(row.id for row in people)])
    final = outcome if _ends(rows, step, outcome) else None
    preset = changes.preset_of(request)
    text = "" if preset.numbered else preset.already_closed(request.subject, final)
    for row in people:
        if row.state in ("asked", "waiting"):
            was_asked, row.state = row.state == "asked", "released"
            rows_of.save_assignment(changes.connection, row)
            if was_asked:
                dismiss(changes, rows, row, text)
    changes.emit(
        "request.step_closed",
        request.id,
        request.account,
        step=step.position,
        outcome=outcome.value,
    )


def _ends(rows: RequestRows, step: StepRow, outcome: Outcome) -> bool:
    """Whether a step that ends so ends the request."""
    return outcome is not Outcome.APPROVED or step.id == rows.steps[-1].id


def _close_request(changes: Changes, rows: RequestRows, outcome: Outcome) -> None:
    request, preset = rows.request, changes.preset_of(rows.request)
    request.state, request.outcome = _STATE.get(outcome, "closed"), outcome.value
    request.closed_at = changes.now
    timers.clear(changes.connection, request.id)
    refusals = [
        (row.name or row.phone, row.reason)
        for step in rows.steps
        for row in present(rows, step)
        if row.decision and _effect(changes, rows, row) is Effect.AGAINST
    ]
    text = preset.result(request.subject, outcome, refusals)
    about: dict[str, Any] = {"outcome": outcome.value, "reference": request.reference}
    counted = votes.close(changes, rows)
    if counted is not None:
        about |= counted.told()
        if outcome is Outcome.APPROVED:
            text = f"{text}：{counted.written(choices_of(preset, rows.steps[0]))}"
    changes.emit("request.closed", request.id, request.account, **about, text=text)
    if request.applicant_phone:
        notify(changes, rows, request.applicant_phone, text)


def _effect(changes: Changes, rows: RequestRows, row: AssignmentRow) -> Effect | None:
    step = step_by_id(rows, row.step_id)
    choice = choice_by_key(changes.preset_of(rows.request), step, row.decision)
    return None if choice is None else choice.effect

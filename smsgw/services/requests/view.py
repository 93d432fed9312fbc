"""Shows requests: JSON-ready, ids as text, times as ISO 8601 in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smsgw.errors import NotFound
from smsgw.services.queries import iso
from smsgw.services.replies import make_short_id
from smsgw.services.requests import model
from smsgw.services.requests.changes import step_model
from smsgw.store import requests as rows_of
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRow, RequestRows, StepRow

if TYPE_CHECKING:
    from sqlalchemy import Connection


def show(connection: Connection, request_id: int, account: str | None = None) -> dict[str, Any]:
    """Return a request with its steps, assignees and all their answers.

    Raises:
        NotFound: No such request, or it is another account's.
    """
    rows = rows_of.get(connection, request_id)
    if rows is None or (account is not None and rows.request.account != account):
        raise NotFound(f"request {request_id}: not recorded")
    answers: dict[int, list[AnswerRow]] = {}
    for answer in rows_of.answers_of(connection, request_id):
        answers.setdefault(answer.assignment_id, []).append(answer)
    prompts = [row.prompt_message_id for row in rows.assignments if row.prompt_message_id]
    messages = rows_of.message_states(connection, prompts)
    shown = summary(rows.request)
    shown["body"] = rows.request.body
    shown["steps"] = [
        _step(rows, step)
        | {
            "assignees": [
                _assignee(row, answers.get(row.id, []), messages) for row in rows.of_step(step.id)
            ]
        }
        for step in rows.steps
    ]
    return shown


def summary(row: RequestRow) -> dict[str, Any]:
    """Return a request as lists show it."""
    return {
        "id": str(row.id),
        "account": row.account,
        "preset": row.preset,
        "subject": row.subject,
        "reference": row.reference,
        "state": row.state,
        "outcome": row.outcome or None,
        "version": row.version,
        "created_at": iso(row.created_at),
        "closed_at": iso(row.closed_at),
    }


def _step(rows: RequestRows, step: StepRow) -> dict[str, Any]:
    as_model = step_model(rows, step)
    given = [
        model.Answer(row.id, model.Decision(row.decision))
        for row in rows.of_step(step.id)
        if row.decision
    ]
    bits = model.mask(as_model, model.fold(as_model, given))
    return {
        "id": str(step.id),
        "position": step.position,
        "rule": step.rule,
        "state": step.state,
        "outcome": step.outcome or None,
        "mask": {"full": bits.full, "approved": bits.approved, "rejected": bits.rejected},
    }


def _assignee(
    row: AssignmentRow,
    answers: list[AnswerRow],
    messages: dict[int, tuple[str, str, str]],
) -> dict[str, Any]:
    prompt = messages.get(row.prompt_message_id or 0)
    counted = next((answer for answer in answers if answer.counted), None)
    return {
        "id": str(row.id),
        "short_id": make_short_id(row.id),
        "name": row.name,
        "phone": row.phone,
        "state": row.state,
        "access_number": prompt[1] if prompt else None,
        "extension": prompt[2] if prompt else None,
        "sender_number": prompt[1] + prompt[2] if prompt else None,
        "prompt_message_id": str(row.prompt_message_id) if row.prompt_message_id else None,
        "prompt_status": prompt[0] if prompt else None,
        "decision": row.decision or None,
        "reason": row.reason,
        "rule": counted.rule if counted else None,
        "channel": counted.channel if counted else None,
        "answered_at": iso(row.answered_at),
        "asked_back": row.asked_back,
        "answers": [_answer(answer) for answer in answers],
    }


def _answer(answer: AnswerRow) -> dict[str, Any]:
    return {
        "id": str(answer.id),
        "channel": answer.channel,
        "inbound_id": str(answer.inbound_id) if answer.inbound_id is not None else None,
        "text": answer.text,
        "decision": answer.decision or None,
        "reason": answer.reason,
        "rule": answer.rule,
        "counted": answer.counted,
        "at": iso(answer.at),
    }

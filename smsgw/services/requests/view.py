"""Shows requests: JSON-ready, ids as text, times as ISO 8601 in UTC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smsgw.errors import NotFound
from smsgw.services.queries import iso
from smsgw.services.replies import make_short_id
from smsgw.services.requests import model, votes
from smsgw.services.requests.places import choices_of, present, step_model
from smsgw.services.requests.presets import Preset
from smsgw.services.requests.settings import RequestSettings, request_settings, step_settings
from smsgw.store import requests as rows_of
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRow, RequestRows, StepRow

if TYPE_CHECKING:
    from sqlalchemy import Connection


def show(
    connection: Connection,
    presets: Mapping[str, Preset],
    request_id: int,
    account: str | None = None,
) -> dict[str, Any]:
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
    preset = presets[rows.request.preset]
    shown = summary(rows.request) | _settings(request_settings(rows.request.settings))
    shown["body"] = rows.request.body
    vote = request_settings(rows.request.settings).vote
    counts: Mapping[str, int] | None = None
    if vote is not None:
        result = votes.result_of(connection, preset, rows)
        shown["vote"] = votes.shown(connection, vote, rows, result)
        counts = result.counts
    shown["steps"] = [
        _step(rows, step, preset, counts)
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
    applicant = {"name": row.applicant_name, "phone": row.applicant_phone}
    return {
        "id": str(row.id),
        "account": row.account,
        "type": row.type or None,
        "preset": row.preset,
        "subject": row.subject,
        "reference": row.reference,
        "applicant": applicant if row.applicant_phone else None,
        "state": row.state,
        "outcome": row.outcome or None,
        "version": row.version,
        "created_at": iso(row.created_at),
        "closed_at": iso(row.closed_at),
        "purged": not row.subject,
    }


def _settings(settings: RequestSettings) -> dict[str, Any]:
    return {
        "deadline": iso(settings.deadline_at),
        "confirmation": settings.confirmation,
        "allow_change": settings.allow_change,
        "urgent": settings.urgent,
        "vote": None,
    }


def _step(
    rows: RequestRows, step: StepRow, preset: Preset, votes_of: Mapping[str, int] | None
) -> dict[str, Any]:
    as_model = step_model(rows, step, preset)
    bits = model.mask(as_model, model.fold(as_model))
    settings = step_settings(step.settings)
    ends = None
    if settings.deadline_after is not None and step.opened_at is not None:
        ends = step.opened_at + int(settings.deadline_after * 1000)
    given = votes_of or Counter(row.decision for row in present(rows, step) if row.decision)
    return {
        "id": str(step.id),
        "position": step.position,
        "name": step.name,
        "rule": step.rule,
        "reject_ends": step.reject_ends,
        "state": step.state,
        "outcome": step.outcome or None,
        "opened_at": iso(step.opened_at),
        "closed_at": iso(step.closed_at),
        "deadline": iso(ends),
        "reminders": settings.reminders,
        "escalation": [
            {"after": one.after, "phone": one.phone, "name": one.name}
            for one in settings.escalation
        ],
        "mask": {"full": bits.full, "approved": bits.approved, "rejected": bits.rejected},
        "answers": [
            {
                "key": one.key,
                "label": one.label,
                "effect": one.effect.value,
                "count": given[one.key],
            }
            for one in choices_of(preset, step)
        ],
    }


def _assignee(
    row: AssignmentRow,
    answers: list[AnswerRow],
    messages: dict[int, tuple[str, str, str]],
) -> dict[str, Any]:
    prompt = messages.get(row.prompt_message_id or 0)
    counted = [answer for answer in answers if answer.counted]
    last = counted[-1] if counted else None
    return {
        "id": str(row.id),
        "short_id": make_short_id(row.id),
        "name": row.name,
        "phone": row.phone,
        "role": row.role,
        "state": row.state,
        "access_number": prompt[1] if prompt else None,
        "extension": prompt[2] if prompt else None,
        "sender_number": prompt[1] + prompt[2] if prompt else None,
        "prompt_message_id": str(row.prompt_message_id) if row.prompt_message_id else None,
        "prompt_status": prompt[0] if prompt else None,
        "progress": row.progress or None,
        "decision": row.decision or None,
        "reason": row.reason,
        "rule": last.rule if last else None,
        "channel": last.channel if last else None,
        "asked_at": iso(row.asked_at),
        "answered_at": iso(row.answered_at),
        "asked_back": row.asked_back,
        "reminded": row.reminded,
        "delegated_from": str(row.delegated_from) if row.delegated_from else None,
        "delegated_by": row.delegated_by or None,
        "answers": [_answer(answer) for answer in answers],
    }


def _answer(answer: AnswerRow) -> dict[str, Any]:
    return {
        "id": str(answer.id),
        "channel": answer.channel,
        "actor": answer.actor,
        "inbound_id": str(answer.inbound_id) if answer.inbound_id is not None else None,
        "text": answer.text,
        "decision": answer.decision or None,
        "reason": answer.reason,
        "rule": answer.rule,
        "anomaly": answer.anomaly or None,
        "counted": answer.counted,
        "at": iso(answer.at),
    }

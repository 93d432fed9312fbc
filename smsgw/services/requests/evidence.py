"""A request's evidence: one JSON document that says what was asked, sent, answered and done.

Ids are decimal text, times ISO 8601 in UTC; an entry of the audit chain has its time in
milliseconds too, since its hash covers that. ``docs/evidence.md`` describes the document and how it
is checked; :mod:`smsgw.services.requests.evidence_check` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from smsgw.errors import NotFound
from smsgw.services.audit import digests_in
from smsgw.services.queries import Json, inbound_json, iso, message_json, segments_json
from smsgw.store import audit as chain
from smsgw.store import evidence
from smsgw.store import requests as rows_of
from smsgw.store.audit import AuditRow, Head
from smsgw.store.inbox import InboundRow, PartRow
from smsgw.store.messages import MessageRow
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRows, StepRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

FORMAT = "smsgw-evidence-1"

GATEWAY = "gateway"
"""The actor of what was done because its time had come."""

_Entries = list[tuple[AuditRow, bytes | None]]


def document(connection: Connection, request_id: int, now: int, account: str | None = None) -> Json:
    """Return the evidence of a request as it is now.

    Args:
        connection: A reading one.
        request_id: The request.
        now: Milliseconds since the Unix epoch.
        account: Only if the request is this account's; None is anyone's.

    Raises:
        NotFound: No such request, or it is another account's.
    """
    rows = rows_of.get(connection, request_id)
    if rows is None or (account is not None and rows.request.account != account):
        raise NotFound(f"request {request_id}: not recorded")
    heads = chain.heads(connection)
    entries = chain.of_subject(connection, request_id)
    answers = rows_of.answers_of(connection, request_id)
    return {
        "format": FORMAT,
        "exported_at": iso(now),
        "request": _request(rows, answers, evidence.tally(connection, request_id)),
        "people": _people(connection, rows, answers, entries),
        "timers": {
            "fired": [_fired(row) for row, _ in entries if row.actor == GATEWAY],
            "pending": [
                {"kind": kind, "subject_id": str(subject_id), "turn": turn, "due_at": iso(due_at)}
                for kind, subject_id, turn, due_at in evidence.timers(connection, request_id)
            ],
        },
        "audit": {
            "entries": [_entry(row, previous) for row, previous in entries],
            "heads": [_head(head) for head in heads],
        },
    }


def entry_json(row: AuditRow) -> Json:
    """One row of an audit chain; ``id`` is its place."""
    return {
        "id": f"{row.chain}-{row.sequence}",
        "chain": row.chain,
        "sequence": row.sequence,
        "at": iso(row.at),
        "at_ms": row.at,
        "actor": row.actor,
        "action": row.action,
        "account": row.account,
        "subject_id": str(row.subject_id),
        "detail": row.detail,
        "seal": row.seal.hex(),
        "hash": row.hash.hex(),
    }


def _entry(row: AuditRow, previous: bytes | None) -> Json:
    shown = entry_json(row)
    return shown | {"previous_hash": previous.hex() if previous is not None else None}


def _head(head: Head) -> Json:
    return {"chain": head.chain, "sequence": head.sequence, "hash": head.hash.hex()}


def _fired(row: AuditRow) -> Json:
    return {"at": iso(row.at), "action": row.action, "chain": row.chain, "sequence": row.sequence}


# ---- the request -------------------------------------------------------------------------


def _request(rows: RequestRows, answers: list[AnswerRow], tally: dict[str, int]) -> Json:
    row = rows.request
    given: dict[int, list[AnswerRow]] = {}
    for answer in answers:
        given.setdefault(answer.assignment_id, []).append(answer)
    return {
        "id": str(row.id),
        "account": row.account,
        "type": row.type,
        "preset": row.preset,
        "subject": row.subject,
        "body": row.body,
        "reference": row.reference,
        "applicant": {"name": row.applicant_name, "phone": row.applicant_phone},
        "settings": _settings(row.settings),
        "state": row.state,
        "outcome": row.outcome,
        "version": row.version,
        "created_at": iso(row.created_at),
        "closed_at": iso(row.closed_at),
        "votes": tally,
        "steps": [_step(step, rows, given) for step in rows.steps],
    }


def _settings(text: str) -> Any:
    return msgspec.json.decode(text) if text else {}


def _step(step: StepRow, rows: RequestRows, answers: dict[int, list[AnswerRow]]) -> Json:
    return {
        "id": str(step.id),
        "position": step.position,
        "name": step.name,
        "rule": step.rule,
        "reject_ends": step.reject_ends,
        "settings": _settings(step.settings),
        "state": step.state,
        "outcome": step.outcome,
        "opened_at": iso(step.opened_at),
        "closed_at": iso(step.closed_at),
        "assignees": [_assignee(row, answers.get(row.id, [])) for row in rows.of_step(step.id)],
    }


def _assignee(row: AssignmentRow, answers: list[AnswerRow]) -> Json:
    return {
        "id": str(row.id),
        "position": row.position,
        "role": row.role,
        "name": row.name,
        "phone": row.phone,
        "state": row.state,
        "decision": row.decision,
        "progress": row.progress,
        "reason": row.reason,
        "prompt_message_id": _id(row.prompt_message_id),
        "asked_at": iso(row.asked_at),
        "answered_at": iso(row.answered_at),
        "asked_back": row.asked_back,
        "reminded": row.reminded,
        "delegated_from": _id(row.delegated_from),
        "delegated_by": row.delegated_by,
        "answers": [_answer(answer) for answer in answers],
    }


def _answer(row: AnswerRow) -> Json:
    return {
        "id": str(row.id),
        "channel": row.channel,
        "actor": row.actor,
        "inbound_id": _id(row.inbound_id),
        "text": row.text,
        "decision": row.decision,
        "reason": row.reason,
        "rule": row.rule,
        "anomaly": row.anomaly,
        "counted": row.counted,
        "at": iso(row.at),
    }


def _id(number: int | None) -> str | None:
    return str(number) if number is not None else None


# ---- what went to people and came from them ----------------------------------------------


def _people(
    connection: Connection, rows: RequestRows, answers: list[AnswerRow], entries: _Entries
) -> list[Json]:
    """Return everybody who was sent something, sent something, or was to be asked."""
    sent = {row.prompt_message_id for row in rows.assignments if row.prompt_message_id is not None}
    sent |= _named(entries, "message:text")
    came = {row.inbound_id for row in answers if row.inbound_id is not None}
    came |= _named(entries, "inbound:text")
    people: dict[str, Json] = {}

    def person(phone: str) -> Json:
        empty = {"phone": phone, "names": [], "assignments": [], "messages": [], "inbound": []}
        return people.setdefault(phone, empty)

    for row in rows.assignments:
        found = person(row.phone)
        found["assignments"].append(str(row.id))
        if row.name and row.name not in found["names"]:
            found["names"].append(row.name)
    for message in evidence.message_rows(connection, sent):
        person(message.recipient)["messages"].append(_message(connection, message))
    for inbound, parts in evidence.inbound_rows(connection, came):
        person(inbound.sender)["inbound"].append(_inbound(inbound, parts))
    return list(people.values())


def _named(entries: _Entries, what: str) -> set[int]:
    """Return the ids of what the entries vouch for."""
    found: set[int] = set()
    for row, _ in entries:
        found.update(_numbers((digests_in(row) or {}).get(what, {})))
    return found


def _numbers(keys: Iterable[str]) -> set[int]:
    return {int(key) for key in keys}


def _message(connection: Connection, row: MessageRow) -> Json:
    return message_json(row) | {"segments": segments_json(connection, row)}


def _inbound(row: InboundRow, parts: list[PartRow]) -> Json:
    return inbound_json(row) | {
        "pdus": [
            {
                "id": str(part.id),
                "link": part.link,
                "part": part.sequence,
                "total": part.total,
                "received_at": iso(part.received_at),
                "pdu": part.pdu.hex(),
            }
            for part in parts
        ]
    }

"""Requests with their steps, assignments and answers: rows, and the statements on them.

Every change of a request goes through :func:`advance_version`, which compares and sets, so that of
two deciders at the same time one is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, update

from smsgw.store.messages import STATUS
from smsgw.store.schema import (
    OF_NO_MESSAGE,
    answer,
    assignment,
    event,
    inbound,
    message,
    request,
    step,
)
from smsgw.store.statements import insert_rows

_as_tuple = msgspec.structs.astuple


class RequestRow(msgspec.Struct, gc=False):
    """A row of ``request``; the fields are its columns, in their order."""

    id: int
    account: str
    type: str
    preset: str
    subject: str
    body: str
    reference: str
    applicant_name: str
    applicant_phone: str
    settings: str
    state: str
    outcome: str
    version: int
    created_at: int
    closed_at: int | None = None


class StepRow(msgspec.Struct, gc=False):
    """A row of ``step``; the fields are its columns, in their order."""

    id: int
    request_id: int
    position: int
    name: str
    rule: str
    reject_ends: bool
    settings: str
    state: str
    outcome: str = ""
    opened_at: int | None = None
    closed_at: int | None = None


class AssignmentRow(msgspec.Struct, gc=False):
    """A row of ``assignment``; the fields are its columns, in their order."""

    id: int
    request_id: int
    step_id: int
    position: int
    role: str
    name: str
    phone: str
    state: str
    prompt_message_id: int | None = None
    slot_id: int | None = None
    decision: str = ""
    progress: str = ""
    reason: str = ""
    asked_at: int | None = None
    answered_at: int | None = None
    asked_back: int = 0
    reminded: int = 0
    code: str = ""
    code_failures: int = 0
    delegated_from: int | None = None
    delegated_by: str = ""


class AnswerRow(msgspec.Struct, gc=False):
    """A row of ``answer``; the fields are its columns, in their order."""

    id: int
    request_id: int
    assignment_id: int
    channel: str
    actor: str
    inbound_id: int | None
    text: str
    decision: str
    reason: str
    rule: str
    anomaly: str
    counted: bool
    at: int


class RequestRows(msgspec.Struct):
    """A request with its steps in order and its assignments by step and position, oldest first."""

    request: RequestRow
    steps: list[StepRow]
    assignments: list[AssignmentRow]

    def of_step(self, step_id: int) -> list[AssignmentRow]:
        """Return the assignments of one step, by position."""
        return [row for row in self.assignments if row.step_id == step_id]


def insert(connection: Connection, rows: RequestRows) -> None:
    """Insert a new request."""
    insert_rows(connection, request, [_as_tuple(rows.request)])
    insert_rows(connection, step, [_as_tuple(row) for row in rows.steps])
    insert_rows(connection, assignment, [_as_tuple(row) for row in rows.assignments])


def get(
    connection: Connection, request_id: int, *, lock: bool = False, wait: bool = True
) -> RequestRows | None:
    """Return a request, or None.

    Args:
        connection: Any connection; with ``lock`` one in a transaction that changes the request.
        request_id: Which one.
        lock: Let no other process change it until the transaction is over. Whoever changes a
            request does so before it touches any other row of it: else two wait for each other.
        wait: With ``lock``: wait until the other process is done; else None is the answer.
    """
    query = select(request).where(request.c.id == request_id)
    if lock:
        query = query.with_for_update(skip_locked=not wait)
    row = connection.execute(query).first()
    if row is None:
        return None
    steps = connection.execute(
        select(step).where(step.c.request_id == request_id).order_by(step.c.position)
    )
    assignments = connection.execute(
        select(assignment)
        .join(step, step.c.id == assignment.c.step_id)
        .where(assignment.c.request_id == request_id)
        .order_by(step.c.position, assignment.c.position, assignment.c.id)
    )
    return RequestRows(
        RequestRow(*row),
        [StepRow(*found) for found in steps],
        [AssignmentRow(*found) for found in assignments],
    )


def account_of(connection: Connection, request_id: int) -> str:
    """Return whose a request is; "" when there is none."""
    query = select(request.c.account).where(request.c.id == request_id)
    return connection.execute(query).scalar() or ""


def page(
    connection: Connection,
    *,
    before: int | None = None,
    account: str | None = None,
    state: str | None = None,
    reference: str | None = None,
    limit: int = 50,
) -> list[RequestRow]:
    """Return requests newest first; ``before`` is the id of the last one of the page before."""
    query = select(request).order_by(request.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(request.c.id < before)
    if account is not None:
        query = query.where(request.c.account == account)
    if state is not None:
        query = query.where(request.c.state == state)
    if reference is not None:
        query = query.where(request.c.reference == reference)
    return [RequestRow(*row) for row in connection.execute(query)]


def advance_version(connection: Connection, row: RequestRow, **values: Any) -> bool:
    """Set columns of a request and raise its version, if it still has the one in ``row``.

    Returns:
        False, and nothing changed, when somebody else was first.
    """
    changed = connection.execute(
        update(request)
        .where(request.c.id == row.id, request.c.version == row.version)
        .values(version=row.version + 1, **values)
    )
    return changed.rowcount == 1


def save_step(connection: Connection, row: StepRow) -> None:
    """Write everything of a step that changes after it was made."""
    connection.execute(
        update(step)
        .where(step.c.id == row.id)
        .values(
            state=row.state,
            outcome=row.outcome,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
        )
    )


def save_assignment(connection: Connection, row: AssignmentRow) -> None:
    """Write everything of an assignment that changes after it was made."""
    connection.execute(
        update(assignment)
        .where(assignment.c.id == row.id)
        .values(
            state=row.state,
            prompt_message_id=row.prompt_message_id,
            slot_id=row.slot_id,
            decision=row.decision,
            progress=row.progress,
            reason=row.reason,
            asked_at=row.asked_at,
            answered_at=row.answered_at,
            asked_back=row.asked_back,
            reminded=row.reminded,
            code=row.code,
            code_failures=row.code_failures,
        )
    )


def insert_assignment(connection: Connection, row: AssignmentRow) -> None:
    """Insert somebody who is asked besides, or instead of, those a step began with."""
    insert_rows(connection, assignment, [_as_tuple(row)])


def get_assignment(connection: Connection, assignment_id: int) -> AssignmentRow | None:
    """Return an assignment, or None."""
    row = connection.execute(select(assignment).where(assignment.c.id == assignment_id)).first()
    return AssignmentRow(*row) if row is not None else None


def open_for(connection: Connection, phone: str) -> list[tuple[AssignmentRow, RequestRow]]:
    """Return what a phone was asked and has not answered, oldest first."""
    rows = connection.execute(
        select(assignment, request)
        .join(request, request.c.id == assignment.c.request_id)
        .where(
            assignment.c.phone == phone, assignment.c.state == "asked", request.c.state == "open"
        )
        .order_by(assignment.c.id)
    )
    width = len(assignment.columns)
    return [(AssignmentRow(*row[:width]), RequestRow(*row[width:])) for row in rows]


def asked_since(connection: Connection, phone: str, since_id: int) -> list[AssignmentRow]:
    """Return every assignment of a phone that was ever asked and whose id is above ``since_id``."""
    rows = connection.execute(
        select(assignment)
        .where(
            assignment.c.phone == phone,
            assignment.c.state.not_in(("waiting", "unreachable")),
            assignment.c.id > since_id,
        )
        .order_by(assignment.c.id)
    )
    return [AssignmentRow(*row) for row in rows]


def insert_answer(connection: Connection, row: AnswerRow) -> None:
    """Insert an answer, counted or not: the evidence."""
    insert_rows(connection, answer, [_as_tuple(row)])


def answers_of(connection: Connection, request_id: int) -> list[AnswerRow]:
    """Return the answers to a request in the order they came."""
    rows = connection.execute(
        select(answer).where(answer.c.request_id == request_id).order_by(answer.c.id)
    )
    return [AnswerRow(*row) for row in rows]


def message_states(
    connection: Connection, message_ids: Sequence[int]
) -> dict[int, tuple[str, str, str]]:
    """Return ``(status, access number, extension)`` of messages by id."""
    rows = connection.execute(
        select(message.c.id, STATUS, message.c.access_number, message.c.extension).where(
            message.c.id.in_(message_ids)
        )
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def operator_of(connection: Connection, message_id: int) -> str | None:
    """Return whose subscriber a message went to, or None when it is not recorded."""
    return connection.execute(select(message.c.operator).where(message.c.id == message_id)).scalar()


def asked_back_at(connection: Connection, phone: str, assignment_id: int) -> int | None:
    """Return when a phone was last asked what it meant about an assignment, or None."""
    return connection.execute(
        select(func.max(inbound.c.handled_at)).where(
            inbound.c.sender == phone,
            inbound.c.assignment_id == assignment_id,
            inbound.c.outcome == "asked_back",
        )
    ).scalar()


def automatic_answers(
    connection: Connection, phone: str, kind: str, since: int, before: int | None = None
) -> int:
    """Return how many events of ``kind`` tell of inbound messages of ``phone``.

    Args:
        connection: Inside a transaction.
        phone: The sender.
        kind: The events'.
        since: Only events after this time; milliseconds.
        before: Only events before this time; None is until now.
    """
    query = (
        select(func.count())
        .select_from(event)
        .join(inbound, inbound.c.id == event.c.subject_id)
        .where(inbound.c.sender == phone, event.c.kind == kind, OF_NO_MESSAGE, event.c.at > since)
    )
    if before is not None:
        query = query.where(event.c.at < before)
    return connection.execute(query).scalar_one()

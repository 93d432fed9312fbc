"""Who is asked in a step: those it begins with, their substitutes, and whom it is handed on to.

Rules: a substitute is asked instead as long as that lasts, and a place is handed on to somebody who
is not asked in the step already. An escalation is asked besides, and decides alone.
"""

from __future__ import annotations

from smsgw.errors import ValidationError
from smsgw.services.requests.asking import UNSENDABLE, ask, release, unreachable
from smsgw.services.requests.changes import Changes
from smsgw.services.requests.places import (
    DELEGATED,
    ESCALATION,
    present,
    step_by_id,
)
from smsgw.services.requests.settings import step_settings
from smsgw.services.requests.timers import TimerKind
from smsgw.store import requests as rows_of
from smsgw.store import stand_ins, timers
from smsgw.store.requests import AssignmentRow, RequestRows, StepRow
from smsgw.store.stand_ins import StandInRow

ASKED_AT_ONCE = 50
"""People who are asked in one transaction."""


def open_step(changes: Changes, rows: RequestRows, step: StepRow, strict: bool) -> None:
    """Ask a step's assignees, and set the timers of the step.

    Raises:
        ValidationError: Strict, and somebody cannot be asked; undo the transaction.
    """
    step.state, step.opened_at = "open", changes.now
    rows_of.save_step(changes.connection, step)
    request, settings = rows.request, step_settings(step.settings)
    changes.emit("request.step_opened", request.id, request.account, step=step.position)
    ask_waiting(changes, rows, step, strict=strict)
    if settings.deadline_after is not None:
        due_at = changes.now + int(settings.deadline_after * 1000)
        changes.set_timer(TimerKind.DEADLINE, request.id, due_at, step.id)
    for turn, escalation in enumerate(settings.escalation):
        due_at = changes.now + int(escalation.after * 1000)
        changes.set_timer(TimerKind.ESCALATE, request.id, due_at, step.id, turn)


def ask_waiting(
    changes: Changes, rows: RequestRows, step: StepRow, *, strict: bool = False
) -> None:
    """Ask the next of those in an open step who have not been asked yet.

    Of many people only some are asked in one transaction, so that nobody else's commit waits for
    all of them; a timer that is due at once goes on with the others.

    Raises:
        ValidationError: Strict, and somebody cannot be asked; undo the transaction.
    """
    waiting = [row for row in present(rows, step) if row.state == "waiting"]
    for row in waiting[:ASKED_AT_ONCE]:
        try:
            _ask_first(changes, rows, row)
        except UNSENDABLE as error:
            if strict:
                raise _located(error, step, row) from error
            unreachable(changes, rows, row, error)
            rows_of.save_assignment(changes.connection, row)
    if len(waiting) > ASKED_AT_ONCE:
        changes.set_timer(TimerKind.PROMPT, rows.request.id, changes.now, step.id)


def _ask_first(changes: Changes, rows: RequestRows, row: AssignmentRow) -> None:
    """Ask an assignee of a step that opens, or the substitute they have now and who can be."""
    substitute = _substitute_of(changes, rows, row.step_id, row.phone)
    if substitute is not None:
        try:
            hand_on(changes, rows, row, substitute.other_phone, substitute.name, "substitute")
        except UNSENDABLE:
            pass
        else:
            return
    row.state = "asked"
    ask(changes, rows, row)
    rows_of.save_assignment(changes.connection, row)


def _substitute_of(
    changes: Changes, rows: RequestRows, step_id: int, phone: str
) -> StandInRow | None:
    """Return who is asked instead of a phone: the substitute, or theirs when they are away too.

    None is for nobody, and for somebody the step has already.
    """
    found, seen, account = None, {phone}, rows.request.account
    while one := stand_ins.substitute_of(changes.connection, account, phone, changes.now):
        phone = one.other_phone
        if phone in seen:
            break
        seen.add(phone)
        found = one
    taken = found and any(row.phone == found.other_phone for row in rows.of_step(step_id))
    return None if taken else found


def hand_on(
    changes: Changes, rows: RequestRows, row: AssignmentRow, phone: str, name: str, by: str
) -> AssignmentRow:
    """Give somebody's place in a step to another person, who is asked; returns theirs.

    Args:
        changes: The transaction.
        rows: The request; changed in place.
        row: Who has the place now.
        phone: The other's, normalised.
        name: The other's.
        by: Who does it, and how; the history keeps it.

    Raises:
        ValidationError: They cannot be asked, or are asked in the step already; of what was
            written only an extension is left, which is released.
    """
    step = step_by_id(rows, row.step_id)
    if any(one.phone == phone for one in present(rows, step)):
        raise ValidationError("to.phone", f"{phone} is asked in this step already")
    heir = AssignmentRow(
        id=changes.tools.ids.next(),
        request_id=row.request_id,
        step_id=row.step_id,
        position=row.position,
        role=row.role,
        name=name,
        phone=phone,
        state="asked",
        delegated_from=row.id,
        delegated_by=by,
    )
    _ask_other(changes, rows, heir)
    row.state = DELEGATED
    rows_of.save_assignment(changes.connection, row)
    release(changes, rows.request, row)
    timers.clear(changes.connection, rows.request.id, TimerKind.REMIND, [row.id])
    rows.assignments.append(heir)
    told = {"to_assignment_id": heir.id, "to_name": name, "to_phone": phone, "by": by}
    changes.tell("request.delegated", rows, row, **told)
    return heir


def escalate(changes: Changes, rows: RequestRows, step: StepRow, phone: str, name: str) -> None:
    """Ask somebody besides, or their substitute, whose answer decides the step.

    Raises:
        ValidationError: They cannot be asked.
    """
    substitute = _substitute_of(changes, rows, step.id, phone)
    if substitute is not None:
        try:
            _escalate_to(changes, rows, step, substitute.other_phone, substitute.name)
        except UNSENDABLE:
            pass
        else:
            return
    _escalate_to(changes, rows, step, phone, name)


def _escalate_to(changes: Changes, rows: RequestRows, step: StepRow, phone: str, name: str) -> None:
    places = rows.of_step(step.id)
    if any(one.phone == phone for one in present(rows, step)):
        raise ValidationError("escalation", f"{phone} is asked in this step already")
    row = AssignmentRow(
        id=changes.tools.ids.next(),
        request_id=rows.request.id,
        step_id=step.id,
        position=max((one.position for one in places), default=-1) + 1,
        role=ESCALATION,
        name=name,
        phone=phone,
        state="asked",
    )
    _ask_other(changes, rows, row)
    rows.assignments.append(row)
    changes.tell("request.escalated", rows, row, step=step.position)


def _ask_other(changes: Changes, rows: RequestRows, row: AssignmentRow) -> None:
    """Ask somebody a step did not begin with, and insert their row."""
    try:
        ask(changes, rows, row)
    except UNSENDABLE:
        release(changes, rows.request, row)
        raise
    rows_of.insert_assignment(changes.connection, row)


def _located(error: Exception, step: StepRow, row: AssignmentRow) -> Exception:
    """Name the place in the customer's request that a composer's error is about."""
    if not isinstance(error, ValidationError):
        return error
    if error.field == "text":
        return ValidationError("body", error.problem)
    path = f"steps[{step.position}].assignees[{row.position}].phone"
    return ValidationError(path, error.problem)

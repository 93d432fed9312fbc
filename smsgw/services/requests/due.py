"""What time brings to a request: reminders, escalation, and the end of a step's or its own time.

Rules: a timer is taken in the transaction that does what it is for, so it happens once however many
processes see it. Several reminders to one phone that are due together become one list.
"""

from __future__ import annotations

from smsgw.services.requests import listing
from smsgw.services.requests.asking import UNSENDABLE, ask, set_reminder, unreachable
from smsgw.services.requests.changes import Changes
from smsgw.services.requests.following import end, end_step, raise_version
from smsgw.services.requests.model import Outcome
from smsgw.services.requests.opening import ask_waiting, escalate
from smsgw.services.requests.places import assignment_by_id, step_by_id
from smsgw.services.requests.settings import OnDeadline, request_settings, step_settings
from smsgw.services.requests.timers import TimerKind
from smsgw.store import requests as rows_of
from smsgw.store import timers
from smsgw.store.requests import AssignmentRow, RequestRows, StepRow
from smsgw.store.timers import TimerRow

TOGETHER_MS = 600_000
"""Reminders to one phone that are due within so long of one another are sent as one list."""

_OUTCOMES = {
    OnDeadline.EXPIRE: Outcome.EXPIRED,
    OnDeadline.APPROVE: Outcome.APPROVED,
    OnDeadline.REJECT: Outcome.REJECTED,
}


def fire(changes: Changes, timer: TimerRow) -> None:
    """Do what a timer is for, unless that was done, or is not to be done any more.

    Raises:
        Conflict: Somebody else changed the request at this moment; undo the transaction.
    """
    rows = rows_of.get(changes.connection, timer.request_id, lock=True)
    if not timers.take(changes.connection, timer.id):
        return
    if rows is None or rows.request.state != "open":
        return
    if timer.kind == TimerKind.REQUEST_DEADLINE:
        _request_deadline(changes, rows)
    elif timer.kind == TimerKind.REMIND:
        row = assignment_by_id(rows, timer.subject_id)
        if row is not None and row.state == "asked":
            _remind(changes, rows, row, timer.turn)
    else:
        step = step_by_id(rows, timer.subject_id)
        if step.state != "open":
            return
        if timer.kind == TimerKind.PROMPT:
            ask_waiting(changes, rows, step)
            raise_version(changes, rows)
        elif timer.kind == TimerKind.ESCALATE:
            _escalate(changes, rows, step, timer.turn)
        else:
            end_step(changes, rows, step, _step_outcome(changes, rows, step))


def _request_deadline(changes: Changes, rows: RequestRows) -> None:
    settings = request_settings(rows.request.settings)
    end(changes, rows, _OUTCOMES[_on_deadline(changes, rows, settings.on_deadline)])


def _step_outcome(changes: Changes, rows: RequestRows, step: StepRow) -> Outcome:
    own = step_settings(step.settings).on_deadline
    chosen = own or request_settings(rows.request.settings).on_deadline
    return _OUTCOMES[_on_deadline(changes, rows, chosen)]


def _on_deadline(changes: Changes, rows: RequestRows, chosen: OnDeadline | None) -> OnDeadline:
    return chosen or changes.preset_of(rows.request).on_deadline


def _escalate(changes: Changes, rows: RequestRows, step: StepRow, turn: int) -> None:
    contact = step_settings(step.settings).escalation[turn]
    try:
        escalate(changes, rows, step, contact.phone, contact.name)
    except UNSENDABLE as error:
        request = rows.request
        about = {"phone": contact.phone, "name": contact.name, "problem": str(error)}
        changes.emit("request.escalation_failed", request.id, request.account, **about)
    raise_version(changes, rows)


def _remind(changes: Changes, rows: RequestRows, row: AssignmentRow, turn: int) -> None:
    together = [(rows, row, turn), *_others_due(changes, row)]
    if len(together) > 1 and _remind_by_list(changes, row.phone, together):
        return
    for one_rows, one, one_turn in together:
        try:
            ask(changes, one_rows, one, again=True)
        except UNSENDABLE as error:
            unreachable(changes, one_rows, one, error)
        else:
            changes.tell("request.reminded", one_rows, one, turn=one_turn)
        set_reminder(changes, one_rows, one, one_turn + 1)
        rows_of.save_assignment(changes.connection, one)


def _others_due(
    changes: Changes, row: AssignmentRow
) -> list[tuple[RequestRows, AssignmentRow, int]]:
    """Take the other reminders to the same phone that are due soon.

    What another process is changing at this moment is left to its own timer: whoever waits here
    holds a request, and may be waited for.
    """
    found = []
    for other, request in rows_of.open_for(changes.connection, row.phone):
        if other.id == row.id:
            continue
        for timer in timers.of_request(changes.connection, request.id):
            soon = timer.due_at <= changes.now + TOGETHER_MS
            if timer.kind != TimerKind.REMIND or timer.subject_id != other.id or not soon:
                continue
            rows = rows_of.get(changes.connection, request.id, lock=True, wait=False)
            own = None if rows is None else assignment_by_id(rows, other.id)
            if rows is None or own is None or own.state != "asked":
                continue
            if timers.take(changes.connection, timer.id):
                found.append((rows, own, timer.turn))
    return found


def _remind_by_list(
    changes: Changes, phone: str, together: list[tuple[RequestRows, AssignmentRow, int]]
) -> bool:
    """Send one list of everything a phone has open; tell whether it could be sent."""
    urgent = any(request_settings(rows.request.settings).urgent for rows, _, _ in together)
    message_id = listing.send(changes, phone, urgent=urgent)
    if message_id is None:
        return False
    for rows, row, turn in together:
        row.reminded += 1
        set_reminder(changes, rows, row, turn + 1)
        rows_of.save_assignment(changes.connection, row)
        changes.tell("request.reminded", rows, row, turn=turn, message_id=message_id)
    return True

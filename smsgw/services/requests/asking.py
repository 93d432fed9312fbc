"""Asks people: the question, its reminder, its end; with the extension that stands for it.

Rules: nobody is asked in quiet hours unless the request is urgent: the question is then a message
for their end, which is taken back when the request is over before. A question that is repeated
keeps its extension while that is live. Whoever cannot be asked becomes ``unreachable``: shown, told
by ``request.prompt_failed``, and decided over the API only.
"""

from __future__ import annotations

import secrets

from smsgw.errors import ConfigError, LinkError, ValidationError
from smsgw.model import MessageClass
from smsgw.services import ledger
from smsgw.services.ledger import ASSIGNMENT, ConversationsExhausted, Owner, SlotPlan
from smsgw.services.replies import make_short_id
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.services.requests.places import (
    question_of,
    step_by_id,
)
from smsgw.services.requests.presets import Asked
from smsgw.services.requests.settings import Confirmation, request_settings, step_settings
from smsgw.services.requests.timers import TimerKind
from smsgw.store import slots
from smsgw.store.requests import AssignmentRow, RequestRow, RequestRows, StepRow

UNSENDABLE = (ValidationError, ConfigError, LinkError)

_VALID_AT_LEAST = 60.0
_DAY_SECONDS = 86_400.0


def ask(changes: Changes, rows: RequestRows, row: AssignmentRow, *, again: bool = False) -> None:
    """Send one person the question; sets fields of ``row``, which the caller saves.

    Raises:
        ValidationError: They cannot be asked, nor with ConfigError and LinkError; the extension
            that was given out meanwhile is the caller's to release.
    """
    request, step = rows.request, step_by_id(rows, row.step_id)
    settings, preset = request_settings(request.settings), changes.preset_of(request)
    access_number, extension = _extension(changes, rows, row)
    if settings.confirmation is Confirmation.CODE and not row.code:
        row.code = f"{secrets.randbelow(9000) + 1000}"
    asked = asked_of(changes, rows, row, with_id=not extension)
    sent_at = changes.now if settings.urgent else changes.tools.quiet.next_allowed(changes.now)
    before = row.prompt_message_id
    row.prompt_message_id = changes.send(
        Outgoing(
            account=request.account,
            to=row.phone,
            text=preset.prompt(request.subject, request.body, asked, again=again),
            access_number=access_number,
            extension=extension,
            expects_reply=True,
            request_id=request.id,
            reference=request.reference,
            due_at=0 if sent_at <= changes.now else sent_at,
            valid_for=_valid_for(rows, step, sent_at),
        )
    )
    if before is not None and not changes.revoke(before):  # else this is the first they see
        row.reminded += 1
    if row.asked_at is None:
        row.asked_at = sent_at
        set_reminder(changes, rows, row, 0)


def asked_of(
    changes: Changes, rows: RequestRows, row: AssignmentRow, *, with_id: bool = False
) -> Asked:
    """Return how the question to one person is written."""
    question = question_of(changes.preset_of(rows.request), rows, row)
    confirmation = request_settings(rows.request.settings).confirmation
    return Asked(question, make_short_id(row.id) if with_id else "", row.code, confirmation)


def unreachable(
    changes: Changes, rows: RequestRows, row: AssignmentRow, problem: Exception
) -> None:
    """Note that a person cannot be asked; sets fields of ``row``, which the caller saves.

    Who was asked before may still answer that.
    """
    if row.prompt_message_id is None:
        release(changes, rows.request, row)
        row.state, row.slot_id = "unreachable", None
    changes.tell("request.prompt_failed", rows, row, problem=str(problem))


def release(changes: Changes, request: RequestRow, row: AssignmentRow) -> None:
    """End the conversation of an assignment: late replies still map to it for a while."""
    if row.slot_id is not None and ledger.release(
        changes.connection, row.slot_id, Owner(ASSIGNMENT, row.id), changes.now
    ):
        about = {"request_id": request.id, "assignment_id": row.id, "phone": row.phone}
        changes.emit("conversations.ended", row.slot_id, request.account, **about)


def dismiss(changes: Changes, rows: RequestRows, row: AssignmentRow, text: str) -> None:
    """End a question nobody need answer any more, and say so to whom it had reached.

    Args:
        changes: The transaction.
        rows: The request.
        row: Whose question.
        text: What they hear; "" for nothing.
    """
    own = changes.sender_of(row)
    release(changes, rows.request, row)
    if row.prompt_message_id is None:
        return
    if changes.revoke(row.prompt_message_id) and not row.reminded:
        return
    if not text:
        return
    notify(changes, rows, row.phone, text, own)


def notify(
    changes: Changes,
    rows: RequestRows,
    phone: str,
    text: str,
    sender: tuple[str, str] | None = None,
) -> None:
    """Tell somebody something that needs no answer; who cannot be told is noted."""
    request = rows.request
    urgent = request_settings(request.settings).urgent
    sent_at = changes.now if urgent else changes.tools.quiet.next_allowed(changes.now)
    try:
        access_number, extension = sender or (changes.tools.composer.sender_for(phone), "")
        changes.send(
            Outgoing(
                account=request.account,
                to=phone,
                text=text,
                access_number=access_number,
                extension=extension,
                expects_reply=False,
                request_id=request.id,
                reference=request.reference,
                message_class=MessageClass.NOTICE,
                due_at=0 if sent_at <= changes.now else sent_at,
            )
        )
    except UNSENDABLE as error:
        changes.emit(
            "request.notice_failed", request.id, request.account, phone=phone, problem=str(error)
        )


def _extension(changes: Changes, rows: RequestRows, row: AssignmentRow) -> tuple[str, str]:
    """Return the sender number of a question: the present one while its slot is live.

    Without an extension the person types a number; an event says so.
    """
    request = rows.request
    access_number = changes.tools.composer.sender_for(row.phone)
    slot = slots.get(changes.connection, row.slot_id) if row.slot_id is not None else None
    if (
        slot is not None
        and (slot.owner, slot.owner_id) == (ASSIGNMENT, row.id)
        and slot.access_number == access_number
        and slot.released_at is None
        and slot.expires_at > changes.now
    ):
        return access_number, slot.extension
    release(changes, request, row)
    row.slot_id = None
    plan = changes.plan_for(request, access_number)
    try:
        given = ledger.allocate(
            changes.connection,
            row.phone,
            access_number,
            plan,
            changes.now,
            Owner(ASSIGNMENT, row.id),
            life_seconds=_life(changes, rows, row, plan),
        )
    except ConversationsExhausted as error:
        changes.emit("conversations.exhausted", row.id, request.account, problem=str(error))
        return access_number, ""
    row.slot_id = given.slot_id
    changes.emit(
        "conversations.opened",
        given.slot_id,
        request.account,
        request_id=request.id,
        assignment_id=row.id,
        phone=row.phone,
        sender_number=access_number + given.extension,
    )
    if given.shortened:
        changes.emit("conversations.shortened", row.id, request.account, phone=row.phone)
    return access_number, given.extension


def _life(changes: Changes, rows: RequestRows, row: AssignmentRow, plan: SlotPlan) -> int:
    """How many seconds an extension lives: at least as long as the question may be answered."""
    ends = _ends_at(rows, step_by_id(rows, row.step_id))
    left = 0 if ends is None else -(-(ends - changes.now) // 1000)
    return max(plan.life_seconds, left)


def set_reminder(changes: Changes, rows: RequestRows, row: AssignmentRow, turn: int) -> None:
    """Set the timer of the reminder ``turn``, or of the next one whose time has not come yet.

    What came due while it was quiet, or nobody ran, is so made up for by one reminder.
    """
    settings = step_settings(step_by_id(rows, row.step_id).settings)
    for later, after in list(enumerate(settings.reminders))[turn:]:
        due_at = (row.asked_at or changes.now) + int(after * 1000)
        if due_at <= changes.now:
            continue
        if not request_settings(rows.request.settings).urgent:
            due_at = changes.tools.quiet.next_allowed(due_at)
        changes.set_timer(TimerKind.REMIND, rows.request.id, due_at, row.id, later)
        return


def _valid_for(rows: RequestRows, step: StepRow, sent_at: int) -> float | None:
    """How long the question may be sent: until the step or the request is over."""
    ends = _ends_at(rows, step)
    if ends is None:
        return None
    return min(max((ends - sent_at) / 1000, _VALID_AT_LEAST), _DAY_SECONDS)


def _ends_at(rows: RequestRows, step: StepRow) -> int | None:
    """When an open step is over whatever was answered (ms); None: when it is decided."""
    ends = [request_settings(rows.request.settings).deadline_at]
    after = step_settings(step.settings).deadline_after
    if after is not None and step.opened_at is not None:
        ends.append(step.opened_at + int(after * 1000))
    return min((end for end in ends if end is not None), default=None)

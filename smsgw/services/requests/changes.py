"""One transaction's changes to requests: rows, slots, composed messages and events together.

Rules: everything here happens on the writer thread, inside one transaction, and touches nothing but
the connection and its own values; what must happen after the commit (sending, telling the observer)
waits in :attr:`Changes.inserted` and :attr:`Changes.events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from smsgw.errors import ConfigError, Conflict, LinkError, ValidationError
from smsgw.model import Event, MessageClass
from smsgw.services import conversations
from smsgw.services.conversations import ConversationsExhausted, SlotPlan
from smsgw.services.replies import make_short_id
from smsgw.services.requests import model
from smsgw.services.requests.model import Decision, Outcome
from smsgw.services.requests.presets import PRESETS, Preset
from smsgw.store import events as event_rows
from smsgw.store import requests as rows_of
from smsgw.store import slots
from smsgw.store.ids import IdSource
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRow, RequestRows, StepRow

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Outgoing(msgspec.Struct, frozen=True):
    """A message the engine wants sent.

    Attributes:
        account: Whose request it belongs to; "" for an answer to several accounts' items.
        to: The phone, normalised.
        text: Whole; the composer splits it.
        access_number: The number to send from, and so the link's.
        extension: What follows it; "" without a conversation.
        expects_reply: Whether the sender number must reach the phone as it is.
        request_id: The request it is about, or None.
        reference: The request's reference.
        message_class: How urgent it is.
    """

    account: str
    to: str
    text: str
    access_number: str
    extension: str
    expects_reply: bool
    request_id: int | None
    reference: str = ""
    message_class: MessageClass = MessageClass.INTERACTIVE


class Inserted(msgspec.Struct, frozen=True):
    """A message the composer wrote into the transaction.

    Attributes:
        message_id: Its row.
        payload: Whatever the composer needs to send it from memory after the commit.
    """

    message_id: int
    payload: object = None


class Composer(Protocol):
    """How the engine's messages become rows and leave."""

    def sender_for(self, phone: str) -> str:
        """Return the access number ``phone`` is served from; called on any thread.

        Raises:
            ValidationError: No link serves the phone's operator.
        """
        ...

    def insert(self, connection: Connection, outgoing: Outgoing) -> Inserted:
        """Write a message and its segments into the caller's transaction, on the writer thread.

        It raises before it writes, or not at all.

        Raises:
            ValidationError: It cannot be sent as it is; ``field`` is ``text`` when that is why.
        """
        ...

    def dispatch(self, inserted: list[Inserted]) -> None:
        """Send what is committed now; called on the reactor thread."""
        ...


@dataclass(frozen=True)
class Tools:
    """What every transaction of the engine uses."""

    ids: IdSource
    composer: Composer
    plan: SlotPlan = field(default_factory=SlotPlan)
    presets: Mapping[str, Preset] = field(default_factory=lambda: dict(PRESETS))
    accept_lost_extension: bool = False


_UNSENDABLE = (ValidationError, ConfigError, LinkError)


class Changes:
    """Collects one transaction's work.

    Attributes:
        connection: The transaction.
        now: Milliseconds since the Unix epoch.
        events: What happened, in order; written by :meth:`finish`.
        inserted: What the composer wrote.
    """

    def __init__(self, tools: Tools, connection: Connection, now: int) -> None:
        self.tools = tools
        self.connection = connection
        self.now = now
        self.events: list[Event] = []
        self.inserted: list[Inserted] = []

    def emit(self, kind: str, subject_id: int, account: str, **data: Any) -> None:
        """Note something a subscriber may want to know; ids in ``data`` become text."""
        shown = {key: str(value) if key.endswith("_id") else value for key, value in data.items()}
        self.events.append(Event(kind, subject_id, account, shown))

    def tell(self, kind: str, rows: RequestRows, row: AssignmentRow, **data: Any) -> None:
        """Note something about one assignment."""
        about = {"assignment_id": row.id, "name": row.name, "phone": row.phone}
        self.emit(kind, rows.request.id, rows.request.account, **about, **data)

    def finish(self) -> None:
        """Write the events: the transaction's last statement."""
        event_rows.append(self.connection, self.now, self.events)

    def send(self, outgoing: Outgoing) -> int:
        """Compose a message and return its id."""
        inserted = self.tools.composer.insert(self.connection, outgoing)
        self.inserted.append(inserted)
        return inserted.message_id

    def preset_of(self, request: RequestRow) -> Preset:
        """Return the preset of a stored request."""
        return self.tools.presets[request.preset]

    def sender_of(self, row: AssignmentRow) -> tuple[str, str] | None:
        """Return the access number and extension that stand for an assignment, or None."""
        slot = slots.get(self.connection, row.slot_id) if row.slot_id is not None else None
        if slot is None or slot.assignment_id != row.id:
            return None
        return slot.access_number, slot.extension

    def advance(self, rows: RequestRows, *, strict: bool = False) -> None:
        """Apply what follows from the answers so far, and raise the request's version.

        Args:
            rows: The request as it is now, the new answer included; changed in place.
            strict: Raise when somebody cannot be asked, instead of noting it.

        Raises:
            Conflict: Somebody else changed the request first; undo the transaction.
            ValidationError: Strict, and somebody cannot be asked.
        """
        request, values = rows.request, {}
        for effect in model.advance(_as_model(rows)):
            if isinstance(effect, model.OpenStep):
                self._open(rows, _step(rows, effect.step_id), strict)
            elif isinstance(effect, model.CloseStep):
                self._close(rows, _step(rows, effect.step_id), effect.outcome)
            else:
                values = self._close_request(rows, effect.outcome)
        if not rows_of.advance_version(self.connection, request, **values):
            raise Conflict(f"request {request.id}: changed by somebody else meanwhile")
        request.version += 1

    def decide(
        self,
        rows: RequestRows,
        row: AssignmentRow,
        decision: Decision,
        answer: AnswerRow,
    ) -> None:
        """Record an assignee's answer, end their conversation, and apply what follows."""
        row.state, row.decision = "answered", decision.value
        row.reason, row.answered_at = answer.reason, self.now
        rows_of.save_assignment(self.connection, row)
        rows_of.insert_answer(self.connection, answer)
        self._release(rows.request, row)
        self.tell(
            "request.answered",
            rows,
            row,
            decision=decision.value,
            reason=answer.reason,
            channel=answer.channel,
            rule=answer.rule,
        )
        self.advance(rows)

    def _open(self, rows: RequestRows, step: StepRow, strict: bool) -> None:
        """Ask a step's assignees.

        Whoever cannot be asked becomes ``unreachable``: shown, told by ``request.prompt_failed``,
        and decided over the API only. The step waits for them as for everybody else.
        """
        step.state = "open"
        rows_of.save_step(self.connection, step)
        request = rows.request
        self.emit("request.step_opened", request.id, request.account, step=step.position)
        for row in rows.of_step(step.id):
            row.state = "asked"
            try:
                self._ask(rows.request, row)
            except _UNSENDABLE as error:
                if strict:
                    raise _located(error, step, row) from error
                self._release(rows.request, row)
                row.state, row.slot_id = "unreachable", None
                self.tell("request.prompt_failed", rows, row, problem=str(error))
            rows_of.save_assignment(self.connection, row)

    def _ask(self, request: RequestRow, row: AssignmentRow) -> None:
        access_number = self.tools.composer.sender_for(row.phone)
        extension = short_id = ""
        try:
            slot = conversations.allocate(
                self.connection, row.phone, access_number, self.tools.plan, self.now, row.id
            )
        except ConversationsExhausted as error:
            short_id = make_short_id(row.id)
            self.emit("conversations.exhausted", row.id, request.account, problem=str(error))
        else:
            row.slot_id, extension = slot.slot_id, slot.extension
            self.emit(
                "conversations.opened",
                slot.slot_id,
                request.account,
                request_id=request.id,
                assignment_id=row.id,
                phone=row.phone,
                sender_number=access_number + extension,
            )
            if slot.shortened:
                self.emit("conversations.shortened", row.id, request.account, phone=row.phone)
        preset = self.preset_of(request)
        row.prompt_message_id = self.send(
            Outgoing(
                account=request.account,
                to=row.phone,
                text=preset.prompt(request.subject, request.body, short_id),
                access_number=access_number,
                extension=extension,
                expects_reply=True,
                request_id=request.id,
                reference=request.reference,
            )
        )

    def _close(self, rows: RequestRows, step: StepRow, outcome: Outcome) -> None:
        step.state, step.outcome = "closed", outcome.value
        rows_of.save_step(self.connection, step)
        for row in rows.of_step(step.id):
            if row.state == "asked":
                row.state = "released"
                rows_of.save_assignment(self.connection, row)
                self._release(rows.request, row)
        request = rows.request
        self.emit(
            "request.step_closed",
            request.id,
            request.account,
            step=step.position,
            outcome=outcome.value,
        )

    def _close_request(self, rows: RequestRows, outcome: Outcome) -> dict[str, Any]:
        request = rows.request
        request.state, request.outcome, request.closed_at = "closed", outcome.value, self.now
        refusals = [
            (row.name or row.phone, row.reason) for row in rows.assignments if row.decision == "no"
        ]
        text = self.preset_of(request).result(request.subject, outcome, refusals)
        self.emit(
            "request.closed",
            request.id,
            request.account,
            outcome=outcome.value,
            reference=request.reference,
            text=text,
        )
        return {"state": request.state, "outcome": request.outcome, "closed_at": self.now}

    def _release(self, request: RequestRow, row: AssignmentRow) -> None:
        slot_id = row.slot_id
        if slot_id is not None and conversations.release(
            self.connection, slot_id, row.id, self.tools.plan, self.now
        ):
            about = {"request_id": request.id, "assignment_id": row.id, "phone": row.phone}
            self.emit("conversations.ended", slot_id, request.account, **about)


def _step(rows: RequestRows, step_id: int) -> StepRow:
    return next(step for step in rows.steps if step.id == step_id)


def _as_model(rows: RequestRows) -> model.Request:
    answered = sorted(
        (row for row in rows.assignments if row.decision),
        key=lambda row: (row.answered_at or 0, row.id),
    )
    return model.Request(
        closed=rows.request.state != "open",
        steps=tuple(step_model(rows, step) for step in rows.steps),
        answers=tuple(model.Answer(row.id, Decision(row.decision)) for row in answered),
    )


def step_model(rows: RequestRows, step: StepRow) -> model.Step:
    """Return a stored step as the pure model has it."""
    assignees = tuple(model.Assignee(row.id, row.position) for row in rows.of_step(step.id))
    return model.Step(step.id, model.Rule(step.rule), model.Progress(step.state), assignees)


def _located(error: Exception, step: StepRow, row: AssignmentRow) -> Exception:
    """Name the place in the customer's request that a composer's error is about."""
    if not isinstance(error, ValidationError):
        return error
    if error.field == "text":
        return ValidationError("body", error.problem)
    path = f"steps[{step.position}].assignees[{row.position}].phone"
    return ValidationError(path, error.problem)

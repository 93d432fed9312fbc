"""A composer that keeps what it was given, and an office to ask."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from smsgw.errors import ValidationError
from smsgw.model import Event
from smsgw.services.requests.changes import Inserted, Outgoing, Tools
from smsgw.services.requests.drafts import Person, RequestDraft, StepDraft
from smsgw.services.requests.engine import RequestEngine
from smsgw.store import inbox, messages
from smsgw.store.ids import IdSource
from smsgw.store.inbox import InboundRow
from tests.support.memory import ACCESS, ANN, BOB, EVE, MemoryStore, Time, result_of
from tests.support.store import accepted, inbound_row, message_row

__all__ = [
    "ACCESS",
    "ANN",
    "BOB",
    "EVE",
    "MemoryStore",
    "Office",
    "RecordingComposer",
    "Time",
    "asking",
    "result_of",
]


class RecordingComposer:
    """Writes message rows and keeps what it was asked to send."""

    def __init__(
        self, ids: IdSource, numbers: dict[str, str] | None = None, clock: Time | None = None
    ) -> None:
        self.ids = ids
        self.numbers = numbers
        self.clock = clock or Time()
        self.held: dict[int, Outgoing] = {}
        self.revoked: list[Outgoing] = []
        self.sent: list[Outgoing] = []
        self.dispatched: list[int] = []
        self.refuse: ValidationError | None = None

    def sender_for(self, phone: str) -> str:
        if self.numbers is None:
            return ACCESS
        if phone not in self.numbers:
            raise ValidationError("to", "no link serves this operator")
        return self.numbers[phone]

    def insert(self, connection: Connection, outgoing: Outgoing) -> Inserted:
        if self.refuse is not None:
            raise self.refuse
        row = message_row(
            self.ids,
            account=outgoing.account,
            recipient=outgoing.to,
            text=outgoing.text,
            access_number=outgoing.access_number,
            extension=outgoing.extension,
            expects_reply=outgoing.expects_reply,
        )
        messages.insert(connection, [accepted(row)])
        return Inserted(row.id, outgoing)

    def revoke(self, connection: Connection, message_id: int) -> object | None:
        held = self.held.get(message_id)
        return None if held is None or held.due_at <= self.clock.ms else message_id

    def dispatch(self, inserted: list[Inserted], revoked: list[object]) -> None:
        for one in inserted:
            self.dispatched.append(one.message_id)
            assert isinstance(one.payload, Outgoing)
            self.held[one.message_id] = one.payload
            self.sent.append(one.payload)
        self.revoked += [self.held[one] for one in revoked if isinstance(one, int)]


class Office:
    """An engine on a store in memory, and the phones it talks to."""

    def __init__(
        self,
        numbers: dict[str, str] | None = None,
        store: MemoryStore | None = None,
        **options: Any,
    ) -> None:
        self.time = Time()
        self.store = store or MemoryStore(self.time)
        self.composer = RecordingComposer(self.store.ids, numbers, self.time)
        self.events: list[Event] = []
        self.options = options
        self.engine = self.restarted()

    def restarted(self) -> RequestEngine:
        """A new engine on the same store, as after a crash."""
        self.tools = Tools(self.store.ids, self.composer, **self.options)
        self.engine = RequestEngine(self.store, self.tools, self.time, self.events.append)
        self.engine.timers.start()
        return self.engine

    def create(
        self, *steps: StepDraft | tuple[str, ...], subject: str = "采购申请", **fields: Any
    ) -> int:
        drafts = [step if isinstance(step, StepDraft) else asking(*step) for step in steps]
        account = fields.pop("account", "office")
        draft = RequestDraft(subject=subject, steps=drafts, **{"body": "请审批", **fields})
        return result_of(self.engine.create(account, draft))

    def prompt_to(self, phone: str) -> Outgoing:
        """The last message to a phone."""
        return [one for one in self.composer.sent if one.to == phone][-1]

    def texts_to(self, phone: str) -> list[str]:
        return [one.text for one in self.composer.sent if one.to == phone]

    def stored(
        self, phone: str, text: str, extension: str | None = None, **fields: Any
    ) -> InboundRow:
        """An inbound message as delivery stores it; by default to the last prompt's number."""
        if extension is None:
            extension = self.prompt_to(phone).extension
        access = fields.pop("access_number", ACCESS)
        row = inbound_row(
            self.store.ids,
            sender=phone,
            text=text,
            access_number=access,
            extension=extension,
            destination=access + extension,
            received_at=self.time.ms,
            **fields,
        )
        with self.store.transaction() as connection:
            inbox.insert_inbound(connection, row, [])
        return row

    def reply(
        self,
        phone: str,
        text: str,
        extension: str | None = None,
        *,
        wait: float = 60,
        **fields: Any,
    ) -> str:
        """A phone answers ``wait`` seconds later; the outcome."""
        self.time.advance(wait)
        return result_of(self.engine.reply(self.stored(phone, text, extension, **fields)))

    def show(self, request_id: int) -> dict[str, Any]:
        shown = result_of(self.engine.show(request_id))
        msgspec.json.encode(shown)
        return shown

    def assignee(self, request_id: int, phone: str, step: int = 0) -> dict[str, Any]:
        found = self.show(request_id)["steps"][step]["assignees"]
        return next(one for one in found if one["phone"] == phone)

    def kinds(self) -> list[str]:
        return [one.kind for one in self.events]


def asking(*phones: str, rule: str = "all", **fields: Any) -> StepDraft:
    """A step that asks these phones."""
    people = [Person(phone, f"N{phone[:3]}") for phone in phones]
    return StepDraft(assignees=people, rule=rule, **fields)

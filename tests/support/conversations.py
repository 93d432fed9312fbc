"""An application's conversations on a store in memory, and the phones it talks to."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.errors import ValidationError
from smsgw.model import Event
from smsgw.services.conversations import Conversations
from smsgw.services.ledger import SlotPlan, SlotPlans
from smsgw.services.requests.changes import Inserted, Outgoing, Tools
from smsgw.services.requests.engine import RequestEngine
from smsgw.services.slots import SlotMap
from smsgw.store import inbox, messages
from smsgw.store.ids import IdSource
from smsgw.store.inbox import InboundRow
from tests.support.memory import ACCESS, ANN, EVE, MemoryStore, result_of
from tests.support.store import NOW, accepted, inbound_row, message_row

Json = dict[str, Any]

TIMES = {"life_seconds": 100, "cool_down_seconds": 50, "short_cool_down_seconds": 10}
PLANS = SlotPlans(
    SlotPlan(digits=1, **TIMES),
    {"vote": SlotPlan("vote", "8", 2, **TIMES), "survey": SlotPlan("survey", "", 1, **TIMES)},
    {ACCESS: 20, "1069": 20},
    {"1069": ["80"]},
)
"""Conversations have the default plan; surveys share its numbers."""


async def _answer(work: Awaitable[Json]) -> Json:
    return await work


def now(work: Awaitable[Json]) -> Json:
    """What a call gives that is done when it returns."""
    return result_of(Deferred.fromCoroutine(_answer(work)))  # type: ignore[arg-type]


class Composer:
    """Writes message rows; EVE's operator has no link, and no text may be "too long"."""

    def __init__(self, ids: IdSource) -> None:
        self.ids = ids
        self.sent: list[Outgoing] = []

    def sender_for(self, phone: str) -> str:
        if phone == EVE:
            raise ValidationError("to", "no link serves this operator")
        return ACCESS

    def insert(self, connection: Connection, outgoing: Outgoing) -> Inserted:
        if outgoing.text == "too long":
            raise ValidationError("text", "is too long")
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

    def revoke(self, connection: Connection, account: str, message_id: int) -> None:
        raise AssertionError("no message of a conversation is taken back")

    def dispatch(self, inserted: list[Inserted], revoked: list[object]) -> None:
        self.sent += [one.payload for one in inserted if isinstance(one.payload, Outgoing)]


class Desk:
    """An application's conversations on a store in memory, and the phones it talks to."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(NOW / 1000)
        self.store = store or MemoryStore(self.clock.seconds)
        self.composer = Composer(self.store.ids)
        self.events: list[Event] = []
        self.tools = Tools(self.store.ids, self.composer, PLANS)
        self.engine = RequestEngine(self.store, self.tools, self.clock, self.events.append)
        self.conversations = Conversations(self.engine, self.store, self.clock.seconds)
        self.slots = SlotMap(self.store, self.tools.plans, self.clock)

    def open(self, to: str = ANN, reference: str = "job-17", **options: Any) -> Json:
        return now(self.conversations.open("crew", to, reference, **options))

    def send(self, conversation: Json, text: str, account: str = "crew") -> Json:
        return now(self.conversations.send(account, int(conversation["id"]), text))

    def end(self, conversation: Json, account: str = "crew") -> Json:
        return now(self.conversations.end(account, int(conversation["id"])))

    def show(self, conversation: Json, account: str = "crew") -> Json:
        return now(self.conversations.show(account, int(conversation["id"])))

    def stored(self, phone: str, text: str, extension: str) -> InboundRow:
        row = inbound_row(
            self.store.ids,
            sender=phone,
            text=text,
            access_number=ACCESS,
            extension=extension,
            destination=ACCESS + extension,
            received_at=int(self.clock.seconds() * 1000),
        )
        with self.store.transaction() as connection:
            inbox.insert_inbound(connection, row, [])
        return row

    def reply(self, phone: str, text: str, conversation: Json) -> str:
        return result_of(self.engine.reply(self.stored(phone, text, conversation["extension"])))

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

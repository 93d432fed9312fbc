"""One transaction's changes to requests: rows, slots, composed messages and events together.

Rules: everything here happens on the writer thread, inside one transaction, and touches nothing but
the connection and its own values; what must happen after the commit (sending, telling the observer,
arming timers) waits in :class:`Changes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from smsgw.errors import Outdated
from smsgw.model import Event, MessageClass, Operator
from smsgw.services import audit
from smsgw.services.ledger import ASSIGNMENT, SlotPlan, SlotPlans
from smsgw.services.quiet import QuietHours
from smsgw.services.requests.presets import PRESETS, Preset
from smsgw.store import events as event_rows
from smsgw.store import slots, timers
from smsgw.store.ids import IdSource
from smsgw.store.requests import AssignmentRow, RequestRow, RequestRows
from smsgw.store.timers import TimerRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

GATEWAY = "gateway"
"""Who acts when nobody does: time has come."""


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
        due_at: When to send it, in milliseconds since the Unix epoch; 0 for at once.
        valid_for: Seconds after which it is not sent any more; None is the usual time.
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
    due_at: int = 0
    valid_for: float | None = None


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

    def revoke(self, connection: Connection, message_id: int) -> object | None:
        """End a message nothing of which was sent, in the caller's transaction.

        Returns:
            What :meth:`dispatch` must hear; None, and nothing changed, when it was sent.
        """
        ...

    def dispatch(self, inserted: list[Inserted], revoked: list[object]) -> None:
        """Send what is committed now, and not what was revoked; on the reactor thread."""
        ...


@dataclass(eq=False)
class Tools:
    """What every transaction of the engine uses; plans, presets and quiet hours may change.

    Attributes:
        ids: Where ids come from.
        composer: Turns texts into messages.
        plans: How extensions are made.
        presets: The kinds of request, by name.
        quiet: When nobody is asked.
        operators: Whose subscribers each link serves.
        is_service: Whether a number and a text are a static extension's or a keyword service's.
        accept_lost_extension: Whether a clear reply without its extension decides the one open
            item at once.
    """

    ids: IdSource
    composer: Composer
    plans: SlotPlans = field(default_factory=SlotPlans)
    presets: dict[str, Preset] = field(default_factory=lambda: dict(PRESETS))
    quiet: QuietHours = field(default_factory=QuietHours)
    operators: Mapping[str, Operator] = field(default_factory=dict)
    is_service: Callable[[str, str], bool] = lambda number, text: False
    accept_lost_extension: bool = False


class Changes:
    """Collects one transaction's work.

    Attributes:
        connection: The transaction.
        now: Milliseconds since the Unix epoch.
        actor: Who does it: a phone, a token's name, or :data:`GATEWAY`.
        events: What happened, in order; written by :meth:`finish`.
        inserted: What the composer wrote.
        revoked: What it took back.
        wake_at: When the earliest of the timers that were set is due; None when none was.
    """

    def __init__(
        self, tools: Tools, connection: Connection, now: int, actor: str = GATEWAY
    ) -> None:
        self.tools = tools
        self.connection = connection
        self.now = now
        self.actor = actor
        self.events: list[Event] = []
        self.inserted: list[Inserted] = []
        self.revoked: list[object] = []
        self.wake_at: int | None = None
        self._sent: list[tuple[int, int]] = []

    def emit(self, kind: str, subject_id: int, account: str, **data: Any) -> None:
        """Note something a subscriber may want to know; ids in ``data`` become text."""
        shown = {
            key: str(value) if key.endswith("_id") and value is not None else value
            for key, value in data.items()
        }
        self.events.append(Event(kind, subject_id, account, shown))

    def tell(self, kind: str, rows: RequestRows, row: AssignmentRow, **data: Any) -> None:
        """Note something about one assignment."""
        about = {"assignment_id": row.id, "name": row.name, "phone": row.phone}
        self.emit(kind, rows.request.id, rows.request.account, **about, **data)

    def finish(self) -> None:
        """Write the events and who vouches for them: the transaction's last statements."""
        event_rows.append(self.connection, self.now, self.events)
        audit.record(self.connection, self.now, self.events, self.actor, self._sent)

    def send(self, outgoing: Outgoing) -> int:
        """Compose a message and return its id."""
        inserted = self.tools.composer.insert(self.connection, outgoing)
        self.inserted.append(inserted)
        if outgoing.request_id is not None:
            self._sent.append((outgoing.request_id, inserted.message_id))
        return inserted.message_id

    def revoke(self, message_id: int) -> bool:
        """Take a message back if nothing of it was sent; tell whether it was taken back."""
        revoked = self.tools.composer.revoke(self.connection, message_id)
        if revoked is None:
            return False
        self.revoked.append(revoked)
        return True

    def set_timer(
        self, kind: str, request_id: int, due_at: int, subject_id: int = 0, turn: int = 0
    ) -> None:
        """Have something happen to a request at a time."""
        row = TimerRow(self.tools.ids.next(), kind, request_id, subject_id, turn, due_at)
        timers.set(self.connection, [row])
        self.wake_at = due_at if self.wake_at is None else min(self.wake_at, due_at)

    def preset_of(self, request: RequestRow) -> Preset:
        """Return the preset of a stored request."""
        return self.tools.presets[request.preset]

    def plan_for(self, request: RequestRow, access_number: str) -> SlotPlan:
        """Return how a request's extensions under one of our numbers are made."""
        return self.tools.plans.plan(access_number, request.type, request.preset)

    def sender_of(self, row: AssignmentRow) -> tuple[str, str] | None:
        """Return the access number and extension that stand for an assignment, or None."""
        slot = slots.get(self.connection, row.slot_id) if row.slot_id is not None else None
        if slot is None or (slot.owner, slot.owner_id) != (ASSIGNMENT, row.id):
            return None
        return slot.access_number, slot.extension


def conflict(request: RequestRow) -> Outdated:
    """Return what somebody hears who was second."""
    return Outdated(f"request {request.id}: changed by somebody else meanwhile; read it again")

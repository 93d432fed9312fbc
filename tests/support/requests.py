"""A synchronous store in memory, a composer that keeps what it was given, and an office to ask."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import StaticPool
from twisted.internet.defer import Deferred, execute
from twisted.python.failure import Failure

from smsgw.errors import ValidationError
from smsgw.model import Event
from smsgw.services.requests.changes import Inserted, Outgoing
from smsgw.services.requests.engine import RequestEngine
from smsgw.services.requests.model import AssigneeDraft, StepDraft
from smsgw.store import events, inbox, messages
from smsgw.store.ids import IdSource
from smsgw.store.inbox import InboundRow
from smsgw.store.schema import metadata
from smsgw.store.statements import give_ids
from tests.support.store import NOW, accepted, inbound_row, message_row

T = TypeVar("T")

ACCESS = "10690001"
ANN, BOB, EVE = "13800001001", "13300001001", "13000001001"


class Time:
    """A clock that goes only when told to."""

    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> float:
        return self.ms / 1000

    def advance(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@functools.cache
def _empty_database() -> sqlite3.Connection:
    """Every table, made once for all tests."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    return cast(sqlite3.Connection, engine.raw_connection().dbapi_connection)


class MemoryStore:
    """SQLite in memory behind the database's interface; every call is done when it returns."""

    def __init__(self, clock: Time | None = None) -> None:
        self.ids = IdSource(0, clock or Time())
        self.writer = self
        engine = create_engine("sqlite://", poolclass=StaticPool)
        event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
        event.listen(engine, "begin", lambda made: made.exec_driver_sql("BEGIN"))
        self._connection = engine.connect()
        give_ids(self._connection, self.ids)
        _empty_database().backup(cast(Any, self._connection.connection.dbapi_connection))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._connection.begin():
            yield self._connection
            events.write_noted(self._connection)

    def run(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        def work() -> T:
            with self.transaction() as connection:
                return fn(connection)

        return execute(work)

    read = run

    def close(self) -> None:
        self._connection.engine.dispose()


def result_of(deferred: Deferred[T]) -> T:
    """The value of a Deferred that has fired; raises what it failed with."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    value: T = results[0]
    return value


class RecordingComposer:
    """Writes message rows and keeps what it was asked to send."""

    def __init__(self, ids: IdSource, numbers: dict[str, str] | None = None) -> None:
        self.ids = ids
        self.numbers = numbers
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

    def dispatch(self, inserted: list[Inserted]) -> None:
        for one in inserted:
            self.dispatched.append(one.message_id)
            assert isinstance(one.payload, Outgoing)
            self.sent.append(one.payload)


class Office:
    """An engine on a store in memory, and the phones it talks to."""

    def __init__(self, numbers: dict[str, str] | None = None, **options: Any) -> None:
        self.time = Time()
        self.store = MemoryStore(self.time)
        self.composer = RecordingComposer(self.store.ids, numbers)
        self.events: list[Event] = []
        self.options = options
        self.engine = self.restarted()

    def restarted(self) -> RequestEngine:
        """A new engine on the same store, as after a crash."""
        self.engine = RequestEngine(
            self.store, self.composer, self.time, self.events.append, **self.options
        )
        return self.engine

    def create(
        self, *steps: StepDraft | tuple[str, ...], subject: str = "采购申请", **fields: Any
    ) -> int:
        drafts = [step if isinstance(step, StepDraft) else asking(*step) for step in steps]
        given = {"account": "office", "preset": "approval", "body": "请审批", **fields}
        return result_of(self.engine.create(subject=subject, steps=drafts, **given))

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


def asking(*phones: str, rule: str = "all") -> StepDraft:
    """A step that asks these phones."""
    return StepDraft([AssigneeDraft(phone, f"N{phone[:3]}") for phone in phones], rule)

"""What is written into the audit chain when a request changes, and whether the chains still hold.

Rules: the chain keeps digests of what people wrote, never their words, so that a text can be erased
and the chain still holds. Checking reads a page at a time: its memory does not grow with the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from smsgw.model import Event
from smsgw.store import audit as chain
from smsgw.store import evidence
from smsgw.store.audit import BEGINNING, AuditRow, Entry, Head, hash_of, shown_digest
from smsgw.store.evidence import ERASED, SOURCES, Digests

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

KINDS = ("request.", "conversation.")
"""Events that are entries too begin with one of these."""

CREATED = "request.created"
CLOSED = "request.closed"
"""Whatever ends a request ends with this."""
SENT = "text.sent"
"""Entry of a message that was sent for a request."""

TEXTS = frozenset({"text", "reason", "subject", "body", "comment"})
"""What people wrote, in an event's data: an entry has its digest."""

PAGE = 500
"""Entries looked at together."""

Sent = tuple[int, int]
"""A message that was composed for a request: the request's id and the message's."""


def record(
    connection: Connection,
    now: int,
    events: Iterable[Event],
    actor: str,
    sent: Sequence[Sent] = (),
) -> None:
    """Write what a transaction did to requests and conversations into the chain.

    Called on the writer thread when the rows of the transaction are written: their digests are
    taken from there.

    Args:
        connection: The transaction.
        now: Milliseconds since the Unix epoch, as the transaction's answers have it.
        events: What happened, in order; other kinds than :data:`KINDS` are left out.
        actor: Who did it: a phone, a token's name, or ``gateway``.
        sent: The messages it composed for requests.
    """
    told = [event for event in events if event.kind.startswith(KINDS)]
    if told or sent:
        found = _Found(connection, now, told, sent)
        entries = [_entry(event, actor, found.of(event)) for event in told]
        entries += [found.entry_of(one, actor) for one in sent]
        chain.append(connection, now, entries)


def _entry(event: Event, actor: str, found: Digests) -> Entry:
    detail: dict[str, Any] = {}
    for key, value in event.data.items():
        if key in TEXTS and isinstance(value, str):
            detail[f"{key}_sha256"] = chain.digest(value)
        else:
            detail[key] = value
    if found:
        detail["sha256"] = found
    return Entry(actor, event.kind, event.account, event.subject_id, detail)


class _Found:
    """The digests of what a transaction wrote, looked up for all of its events at once."""

    def __init__(
        self, connection: Connection, now: int, events: Sequence[Event], sent: Sequence[Sent]
    ) -> None:
        self._sent = {message_id for _, message_id in sent}
        about = [event for event in events if event.kind.startswith("request.")]
        ended = {event.subject_id for event in about if event.kind == CLOSED}
        created = {event.subject_id for event in about if event.kind == CREATED}
        answered = {event.subject_id for event in about if "assignment_id" in event.data}
        messages = {id_ for event in events for id_ in _ids(event, "message_id")} | self._sent

        def look(read: Callable[..., dict[int, Any]], ids: Collection[int], *more: int) -> Any:
            return read(connection, ids, *more) if ids else {}

        self._requests: dict[int, Digests] = look(evidence.of_requests, created | ended)
        self._assignments: dict[int, Digests] = look(evidence.of_assignments, ended)
        self._answers: dict[int, evidence.Answers] = look(evidence.of_answers, answered, now)
        self._messages: dict[int, evidence.SentText] = look(evidence.of_messages, messages)
        inbound = {id_ for event in events for id_ in self._inbound_ids(event)}
        self._inbound: dict[int, Digests] = look(evidence.of_inbound, inbound)

    def of(self, event: Event) -> Digests:
        """Return the digests that belong to an event."""
        found: Digests = {}
        request = self._requests.get(event.subject_id, {})
        if event.kind == CREATED:
            evidence.merge(found, {name: request[name] for name in request if ":" in name})
        if event.kind == CLOSED:
            evidence.merge(found, {name: request[name] for name in request if ":" not in name})
            evidence.merge(found, self._assignments.get(event.subject_id, {}))
        for answers in self._answers_of(event):
            evidence.merge(found, answers.digests)
        for inbound_id in self._inbound_ids(event):
            evidence.merge(found, self._inbound.get(inbound_id, {}))
        for message_id in _ids(event, "message_id"):
            if message_id in self._messages and message_id not in self._sent:
                evidence.merge(found, self._messages[message_id].digests)
        return found

    def _answers_of(self, event: Event) -> list[evidence.Answers]:
        ids = _ids(event, "assignment_id")
        return [self._answers[one] for one in ids if one in self._answers]

    def _inbound_ids(self, event: Event) -> set[int]:
        """Return the inbound messages of an event: those it names, and what brought its answer."""
        brought = {id_ for answers in self._answers_of(event) for id_ in answers.inbound}
        return brought | set(_ids(event, "inbound_id"))

    def entry_of(self, sent: Sent, actor: str) -> Entry:
        """Return the entry of a message that was composed."""
        request_id, message_id = sent
        one = self._messages[message_id]
        detail = {
            "message_id": str(message_id),
            "to": one.to,
            "sender_number": one.sender_number,
            "sha256": one.digests,
        }
        return Entry(actor, SENT, one.account, request_id, detail)


def _ids(event: Event, name: str) -> list[int]:
    """Return the ids in an event's data whose key is ``name`` or ends with it."""
    return [
        int(value)
        for key, value in event.data.items()
        if (key == name or key.endswith(f"_{name}")) and value is not None
    ]


# ---- whether it still holds --------------------------------------------------------------


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as the chain has it.

    Attributes:
        chain: Where.
        sequence: The row that says so.
        problem: What is wrong.
        wrong: Whether the evidence is broken; False for what is worth knowing, such as a text that
            was erased.
    """

    chain: int
    sequence: int
    problem: str
    wrong: bool = True

    def __str__(self) -> str:
        return f"chain {self.chain}, sequence {self.sequence}: {self.problem}"


class Walk:
    """One walk over every chain of a database.

    Args:
        connection: A reading one; its transaction ends after every page.
        kept: Heads that were kept elsewhere: they must still be in their chains.

    Attributes:
        rows: How many rows were looked at.
        heads: The last row of every chain, once the walk is over.
    """

    def __init__(self, connection: Connection, kept: Iterable[Head] = ()) -> None:
        self.rows = 0
        self.heads: list[Head] = []
        self._connection = connection
        self._excused = _Excused(connection)
        self._kept: dict[tuple[int, int], set[bytes]] = {}
        for head in kept:
            self._kept.setdefault((head.chain, head.sequence), set()).add(head.hash)

    def findings(self) -> Iterator[Finding]:
        """Walk to the end; yield what is wrong as it is found."""
        after = (-(2**15) - 1, 0)
        link = None
        while page := chain.page(self._connection, after=after, limit=PAGE):
            for row in page:
                if link is None or link.chain != row.chain:
                    self._ended(link)
                    link = _Link(row.chain)
                yield from link.findings(row)
                yield from self._excused.findings(row)
                yield from self._compared(row)
            yield from _vouched(self._connection, page, self._excused)
            self._connection.rollback()
            self.rows += len(page)
            after = page[-1].chain, page[-1].sequence
        self._ended(link)
        for place in sorted(self._kept):
            yield Finding(*place, "is missing; a head that was kept elsewhere names it")

    def _ended(self, link: _Link | None) -> None:
        if link is not None and link.head is not None:
            self.heads.append(link.head)

    def _compared(self, row: AuditRow) -> Iterator[Finding]:
        kept = self._kept.pop((row.chain, row.sequence), None)
        if kept is not None and kept != {row.hash}:
            problem = "has another hash than the head that was kept elsewhere"
            yield Finding(row.chain, row.sequence, problem)


class _Excused:
    """What entries of the chains say was erased from rows of them, and purged from other tables."""

    def __init__(self, connection: Connection) -> None:
        self._shown: dict[str, set[str]] = {}
        self._until: dict[str, int] = {}
        for row in chain.about_nothing(connection, chain.ERASED):
            for place, digest in _detail(row, _Erasure).entries.items():
                self._shown.setdefault(place, set()).add(digest)
        for row in chain.about_nothing(connection, chain.PURGED):
            for table, until in _detail(row, _Purge).until.items():
                self._until[table] = max(until, self._until.get(table, 0))

    def findings(self, row: AuditRow) -> Iterator[Finding]:
        """Yield what is to be said of a row that excuses others, or has lost something."""
        if row.subject_id == chain.NOTHING and (says := _said(row)):
            yield Finding(row.chain, row.sequence, f"says that {says}", wrong=False)
        if not row.erased:
            return
        if shown_digest(row) in self._shown.get(row.place, ()):
            yield Finding(row.chain, row.sequence, "a person was erased from it", wrong=False)
        else:
            yield Finding(row.chain, row.sequence, _NOT_ERASED)

    def may_be_gone(self, table: str, key: str) -> bool:
        """Whether a row was old enough to be purged."""
        return int(key) <= self._until.get(table, 0)


_NOT_ERASED = "was changed: no entry vouches for what it holds now"


class _Erasure(msgspec.Struct):
    entries: dict[str, str] = {}


class _Purge(msgspec.Struct):
    until: dict[str, int] = {}


def _said(row: AuditRow) -> str:
    """Return what an entry excuses, for people; "" when it excuses nothing."""
    if row.action == chain.ERASED and (erased := _detail(row, _Erasure).entries):
        return f"a phone was erased from {len(erased)} entries"
    if row.action == chain.PURGED:
        until = ", ".join(f"{table} {key}" for table, key in _detail(row, _Purge).until.items())
        return f"rows were deleted for their age, up to {until}"
    return ""


def _detail(row: AuditRow, type_: type[T]) -> T:
    """Return an entry's detail; one that says nothing when it cannot be read: the walk tells."""
    try:
        return msgspec.json.decode(row.detail, type=type_)
    except msgspec.MsgspecError:
        return type_()


class _Link:
    """Follows one chain."""

    def __init__(self, number: int) -> None:
        self.chain = number
        self.head: Head | None = None
        self._previous: bytes | None = BEGINNING
        self._expected = 1

    def findings(self, row: AuditRow) -> Iterator[Finding]:
        if row.sequence != self._expected:
            yield self._gap(row)
            self._previous = None
        if not isinstance(row.hash, bytes) or len(row.hash) != len(BEGINNING):
            yield Finding(row.chain, row.sequence, "its hash is not one of 32 octets")
            self._previous = None
        else:
            if self._previous is not None and hash_of(self._previous, row) != row.hash:
                yield Finding(row.chain, row.sequence, _CHANGED)
            self._previous = row.hash
            self.head = Head(row.chain, row.sequence, row.hash)
        self._expected = row.sequence + 1

    def _gap(self, row: AuditRow) -> Finding:
        if row.sequence < self._expected:
            return Finding(row.chain, row.sequence, "stands before the first row")
        last = row.sequence - 1
        until = f" to {last}" if last > self._expected else ""
        return Finding(row.chain, self._expected, f"is missing{until}")


_CHANGED = "was changed, or the row before it was: its hash does not follow"


def digests_in(row: AuditRow) -> Digests | None:
    """Return what a row vouches for; None when its detail cannot be read."""
    try:
        detail = msgspec.json.decode(row.detail)
        found = detail.get("sha256", {})
        return msgspec.convert(found, Digests)
    except (msgspec.MsgspecError, AttributeError, TypeError):
        return None


def _vouched(
    connection: Connection, page: Sequence[AuditRow], excused: _Excused
) -> Iterator[Finding]:
    """Compare what the rows of a page vouch for with what is there now."""
    wanted: dict[str, dict[str, list[tuple[AuditRow, str]]]] = {}
    for row in page:
        found = digests_in(row)
        if found is None:
            yield Finding(row.chain, row.sequence, "its detail cannot be read")
            continue
        for name, by_id in found.items():
            for key, recorded in by_id.items():
                wanted.setdefault(name, {}).setdefault(key, []).append((row, recorded))
    for name, by_key in wanted.items():
        keys = list(by_key)
        for start in range(0, len(keys), PAGE):
            part = keys[start : start + PAGE]
            now = _now(connection, name, part)
            for key in part:
                purged = key not in now and excused.may_be_gone(name.partition(":")[0], key)
                for row, recorded in by_key[key]:
                    digest = ERASED if purged else now.get(key)
                    yield from compared(row.chain, row.sequence, name, key, recorded, digest)


def _now(connection: Connection, name: str, keys: Sequence[str]) -> Mapping[str, str]:
    if name not in SOURCES:
        return {}
    ids = [int(key) for key in keys if key.isascii() and key.isdigit()]
    return {str(key): found for key, found in evidence.digests(connection, name, ids).items()}


def compared(
    number: int, sequence: int, name: str, key: str, recorded: str, now: str | None
) -> Iterator[Finding]:
    """Yield what is to be said of one thing that a row vouches for.

    Args:
        number: The chain.
        sequence: The row's.
        name: What it is, such as ``message:text``.
        key: Its id.
        recorded: The digest in the row.
        now: The digest of what is there; None when there is nothing.
    """
    table, _, column = name.partition(":")
    what = f"{column} of {table} {key}" if column else f"{table} {key}"
    if now == recorded:
        return
    if name not in SOURCES:
        yield Finding(number, sequence, f"{what}: this version cannot check it", wrong=False)
    elif now is None:
        yield Finding(number, sequence, f"{what} is gone")
    elif now == ERASED:
        yield Finding(number, sequence, f"{what} was erased", wrong=False)
    else:
        yield Finding(number, sequence, f"{what} was changed")

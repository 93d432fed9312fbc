"""Takes a phone out of rows: what :mod:`smsgw.store.people` finds.

A row of the phone loses its texts and names; any other loses the number. A pseudonym, made at
random for one erasure, takes its place, so that what was counted still counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    false,
    or_,
    select,
    update,
)

from smsgw.errors import Conflict
from smsgw.store import audit, schema
from smsgw.store.audit import AuditRow, Entry
from smsgw.store.messages import decode_contents, encode_contents
from smsgw.store.people import Json, Key, Person, is_of, pieces_of

DROPPED = frozenset({"listed", "slot", "parked_report", "ported_number"})
"""Tables whose rows go whole: what they are for is over."""

ENDED: Mapping[str, str] = {
    "message": "final_at",
    "inbound": "handled_at",
    "inbound_part": "inbound_id",
    "request": "closed_at",
    "submitted_part": "",
}
"""What a row must have before it may be changed: else somebody still needs it as it is."""

OWN: Mapping[str, Mapping[str, Any]] = {
    "message": {"text": "", "contents": b""},
    "inbound": {"text": ""},
    "inbound_part": {"content": b"", "pdu": b""},
    "assignment": {"name": "", "reason": "", "code": ""},
    "answer": {"text": "", "reason": ""},
    "request": {"applicant_name": ""},
    "stand_in": {"name": ""},
}
"""What is blanked of a row that is of the phone."""


TEXTS = frozenset({"text", "reason", "comment", "name"})
"""What is blanked in JSON about the phone."""

PERSONAL = frozenset(
    {"message:recipient", "message:text", "inbound:sender", "inbound:text", "inbound_part:pdu"}
    | {"assignment:phone", "answer:reason"}
)
"""Digests in the audit chain by which what was erased could be found by trying."""


class Erasure:
    """Takes a phone out of rows, on the writer's thread.

    Args:
        who: The phone, and what is of it.
        pseudonym: What takes its place.
        kept: What takes its place where it must still be known for an opt-out.
    """

    def __init__(self, who: Person, pseudonym: str, kept: str) -> None:
        self._who = who
        self._pseudonym = pseudonym
        self._kept = kept
        self._named = who.all
        digits = "[ -]?".join(pieces_of(who.phone))
        self._digits = re.compile(rf"(?<![0-9])(?:(?:\+|00)?86[ -]?)?{digits}(?![0-9])")
        narrow = digits.encode()
        wide = b"(?:\0[ -])?".join(one.encode("utf-16-be") for one in pieces_of(who.phone))
        self._octets = re.compile(
            rb"(?<![0-9])(?:86[ -]?)?%b(?![0-9])"
            rb"|(?<!\x00[0-9])(?:\x008\x006(?:\x00[ -])?)?%b(?!\x00[0-9])" % (narrow, wide)
        )

    def erase(self, connection: Connection, table: Table, keys: Sequence[Key], now: int) -> int:
        """Erase from some rows; returns how many were changed or deleted."""
        chosen = or_(false(), *(_is(list(table.primary_key.columns), key) for key in keys))
        with _overwriting(connection):
            if table.name in DROPPED:
                return connection.execute(delete(table).where(chosen)).rowcount
            if table is schema.audit:
                rows = connection.execute(select(table).where(chosen))
                return self._audit(connection, [AuditRow(*row) for row in rows], now)
            if table is schema.customer_delivery:
                return self._deliveries(connection, chosen)
            return self._rows(connection, table, chosen)

    def _deliveries(self, connection: Connection, chosen: ColumnElement[bool]) -> int:
        """Drop what is of the phone; what others wrote keeps its length and loses the number."""
        table = schema.customer_delivery
        found = connection.execute(select(table.c.id, table.c.content).where(chosen)).all()
        changed = 0
        for row_id, content in found:
            fields = msgspec.msgpack.decode(content).values()
            this = table.c.id == row_id
            if any(isinstance(one, str) and self._digits.search(one) for one in fields):
                changed += connection.execute(delete(table).where(this)).rowcount
            elif self._octets.search(content):
                masked = update(table).where(this).values(content=self._octets.sub(_stars, content))
                changed += connection.execute(masked).rowcount
        return changed

    def _rows(self, connection: Connection, table: Table, chosen: ColumnElement[bool]) -> int:
        columns = list(table.primary_key.columns)
        changed = 0
        own = is_of(table, self._who.phone).label("own")
        for row in connection.execute(select(*table.columns, own).where(chosen)).all():
            *values, of_phone = row
            given = dict(zip(table.columns.keys(), values, strict=True))
            new = self._row(table, given, bool(of_phone))
            if new:
                key = tuple(given[column.name] for column in columns)
                connection.execute(update(table).where(_is(columns, key)).values(new))
                changed += 1
        return changed

    def _row(self, table: Table, given: Json, own: bool) -> Json:
        """Return the columns of a row that are to be different."""
        new: Json = {}
        for name, value in given.items():
            changed: str | bytes
            if table is schema.event and name == "data":
                changed = self.json(value, given["subject_id"])
            elif isinstance(value, str):
                changed = self._text(table, value)
            elif isinstance(value, bytes) and self._octets.search(value):
                changed = b""
            else:
                continue
            if changed != value:
                new[name] = changed
        if own and table is not schema.event:
            new |= OWN.get(table.name, {})
        elif new and table is schema.message:  # its octets name it as its text did
            octets = decode_contents(given["contents"]) if given["contents"] else []
            new["contents"] = encode_contents([bytes(len(one)) for one in octets])
        if table is schema.inbound_part and new:
            new["dedupe_key"] = str(given["id"])
        if new and table.name in ENDED and given.get(ENDED[table.name]) is None:
            what = f"{table.name} {given['id']} has not ended"
            raise Conflict(f"{what}; it came meanwhile: erase again when it has")
        return {name: value for name, value in new.items() if value != given[name]}

    def _text(self, table: Table, text: str) -> str:
        if table is schema.opt_out and text == self._who.phone:
            return self._kept
        return self._digits.sub(self._pseudonym, text)

    def json(self, text: str, subject_id: int) -> str:
        """Return JSON without the phone, and without the texts of what is about the phone."""
        if not text:
            return text
        data = msgspec.json.decode(text)
        bare = self._digits.sub(self._pseudonym, text)
        about = subject_id in self._who.ids["inbound"] or _names(data, self._named)
        if bare == text and not about:
            return text
        return msgspec.json.encode(
            _without_texts(msgspec.json.decode(bare)), order="sorted"
        ).decode()

    def _audit(self, connection: Connection, rows: Sequence[AuditRow], now: int) -> int:
        """Erase from rows of the chain, and append the entry that vouches for what they hold."""
        entries = {}
        for row in rows:
            detail = self._detail(row)
            actor = self._digits.sub(self._pseudonym, row.actor)
            shown = msgspec.structs.replace(row, actor=actor, detail=detail)
            if (actor, detail) != (row.actor, row.detail):
                audit.erase(connection, row, shown)
                entries[row.place] = audit.shown_digest(shown)
        if entries:
            detail_ = {"phone": self._pseudonym, "entries": entries}
            audit.append(
                connection, now, [Entry("gateway", audit.ERASED, "", audit.NOTHING, detail_)]
            )
        return len(entries)

    def _detail(self, row: AuditRow) -> str:
        """Return an entry's detail without the phone and the digests of what is of it."""
        bare = self.json(row.detail, row.subject_id)
        detail = msgspec.json.decode(bare)
        found = detail.get("sha256", {})
        for name in PERSONAL & found.keys():
            own = self._who.ids.get(name.partition(":")[0], set())
            for key in [key for key in found[name] if int(key) in own]:
                del found[name][key]
        about = bare != row.detail or _names(detail, self._named)
        if about:
            detail = {key: value for key, value in detail.items() if not key.endswith("_sha256")}
        encoded = msgspec.json.encode(detail, order="sorted").decode()
        return encoded if msgspec.json.decode(row.detail) != detail else row.detail


@contextmanager
def _overwriting(connection: Connection) -> Iterator[None]:
    """Have SQLite write zeros over what is deleted or replaced."""
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        if sqlite:
            connection.exec_driver_sql("PRAGMA secure_delete = OFF")


def _stars(found: re.Match[bytes]) -> bytes:
    """Return stars in place of a number, as many octets."""
    octets = found[0]
    return b"\0*" * (len(octets) // 2) if octets[0] == 0 else b"*" * len(octets)


def _is(columns: Sequence[Column[Any]], key: Key) -> ColumnElement[bool]:
    return and_(*(column == value for column, value in zip(columns, key, strict=True)))


def _names(data: Any, ids: set[str]) -> bool:
    """Whether a member of an object is one of some ids."""
    return isinstance(data, dict) and any(
        value in ids for value in data.values() if isinstance(value, str)
    )


def _without_texts(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return {
        key: "" if key in TEXTS and isinstance(value, str) else value for key, value in data.items()
    }

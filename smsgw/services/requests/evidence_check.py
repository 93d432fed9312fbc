"""Checks an evidence document by itself, without the database it came from.

What it proves: the entries are what their hashes say, and the texts, PDUs and decisions of the
document are those that the entries vouch for. That the entries stand in the chain only the database
can say, or a head of the chain that was kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from smsgw.errors import ValidationError
from smsgw.services.audit import Finding, compared, digests_in
from smsgw.services.requests.evidence import FORMAT
from smsgw.store.audit import BEGINNING, AuditRow, Head, hash_of
from smsgw.store.evidence import digest_of

_NO_DOCUMENT = "is no evidence document of this version"


class _Entry(msgspec.Struct):
    chain: int
    sequence: int
    at: str
    at_ms: int
    actor: str
    action: str
    account: str
    subject_id: str
    detail: str
    seal: str
    hash: str
    previous_hash: str | None

    def row(self) -> AuditRow:
        return AuditRow(
            self.chain,
            self.sequence,
            self.at_ms,
            self.actor,
            self.action,
            self.account,
            int(self.subject_id),
            self.detail,
            bytes.fromhex(self.seal),
            bytes.fromhex(self.hash),
        )


class _Head(msgspec.Struct):
    chain: int
    sequence: int
    hash: str


class _Audit(msgspec.Struct):
    entries: list[_Entry]
    heads: list[_Head]


class Document:
    """An evidence document.

    Args:
        octets: The file.

    Attributes:
        request_id: Whose evidence it is.
        heads: Every entry and every head of a chain in it: what must stand in the chain.

    Raises:
        ValidationError: It is none.
    """

    def __init__(self, octets: bytes) -> None:
        try:
            self._document: dict[str, Any] = msgspec.json.decode(octets, type=dict[str, Any])
            if self._document.get("format") != FORMAT:
                raise ValidationError("format", f"{_NO_DOCUMENT}; expected {FORMAT}")
            audit = msgspec.convert(self._document["audit"], _Audit)
            self._entries = [(entry.row(), entry) for entry in audit.entries]
            self.request_id = str(self._document["request"]["id"])
            self.heads = [Head(row.chain, row.sequence, row.hash) for row, _ in self._entries]
            self.heads += [
                Head(one.chain, one.sequence, bytes.fromhex(one.hash)) for one in audit.heads
            ]
            self._values = dict(_values(self._document))
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValidationError("", f"{_NO_DOCUMENT}: {error}") from None

    @property
    def entries(self) -> int:
        """How many entries of the chain it has."""
        return len(self._entries)

    def findings(self) -> Iterator[Finding]:
        """Yield what does not fit together."""
        vouched: set[tuple[str, str]] = set()
        known = {(head.chain, head.sequence): head.hash for head in self.heads}
        for row, entry in self._entries:
            place = row.chain, row.sequence
            if known[place] != row.hash:
                yield Finding(*place, "stands in the document with two hashes")
            yield from _followed(row, entry, known.get((row.chain, row.sequence - 1)))
            if str(row.subject_id) != self.request_id:
                yield Finding(*place, "is not about this request")
            found = digests_in(row)
            if found is None:
                yield Finding(*place, "its detail cannot be read")
                continue
            for name, by_id in found.items():
                for key, recorded in by_id.items():
                    vouched.add((name, key))
                    now = self._values.get((name, key))
                    yield from compared(*place, name, key, recorded, now)
        yield from self._unvouched(vouched)

    def _unvouched(self, vouched: set[tuple[str, str]]) -> Iterator[Finding]:
        """Yield what the document shows and no entry vouches for, at the chain's last entry."""
        last = self._entries[-1][0] if self._entries else None
        place = (last.chain, last.sequence) if last else (0, 0)
        closed = self._document["request"]["state"] != "open"
        for name, key in self._values:
            at_the_end = name in ("request", "assignment", "assignment:phone")
            if (name, key) not in vouched and (closed or not at_the_end):
                yield Finding(*place, f"nothing vouches for {name} of {key}", wrong=False)


def _followed(row: AuditRow, entry: _Entry, before: bytes | None) -> Iterator[Finding]:
    place = row.chain, row.sequence
    if row.sequence == 1:
        before = BEGINNING
    if entry.previous_hash is None:
        yield Finding(*place, "the row before it was missing from the chain")
        return
    previous = _octets(entry.previous_hash)
    if before is not None and previous != before:
        yield Finding(*place, "does not follow the row before it")
    if previous is None or hash_of(previous, row) != row.hash:
        yield Finding(*place, "was changed: it has another hash")
    elif row.erased:
        yield Finding(*place, "a person was erased from it", wrong=False)
    elif _millis(entry.at) != row.at:
        yield Finding(*place, "at and at_ms are not the same time")


def _octets(written: str) -> bytes | None:
    try:
        return bytes.fromhex(written)
    except ValueError:
        return None


def _millis(written: str) -> int | None:
    try:
        return round(datetime.fromisoformat(written).timestamp() * 1000)
    except ValueError:
        return None


def _values(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the digest of everything in the document that may be vouched for."""
    request = document["request"]

    def one(what: str, key: str, *values: object) -> tuple[tuple[str, str], str]:
        return (what, key), digest_of(what, values)

    yield one("request:subject", request["id"], request["subject"])
    yield one("request:body", request["id"], request["body"])
    yield one("request", request["id"], request["id"], request["state"], request["outcome"])
    for step in request["steps"]:
        for row in step["assignees"]:
            key = row["id"]
            yield one("assignment:phone", key, row["phone"])
            decided = (key, step["id"], row["position"], row["role"], row["decision"])
            yield one("assignment", key, *decided)
            for answer in row["answers"]:
                yield one("answer:reason", answer["id"], answer["reason"])
                yield one("answer", answer["id"], *_answered(answer, key))
    for person in document["people"]:
        for message in person["messages"]:
            yield one("message:recipient", message["id"], message["to"])
            yield one("message:text", message["id"], message["text"])
        for inbound in person["inbound"]:
            yield one("inbound:sender", inbound["id"], inbound["from"])
            yield one("inbound:text", inbound["id"], inbound["text"])
            for part in inbound["pdus"]:
                yield one("inbound_part:pdu", part["id"], bytes.fromhex(part["pdu"]))


def _answered(answer: Mapping[str, Any], assignment_id: str) -> tuple[object, ...]:
    names = ("channel", "inbound_id", "decision", "rule", "anomaly", "counted")
    return (answer["id"], assignment_id, *(answer[name] for name in names))

"""What became of segments: settling submits and applying reports.

States move forward only (:data:`smsgw.model.STATUS_RANK`). The one step back is a retry: a segment
that was not accepted goes back to ``queued`` with ``next_attempt_at``. A report may come before the
answer that names its segment: it is parked, and applied when that answer is settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import ClassVar

import msgspec
from sqlalchemy import Connection

from smsgw.errors import StoreError
from smsgw.model import FINAL_RANK, MessageStatus
from smsgw.store.progress import RANK, Batch, SegmentNow, StatusChange
from smsgw.store.schema import parked_report
from smsgw.store.statements import fetch_json, ids_of, insert_rows, json_array
from smsgw.store.writer import Operation

PARKED_SECONDS = 72 * 3600
"""How long a report nobody matches waits for its segment; what is older belongs to another one.

Spec: cmpp.md section 16, quirk 24.
"""

_QUEUED, _SENDING, _UNKNOWN = "queued", "sending", "unknown"
_Key = tuple[str, str]
_Named = tuple[SegmentNow, "Settled", int]
"""A segment that just got its carrier's id, what settling it led to, and when."""


class Settlement(msgspec.Struct, gc=False):
    """What a submit came to, or that it is about to be made.

    Attributes:
        segment_id: Which segment.
        message_id: Its message.
        state: SENDING before the submit; SENT, UNKNOWN, REJECTED, EXPIRED or CANCELED after it; or
            QUEUED with ``next_attempt_at`` for a retry.
        at: When, in milliseconds.
        carrier_message_id: The id its reports will name, as soon as it is known.
        stat: The carrier's result in its words; "" when there is none.
        error: What it means, or our own reason.
        next_attempt_at: When a retry is due; with UNKNOWN, when waiting for the outcome ends.
        attempts: Submits made so far.
        possible_duplicate: The phone may get it twice: it is sent again after an unknown outcome.
    """

    segment_id: int
    message_id: int
    state: MessageStatus
    at: int
    carrier_message_id: str | None = None
    stat: str = ""
    error: str = ""
    next_attempt_at: int | None = None
    attempts: int = 0
    possible_duplicate: bool = False


class Settled(msgspec.Struct, gc=False):
    """Whether a settlement was applied, and the new statuses of its message that followed."""

    applied: bool
    changes: list[StatusChange]


class ReportRow(msgspec.Struct, gc=False):
    """One status report as a link received it."""

    link: str
    carrier_message_id: str
    recipient: str
    status: MessageStatus
    stat: str
    error: str
    at: int


class ReportFate(StrEnum):
    """What was done with a report."""

    MATCHED = "matched"
    PARKED = "parked"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Reported(msgspec.Struct, gc=False):
    """What was done with a report; ``segment_id`` and ``message_id`` are 0 while it is parked."""

    fate: ReportFate
    segment_id: int
    message_id: int
    changes: list[StatusChange]


class Settle(Operation[Settlement, Settled]):
    """Apply settlements in order, then the reports that waited for the ids they bring."""

    name: ClassVar[str] = "settle"
    rank: ClassVar[int] = 1

    def execute(self, connection: Connection, rows: Sequence[Settlement]) -> list[Settled]:
        """Apply all rows.

        Raises:
            StoreError: A row names a segment that is not recorded.
        """
        batch = Batch(connection)
        batch.load({row.message_id for row in rows})
        results: list[Settled] = []
        named: dict[_Key, list[_Named]] = {}
        for row in rows:
            now = batch.segments.get(row.segment_id)
            if now is None:
                raise StoreError(f"segment {row.segment_id}: not recorded, cannot be settled")
            result = _settle(batch, now, row)
            results.append(result)
            name = row.carrier_message_id
            if name and (result.applied or not now.carrier_message_id) and batch.name(now, name):
                named.setdefault((now.link, name), []).append((now, result, row.at))
        if named:
            _apply_parked(connection, batch, named)
        batch.save()
        return results


class Reports(Operation[ReportRow, Reported]):
    """Find each report's segment and apply it, or park the report."""

    name: ClassVar[str] = "reports"
    rank: ClassVar[int] = 2

    def execute(self, connection: Connection, rows: Sequence[ReportRow]) -> list[Reported]:
        """Apply all rows in order."""
        batch = Batch(connection)
        for link, ids in _by_link((row.link, row.carrier_message_id) for row in rows).items():
            batch.load_matching(link, ids)
        known: dict[_Key, list[SegmentNow]] = {}
        for now in batch.segments.values():
            if now.carrier_message_id is not None:
                known.setdefault((now.link, now.carrier_message_id), []).append(now)
        results: list[Reported | None] = []
        unmatched: list[ReportRow] = []
        for row in rows:
            candidates = known.get((row.link, row.carrier_message_id))
            if candidates is None:
                unmatched.append(row)
                results.append(None)
            else:
                results.append(_report(batch, _meant(candidates, row.recipient), row))
        fates = iter(_park(connection, unmatched) if unmatched else ())
        batch.save()
        return [result or Reported(next(fates), 0, 0, []) for result in results]


SETTLE = Settle()
REPORTS = Reports()


def _settle(batch: Batch, now: SegmentNow, row: Settlement) -> Settled:
    state = str(row.state)
    if RANK[state] <= RANK[now.state] and not _is_retry(now, row):
        if _contradicts(now, state):
            data = {"is": now.state, "got": state, "stat": row.stat, "segment": str(now.id)}
            batch.tell("message.conflict", now, row.at, data)
        return Settled(False, [])
    changes = batch.move(now, state, row.at, row.stat, row.error)
    now.attempts = max(now.attempts, row.attempts)
    now.next_attempt_at = row.next_attempt_at
    if row.possible_duplicate and not now.possible_duplicate:
        batch.mark(now)
    return Settled(True, changes)


def _is_retry(now: SegmentNow, row: Settlement) -> bool:
    """The one allowed step back; from ``unknown`` only with the doubt made visible."""
    if row.state != _QUEUED or row.next_attempt_at is None:
        return False
    return now.state in (_QUEUED, _SENDING) or (now.state == _UNKNOWN and row.possible_duplicate)


def _contradicts(now: SegmentNow, state: str) -> bool:
    """Tell whether both cannot be true; a late or repeated fact is no contradiction."""
    if RANK[now.state] < FINAL_RANK or state == now.state:
        return False
    if RANK[state] == FINAL_RANK:
        return True
    # Sent after all, though we had given it up before any submit was answered.
    return state == "sent" and now.sent_at is None and now.state not in ("delivered", "undelivered")


def _report(batch: Batch, now: SegmentNow, row: ReportRow) -> Reported:
    status = str(row.status)
    if RANK[status] > RANK[now.state]:
        changes = batch.move(now, status, row.at, row.stat, row.error)
        return Reported(ReportFate.MATCHED, now.id, now.message_id, changes)
    if not _contradicts(now, status):
        return Reported(ReportFate.DUPLICATE, now.id, now.message_id, [])
    data = {"is": now.state, "got": status, "stat": row.stat, "segment": str(now.id)}
    batch.tell("report.conflict", now, row.at, data)
    return Reported(ReportFate.CONFLICT, now.id, now.message_id, [])


def _meant(candidates: list[SegmentNow], recipient: str) -> SegmentNow:
    """Choose among segments of one id, since ids repeat: same phone first, then open, then new."""
    if len(candidates) == 1:
        return candidates[0]
    return max(
        candidates, key=lambda s: (s.recipient == recipient, RANK[s.state] < FINAL_RANK, s.id)
    )


def _by_link(keys: Iterable[_Key]) -> dict[str, set[str]]:
    links: dict[str, set[str]] = {}
    for link, carrier_message_id in keys:
        links.setdefault(link, set()).add(carrier_message_id)
    return links


class _Parked(msgspec.Struct, array_like=True, gc=False):
    id: int
    link: str
    carrier_message_id: str
    recipient: str
    status: MessageStatus
    stat: str
    error: str
    received_at: int


_parked_decoder = msgspec.json.Decoder(list[_Parked])
_PARKED = """SELECT json_group_array(json_array(
 id, link, carrier_message_id, recipient, status, stat, error, received_at)) FROM parked_report
 WHERE link = ? AND carrier_message_id IN (SELECT value FROM json_each(?))"""


def _parked(connection: Connection, keys: Iterable[_Key]) -> list[_Parked]:
    found: list[_Parked] = []
    for link, ids in _by_link(keys).items():
        found += fetch_json(connection, _parked_decoder, _PARKED, link, json_array(list(ids)))
    return sorted(found, key=lambda parked: parked.id)


def _apply_parked(connection: Connection, batch: Batch, named: dict[_Key, list[_Named]]) -> None:
    """Apply what waited for these ids; what is of another phone or too old stays as it is."""
    applied: list[int] = []
    for parked in _parked(connection, named):
        for now, result, at in named[parked.link, parked.carrier_message_id]:
            if parked.recipient not in ("", now.recipient):
                continue
            if at - parked.received_at > PARKED_SECONDS * 1000:
                continue
            result.changes += _report(batch, now, _row(parked)).changes
            applied.append(parked.id)
            break
    if applied:
        connection.exec_driver_sql(
            "DELETE FROM parked_report WHERE id IN (SELECT value FROM json_each(?))",
            (json_array(applied),),
        )


def _row(parked: _Parked) -> ReportRow:
    return ReportRow(
        parked.link,
        parked.carrier_message_id,
        parked.recipient,
        parked.status,
        parked.stat,
        parked.error,
        parked.received_at,
    )


def _park(connection: Connection, rows: list[ReportRow]) -> list[ReportFate]:
    """Keep reports nobody matches yet; one that repeats a parked one is not kept twice."""
    waiting = _parked(connection, [(row.link, row.carrier_message_id) for row in rows])
    seen = {(p.link, p.carrier_message_id, p.recipient, str(p.status), p.stat) for p in waiting}
    fates: list[ReportFate] = []
    new: list[ReportRow] = []
    for row in rows:
        key = (row.link, row.carrier_message_id, row.recipient, str(row.status), row.stat)
        fates.append(ReportFate.DUPLICATE if key in seen else ReportFate.PARKED)
        if key not in seen:
            seen.add(key)
            new.append(row)
    ids = ids_of(connection).take(len(new))
    insert_rows(
        connection,
        parked_report,
        [
            (i, r.link, r.carrier_message_id, r.recipient, str(r.status), r.stat, r.error, r.at)
            for i, r in zip(ids, new, strict=True)
        ],
    )
    return fates

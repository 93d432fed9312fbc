"""What became of segments: settling submits and applying reports.

States move forward only (:data:`smsgw.model.STATUS_RANK`). The one step back is a retry: a segment
that was not accepted goes back into the queue. A report may come before the
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
from smsgw.store import events
from smsgw.store.messages import QueueRow
from smsgw.store.progress import RANK, Batch, SegmentNow, StatusChange
from smsgw.store.schema import parked_report, segment
from smsgw.store.statements import fetch_json, ids_of, insert_rows, json_array, run
from smsgw.store.writer import Operation

PARKED_SECONDS = 72 * 3600
"""How long a report nobody matches waits for its segment; what is older belongs to another one.

Spec: cmpp.md section 16, quirk 24.
"""

_QUEUED, _UNKNOWN = "queued", "unknown"
_Key = tuple[str, str]
_Name = tuple[int, int]
"""A segment: its message's id, and which part."""


class Settlement(msgspec.Struct, gc=False):
    """What a submit came to.

    Attributes:
        message_id: The segment's message.
        part: Which part of it.
        link: Where it was submitted.
        account: Whose message it is.
        state: SENT, UNKNOWN, REJECTED, EXPIRED or CANCELED; or QUEUED with ``again`` for a retry.
        at: When, in milliseconds.
        carrier_message_id: The id its reports will name, as soon as it is known.
        stat: The carrier's result in its words; "" when there is none.
        error: What it means, or our own reason.
        next_attempt_at: When a retry is due; with UNKNOWN, when waiting for the outcome ends.
        attempts: Submits made so far.
        possible_duplicate: The phone may get it twice: it is sent again after an unknown outcome.
        again: Its place in the queue, for a retry.
        first: Nothing is recorded of the segment yet, and it is the only one of its message.
    """

    message_id: int
    part: int
    link: str
    account: str
    state: MessageStatus
    at: int
    carrier_message_id: str | None = None
    stat: str = ""
    error: str = ""
    next_attempt_at: int | None = None
    attempts: int = 0
    possible_duplicate: bool = False
    again: QueueRow | None = None
    first: bool = False


class Settled(msgspec.Struct, gc=False):
    """Whether a settlement was applied, and the end of its message if that followed."""

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
    """What was done with a report; ``message_id`` and ``part`` are 0 while it is parked."""

    fate: ReportFate
    message_id: int
    part: int
    changes: list[StatusChange]


class Settle(Operation[Settlement, Settled]):
    """Apply settlements in order, then the reports that waited for the ids they bring.

    A message of one part that its carrier took at the first try, which most are, is one new row;
    for all others what is known of them is loaded first.
    """

    name: ClassVar[str] = "settle"
    rank: ClassVar[int] = 3

    def execute(self, connection: Connection, rows: Sequence[Settlement]) -> list[Settled]:
        """Apply all rows.

        Raises:
            StoreError: A row names a segment that is not recorded.
        """
        _insert_first(connection, [row for row in rows if row.first])
        batch = Batch(connection)
        batch.load({row.message_id for row in rows if not row.first})
        results: list[Settled] = []
        named: dict[_Key, list[tuple[_Name, Settled, int]]] = {}
        for row in rows:
            result = Settled(True, []) if row.first else _settle(batch, row)
            results.append(result)
            if row.carrier_message_id and result.applied:
                told = ((row.message_id, row.part), result, row.at)
                named.setdefault((row.link, row.carrier_message_id), []).append(told)
        if named:
            _apply_parked(connection, batch, named)
        batch.save()
        return results


class Reports(Operation[ReportRow, Reported]):
    """Find each report's segment and apply it, or park the report."""

    name: ClassVar[str] = "reports"
    rank: ClassVar[int] = 4

    def execute(self, connection: Connection, rows: Sequence[ReportRow]) -> list[Reported]:
        """Apply all rows in order."""
        batch = Batch(connection)
        for link, ids in _by_link((row.link, row.carrier_message_id) for row in rows).items():
            batch.load_matching(link, ids)
        known: dict[_Key, list[SegmentNow]] = {}
        for message in batch.messages.values():
            for now in message.segments:
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


def _insert_first(connection: Connection, rows: Sequence[Settlement]) -> None:
    """Record segments that were sent at the first try."""
    insert_rows(
        connection,
        segment,
        [
            (
                row.message_id,
                row.part,
                row.link,
                "sent",
                row.carrier_message_id,
                row.attempts,
                None,
                row.at,
                None,
                row.stat,
                row.error,
                False,
            )
            for row in rows
        ],
    )
    events.note(
        connection, [(row.at, "message.sent", row.message_id, row.account, "") for row in rows]
    )


def _settle(batch: Batch, row: Settlement) -> Settled:
    now = batch.find(row.message_id, row.part)
    if now is None:
        problem = f"message {row.message_id} part {row.part}: not recorded, cannot be settled"
        raise StoreError(problem)
    named = row.carrier_message_id
    state = str(row.state)
    if not (_is_retry(now, row) or RANK[state] > RANK[now.state]):
        if _contradicts(now, state):
            data = {"is": now.state, "got": state, "stat": row.stat, "part": row.part}
            batch.tell("message.conflict", now.message, row.at, data)
        # A late answer brings the id that reports will name, whatever it says besides.
        return Settled(bool(named and not now.carrier_message_id and batch.name(now, named)), [])
    changes = batch.move(now, state, row.at, row.stat, row.error)
    now.link = row.link
    if named:
        batch.name(now, named)
    now.attempts = max(now.attempts, row.attempts)
    now.next_attempt_at = row.next_attempt_at
    now.possible_duplicate = now.possible_duplicate or row.possible_duplicate
    batch.touch(now)
    if row.again is not None:
        batch.queue(row.again)
    return Settled(True, changes)


def _is_retry(now: SegmentNow, row: Settlement) -> bool:
    """The one allowed step back; from ``unknown``, and only from there, with the doubt visible.

    A late refusal of one that is queued again already must not queue it a second time.
    """
    return row.again is not None and now.state == (_UNKNOWN if row.possible_duplicate else _QUEUED)


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
    name = (now.message.id, now.part)
    if RANK[status] > RANK[now.state]:
        changes = batch.move(now, status, row.at, row.stat, row.error)
        return Reported(ReportFate.MATCHED, *name, changes)
    if not _contradicts(now, status):
        return Reported(ReportFate.DUPLICATE, *name, [])
    data = {"is": now.state, "got": status, "stat": row.stat, "part": now.part}
    batch.tell("report.conflict", now.message, row.at, data)
    return Reported(ReportFate.CONFLICT, *name, [])


def _meant(candidates: list[SegmentNow], recipient: str) -> SegmentNow:
    """Choose among segments of one id, since ids repeat: same phone first, then open, then new."""
    if len(candidates) == 1:
        return candidates[0]
    return max(
        candidates,
        key=lambda s: (
            s.message.recipient == recipient,
            RANK[s.state] < FINAL_RANK,
            s.message.id,
            s.part,
        ),
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
_PARKED = """SELECT ROWS(id, link, carrier_message_id, recipient, status, stat, error, received_at)
 FROM parked_report WHERE link = ? AND carrier_message_id IN TEXTS(?)"""


def _parked(connection: Connection, keys: Iterable[_Key]) -> list[_Parked]:
    found: list[_Parked] = []
    for link, ids in _by_link(keys).items():
        found += fetch_json(connection, _parked_decoder, _PARKED, link, json_array(list(ids)))
    return sorted(found, key=lambda parked: parked.id)


def _apply_parked(
    connection: Connection, batch: Batch, named: dict[_Key, list[tuple[_Name, Settled, int]]]
) -> None:
    """Apply what waited for these ids; what is of another phone or too old stays as it is."""
    found = _parked(connection, named)
    batch.load({name[0] for one in found for name, _, _ in named[one.link, one.carrier_message_id]})
    applied: list[int] = []
    for parked in found:
        for name, result, at in named[parked.link, parked.carrier_message_id]:
            now = batch.find(*name)
            if now is None or parked.recipient not in ("", now.message.recipient):
                continue
            if at - parked.received_at > PARKED_SECONDS * 1000:
                continue
            result.changes += _report(batch, now, _row(parked)).changes
            applied.append(parked.id)
            break
    if applied:
        run(connection, "DELETE FROM parked_report WHERE id IN IDS(?)", json_array(applied))


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

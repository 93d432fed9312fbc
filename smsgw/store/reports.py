"""What became of status reports: their segments found and moved, or the report parked.

A report may come before the answer that names its segment: it is parked, and applied when that
answer is settled (:mod:`smsgw.store.outbox`). What contradicts the recorded state is an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import ClassVar, Protocol

import msgspec
from sqlalchemy import Connection, func, select

from smsgw.model import FINAL_RANK, Event, MessageStatus
from smsgw.store import delivered, events, report_ids, reroute
from smsgw.store.progress import FAILED, RANK, Batch, SegmentNow, StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.store.schema import parked_report
from smsgw.store.statements import fetch_json, ids_of, insert_rows, json_array, run
from smsgw.store.writer import Operation

PARKED_SECONDS = 72 * 3600
"""How long a report nobody matches waits for its segment; what is older belongs to another one.

Spec: cmpp.md section 16, quirk 24.
"""

REMATCH_SECONDS = 600
"""A report parked longer ago than that has been looked at by every sweep since."""

TOLD = ("link", "id", "status", "stat")
"""What an event says of a report that is parked, or is not kept any longer."""

_Key = tuple[str, str]
"""A link, and an id of its carrier's."""
_Name = tuple[int, int]
"""A segment: its message's id, and which part."""
_Known = dict[_Key, list[SegmentNow]]


class Follows(Protocol):
    """Where what follows from a report goes."""

    changes: list[StatusChange]
    moved: list[QueuedSegment] | None


Named = dict[_Key, list[tuple[_Name, Follows, int]]]
"""Segments whose ids an answer brought at some time (ms), each with where what follows goes."""


class ReportRow(msgspec.Struct, gc=False):
    """One status report as a link received it.

    ``any_form``: its id is text, and may be spelled otherwise than the submit's answer spelled it.
    """

    link: str
    carrier_message_id: str
    recipient: str
    status: MessageStatus
    stat: str
    error: str
    at: int
    any_form: bool = False


class ReportFate(StrEnum):
    """What was done with a report."""

    __hash__ = str.__hash__  # a key on the per-message path

    MATCHED = "matched"
    PARKED = "parked"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Reported(msgspec.Struct, gc=False):
    """What was done with a report; ``message_id`` and ``part`` are 0 while it is parked.

    ``learned`` names the form of its id, when this report showed that its link uses it; ``moved``
    has the segments of a message that is sent again through another link.
    """

    fate: ReportFate
    message_id: int
    part: int
    changes: list[StatusChange]
    learned: str = ""
    moved: list[QueuedSegment] | None = None


class Reports(Operation[ReportRow, Reported]):
    """Find each report's segment and apply it, or park the report."""

    name: ClassVar[str] = "reports"
    rank: ClassVar[int] = 4

    def execute(self, connection: Connection, rows: Sequence[ReportRow]) -> list[Reported]:
        """Apply all rows, those of one id in order."""
        ended = delivered.apply(connection, rows)
        others = iter(
            self._others(
                connection, [row for row, end in zip(rows, ended, strict=True) if end is None]
            )
        )
        return [
            next(others) if end is None else Reported(ReportFate.MATCHED, end.message_id, 1, [end])
            for end in ended
        ]

    def _others(self, connection: Connection, rows: Sequence[ReportRow]) -> list[Reported]:
        if not rows:
            return []
        batch = Batch(connection)
        results = _match(connection, batch, rows)
        unmatched = [row for row, result in zip(rows, results, strict=True) if result is None]
        fates = iter(_park(connection, unmatched) if unmatched else ())
        batch.save()
        return [result or Reported(next(fates), 0, 0, []) for result in results]


REPORTS = Reports()


def match_parked(
    connection: Connection, links: Sequence[str], since: int, limit: int
) -> list[Reported]:
    """Look for the segments of reports that were parked under another form of their id.

    An answer looks only for what was parked under its own id and under the form learned so far.

    Args:
        connection: The writer's.
        links: Those whose carriers' ids are text.
        since: Look at reports received at or after it (ms).
        limit: The most to look at; the newest come first.

    Returns:
        What was done with those that found theirs; they are parked no longer.
    """
    found = fetch_json(connection, _parked_decoder, _PARKED_SINCE, since, json_array(links), limit)
    return _apply(connection, found, any_form=True)


def rematch_parked(
    connection: Connection, now_ms: int, limit: int, seconds: float = REMATCH_SECONDS
) -> list[Reported]:
    """Apply parked reports whose segment has the id they name; return what followed.

    Where several processes write, one may park a report while another settles its segment, and
    neither sees the other. It runs on the writer's connection.

    Args:
        connection: The writer's.
        now_ms: The present time.
        limit: The most to look at.
        seconds: Only those that were parked so short a while ago.
    """
    since = now_ms - int(seconds * 1000)
    found = fetch_json(connection, _parked_decoder, _REMATCH, since, limit)
    return _apply(connection, found, any_form=False)


def _apply(
    connection: Connection, parked: Sequence[ParkedReport], *, any_form: bool
) -> list[Reported]:
    """Apply parked reports to their segments; those that find theirs are parked no longer."""
    if not parked:
        return []
    batch = Batch(connection)
    matched = _match(connection, batch, [_row(one, any_form=any_form) for one in parked])
    batch.save()
    done = [p.id for p, result in zip(parked, matched, strict=True) if result is not None]
    if done:
        run(connection, "DELETE FROM parked_report WHERE id IN IDS(?)", json_array(done))
    return [result for result in matched if result is not None]


def _match(
    connection: Connection, batch: Batch, rows: Sequence[ReportRow]
) -> list[Reported | None]:
    """Apply reports to the segments they name; None for each that names none.

    An id counts as its link's carrier spells it, and as it stands. Only what fits neither way is
    looked for in every other form.
    """
    forms = report_ids.forms(connection)
    for link, ids in _by_link((row.link, row.carrier_message_id) for row in rows).items():
        form = forms.get(link)
        if form is not None:
            ids.update(filter(None, [form.answered(one) for one in ids]))
        batch.load_matching(link, ids)
    known = _by_name(batch)
    strange = [row for row in rows if row.any_form and not _fits(known, forms, row)]
    if strange:
        spellings = (
            (r.link, one) for r in strange for one in report_ids.others(r.carrier_message_id)
        )
        for link, ids in _by_link(spellings).items():
            batch.load_matching(link, ids)
        known = _by_name(batch)
    results: list[Reported | None] = []
    for row in rows:
        learned = ""
        meant = _meant(known, forms, row)
        if row.any_form and (meant is None or not _is_to(meant, row.recipient)):
            other = _only_open(known, row)
            if other is not None:
                meant, learned = other[0], _learn(connection, row, *other)
        result = None if meant is None else _report(batch, meant, row)
        if result is not None:
            result.learned = learned
        results.append(result)
    return results


def _by_name(batch: Batch) -> _Known:
    known: _Known = {}
    for message in batch.messages.values():
        for now in batch.parts(message):
            if now.carrier_message_id is not None:
                known.setdefault((now.link, now.carrier_message_id), []).append(now)
    return known


def contradicts(now: SegmentNow, state: str) -> bool:
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
    if batch.messages.get(now.message.id) is not now.message:
        return Reported(ReportFate.DUPLICATE, *name, [])  # it takes another link since just now
    if RANK[status] > RANK[now.state]:
        if status in FAILED:
            moved = reroute.after_report(batch, now, row.at, row.stat, row.error)
            if moved:
                return Reported(ReportFate.MATCHED, *name, [], moved=moved)
        changes = batch.move(now, status, row.at, row.stat, row.error)
        return Reported(ReportFate.MATCHED, *name, changes)
    if not contradicts(now, status):
        return Reported(ReportFate.DUPLICATE, *name, [])
    data = {"is": now.state, "got": status, "stat": row.stat, "part": now.part}
    batch.tell("report.conflict", now.message, row.at, data)
    return Reported(ReportFate.CONFLICT, *name, [])


def _meant(known: _Known, forms: dict[str, report_ids.IdForm], row: ReportRow) -> SegmentNow | None:
    """Choose among segments of one id, since ids repeat: same phone first, then open, then new.

    What the learned form of the id names comes before what it names as it stands, but it must not
    be another phone's.
    """
    exact = known.get((row.link, row.carrier_message_id), [])
    form = forms.get(row.link)
    if form is None and len(exact) < 2:
        return exact[0] if exact else None
    spelled = None if form is None else form.answered(row.carrier_message_id)
    learned = [
        one for one in known.get((row.link, spelled or ""), ()) if _is_to(one, row.recipient)
    ]
    if len(exact) + len(learned) == 1:
        return (exact or learned)[0]
    return max(
        [*exact, *learned],
        key=lambda s: (
            s.message.recipient == row.recipient,
            RANK[s.state] < FINAL_RANK,
            s.carrier_message_id == spelled,
            s.message.id,
            s.part,
        ),
        default=None,
    )


def _is_to(segment: SegmentNow, recipient: str) -> bool:
    return recipient in ("", segment.message.recipient)


def _fits(known: _Known, forms: dict[str, report_ids.IdForm], row: ReportRow) -> bool:
    meant = _meant(known, forms, row)
    return meant is not None and _is_to(meant, row.recipient)


def _only_open(known: _Known, row: ReportRow) -> tuple[SegmentNow, str] | None:
    """The one open segment that another form of a report's id names, and that form's name."""
    if not (row.recipient or report_ids.is_certain(row.carrier_message_id)):
        return None
    found = {
        (one.message.id, one.part): (one, name)
        for spelled, name in reversed(report_ids.others(row.carrier_message_id).items())
        for one in known.get((row.link, spelled), ())
        if RANK[one.state] < FINAL_RANK and _is_to(one, row.recipient)
    }
    return next(iter(found.values())) if len(found) == 1 else None


def _learn(connection: Connection, row: ReportRow, now: SegmentNow, name: str) -> str:
    """Remember the form that found a segment."""
    answered = now.carrier_message_id or ""
    known = report_ids.forms(connection).get(row.link)
    form = report_ids.learned(name, row.carrier_message_id, answered, known)
    report_ids.remember(connection, row.link, form)
    if known is None or known.name != name:
        data = {"link": row.link, "form": name, "id": row.carrier_message_id, "answered": answered}
        event = Event("report.form_learned", now.message.id, now.message.account, data)
        events.append(connection, row.at, [event])
    return name


def _by_link(keys: Iterable[_Key]) -> dict[str, set[str]]:
    links: dict[str, set[str]] = {}
    for link, carrier_message_id in keys:
        links.setdefault(link, set()).add(carrier_message_id)
    return links


class ParkedReport(msgspec.Struct, array_like=True, gc=False):
    """A row of ``parked_report``; the fields are its columns, in their order."""

    id: int
    link: str
    carrier_message_id: str
    recipient: str
    status: str
    stat: str
    error: str
    received_at: int


_parked_decoder = msgspec.json.Decoder(list[ParkedReport])
_PARKED = """SELECT ROWS(id, link, carrier_message_id, recipient, status, stat, error, received_at)
 FROM parked_report WHERE link = ? AND carrier_message_id IN TEXTS(?)"""
_PARKED_SINCE = """SELECT
 ROWS(p.id, p.link, p.carrier_message_id, p.recipient, p.status, p.stat, p.error, p.received_at)
 FROM (SELECT * FROM parked_report WHERE received_at >= ? AND link IN TEXTS(?)
 ORDER BY received_at DESC, id DESC LIMIT ?) p"""


_REMATCH = """SELECT
 ROWS(p.id, p.link, p.carrier_message_id, p.recipient, p.status, p.stat, p.error, p.received_at)
 FROM (SELECT * FROM parked_report r WHERE r.received_at >= ? AND EXISTS
 (SELECT 1 FROM segment s JOIN message m ON m.id = s.message_id WHERE s.link = r.link
 AND s.carrier_message_id = r.carrier_message_id AND r.recipient IN ('', m.recipient))
 ORDER BY r.received_at, r.id LIMIT ?) p"""


def _parked(connection: Connection, keys: Iterable[_Key]) -> list[ParkedReport]:
    found: list[ParkedReport] = []
    for link, ids in _by_link(keys).items():
        found += fetch_json(connection, _parked_decoder, _PARKED, link, json_array(list(ids)))
    return sorted(found, key=lambda parked: parked.id)


def any_parked(connection: Connection) -> bool:
    """Tell whether any report waits for its segment."""
    return bool(run(connection, "SELECT EXISTS (SELECT 1 FROM parked_report)").scalar())


def add_reported(connection: Connection, named: Named) -> None:
    """Add to the ids that answers gave the ones by which reports name them."""
    forms = report_ids.forms(connection)
    for (link, answered), told in list(named.items()) if forms else ():
        form = forms.get(link)
        reported = None if form is None else form.reported(answered)
        if reported is not None and reported != answered:
            named.setdefault((link, reported), []).extend(told)


def apply_parked(connection: Connection, batch: Batch, named: Named) -> None:
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
            applied.append(parked.id)
            if now.link == parked.link:  # else it takes another link since the report before
                reported = _report(batch, now, _row(parked))
                result.changes += reported.changes
                result.moved = reported.moved or result.moved
            break
    if applied:
        run(connection, "DELETE FROM parked_report WHERE id IN IDS(?)", json_array(applied))


def _row(parked: ParkedReport, *, any_form: bool = False) -> ReportRow:
    return ReportRow(
        parked.link,
        parked.carrier_message_id,
        parked.recipient,
        MessageStatus(parked.status),
        parked.stat,
        parked.error,
        parked.received_at,
        any_form,
    )


def _park(connection: Connection, rows: list[ReportRow]) -> list[ReportFate]:
    """Keep reports nobody matches yet; one that repeats a parked one is not kept twice."""
    waiting = _parked(connection, [(row.link, row.carrier_message_id) for row in rows])
    seen = {(p.link, p.carrier_message_id, p.recipient, p.status, p.stat) for p in waiting}
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
    told = [_parked_event(i, r) for i, r in zip(ids, new, strict=True)]
    events.append(connection, 0, told)
    return fates


def _parked_event(parked_id: int, row: ReportRow) -> Event:
    said = (row.link, row.carrier_message_id, str(row.status), row.stat)
    data = dict(zip(TOLD, said, strict=True))
    return Event("report.parked", parked_id, "", data, at=row.at)


def unmatched(
    connection: Connection, *, before: int | None = None, link: str | None = None, limit: int = 50
) -> list[ParkedReport]:
    """Return parked reports, newest first; ``before`` is the id of the last of the page before."""
    table = parked_report.c
    query = select(parked_report).order_by(table.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.id < before)
    if link is not None:
        query = query.where(table.link == link)
    return [ParkedReport(*row) for row in connection.execute(query)]


def unmatched_counts(connection: Connection) -> dict[str, int]:
    """Return how many reports are parked of each link that has any."""
    table = parked_report.c
    query = select(table.link, func.count()).group_by(table.link)
    return {row[0]: row[1] for row in connection.execute(query)}

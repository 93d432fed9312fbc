"""Finds what an inbound message answers: the slot, a typed id, a list, or the one open item.

Rules: the extension decides where there is one: what was written to a number that stands for
something else, or for nothing any more, never decides the sender's own item. Without an extension
nothing is decided that the person was not asked about by name within a day. Who stands in for an
assignee (a second number, a substitute) counts as the assignee.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from smsgw.services import ledger
from smsgw.services.batches import read_batch
from smsgw.services.ledger import ASSIGNMENT
from smsgw.services.questions import Question
from smsgw.services.replies import Kind, Reading, make_short_id, read
from smsgw.services.requests import listing
from smsgw.services.requests.changes import Changes
from smsgw.services.requests.listing import Items
from smsgw.services.requests.places import question_of
from smsgw.store import requests as rows_of
from smsgw.store import slots, stand_ins
from smsgw.store.ids import EPOCH_MS, NODE_BITS, SEQUENCE_BITS
from smsgw.store.inbox import InboundRow
from smsgw.store.requests import AssignmentRow, RequestRow
from smsgw.store.slots import SlotRow

ASKED_LIFE_MS = 86_400_000
"""How long a question what was meant may be answered without its extension."""

SHORT_ID_LIFE_MS = 90 * 86_400_000

CERTAIN = frozenset({"slot", "cooling", "id", "list", "single"})
"""Ways of matching by which a clear word decides."""


@dataclass(frozen=True)
class Match:
    """What an inbound message is about.

    Attributes:
        how: ``slot``, ``cooling``, ``id``, ``list``, ``single`` (the one open item, accepted
            without its extension), ``lost`` (the one open item, to be asked about), ``several``,
            ``stranger`` (somebody else's slot) or ``none``. ``lost`` is also what came to a
            number that means nothing, however recently the person was asked.
        answers: Each item it is about and what was said of it; several only for ``list``, empty
            for ``several`` and ``none``.
        reading: What was said, where no item is named.
        choices: For ``several``: the open items by the number each is shown under.
    """

    how: str
    answers: tuple[tuple[AssignmentRow, Reading], ...] = ()
    reading: Reading | None = None
    choices: Items = field(default_factory=dict)


def match(changes: Changes, inbound: InboundRow) -> Match:
    """Return what ``inbound`` answers, and how that is known."""
    typed = read(inbound.text)
    slot = _by_slot(changes, inbound)
    if typed.item is not None:
        named = _by_short_id(changes, inbound.sender, typed)
        if named and (slot is None or named.id == slot[1].id):
            return Match("id", ((named, _read(changes, named, inbound.text)),))
        typed = Reading(Kind.UNCLEAR, "", "bad id", typed.item)
        if slot:
            return Match(slot[0], ((slot[1], typed),))
    elif slot:
        return Match(slot[0], ((slot[1], _read(changes, slot[1], inbound.text)),))
    if changes.tools.is_service(inbound.destination, inbound.text):
        return Match("none")
    return _without_slot(changes, inbound, typed)


def asked_back_before(changes: Changes, inbound: InboundRow, row: AssignmentRow) -> int | None:
    """Return when we last asked what was meant, if ``inbound`` came after that; milliseconds."""
    at = rows_of.asked_back_at(changes.connection, inbound.sender, row.id)
    return at if at is not None and at <= inbound.received_at else None


def _by_slot(changes: Changes, inbound: InboundRow) -> tuple[str, AssignmentRow] | None:
    if not inbound.extension:
        return None
    number = inbound.access_number, inbound.extension
    found = ledger.find(changes.connection, inbound.sender, *number, changes.now)
    row = _assignment(changes, found.slot) if found else None
    if found is None or row is None or row.state == "unreachable":  # nobody was told of this slot
        return None
    return "slot" if found.live else "cooling", row


def _by_short_id(changes: Changes, phone: str, typed: Reading) -> AssignmentRow | None:
    if typed.rule == "bad id":
        return None
    since = _since(changes)
    asked = rows_of.asked_since(changes.connection, phone, since)
    for one in stand_ins.represented(changes.connection, phone, changes.now):
        theirs = rows_of.asked_since(changes.connection, one.phone, since)
        asked += [row for row in theirs if _is_of(changes, row, one.account)]
    named = [row for row in asked if make_short_id(row.id) == typed.item]
    return named[0] if len(named) == 1 else None


def _since(changes: Changes) -> int:
    """Return the id that is the least of the days in which a typed id is looked for."""
    since = max(0, changes.now - SHORT_ID_LIFE_MS - EPOCH_MS)
    return since << (NODE_BITS + SEQUENCE_BITS)


def _without_slot(changes: Changes, inbound: InboundRow, typed: Reading) -> Match:
    other = _other_slot(changes, inbound, typed)
    if other:
        return other
    still_open = _open_for(changes, inbound.sender)
    numbers = listing.numbers(changes, inbound.sender, inbound.access_number)
    if numbers and not inbound.extension:
        listed = _by_numbers(changes, inbound, numbers)
        if listed:
            return listed
    if len(still_open) == 1:
        row = still_open[0][0]
        reading = typed if typed.rule == "bad id" else _read(changes, row, inbound.text)
        how = "single" if _is_known(changes, inbound, row) else "lost"
        return Match(how, ((row, reading),))
    if still_open:
        items = listing.numbered(still_open, numbers)
        return Match("several", reading=typed, choices=items)
    return Match("none", reading=typed)


def _open_for(changes: Changes, phone: str) -> list[tuple[AssignmentRow, RequestRow]]:
    """Return what a phone was asked, or whom it stands in for, oldest first."""
    found = rows_of.open_for(changes.connection, phone)
    known = {row.id for row, _ in found}
    for one in stand_ins.represented(changes.connection, phone, changes.now):
        for row, request in rows_of.open_for(changes.connection, one.phone):
            if request.account == one.account and row.id not in known:
                known.add(row.id)
                found.append((row, request))
    return sorted(found, key=lambda pair: pair[0].id)


def _by_numbers(changes: Changes, inbound: InboundRow, numbers: dict[int, int]) -> Match | None:
    """Read an answer to a list the phone was shown; None unless it is clear."""
    rows: dict[int, AssignmentRow] = {}
    questions: dict[int, Question] = {}
    for number, assignment_id in numbers.items():
        row = rows_of.get_assignment(changes.connection, assignment_id)
        if row is not None:
            rows[number], questions[number] = row, _question(changes, row)
    if not rows:
        return None
    readings = read_batch(inbound.text, questions)
    if any(one.kind is not Kind.CLEAR or one.item is None for one in readings):
        return None
    answers = [(rows[int(one.item or 0)], one) for one in readings]
    if readings[0].rule == "all+word":  # whatever is still open of what was shown
        answers = [one for one in answers if one[0].state == "asked"] or answers
    return Match("list", tuple(answers))


def _is_known(changes: Changes, inbound: InboundRow, row: AssignmentRow) -> bool:
    """Whether a text to the plain access number can only mean the one open item."""
    own = changes.sender_of(row)
    if inbound.extension or (own and own[0] != inbound.access_number):
        return False
    was_sent = row.asked_at is not None and row.asked_at <= inbound.received_at
    if changes.tools.accept_lost_extension and row.phone == inbound.sender and was_sent:
        return True
    asked = asked_back_before(changes, inbound, row)
    if asked is None or inbound.received_at - asked >= ASKED_LIFE_MS:
        return False
    return not _was_asked_since(changes, inbound, row, asked)


def _was_asked_since(changes: Changes, inbound: InboundRow, row: AssignmentRow, asked: int) -> bool:
    """Whether ``inbound`` may answer a newer question than ours what was meant about ``row``."""
    known = rows_of.asked_since(changes.connection, inbound.sender, _since(changes))
    times = (one.asked_at for one in known if one.id != row.id and one.asked_at is not None)
    return any(asked <= at <= inbound.received_at for at in times)


def _other_slot(changes: Changes, inbound: InboundRow, typed: Reading) -> Match | None:
    """Somebody wrote to a sender number that stands for exactly one other person's item.

    It counts when they stand in for that person. Who had that number once writes in an old thread
    of their own.
    """
    number = inbound.access_number, inbound.extension
    if not inbound.extension or slots.find(changes.connection, inbound.sender, *number):
        return None
    represented: dict[int, tuple[str, AssignmentRow]] = {}
    for one in stand_ins.represented(changes.connection, inbound.sender, changes.now):
        found = ledger.find(changes.connection, one.phone, *number, changes.now)
        row = _assignment(changes, found.slot) if found else None
        if row and found and _is_of(changes, row, one.account):
            represented[row.id] = "slot" if found.live else "cooling", row
    if len(represented) > 1:
        return None  # of two people, and nobody knows whose is meant
    for how, row in represented.values():
        return Match(how, ((row, _read(changes, row, inbound.text)),))
    live = slots.live_at(changes.connection, *number, changes.now)
    if len(live) != 1:
        return None
    row = _assignment(changes, live[0])
    return Match("stranger", ((row, typed),)) if row else None


def _assignment(changes: Changes, slot: SlotRow) -> AssignmentRow | None:
    """Return whose question a slot stands for; None when it is a conversation's."""
    if slot.owner != ASSIGNMENT:
        return None
    return rows_of.get_assignment(changes.connection, slot.owner_id)


def _is_of(changes: Changes, row: AssignmentRow, account: str) -> bool:
    return rows_of.account_of(changes.connection, row.request_id) == account


def _question(changes: Changes, row: AssignmentRow) -> Question:
    rows = rows_of.get(changes.connection, row.request_id)
    if rows is None:
        raise AssertionError(f"assignment {row.id} without its request")
    return question_of(changes.preset_of(rows.request), rows, row)


def _read(changes: Changes, row: AssignmentRow, text: str) -> Reading:
    """Read ``text`` by the words of the item's question."""
    return read(text, _question(changes, row))

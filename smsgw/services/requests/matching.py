"""Finds what an inbound message answers: the slot, a typed id, a list, or the one open item.

Rules: the extension decides where there is one: what was written to a number that stands for
something else, or for nothing any more, never decides the sender's own item. Without an extension
nothing is decided that the person was not asked about by name within a day. Numbers of a list stay
with their items for a day, so that an answer to an older list never means another item.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from smsgw.services import conversations
from smsgw.services.replies import Kind, Reading, make_short_id, read, read_listed
from smsgw.services.requests.changes import Changes
from smsgw.store import requests as rows_of
from smsgw.store import slots
from smsgw.store.ids import EPOCH_MS, NODE_BITS, SEQUENCE_BITS
from smsgw.store.inbox import InboundRow
from smsgw.store.requests import AssignmentRow, RequestRow

LISTED = "reply.listed"
"""Kind of the event that keeps which numbers a phone was shown."""

LIST_LIFE_MS = 86_400_000
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
        assignment: None for ``several`` and ``none``.
        reading: What was said; of a list's answer, without its number.
        choices: For ``several``: the open items by the number each is shown under.
    """

    how: str
    assignment: AssignmentRow | None
    reading: Reading
    choices: dict[int, tuple[AssignmentRow, RequestRow]] = field(default_factory=dict)


def match(changes: Changes, inbound: InboundRow) -> Match:
    """Return what ``inbound`` answers, and how that is known."""
    typed = read(inbound.text)
    slot = _by_slot(changes, inbound)
    if typed.item is not None:
        named = _by_short_id(changes, inbound.sender, typed)
        if named and (slot is None or named.id == slot[1].id):
            return Match("id", named, _read(changes, named, inbound.text))
        typed = Reading(Kind.UNCLEAR, "", "bad id", typed.item)
        if slot:
            return Match(slot[0], slot[1], typed)
    elif slot:
        return Match(slot[0], slot[1], _read(changes, slot[1], inbound.text))
    return _without_slot(changes, inbound, typed)


def _by_slot(changes: Changes, inbound: InboundRow) -> tuple[str, AssignmentRow] | None:
    if not inbound.extension:
        return None
    found = conversations.find(
        changes.connection,
        inbound.sender,
        inbound.access_number,
        inbound.extension,
        changes.now,
    )
    if found is None:
        return None
    row = rows_of.get_assignment(changes.connection, found.slot.assignment_id)
    if row is None or row.state == "unreachable":  # nobody was told of this slot
        return None
    return "slot" if found.live else "cooling", row


def _by_short_id(changes: Changes, phone: str, typed: Reading) -> AssignmentRow | None:
    if typed.rule == "bad id":
        return None
    since = max(0, changes.now - SHORT_ID_LIFE_MS - EPOCH_MS) << (NODE_BITS + SEQUENCE_BITS)
    asked = rows_of.asked_since(changes.connection, phone, since)
    named = [row for row in asked if make_short_id(row.id) == typed.item]
    return named[0] if len(named) == 1 else None


def _without_slot(changes: Changes, inbound: InboundRow, typed: Reading) -> Match:
    stranger = _stranger(changes, inbound, typed)
    if stranger:
        return stranger
    still_open = rows_of.open_for(changes.connection, inbound.sender)
    numbers = _listed_numbers(changes, inbound)
    listed = read_listed(inbound.text)
    offered = numbers if not inbound.extension else {}
    if listed.item is not None and int(listed.item) in offered:
        row = rows_of.get_assignment(changes.connection, numbers[int(listed.item)])
        reading = _read(changes, row, inbound.text, listed=True) if row else listed
        if row and reading.kind in (Kind.YES, Kind.NO):
            return Match("list", row, reading)
    if len(still_open) == 1:
        row = still_open[0][0]
        reading = typed if typed.rule == "bad id" else _read(changes, row, inbound.text)
        return Match("single" if _is_known(changes, inbound, row) else "lost", row, reading)
    if still_open:
        return Match("several", None, typed, _numbered(still_open, numbers))
    return Match("none", None, typed)


def asked_back_before(changes: Changes, inbound: InboundRow, row: AssignmentRow) -> int | None:
    """Return when we last asked what was meant, if ``inbound`` came after that; milliseconds."""
    at = rows_of.asked_back_at(changes.connection, inbound.sender, row.id)
    return at if at is not None and at <= inbound.received_at else None


def _is_known(changes: Changes, inbound: InboundRow, row: AssignmentRow) -> bool:
    """Whether a text to the plain access number can only mean the one open item."""
    own = changes.sender_of(row)
    if inbound.extension or (own and own[0] != inbound.access_number):
        return False
    if changes.tools.accept_lost_extension:
        return True
    asked = asked_back_before(changes, inbound, row)
    return asked is not None and inbound.received_at - asked < ASKED_LIFE_MS


def _stranger(changes: Changes, inbound: InboundRow, typed: Reading) -> Match | None:
    """Somebody wrote to a sender number that stands for exactly one other person's item.

    Not who had that number once: they write in an old thread of their own.
    """
    number = inbound.access_number, inbound.extension
    if not inbound.extension or slots.find(changes.connection, inbound.sender, *number):
        return None
    live = slots.live_at(changes.connection, *number, changes.now)
    if len(live) != 1:
        return None
    row = rows_of.get_assignment(changes.connection, live[0].assignment_id)
    return Match("stranger", row, typed) if row else None


def _listed_numbers(changes: Changes, inbound: InboundRow) -> dict[int, int]:
    lists = rows_of.event_data(
        changes.connection,
        inbound.sender,
        inbound.access_number,
        LISTED,
        changes.now - LIST_LIFE_MS,
    )
    return {int(number): int(row_id) for one in lists for number, row_id in one["items"].items()}


def _numbered(
    still_open: list[tuple[AssignmentRow, RequestRow]], known: dict[int, int]
) -> dict[int, tuple[AssignmentRow, RequestRow]]:
    """Give every open item its number: the one it was shown under, or one never shown."""
    number_of = {assignment_id: number for number, assignment_id in known.items()}
    free = max(known, default=0) + 1
    numbered: dict[int, tuple[AssignmentRow, RequestRow]] = {}
    for row, request in still_open:
        number = number_of.get(row.id)
        if number is None:
            number, free = free, free + 1
        numbered[number] = (row, request)
    return dict(sorted(numbered.items()))


def _read(changes: Changes, row: AssignmentRow, text: str, *, listed: bool = False) -> Reading:
    """Read ``text`` by the words of the item's preset."""
    rows = rows_of.get(changes.connection, row.request_id)
    if rows is None:
        raise AssertionError(f"assignment {row.id} without its request")
    words = changes.preset_of(rows.request).vocabulary
    return read_listed(text, words) if listed else read(text, words)

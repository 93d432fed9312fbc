"""The slot ledger: which extension stands for which question, per phone and access number.

Rules: the extension never contains a business id. A live slot is never given out again. A slot that
ended cools down first, and late replies still map to it meanwhile. Extensions never used go first,
then the one that ended longest ago; when none is free, cool-downs are cut short and the result says
so; when even that gives none, :class:`ConversationsExhausted` and the caller writes an id into the
text instead. Times are integer milliseconds since the Unix epoch.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from smsgw.errors import ConfigError, Conflict, QuotaExceeded
from smsgw.store import slots
from smsgw.store.slots import SlotRow
from smsgw.store.statements import ids_of

if TYPE_CHECKING:
    from sqlalchemy import Connection


class ConversationsExhausted(QuotaExceeded):
    """Every extension of a phone under an access number stands for an open question."""


@dataclass(frozen=True)
class SlotPlan:
    """How extensions are made and how long they live.

    Attributes:
        prefix: Digits every extension starts with.
        digits: Digits of the slot number itself; 3 give a phone 1000 open questions.
        number_digits_max: The most digits a sender number may have, access number included.
        life_seconds: How long an unanswered slot stays live.
        cool_down_seconds: How long late replies map to a slot that ended.
        short_cool_down_seconds: The least cool-down when slots run out.
    """

    prefix: str = ""
    digits: int = 3
    number_digits_max: int = 20
    life_seconds: int = 30 * 86_400
    cool_down_seconds: int = 7 * 86_400
    short_cool_down_seconds: int = 3600

    @property
    def length(self) -> int:
        """Digits of a whole extension."""
        return len(self.prefix) + self.digits


class Allocation(msgspec.Struct, frozen=True):
    """A slot just given out.

    Attributes:
        slot_id: Its row.
        extension: What follows the access number.
        generation: How often this extension was given to this phone, now included.
        shortened: Whether a cool-down was cut short for it: worth an alarm.
    """

    slot_id: int
    extension: str
    generation: int
    shortened: bool


class Mapping(msgspec.Struct, frozen=True):
    """What a sender number stands for: the assignment, and whether its slot is still live."""

    slot: SlotRow
    live: bool


def check_plan(plan: SlotPlan, access_number: str, path: str) -> None:
    """Check that sender numbers fit the carrier: when the configuration is loaded.

    Raises:
        ConfigError: ``path`` names the key.
    """
    if plan.prefix and not (plan.prefix.isascii() and plan.prefix.isdigit()):
        raise ConfigError(path, f"prefix {plan.prefix!r} has other characters than digits")
    if not 1 <= plan.digits <= 6:
        raise ConfigError(path, f"{plan.digits} slot digits, allowed 1 to 6")
    total = len(access_number) + plan.length
    if total > plan.number_digits_max:
        raise ConfigError(
            path,
            f"access number {access_number} ({len(access_number)} digits) with an extension of "
            f"{plan.length} has {total} digits, limit {plan.number_digits_max}; shorten the prefix "
            "or the slot digits",
        )


def allocate(
    connection: Connection,
    phone: str,
    access_number: str,
    plan: SlotPlan,
    now: int,
    assignment_id: int,
) -> Allocation:
    """Give out an extension for one question to one phone, inside the caller's transaction.

    Raises:
        ConversationsExhausted: All are live, or ended less than the short cool-down ago.
        ConfigError: The sender number would have more digits than the carrier takes.
    """
    check_plan(plan, access_number, "slot_plan")
    expires_at = now + plan.life_seconds * 1000
    row = SlotRow(
        id=ids_of(connection).next(),
        phone=phone,
        access_number=access_number,
        extension="",
        generation=1,
        assignment_id=assignment_id,
        allocated_at=now,
        expires_at=expires_at,
        cools_until=expires_at + plan.cool_down_seconds * 1000,
    )
    unused = _unused(slots.used(connection, phone, access_number), phone, plan)
    if unused is not None:
        row.extension = unused
        slots.insert(connection, row)
        return Allocation(row.id, unused, 1, False)
    for ended_before in (None, now - plan.short_cool_down_seconds * 1000):
        old = slots.least_recent(
            connection, phone, access_number, plan.prefix, plan.length, now, ended_before
        )
        if old is None:
            continue
        row.id, row.extension, row.generation = old.id, old.extension, old.generation + 1
        if not slots.reuse(connection, row):
            raise Conflict(f"extension {old.extension} was given out meanwhile; try again")
        return Allocation(row.id, row.extension, row.generation, ended_before is not None)
    raise ConversationsExhausted(
        f"all {10**plan.digits} extensions of {access_number} stand for open questions to this "
        "phone; close some, or configure more slot digits"
    )


def _unused(used: set[str], phone: str, plan: SlotPlan) -> str | None:
    """Return an extension the phone never had.

    Each phone starts elsewhere, so that an extension written by a stranger names few phones.
    """
    size = 10**plan.digits
    start = zlib.crc32(phone.encode()) % size
    for offset in range(size):
        extension = f"{plan.prefix}{(start + offset) % size:0{plan.digits}d}"
        if extension not in used:
            return extension
    return None


def release(
    connection: Connection, slot_id: int, assignment_id: int, plan: SlotPlan, now: int
) -> bool:
    """End a slot's life and let it cool; False when it is another's by now, or had ended before."""
    cools_until = now + plan.cool_down_seconds * 1000
    return slots.release(connection, slot_id, assignment_id, now, cools_until)


def find(
    connection: Connection, phone: str, access_number: str, extension: str, now: int
) -> Mapping | None:
    """Return what a reply from ``phone`` to this sender number answers, or None.

    None is also the answer for a slot that has cooled down.
    """
    row = slots.find(connection, phone, access_number, extension)
    if row is None:
        return None
    live = row.released_at is None and now < row.expires_at
    if not live and now >= (row.cools_until or 0):
        return None
    return Mapping(row, live)

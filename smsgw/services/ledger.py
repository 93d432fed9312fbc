"""The slot ledger: which extension stands for what, per phone and access number.

Rules: the extension never contains a business id. A live slot is never given out again. A slot that
ended cools down first, and late replies still map to it meanwhile. Extensions never used go first,
then the one that ended longest ago; when none is free, cool-downs are cut short and the result says
so; when even that gives none, :class:`ConversationsExhausted` and the caller writes an id into the
text instead. A static extension, and every number that begins with it, is never given out. Several
processes may allocate at once. Times are integer milliseconds since the Unix epoch.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Collection, Iterable
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from smsgw.errors import ConfigError, Conflict, QuotaExceeded
from smsgw.store import slots
from smsgw.store.slots import SlotRow
from smsgw.store.statements import ids_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

ASSIGNMENT = "assignment"
CONVERSATION = "conversation"

RACES = 100
"""Times somebody else may be faster for one allocation: each time they got one and we did not."""


class ConversationsExhausted(QuotaExceeded):
    """Every extension of a phone under an access number stands for something open."""


class Owner(NamedTuple):
    """What a reply to a slot maps to: a kind (``assignment``, ``conversation``) and its id."""

    kind: str
    id: int


@dataclass(frozen=True)
class SlotPlan:
    """How extensions are made and how long they live.

    Attributes:
        name: What its slots are for; the configuration's key.
        prefix: Digits every extension starts with.
        digits: Digits of the slot number itself; 3 give a phone 1000 open questions.
        number_digits_max: The most digits a sender number may have, access number included.
        life_seconds: How long an unanswered slot stays live.
        cool_down_seconds: How long late replies map to a slot that ended.
        short_cool_down_seconds: The least cool-down when slots run out.
        taken: Static extensions: no slot begins with one.
    """

    name: str = "conversations"
    prefix: str = ""
    digits: int = 3
    number_digits_max: int = 20
    life_seconds: int = 30 * 86_400
    cool_down_seconds: int = 7 * 86_400
    short_cool_down_seconds: int = 3600
    taken: frozenset[str] = frozenset()

    @property
    def length(self) -> int:
        """Digits of a whole extension."""
        return len(self.prefix) + self.digits

    @property
    def capacity(self) -> int:
        """How many extensions a phone can have at a time."""
        lost: int = 0
        for digits in _shortest(self.taken):
            if len(digits) <= self.length and self.prefix.startswith(digits[: len(self.prefix)]):
                lost += int(10 ** min(self.digits, self.length - len(digits)))
        return int(10**self.digits) - lost

    def overlaps(self, other: SlotPlan) -> bool:
        """Whether an extension of this plan could be one of the other's."""
        shorter, longer = sorted((self.prefix, other.prefix), key=len)
        return self.length == other.length and longer.startswith(shorter)


def _shortest(taken: Iterable[str]) -> list[str]:
    """Return those that begin with no other one."""
    kept: list[str] = []
    for digits in sorted(taken):
        if not (kept and digits.startswith(kept[-1])):
            kept.append(digits)
    return kept


@dataclass(frozen=True)
class SlotPlans:
    """The plans in force.

    Attributes:
        default: For every purpose without its own.
        purposes: A preset's or request type's name, or ``conversation``, to its plan.
        digits_max: Access number to the most digits of a sender number under it; the plan's own
            limit for one that is not there.
        taken: Access number to its static extensions.
    """

    default: SlotPlan = field(default_factory=SlotPlan)
    purposes: MappingABC[str, SlotPlan] = field(default_factory=dict)
    digits_max: MappingABC[str, int] = field(default_factory=dict)
    taken: MappingABC[str, Collection[str]] = field(default_factory=dict)

    def plan(self, access_number: str, *purposes: str) -> SlotPlan:
        """Return the plan for an access number; of the purposes, the first that has its own."""
        found = (self.purposes[one] for one in purposes if one in self.purposes)
        return self._under(access_number, next(found, self.default))

    def all(self, access_number: str) -> list[SlotPlan]:
        """Return every plan as it is for an access number, the default first."""
        return [self._under(access_number, one) for one in (self.default, *self.purposes.values())]

    def _under(self, access_number: str, plan: SlotPlan) -> SlotPlan:
        return dataclasses.replace(
            plan,
            number_digits_max=self.digits_max.get(access_number, plan.number_digits_max),
            taken=frozenset(self.taken.get(access_number, ())),
        )


class Allocation(msgspec.Struct, frozen=True):
    """A slot just given out.

    Attributes:
        slot_id: Its row.
        extension: What follows the access number.
        generation: How often this extension was given to this phone, now included.
        shortened: Whether a cool-down was cut short for it: worth an alarm.
        expires_at: When its life ends, unless it is released before.
    """

    slot_id: int
    extension: str
    generation: int
    shortened: bool
    expires_at: int


class Mapping(msgspec.Struct, frozen=True):
    """What a sender number stands for: the slot with its owner, and whether it is still live."""

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
    if plan.capacity < 1:
        raise ConfigError(
            path,
            f"every extension of {plan.name} under {access_number} begins with a static one "
            f"({', '.join(sorted(plan.taken))}); give it another prefix",
        )


def allocate(
    connection: Connection,
    phone: str,
    access_number: str,
    plan: SlotPlan,
    now: int,
    owner: Owner,
    *,
    life_seconds: int | None = None,
) -> Allocation:
    """Give out an extension for one question to one phone, inside the caller's transaction.

    Args:
        connection: The transaction.
        phone: Normalised.
        access_number: The number to send from.
        plan: As :meth:`SlotPlans.plan` returns it for that access number.
        now: Milliseconds.
        owner: What a reply maps to.
        life_seconds: How long it lives; None for the plan's.

    Raises:
        ConversationsExhausted: All are live, or ended less than the short cool-down ago.
        ConfigError: The sender number would have more digits than the carrier takes.
        Conflict: Others were faster too many times; try again.
    """
    check_plan(plan, access_number, "slot_plan")
    life = plan.life_seconds if life_seconds is None else life_seconds
    row = SlotRow(
        id=ids_of(connection).next(),
        phone=phone,
        access_number=access_number,
        extension="",
        generation=1,
        plan=plan.name,
        owner=owner.kind,
        owner_id=owner.id,
        allocated_at=now,
        expires_at=now + life * 1000,
        cools_until=now + (life + plan.cool_down_seconds) * 1000,
    )
    for _ in range(RACES):
        shortened = _choose(connection, row, plan, now)
        first_use = row.generation == 1
        if slots.insert(connection, row) if first_use else slots.reuse(connection, row):
            return Allocation(row.id, row.extension, row.generation, shortened, row.expires_at)
    raise Conflict(f"extensions of {access_number} are taken faster than they are found; try again")


def _choose(connection: Connection, row: SlotRow, plan: SlotPlan, now: int) -> bool:
    """Write into ``row`` the extension to take next; tell whether a cool-down is cut short.

    Raises:
        ConversationsExhausted: There is none.
    """
    unused = _unused(slots.used(connection, row.phone, row.access_number), row.phone, plan)
    if unused is not None:
        row.extension = unused
        return False
    for ended_before in (None, now - plan.short_cool_down_seconds * 1000):
        old = slots.least_recent(
            connection,
            row.phone,
            row.access_number,
            plan.prefix,
            plan.length,
            now,
            ended_before,
            taken=plan.taken,
        )
        if old is not None:
            row.id, row.extension, row.generation = old.id, old.extension, old.generation + 1
            return ended_before is not None
    raise ConversationsExhausted(
        f"all {plan.capacity} extensions of {row.access_number} stand for open questions to this "
        "phone; close some, or configure more slot digits"
    )


def _unused(used: set[str], phone: str, plan: SlotPlan) -> str | None:
    """Return an extension the phone never had.

    Each phone starts elsewhere, so that an extension written by a stranger names few phones; and
    as far on as it had some, since those follow each other.
    """
    prefix, digits, size, taken = plan.prefix, plan.digits, 10**plan.digits, tuple(plan.taken)
    start = zlib.crc32(phone.encode()) + len(used)
    for offset in range(size):
        extension = f"{prefix}{(start + offset) % size:0{digits}d}"
        if extension not in used and not extension.startswith(taken):
            return extension
    return None


def release(connection: Connection, slot_id: int, owner: Owner, now: int) -> bool:
    """End a slot's life and let it cool; False when it is another's by now, or had ended before."""
    return slots.release(connection, slot_id, owner.kind, owner.id, now)


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

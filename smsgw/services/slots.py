"""What stands for what now: the slots in use, what is left, and who has the most.

An account sees its own slots; how full the ranges are is everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.services.ledger import ASSIGNMENT, SlotPlan, SlotPlans
from smsgw.services.queries import iso
from smsgw.store import slots
from smsgw.store.database import Database
from smsgw.store.slots import SlotUse

if TYPE_CHECKING:
    from sqlalchemy import Connection

BUSIEST_SHOWN = 10

COUNT_SECONDS = 10.0
"""How often the gauge is counted: slots end by time too."""

Json = dict[str, Any]
T = TypeVar("T")


class SlotMap:
    """Shows the ledger, and counts what is in use.

    Args:
        store: The open database.
        plans: The plans in force.
        reactor: Its clock and timers.

    Attributes:
        in_use: How many slots were live when they were counted last.
    """

    log = Logger()

    def __init__(self, store: Database, plans: SlotPlans, reactor: IReactorTime) -> None:
        self.in_use = 0
        self._store = store
        self.plans = plans
        self._reactor = reactor
        self._timer: IDelayedCall | None = None

    async def start(self) -> None:
        """Count now, and again from time to time until :meth:`stop`."""
        self._timer = self._reactor.callLater(COUNT_SECONDS, self._again)
        self.in_use, _ = await self._store.read(partial(slots.counts, now=self._now()))

    def stop(self) -> None:
        """Count no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def page(
        self,
        account: str,
        *,
        phone: str | None = None,
        access_number: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Deferred[Sequence[Json]]:
        """Return an account's slots that live or cool, newest row first.

        Args:
            account: Whose.
            phone: Only this one's, normalised.
            access_number: Only under this number.
            before: Id of the last slot of the page before.
            limit: The most to return.
        """
        now = self._now()

        def find(connection: Connection) -> Sequence[Json]:
            found = slots.in_use(
                connection,
                now,
                account,
                phone=phone,
                access_number=access_number,
                before=before,
                limit=limit,
            )
            return [slot_json(one, now) for one in found]

        return self._store.read(find)

    def capacity(self, account: str) -> Deferred[Json]:
        """Return how full each range of extensions is, and the account's busiest recipients."""
        now = self._now()

        def count(connection: Connection) -> Json:
            ranges = self.ranges(connection)
            keys = ("phone", "access_number", "live", "cooling")
            found = slots.busiest(connection, now, account, BUSIEST_SHOWN)
            busiest = [dict(zip(keys, one, strict=True)) for one in found]
            return {"capacity": ranges, "busiest": busiest}

        return self._store.read(count)

    def ranges(self, connection: Connection) -> list[Json]:
        """Return how full each range of extensions is."""
        now = self._now()
        return [
            _range_json(connection, now, access_number, members)
            for access_number in self.plans.digits_max
            for members in _ranges(self.plans.all(access_number))
        ]

    def _again(self) -> None:
        Deferred.fromCoroutine(self.start()).addErrback(self._not_counted)

    def _not_counted(self, failure: Failure) -> None:
        failure.trap(StoreError)
        if self._timer is not None:
            told = "slots were not counted: {why}"
            self.log.warn(told, event="slots.not_counted", why=failure.getErrorMessage())

    def _now(self) -> int:
        return int(self._reactor.seconds() * 1000)


def _ranges(plans: Sequence[SlotPlan]) -> list[list[SlotPlan]]:
    """Return the plans by the numbers they share."""
    shared: dict[tuple[str, int], list[SlotPlan]] = {}
    for plan in plans:
        shared.setdefault((plan.prefix, plan.digits), []).append(plan)
    return list(shared.values())


def _range_json(
    connection: Connection, now: int, access_number: str, members: Sequence[SlotPlan]
) -> Json:
    """One range: ``most`` is what the phone with the most has in use, ``left`` what is left it."""
    plan = members[0]
    used = slots.load(connection, access_number, plan.prefix, plan.length, now)
    return {
        "access_number": access_number,
        "plans": [one.name for one in members],
        "prefix": plan.prefix,
        "digits": plan.digits,
        "extensions": plan.capacity,
        "live": used.live,
        "cooling": used.cooling,
        "most": used.most,
        "left": max(0, plan.capacity - used.most),
    }


def slot_json(use: SlotUse, now: int) -> Json:
    """One slot in use."""
    row = use.slot
    asks = row.owner == ASSIGNMENT
    live = row.released_at is None and now < row.expires_at
    return {
        "id": str(row.id),
        "phone": row.phone,
        "sender_number": row.access_number + row.extension,
        "access_number": row.access_number,
        "extension": row.extension,
        "state": "live" if live else "cooling",
        "plan": row.plan,
        "generation": row.generation,
        "request_id": None if use.request_id is None else str(use.request_id),
        "assignment_id": str(row.owner_id) if asks else None,
        "conversation_id": None if asks else str(row.owner_id),
        "reference": use.reference,
        "allocated_at": iso(row.allocated_at),
        "expires_at": iso(row.expires_at),
        "released_at": iso(row.released_at),
        "cools_until": iso(row.cools_until),
    }

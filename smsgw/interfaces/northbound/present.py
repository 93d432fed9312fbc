"""A customer as it is here now: its connections, and what it may still submit."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from smsgw.services.northbound.customer import Customer
from smsgw.services.northbound.outbox import Outbox
from smsgw.transport.adapter import SessionProtocol


class Allowance:
    """How many submits a customer may make: a second's worth is saved up at most."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._left = max(1.0, rate)
        self._at = now

    def take(self, count: int, now: float) -> bool:
        """Count submits, unless they are too many now."""
        if not self._rate:
            return True
        passed, self._at = max(0.0, now - self._at), now
        self._left = min(max(1.0, self._rate), self._left + passed * self._rate)
        if self._left < min(count, self._rate):  # one submit may have more than a second's worth
            return False
        self._left -= count
        return True


class Present(msgspec.Struct, eq=False):
    """A customer, as it is here now."""

    customer: Customer
    outbox: Outbox
    allowance: Allowance
    hosts: Callable[[str], bool]
    binds: list[Bind] = []


class Bind(msgspec.Struct, eq=False):
    """One logged-in connection of a customer.

    Attributes:
        protocol: It.
        present: Whose.
        unanswered: Submits that are not answered yet.
        unbound: It was ended in order.
        broken: It ended otherwise, so that answers may have got lost.
    """

    protocol: SessionProtocol
    present: Present
    unanswered: int = 0
    unbound: bool = False
    broken: bool = False

    @property
    def receives(self) -> bool:
        return self.protocol.session.window.limit > 0

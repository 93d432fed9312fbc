"""The account of submits of soak.py: what became of each, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from smsgw.errors import Disposition
from smsgw.model import SubmitResult


class Ticket:
    """One submit of one segment."""

    __slots__ = ("first", "item", "resolved")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.first: Disposition | None = None
        self.resolved = False


class Ledger:
    """Stands between the links and the gateway and counts what becomes of each submit."""

    def __init__(self) -> None:
        self.submits = self.open = self.late = self.doubled = self.resent = 0
        self.outcomes: Counter[Disposition] = Counter()
        self.reasons: Counter[str] = Counter()

    def watch(self, link: Any) -> None:
        send, tell = link.submit_many, link.on_results

        def submit_many(items: Sequence[tuple[Any, Any]]) -> int:
            tickets = [(segment, Ticket(item)) for segment, item in items]
            taken: int = send(tickets)
            self.submits += taken
            self.open += taken
            self.resent += sum(one.item.possible_duplicate for _, one in tickets[:taken])
            return taken

        def on_results(results: Sequence[tuple[Ticket, Any]]) -> None:
            for ticket, result in results:
                self._settle(ticket, result)
            tell([(ticket.item, result) for ticket, result in results])

        link.submit_many, link.on_results = submit_many, on_results

    def _settle(self, ticket: Ticket, result: SubmitResult) -> None:
        disposition = result.disposition
        self.reasons[f"{result.code} {result.text}"] += 1
        if ticket.first is None:
            ticket.first = disposition
            self.open -= 1
            self.outcomes[disposition] += 1
        elif ticket.first is Disposition.UNKNOWN and not ticket.resolved:
            ticket.resolved = True
            self.late += 1
        else:
            self.doubled += 1

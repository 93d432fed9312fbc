"""A carrier link without a carrier: it keeps what it was given until the test answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from smsgw.errors import Disposition
from smsgw.model import MoMessage, Segment, StatusReport, SubmitResult
from smsgw.protocols import cmpp
from smsgw.protocols.carrier import Carrier, ResultKind
from smsgw.transport.link import Inbound

REFUSED = SubmitResult(13, Disposition.FINAL, "", "Dest_terminal_Id error")
LATER = SubmitResult(90, Disposition.RETRY, "", "result 90, in no table")
TOO_FAST = SubmitResult(8, Disposition.RETRY, "", "flow control", ResultKind.THROTTLE)
UNSENT = SubmitResult(-3, Disposition.RETRY, "", "the connection was lost before it was sent")
NO_ANSWER = SubmitResult(-1, Disposition.UNKNOWN, "", "no answer came")


def accepted(carrier_message_id: str) -> SubmitResult:
    """The carrier took a segment."""
    return SubmitResult(0, Disposition.ACCEPTED, carrier_message_id, "success")


class FakeLink:
    """Behaves as :class:`smsgw.transport.link.Link` does towards the dispatcher.

    Attributes:
        sent: Every segment ever submitted, in order.
        unanswered: Submits without an answer: (segment, context).
        acknowledged: Results given to the carrier for what it brought.
    """

    def __init__(self, name: str = "cmcc", window: int = 4, up: bool = True) -> None:
        self.name = name
        self.carrier: Carrier = cmpp.CARRIER
        self.window = window
        self.up = up
        self.answer_seconds = 0.0
        self.reason = "" if up else "cannot connect: refused"
        self.sent: list[Segment] = []
        self.unanswered: list[tuple[Segment, Any]] = []
        self.acknowledged: list[int] = []
        self.on_results: Callable[[list[tuple[Any, SubmitResult]]], None] = lambda results: None
        self.on_free: Callable[[], None] = lambda: None
        self.on_inbound: Callable[[list[Inbound]], None] = lambda inbound: None
        self._count = 0

    @property
    def free(self) -> int:
        return self.window - len(self.unanswered) if self.up else 0

    @property
    def in_flight(self) -> int:
        return len(self.unanswered)

    def submit_many(self, items: Sequence[tuple[Segment, Any]]) -> int:
        taken = list(items[: max(0, self.free)])
        self.unanswered += taken
        self.sent += [segment for segment, _ in taken]
        return len(taken)

    def answer(self, *results: SubmitResult) -> list[Any]:
        """Answer the oldest submits in one batch; return their contexts."""
        answered, self.unanswered = (
            self.unanswered[: len(results)],
            self.unanswered[len(results) :],
        )
        contexts = [context for _, context in answered]
        self.on_results(list(zip(contexts, results, strict=True)))
        self.on_free()
        return contexts

    def accept_all(self) -> None:
        """Accept all that is unanswered, each with an id of its own."""
        count = len(self.unanswered)
        self.answer(*[accepted(f"{self._count + place:016x}") for place in range(count)])
        self._count += count

    def come_up(self) -> None:
        """A bind is there."""
        self.up = True
        self.on_free()

    def bring(self, *things: MoMessage | StatusReport) -> None:
        """The carrier brings messages and reports in one read."""
        self.on_inbound(
            [
                Inbound(
                    thing if isinstance(thing, MoMessage) else None,
                    thing if isinstance(thing, StatusReport) else None,
                    b"\x00\x2a",
                    self.acknowledged.append,
                )
                for thing in things
            ]
        )

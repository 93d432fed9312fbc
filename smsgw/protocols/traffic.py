"""What went over a link's connections, added up: PDUs and octets by command, and answer times.

It is touched for every PDU, so all it does is add; whoever wants to know the sums asks for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds by which answer times are counted; the last one is the usual T."""

UNREADABLE = -1
"""Stands for the command of a PDU that could not be read, or is none of ours."""


class Tally:
    """How many values there were up to each bound, and their sum: a histogram in a microsecond's
    fifth.

    Args:
        bounds: Growing upper bounds, each inclusive; what is above the last is counted too.

    Attributes:
        bounds: The same.
        counts: How many values are between each bound and the one before it; one more than bounds.
        sum: Of all values.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value; what a clock that was set back makes negative counts as 0."""
        if value > 0.0:
            self.sum += value
        self.counts[bisect_left(self.bounds, value)] += 1


class Flow(NamedTuple):
    """What went one way of one command.

    Attributes:
        command: Its name, or "unreadable".
        direction: ``sent`` or ``received``.
        pdus: How many.
        octets: How many, headers included.
    """

    command: str
    direction: str
    pdus: int
    octets: int


class Tap(Protocol):
    """Sees every PDU of a link, while somebody traces it."""

    def received(self, session: Any, buffer: bytes, bounds: Sequence[int], whole: bool) -> None:
        """The peer sent these PDUs.

        Args:
            session: Over whose connection.
            buffer: What holds them.
            bounds: Where each begins and the last one ends.
            whole: False when what follows the last one can be no PDU.
        """

    def sent(self, session: Any, pdus: Sequence[bytes]) -> None:
        """These whole PDUs are handed to the transport."""


class Traffic:
    """The sums of one link, over all its connections and their lives.

    Attributes:
        received: Command id to [PDUs, octets].
        sent: The same by the four octets of the command id.
        answers: Seconds from each submit to its answer.
        decode_errors: PDUs, or streams, that could not be read.
        received_at: When octets came last; None before any did.
        tap: Sees every PDU; None while nobody asks.
    """

    __slots__ = ("answers", "decode_errors", "received", "received_at", "sent", "tap")

    def __init__(self) -> None:
        self.received: defaultdict[int, list[int]] = defaultdict(_nothing)
        self.sent: defaultdict[bytes, list[int]] = defaultdict(_nothing)
        self.answers = Tally(ANSWER_SECONDS)
        self.decode_errors = 0
        self.received_at: float | None = None
        self.tap: Tap | None = None

    def count_sent(self, pdus: Sequence[bytes]) -> None:
        """Add whole PDUs that are handed to the transport."""
        sent = self.sent
        for octets in pdus:
            sums = sent[octets[4:8]]
            sums[0] += 1
            sums[1] += len(octets)

    def count_received(self, command_id: int, octets: int) -> None:
        """Add one PDU from the peer."""
        sums = self.received[command_id]
        sums[0] += 1
        sums[1] += octets

    def flows(self, names: Mapping[int, str]) -> Iterator[Flow]:
        """Yield all there was so far.

        Args:
            names: Command id to name.
        """
        for command_id, (pdus, octets) in self.received.items():
            yield Flow(names.get(command_id, "unreadable"), "received", pdus, octets)
        for command, (pdus, octets) in self.sent.items():
            name = names.get(int.from_bytes(command, "big"), "unreadable")
            yield Flow(name, "sent", pdus, octets)


def _nothing() -> list[int]:
    return [0, 0]

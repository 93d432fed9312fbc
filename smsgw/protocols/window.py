"""Requests in flight: at most W unanswered, each given up after T, sent N times in all.

A dict from sequence to a small record; insertion order is age order, so the oldest is in front and
no request needs a timer of its own. Every entry leaves exactly once: closed by its answer, expired,
or drained when the connection goes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import msgspec

from smsgw.errors import LocalProtocolError

LATE_KEPT = 1024
"""How many given-up requests are remembered, so that a late answer still finds its owner."""


class Pending(msgspec.Struct, gc=False):
    """One unanswered request.

    Attributes:
        context: What the caller gave with it.
        deadline: When it is sent again or given up.
        sends_left: How often it may be sent again.
        octets: What is sent then.
        again: It was sent again.
        late: It was given up.
    """

    context: Any
    deadline: float
    sends_left: int
    octets: bytes
    again: bool = False
    late: bool = False


class Window:
    """The unanswered requests of one session.

    Args:
        limit: W.
        timeout: T in seconds.
        sends: How often a request is sent in all; 1 = never again.
    """

    __slots__ = ("_late", "_open", "limit", "sends", "timeout")

    def __init__(self, limit: int, timeout: float, sends: int = 1) -> None:
        self.limit = limit
        self.timeout = timeout
        self.sends = sends
        self._open: dict[Hashable, Pending] = {}
        self._late: dict[Hashable, Pending] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def free(self) -> int:
        """How many more requests may be sent now."""
        return self.limit - len(self._open)

    @property
    def deadline(self) -> float | None:
        """When the oldest request must be resent or given up; None when all are answered."""
        for pending in self._open.values():
            return pending.deadline
        return None

    def open(self, key: Hashable, context: Any, octets: bytes, now: float) -> None:
        """Take a slot for a request that is being sent.

        Raises:
            LocalProtocolError: A request with this sequence is unanswered.
        """
        if key in self._open:
            raise LocalProtocolError(f"sequence {key} is unanswered; submit a new PDU")
        kept = octets if self.sends > 1 else b""
        self._open[key] = Pending(context, now + self.timeout, self.sends - 1, kept)

    def close(self, key: Hashable) -> Pending | None:
        """Give the slot back because the answer is here; None when nothing waits for it."""
        return self._open.pop(key, None)

    def close_late(self, key: Hashable) -> Pending | None:
        """The request that was given up before this answer came; None when there is none."""
        return self._late.pop(key, None)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._open

    def expire(self, now: float) -> tuple[list[bytes], list[tuple[Hashable, Any]]]:
        """Handle what is overdue.

        Returns:
            Octets to send again, and (sequence, context) of the requests given up.
        """
        resend: list[bytes] = []
        lost: list[tuple[Hashable, Any]] = []
        for key in [key for key, pending in self._open.items() if pending.deadline <= now]:
            pending = self._open.pop(key)
            if pending.sends_left > 0:
                pending.sends_left -= 1
                pending.again = True
                pending.deadline = now + self.timeout
                self._open[key] = pending
                resend.append(pending.octets)
            else:
                lost.append((key, pending.context))
                self._remember(key, pending)
        return resend, lost

    def drain(self) -> list[tuple[Hashable, Any]]:
        """Give every slot back because the connection is gone."""
        lost = [(key, pending.context) for key, pending in self._open.items()]
        self._open.clear()
        self._late.clear()
        return lost

    def _remember(self, key: Hashable, pending: Pending) -> None:
        if len(self._late) >= LATE_KEPT:
            del self._late[next(iter(self._late))]
        pending.octets, pending.late = b"", True
        self._late[key] = pending

"""Single submits that wait for a window slot: the public edge of a link."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from smsgw.errors import LinkError
from smsgw.model import Segment, SubmitResult


class WaitingSubmits:
    """A queue of segments, each with the Deferred that its caller holds.

    Args:
        submit_many: Sends as many as fit now, in order, and returns how many it took; each context
            is the Deferred that must fire with the result.
    """

    def __init__(self, submit_many: Callable[[Sequence[tuple[Segment, Any]]], int]) -> None:
        self._submit_many = submit_many
        self._waiting: deque[tuple[Segment, Deferred[SubmitResult]]] = deque()

    def add(self, segment: Segment) -> Deferred[SubmitResult]:
        """Queue a segment and send what can be sent. Cancelling before that takes it back."""
        result: Deferred[SubmitResult] = Deferred(self._forget)
        self._waiting.append((segment, result))
        self.send()
        return result

    def send(self) -> None:
        """Send what the link takes now."""
        taken = self._submit_many(list(self._waiting)) if self._waiting else 0
        for _ in range(taken):
            self._waiting.popleft()

    def fail(self, error: LinkError) -> None:
        """Nothing will be sent any more."""
        while self._waiting:
            self._waiting.popleft()[1].errback(error)

    def _forget(self, canceled: Deferred[SubmitResult]) -> None:
        self._waiting = deque(one for one in self._waiting if one[1] is not canceled)

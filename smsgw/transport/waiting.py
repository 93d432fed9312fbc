"""Single submits that wait for a window slot: the public edge of a link."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from smsgw.errors import LinkError
from smsgw.model import Segment, SubmitResult

BATCH = 256
"""How many are offered to the link at a time."""


class Waiting(msgspec.Struct, eq=False):
    """A segment and what its caller holds; the context of its submit."""

    segment: Segment
    result: Deferred[SubmitResult]

    def answer(self, result: SubmitResult) -> None:
        """Tell the caller, unless it has given up meanwhile."""
        if not self.result.called:
            self.result.callback(result)


class WaitingSubmits:
    """A queue of segments, each with the Deferred that its caller holds.

    Args:
        submit_many: Sends as many as fit now, in order, and returns how many it took; each context
            is the :class:`Waiting` to answer.
    """

    def __init__(self, submit_many: Callable[[Sequence[tuple[Segment, Any]]], int]) -> None:
        self._submit_many = submit_many
        self._waiting: OrderedDict[Deferred[SubmitResult], Waiting] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, segment: Segment) -> Deferred[SubmitResult]:
        """Queue a segment and send what can be sent. Cancelling before that takes it back."""
        result: Deferred[SubmitResult] = Deferred(self._forget)
        self._waiting[result] = Waiting(segment, result)
        self.send()
        return result

    def again(self, unsent: Iterable[Waiting]) -> None:
        """Put what never left, because its connection was lost, in front of all others."""
        for one in reversed(list(unsent)):
            if not one.result.called:
                self._waiting[one.result] = one
                self._waiting.move_to_end(one.result, last=False)

    def send(self) -> None:
        """Send what the link takes now."""
        while self._waiting:
            batch = list(islice(self._waiting.values(), BATCH))
            taken = self._submit_many([(one.segment, one) for one in batch])
            for one in batch[:taken]:
                del self._waiting[one.result]
            if taken < len(batch):
                return

    def fail(self, error: LinkError) -> None:
        """Nothing will be sent any more."""
        while self._waiting:
            self._waiting.popitem(last=False)[1].result.errback(error)

    def _forget(self, canceled: Deferred[SubmitResult]) -> None:
        self._waiting.pop(canceled, None)

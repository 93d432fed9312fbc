"""What a carrier's answer, or the lack of one, means for its segment. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.delivery.pace import Pace
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy, retry_at, wants_another_link
from smsgw.delivery.settlements import settlement
from smsgw.errors import Disposition
from smsgw.model import MessageStatus, SubmitResult
from smsgw.protocols.carrier import ResultKind
from smsgw.store.outbox import Settlement
from smsgw.store.queue import QueuedSegment

STOPPED_ERROR = "stopped before the answer came"


class Outcomes:
    """Turns one link's results into settlements.

    Args:
        node: Whose place in the queue a segment gets that is tried again.
        policy: When a refused segment is tried again.
        doubt: How long an unknown outcome is waited for.
        pace: The link's; told of a "too fast".
        chance: Random numbers from 0 to 1.
    """

    def __init__(
        self,
        node: int,
        policy: RetryPolicy,
        doubt: DoubtPolicy,
        pace: Pace,
        chance: Callable[[], float],
    ) -> None:
        self.node = node
        self.policy = policy
        self.doubt = doubt
        self._pace = pace
        self._chance = chance

    def of(self, item: QueuedSegment, result: SubmitResult, now: float, late: bool) -> Settlement:
        """Return what a result means.

        Args:
            item: Its segment; its counts are kept.
            result: The carrier's, or that there is none.
            now: The present time.
            late: The segment was settled as unknown before.
        """
        row = settlement(item, MessageStatus.SENT, int(now * 1000))
        row.carrier_message_id = result.carrier_message_id or None
        first, item.recorded = item.total == 1 and not item.recorded, True
        if result.disposition is Disposition.ACCEPTED:
            row.first = first
        elif result.disposition is Disposition.UNKNOWN:
            self._doubted(row, item, result.text)
        else:
            row.stat = str(result.code)
            self._refused(row, item, result, now, late)
        return row

    def stopped(self, item: QueuedSegment, now: float) -> Settlement:
        """Return what a stop before the answer means."""
        row = settlement(item, MessageStatus.UNKNOWN, int(now * 1000))
        item.recorded = True
        self._doubted(row, item, STOPPED_ERROR)
        return row

    def _doubted(self, row: Settlement, item: QueuedSegment, why: str) -> None:
        row.state, row.error = MessageStatus.UNKNOWN, why
        row.next_attempt_at = self.doubt.of(item.message_class).until(row.at)

    def _refused(
        self, row: Settlement, item: QueuedSegment, result: SubmitResult, now: float, late: bool
    ) -> None:
        row.state, row.error = MessageStatus.REJECTED, result.text
        due = None
        if result.kind == ResultKind.THROTTLE and result.disposition is Disposition.RETRY:
            due = self._pace.throttled(now)
        elif result.disposition is Disposition.RETRY:
            item.refusals += 1
            due = retry_at(self.policy, result.kind, item.refusals, now, self._chance())
            if due is None:
                row.error = f"{result.text}, after {item.refusals} tries"
        if due is not None:
            row.state = MessageStatus.QUEUED
            row.possible_duplicate = late  # the store allows the step back only so
        row.elsewhere = not late and wants_another_link(result, item.refusals)
        if row.elsewhere and due is None:
            due = now + self.policy.first_seconds  # for parts that are to come back yet
        if due is not None:
            item.due_at = int(due * 1000)
            row.again = item.queue_row(self.node, item.due_at)
            if row.state is MessageStatus.QUEUED:
                row.next_attempt_at = item.due_at

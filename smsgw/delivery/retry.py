"""When a segment is tried again: refused for now, or of unknown outcome. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smsgw.errors import Disposition
from smsgw.model import MessageClass, SubmitResult
from smsgw.protocols.carrier import ResultKind

FAILOVER_REFUSALS = 3
"""Refusals for now by one link after which another one of the route is tried."""

LONG_KINDS = frozenset((ResultKind.QUOTA, ResultKind.HOURS))
"""The account may not send now, whatever the message is: only time helps, or another link."""

LINK_KINDS = frozenset((ResultKind.AUTH, ResultKind.SOURCE))
"""The carrier objects to our account or its numbers, and not to the message."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are with a refusal that is not final.

    Attributes:
        attempts: Submits in all; the refusal of the last one is final.
        first_seconds: The wait after the first refusal; it doubles with each further one.
        cap_seconds: The longest wait.
        quota_seconds: The wait after a refusal because a volume is used up, or because of the hour.
            An hour: what is counted by the day goes out soon after midnight, what may not be sent
            at night early in the morning. It is tried until its time is over.
    """

    attempts: int = 8
    first_seconds: float = 5.0
    cap_seconds: float = 300.0
    quota_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class DoubtPolicy:
    """What follows when a submit's answer never came.

    Attributes:
        wait_seconds: How long a late report may still tell the outcome; then it is decided. Ten
            minutes: the answer itself cannot come any more (its connection is gone, or its time is
            over), a phone that is on has reported by then, and an approval is still worth sending.
        resend: Send it again, marked as a possible duplicate; or else give it up.
        attempts: Submits of one segment that may each have reached the phone, after which it is
            given up: a carrier that takes everything and answers nothing must not make a phone
            ring all day. What it refused is not counted.
        classes: What is different for some message classes; theirs is not looked at.
    """

    wait_seconds: float = 600.0
    resend: bool = True
    attempts: int = 5
    classes: Mapping[MessageClass, DoubtPolicy] = field(default_factory=dict)

    def of(self, message_class: MessageClass) -> DoubtPolicy:
        """Return what holds for a message class."""
        return self.classes.get(message_class, self)

    def until(self, at: int) -> int:
        """Return when the wait ends that begins ``at``; both in milliseconds."""
        return at + int(self.wait_seconds * 1000)


def retry_at(
    policy: RetryPolicy, kind: str, refusals: int, now: float, chance: float
) -> float | None:
    """Return when to try again, or None when it has been tried often enough.

    Args:
        policy: How patient we are.
        kind: What the refusal is about.
        refusals: Refusals so far, the present one included; from 1.
        now: The present time in seconds.
        chance: From 0 to 1, drawn anew each time: spreads the wait over its upper half, so that
            what was refused together does not come back together.
    """
    if kind in LONG_KINDS:
        wait = policy.quota_seconds
    elif refusals >= policy.attempts:
        return None
    else:
        doublings = min(refusals - 1, 32)
        wait = min(policy.cap_seconds, policy.first_seconds * 2.0**doublings)
    return now + wait * (0.5 + 0.5 * chance)


def wants_another_link(result: SubmitResult, refusals: int) -> bool:
    """Tell whether a refused segment is better tried on another link of its route.

    Args:
        result: The refusal.
        refusals: Refusals by this link so far, the present one included, "too fast" not counted.
    """
    if result.disposition is Disposition.FINAL:
        return result.kind in LINK_KINDS
    if result.kind == ResultKind.THROTTLE:
        return False
    return result.kind in LONG_KINDS or refusals >= FAILOVER_REFUSALS

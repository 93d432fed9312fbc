"""What a login needs, for every carrier; each adds its own fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

AUTO = "auto"
"""As a version: ask for the newest, and speak what the gateway names when that is older."""

LEAST = {
    "window": 1,
    "heartbeat_tries": 1,
    "submit_sends": 1,
    "response_timeout": 0.1,
}
"""Fields below which a session cannot work; every other number may be 0."""


@dataclass(slots=True, kw_only=True)
class Account:
    """What both sides of a login agreed on paper. Carriers add their own fields.

    Attributes:
        name: Login name.
        secret: Shared secret.
        version: Protocol version to speak; :data:`AUTO` where the carrier ``negotiates``.
        window: W, unanswered requests at a time.
        response_timeout: T in seconds.
        heartbeat_interval: C in seconds: silence after which a heartbeat is sent; 0 = never.
        heartbeat_tries: N, unanswered heartbeats after which the peer is dead.
        submit_sends: How often an unanswered submit is sent in all. More than 1 can double
            messages when only the answer was lost.
    """

    direction_key: ClassVar[str] = ""
    """The field that makes a login carry one direction only; "" where the carrier has none."""

    negotiates: ClassVar[bool] = False
    """Whether :data:`AUTO` may be the version."""

    listener_keys: ClassVar[tuple[str, ...]] = ()
    """The fields that connections which the gateway opens to us may have otherwise than ours."""

    customer_keys: ClassVar[tuple[str, ...]] = (
        "window",
        "response_timeout",
        "heartbeat_interval",
        "heartbeat_tries",
    )
    """The fields that are a customer's own where customers log in to us; a carrier adds to them."""

    name: str
    secret: str
    version: str
    window: int = 16
    response_timeout: float = 60.0
    heartbeat_interval: float = 180.0
    heartbeat_tries: int = 3
    submit_sends: int = 1

    @property
    def dead_after(self) -> float:
        """Seconds after which a gateway with our timers gives up a connection that went silent."""
        return self.heartbeat_interval * self.heartbeat_tries + self.response_timeout

    @property
    def logins(self) -> tuple[Account, ...]:
        """What each bind of a link logs in with: itself, or a pair that shares out directions."""
        return (self,)

    @property
    def sends(self) -> bool:
        """Whether submits go over this login."""
        return True

    @property
    def receives(self) -> bool:
        """Whether messages and reports come over it, or over connections the peer opens to us."""
        return True

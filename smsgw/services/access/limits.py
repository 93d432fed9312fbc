"""How fast a token may be used, and how often an address may be wrong. ``now`` is passed in."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from typing import Any

from smsgw.errors import RateLimited

FAILURES_MAX = 20
"""Wrong tokens from one address in a window."""
WINDOW_SECONDS = 60.0
BLOCKED_SECONDS = 60.0
ADDRESSES_MAX = 10_000
"""Addresses that are remembered: when there are more, the oldest are forgotten."""
IPV6_BITS = 64
"""Of an IPv6 address these are one customer's."""


class Bucket:
    """A token bucket: ``rate`` requests a second, up to a second's worth at once.

    Args:
        rate: Requests a second, 1 or more.
        now: The present time in seconds.
    """

    __slots__ = ("_at", "_left", "rate")

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._left = float(rate)
        self._at = now

    def take(self, now: float) -> None:
        """Count a request.

        Raises:
            RateLimited: There were too many; this one is not counted.
        """
        passed, self._at = max(0.0, now - self._at), now
        self._left = min(float(self.rate), self._left + passed * self.rate)
        if self._left < 1.0:
            wait = math.ceil((1.0 - self._left) / self.rate)
            raise RateLimited(f"this token may make {self.rate} requests a second", wait)
        self._left -= 1.0


class Failures:
    """Wrong tokens, by the address they came from.

    Args:
        on_blocked: Called once for each time an address is blocked.
    """

    def __init__(self, on_blocked: Callable[[str, int], None]) -> None:
        self._on_blocked = on_blocked
        self._counts: dict[str, tuple[float, int]] = {}  # since when, how many
        self._blocked: dict[str, float] = {}  # until when

    def check(self, host: str, now: float) -> None:
        """Check that an address may try a token that was never right before.

        Raises:
            RateLimited: It is blocked.
        """
        if not self._blocked:
            return
        host = _customer(host)
        until = self._blocked.get(host, 0.0)
        if now < until <= now + BLOCKED_SECONDS:
            wait = math.ceil(until - now)
            raise RateLimited("too many wrong tokens came from your address", wait)
        self._blocked.pop(host, None)

    def count(self, host: str, now: float) -> None:
        """Count a wrong token."""
        host = _customer(host)
        since, count = self._counts.pop(host, (now, 0))
        if not since <= now < since + WINDOW_SECONDS:
            since, count = now, 0
        count += 1
        if count >= FAILURES_MAX:
            _trim(self._blocked)
            self._blocked[host] = now + BLOCKED_SECONDS
            self._on_blocked(host, count)
            return
        _trim(self._counts)
        self._counts[host] = since, count


def _trim(known: dict[str, Any]) -> None:
    while len(known) >= ADDRESSES_MAX:
        known.pop(next(iter(known)))


def _customer(host: str) -> str:
    """Return an address, of IPv6 the part that one customer has."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, IPV6_BITS), strict=False))

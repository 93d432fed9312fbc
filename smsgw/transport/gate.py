"""Who may come in by one of our ports: allowed networks, numbers of connections, bans.

One for each port. It counts what it turns away and says so in the log once a minute, however fast
somebody knocks; a ban has a line of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.transport.bans import Bans
from smsgw.transport.peers import source_of

FAILURES_MAX, WINDOW_SECONDS = 5, 600.0
BAN_SECONDS, LONGEST_BAN_SECONDS = 30.0, 900.0
"""An address that failed so often to log in within this time is banned, for longer each time."""

NAME_FAILURES_MAX = 20
"""Wrong logins under one name, from wherever, after which it is only good from where it was."""

TOLD_SECONDS = 60.0
"""How often one reason for turning somebody away is told in the log."""

GOOD_MAX = 1000
"""Addresses that are known to have logged in, for all names together; the oldest are forgotten."""

REASONS = {
    "address": "it is in no network of allow",
    "banned": "its logins were wrong too often",
    "full": "{limit} connections are open",
    "full_for_address": "{limit} connections of it are open",
    "late": "it took too long",
    "no_login": "what it sent is no login",
    "name": "logins under that name were wrong too often, and it never came from there",
}
"""Why somebody is turned away: the metric's label, and words for the log."""


class GateObserver(Protocol):
    """What is counted of a port; metrics implement it."""

    def turned_away(self, door: str, reason: str) -> None:
        """A connection was, for one of :data:`REASONS`."""


class Gate:
    """Decides over the connections of one port.

    Args:
        door: The port's name, for the log and metrics.
        clock: Its time.
        allow: Whether a host may connect at all.
        limit: Most connections at a time.
        limit_of_one: Most connections at a time from one address; None for as many as there are.
        observer: Told of whom is turned away.
    """

    log = Logger()

    def __init__(
        self,
        door: str,
        clock: IReactorTime,
        allow: Callable[[str], bool],
        limit: int,
        limit_of_one: int | None = None,
        observer: GateObserver | None = None,
    ) -> None:
        self.door = door
        self._clock = clock
        self.allow = allow
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._observer = observer
        self._open: Counter[str] = Counter()
        self._count = 0
        self._hosts = Bans(FAILURES_MAX, WINDOW_SECONDS, BAN_SECONDS, LONGEST_BAN_SECONDS)
        self._names = Bans(NAME_FAILURES_MAX, WINDOW_SECONDS, BAN_SECONDS, LONGEST_BAN_SECONDS)
        self._good: dict[tuple[str, str], None] = {}  # name and address, the latest last
        self._told: dict[str, tuple[float, int]] = {}  # when, and how many since

    def resize(self, limit: int, limit_of_one: int) -> None:
        """Have other limits from the next connection on."""
        self._limit, self._limit_of_one = limit, limit_of_one

    def admits(self, host: str, spare: Callable[[], str | None] = lambda: None) -> bool:
        """Whether a new connection may stay; if so it counts until :meth:`left`.

        Args:
            host: Where it comes from.
            spare: Asked where all are open: closes one that is of no use, for which :meth:`left`
                was called, and returns its host; None where there is none.
        """
        source = source_of(host)
        if not self.allow(host):
            reason, limit = "address", 0
        elif self._hosts.left(source, self._clock.seconds()) > 0:
            reason, limit = "banned", 0
        elif self._limit_of_one is not None and self._open[source] >= self._limit_of_one:
            reason, limit = "full_for_address", self._limit_of_one
        else:
            if self._count >= self._limit:
                closed = spare()
                self.turned_away(host if closed is None else closed, "full", self._limit)
                if closed is None:
                    return False
            self._open[source] += 1
            self._count += 1
            return True
        self.turned_away(host, reason, limit)
        return False

    def left(self, host: str) -> None:
        """A connection that was admitted is gone."""
        source = source_of(host)
        self._count -= 1
        self._open[source] -= 1
        if not self._open[source]:
            del self._open[source]

    def turned_away(self, host: str, reason: str, limit: int = 0) -> None:
        """Count a connection that is closed for a reason of :data:`REASONS`, and tell of it."""
        if self._observer is not None:
            self._observer.turned_away(self.door, reason)
        now = self._clock.seconds()
        at, more = self._told.get(reason, (float("-inf"), 0))
        if at <= now < at + TOLD_SECONDS:
            self._told[reason] = at, more + 1
            return
        self._told[reason] = now, 0
        why = REASONS[reason].format(limit=limit)
        if more:
            why += f"; {more} more since the last such line"
        told = "{door}: {host} was turned away: {why}"
        self.log.warn(told, event="peer.turned_away", door=self.door, host=host, why=why)

    # ---- logins --------------------------------------------------------------------------

    def failed(self, host: str, name: str = "") -> None:
        """A login was wrong, or what came was none.

        Args:
            host: Where it came from.
            name: The login name it gave; "" for none.
        """
        now = self._clock.seconds()
        seconds = self._hosts.failed(source_of(host), now)
        if seconds:
            self.log.warn(
                "{door}: {host} is banned for {seconds:g} s: its logins were wrong too often",
                event="peer.banned",
                door=self.door,
                host=host,
                seconds=seconds,
            )
        if not name or (name, source_of(host)) in self._good:
            return
        seconds = self._names.failed(name, now)
        if seconds:
            self.log.warn(
                "{door}: for {seconds:g} s nobody may log in as {login!r} but from where it did"
                " before: such logins were wrong too often",
                event="login.banned",
                door=self.door,
                login=name[:40],
                seconds=seconds,
            )

    def succeeded(self, host: str, name: str) -> None:
        """A login was right."""
        source = source_of(host)
        self._hosts.succeeded(source)
        self._good.pop((name, source), None)
        while len(self._good) >= GOOD_MAX:
            del self._good[next(iter(self._good))]
        self._good[name, source] = None

    def may_try(self, host: str, name: str) -> bool:
        """Whether a login under a name is looked at at all."""
        if self._names.left(name, self._clock.seconds()) <= 0:
            return True
        if (name, source_of(host)) in self._good:
            return True
        self.turned_away(host, "name")
        return False

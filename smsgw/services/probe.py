"""The loop probe: a message to a test phone every so often, whose report must come back.

It goes the whole way, from acceptance to the carrier's report, over one link and no other. On a
database that several processes share one of them does it for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import Overloaded, SmsgwError
from smsgw.model import MessageClass
from smsgw.services.submission import Outgoing
from smsgw.transport.permits import ALWAYS, Permit

ACCOUNT = "probe"
"""Whose messages these are: nobody's, unless a token is of this account."""

LOOK_SECONDS = 1.0
"""Between two looks whether the report is there; the round trip is exact all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """``[probe]``; times in seconds.

    Attributes:
        to: The test phone; "" for no probe.
        links: Which links are probed.
        every: From one probe of a link to its next.
        wait: How long a report may take.
        text: What is sent.
    """

    to: str = ""
    links: tuple[str, ...] = ()
    every: float = 600.0
    wait: float = 120.0
    text: str = "smsgw probe"


class Submits(Protocol):
    """What is used of a :class:`smsgw.services.submission.Submission`."""

    def send(self, outgoing: Outgoing) -> Deferred[int]:
        """Accept one message."""
        ...

    def check_open(self) -> None:
        """Raise Overloaded while nothing new is taken, as somebody wished."""
        ...


class ProbeObserver(Protocol):
    """Told what came of probes; metrics implement it."""

    def probed(self, link: str, seconds: float | None) -> None:
        """A link's probe came back after so long; None: it did not."""
        ...


class Probe:
    """Probes links.

    Args:
        settings: What and how often.
        submission: Takes the messages.
        message: Account and id -> the message as the API shows it.
        clock: For timers.
        observer: Told what came of it.
        permit: Whether this process is the one that probes.
        is_stopped: Whether people stopped a link: then it is not probed.
    """

    log = Logger()

    def __init__(
        self,
        settings: ProbeSettings,
        submission: Submits,
        message: Callable[[str, int], Deferred[dict[str, Any]]],
        clock: IReactorTime,
        observer: ProbeObserver,
        permit: Permit = ALWAYS,
        is_stopped: Callable[[str], bool] = lambda link: False,
    ) -> None:
        self._settings = settings
        self._submission = submission
        self._message = message
        self._clock = clock
        self._observer = observer
        self._permit = permit
        self._is_stopped = is_stopped
        self._timer: IDelayedCall | None = None
        self._running: set[Deferred[None]] = set()

    def start(self) -> None:
        """Begin; the first probe is sent when the links have had time to log in."""
        if self._settings.to:
            self._permit.ask(lambda: None)
            self._timer = self._clock.callLater(min(60.0, self._settings.every), self._probe_all)

    def stop(self) -> Deferred[None]:
        """Wait for no more reports; fires when nothing of it runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._permit.drop()
        running = list(self._running)
        for one in running:
            one.cancel()
        return DeferredList(running, consumeErrors=True).addCallback(lambda _: None)

    def _probe_all(self) -> None:
        self._timer = self._clock.callLater(self._settings.every, self._probe_all)
        if not self._permit.held or self._drained():
            return
        for link in self._settings.links:
            if self._is_stopped(link):
                continue
            running = Deferred.fromCoroutine(self._probe(link))
            self._running.add(running)
            running.addErrback(self._broke)
            running.addBoth(partial(self._ended, running))

    def _drained(self) -> bool:
        """Whether nothing is taken now, a probe neither: that says nothing of the links."""
        try:
            self._submission.check_open()
        except Overloaded:
            return True
        return False

    def _ended(self, running: Deferred[None], _: object) -> None:
        self._running.discard(running)

    def _broke(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("a probe ended in a bug", failure, event="probe.bug")

    async def _probe(self, link: str) -> None:
        try:
            shown = await self._round_trip(link)
        except SmsgwError as error:
            self._tell(link, None, str(error))
            return
        status, used = shown["status"], shown["link"]
        if status != "delivered":
            why = shown["reason"] or f"no report within {self._settings.wait:g} s"
            self._tell(link, None, f"{status}: {why}")
        elif used != link:
            self._tell(link, None, f"it took link {used} instead")
        else:
            began, ended = (datetime.fromisoformat(shown[k]) for k in ("created_at", "final_at"))
            self._tell(link, (ended - began).total_seconds(), "")

    async def _round_trip(self, link: str) -> dict[str, Any]:
        """Send one, and return it once it has come to an end, or there was time enough for that."""
        settings = self._settings
        message_id = await self._submission.send(
            Outgoing(
                account=ACCOUNT,
                to=settings.to,
                text=settings.text,
                message_class=MessageClass.REALTIME,
                valid_for=settings.wait,
                link=link,
            )
        )
        until = self._clock.seconds() + settings.wait
        while True:
            await deferLater(self._clock, LOOK_SECONDS)
            shown = await self._message(ACCOUNT, message_id)
            if shown["final_at"] is not None or self._clock.seconds() >= until:
                return shown

    def _tell(self, link: str, seconds: float | None, why: str) -> None:
        if seconds is None:
            told = "link {link}: its probe did not come back: {why}"
            self.log.warn(told, event="probe.failed", link=link, why=why)
        self._observer.probed(link, seconds)

"""Traces of links: for a while, somebody sees each PDU that goes over a link's connections.

A trace shows texts and phones, so the audit chain has each, and only who began it sees it. It is
kept in this process's memory, bounded, and costs nothing while there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.protocols.codec import Codec
from smsgw.protocols.display import display
from smsgw.protocols.session import Session
from smsgw.routing.numbers import mask, normalise
from smsgw.services.access.callers import Caller
from smsgw.services.link_control import LinkEntry
from smsgw.services.queries import iso
from smsgw.store.ids import IdSource

Json = dict[str, Any]

SECONDS = 600
SECONDS_MAX = 24 * 3600
PDUS_MAX = 1000
"""PDUs of one trace that wait to be read; then the oldest go."""
OCTETS_MAX = 1024 * 1024
"""The octets of those."""
REQUESTS_MAX = 1000
"""Requests of one trace whose answers are awaited."""
KEPT_SECONDS = 60.0
"""How long the last PDUs can still be read when a trace is over."""

ANSWER = 0x80
"""Set in the first octet of the command id of every answer, in all four protocols."""


class Seen(msgspec.Struct, gc=False):
    """A PDU, or octets that are none, that went over a connection."""

    number: int
    at: int
    bind: int
    sent: bool
    version: str
    logged_in: bool
    octets: bytes


class Trace:
    """What went over one link's connections since somebody asked; a tap of its traffic.

    Args:
        id_: Its id.
        link: The link's name.
        codec: Its protocol's.
        phone: Only what names this phone, and the answers to that; "" for all.
        caller: Who may see it.
        now: Milliseconds since the Unix epoch, as a call.
    """

    def __init__(
        self, id_: int, link: str, codec: Codec, phone: str, caller: Caller, now: Callable[[], int]
    ) -> None:
        self.id = id_
        self.link = link
        self.caller = caller
        self.until = 0
        self.ended = ""
        self.on_news: Callable[[], None] = lambda: None
        self._codec = codec
        self._phone = phone
        self._now = now
        self._seen: deque[Seen] = deque()
        self._octets = 0
        self.count = 0
        self._binds: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
        self._asked: dict[tuple[int, bool, bytes], None] = {}

    # ---- the tap -------------------------------------------------------------------------

    def received(self, session: Session, buffer: bytes, bounds: Sequence[int], whole: bool) -> None:
        """The peer sent these PDUs; without ``whole`` what follows the last one can be none."""
        for start, end in pairwise(bounds):
            self._look(session, buffer[start:end], sent=False)
        if not whole:
            self._keep(session, buffer[bounds[-1] :], sent=False)
        self.on_news()

    def sent(self, session: Session, pdus: Sequence[bytes]) -> None:
        """These were handed to the transport."""
        for octets in pdus:
            self._look(session, octets, sent=True)
        self.on_news()

    def _look(self, session: Session, octets: bytes, *, sent: bool) -> None:
        if not self._phone or self._is_of_phone(session, octets, sent):
            self._keep(session, octets, sent=sent)

    def _is_of_phone(self, session: Session, octets: bytes, sent: bool) -> bool:
        header = self._codec.header_octets
        sequence = octets[header - 4 : header]  # in SGIP its counter
        key = (self._number_of(session), sent, sequence)
        if octets[4] & ANSWER:
            return self._asked.pop(key, self) is None
        if self._phone.encode() not in octets:
            return False
        while len(self._asked) >= REQUESTS_MAX:
            del self._asked[next(iter(self._asked))]
        self._asked[key[0], not sent, sequence] = None
        return True

    def _number_of(self, session: Session) -> int:
        return self._binds.setdefault(session, len(self._binds) + 1)

    def _keep(self, session: Session, octets: bytes, *, sent: bool) -> None:
        self.count += 1
        one = Seen(
            self.count,
            self._now(),
            self._number_of(session),
            sent,
            session.version,
            session.bound,
            octets[: self._codec.largest_octets],
        )
        self._seen.append(one)
        self._octets += len(one.octets)
        while len(self._seen) > PDUS_MAX or self._octets > OCTETS_MAX:
            self._octets -= len(self._seen.popleft().octets)

    # ---- for people ----------------------------------------------------------------------

    def state(self) -> Json:
        """What it is, JSON-ready."""
        return {
            "id": str(self.id),
            "link": self.link,
            "protocol": self._codec.protocol,
            "phone": mask(self._phone) if self._phone else "",
            "by": self.caller.name,
            "until": iso(self.until),
            "ended": self.ended,
            "pdus": self.count,
        }

    def after(self, number: int, limit: int) -> Json:
        """What was seen after a number, oldest first, JSON-ready; all that is kept after 0.

        ``missed`` is how many in between are no longer kept; ``next`` is the number to go on from.
        """
        kept = self._seen[0].number if self._seen else self.count + 1
        missed = max(0, kept - 1 - number)
        found = [self._shown(one) for one in self._seen if one.number > number][:limit]
        last = found[-1]["number"] if found else max(number, min(self.count, kept - 1))
        return {**self.state(), "missed": missed, "seen": found, "next": str(last)}

    def _shown(self, one: Seen) -> Json:
        shown = display(self._codec, one.octets, one.version, logged_in=one.logged_in)
        return {
            "number": one.number,
            "at": iso(one.at),
            "bind": one.bind,
            "version": one.version,
            "direction": "sent" if one.sent else "received",
            "octets": len(one.octets),
            **shown._asdict(),
        }


class Traces:
    """The traces of a gateway's links; one for each link at a time.

    Args:
        links: The links by name, as they are now.
        clock: Its time and timers.
        ids: Of this process.
        record: Writes into the audit chain who did what.
    """

    log = Logger()

    def __init__(
        self,
        links: Mapping[str, LinkEntry],
        clock: IReactorTime,
        ids: IdSource,
        record: Callable[[str, str, Json], Awaitable[None]],
    ) -> None:
        self._links = links
        self._clock = clock
        self._ids = ids
        self._record = record
        self._traces: dict[int, Trace] = {}
        self._timers: dict[int, IDelayedCall] = {}
        self._waiting: dict[int, list[Deferred[None]]] = {}

    def list(self) -> list[Json]:
        """All there are, oldest first."""
        return [trace.state() for trace in self._traces.values()]

    async def start(self, link: str, phone: str, seconds: int, caller: Caller) -> Json:
        """Begin one, once that is recorded, and return what it is.

        Raises:
            NotFound: There is no such link.
            ValidationError: ``phone`` is no number, or ``seconds`` too many.
            Conflict: The link is traced already.
        """
        if link not in self._links:
            known = ", ".join(self._links) or "none"
            raise NotFound(f"link {link[:64]}: not known; links are: {known}")
        phone = normalise(phone, "phone") if phone else ""
        if not 1 <= seconds <= SECONDS_MAX:
            problem = f"{seconds} is no number of seconds from 1 to {SECONDS_MAX}"
            raise ValidationError("seconds", problem)
        for other in self._traces.values():
            if other.link == link and not other.ended:
                told = f"traced already, by {other.caller.name}, until {iso(other.until)}"
                ends = f"POST /v1/traces/{other.id}/stop ends it"
                raise Conflict(f"link {link} is {told}; {ends}")
        codec = self._links[link].link.carrier.codec
        trace = Trace(self._ids.next(), link, codec, phone, caller, self._now)
        trace.until = self._now() + seconds * 1000
        self._traces[trace.id] = trace
        try:
            await self._record(caller.name, "link.traced", _detail(trace, caller))
        except BaseException:
            self._traces.pop(trace.id, None)
            raise
        if trace.ended:  # while it was recorded
            return trace.state()
        told = "link {link}: {who} sees its PDUs until {until}"
        until = iso(trace.until)
        self.log.warn(told, event="link.traced", link=link, who=caller.name, until=until)
        trace.on_news = lambda: self._wake(trace)
        self._timers[trace.id] = self._clock.callLater(seconds, self._expire, trace)
        self.renew(link)
        return trace.state()

    def renew(self, link: str) -> None:
        """Go on with a link that is there anew: its configuration was changed."""
        for trace in self._traces.values():
            if trace.link == link and not trace.ended and link in self._links:
                self._links[link].link.traffic.tap = trace

    async def read(self, id_: int, caller: Caller, after: int, limit: int, wait: int) -> Json:
        """Return what a trace saw after a number; waits up to ``wait`` seconds for something.

        Raises:
            NotFound: There is no such trace, or it is somebody else's.
        """
        trace = self._known(id_)
        if (trace.caller.name, trace.caller.account) != (caller.name, caller.account):
            raise NotFound(f"trace {id_}: is for {trace.caller.name} only, who began it")
        if wait and not trace.ended and not trace.after(after, 1)["seen"]:
            news: Deferred[None] = Deferred()
            self._waiting.setdefault(id_, []).append(news)
            give_up = self._clock.callLater(wait, self._wake, trace)
            await news
            if give_up.active():
                give_up.cancel()
        return trace.after(after, limit)

    def newest(self, id_: int) -> int:
        """Return the number of the newest PDU that a trace saw; 0 when it saw none.

        Raises:
            NotFound: There is no such trace.
        """
        return self._known(id_).count

    async def stop(self, id_: int, caller: Caller) -> Json:
        """End a trace, whoever began it. What it saw can still be read for a minute.

        Raises:
            NotFound: There is no such trace.
        """
        trace = self._known(id_)
        if not trace.ended:
            await self._end(trace, "stopped", caller.name)
        return trace.state()

    def close(self) -> None:
        """End all, since the gateway stops; that is recorded with the store's last commits."""
        for trace in self._traces.values():
            if not trace.ended:
                ending = self._end(trace, "the gateway stopped", "gateway")
                Deferred.fromCoroutine(ending).addErrback(self._not_recorded)
            self._wake(trace)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._traces.clear()

    def _known(self, id_: int) -> Trace:
        if id_ not in self._traces:
            raise NotFound(f"no trace {id_} in this process")
        return self._traces[id_]

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)

    def _wake(self, trace: Trace) -> None:
        for news in self._waiting.pop(trace.id, ()):
            self._clock.callLater(0, news.callback, None)

    def _expire(self, trace: Trace) -> None:
        del self._timers[trace.id]
        Deferred.fromCoroutine(self._end(trace, "time", "gateway")).addErrback(self._not_recorded)

    async def _end(self, trace: Trace, why: str, actor: str) -> None:
        trace.ended = why
        entry = self._links.get(trace.link)
        if entry is not None and entry.link.traffic.tap is trace:
            entry.link.traffic.tap = None
        if trace.id in self._timers:
            self._timers.pop(trace.id).cancel()
        self._timers[trace.id] = self._clock.callLater(KEPT_SECONDS, self._forget, trace)
        self._wake(trace)
        told = "link {link}: its PDUs are seen no more: {why}"
        self.log.info(told, event="link.trace_ended", link=trace.link, why=why)
        detail = {"trace": str(trace.id), "link": trace.link, "pdus": trace.state()["pdus"]}
        await self._record(actor, "link.trace_ended", detail)

    def _not_recorded(self, failure: Failure) -> None:
        told = "that a trace ended could not be recorded: {why}"
        why = failure.getErrorMessage()
        self.log.error(told, event="link.trace_end_not_recorded", why=why)

    def _forget(self, trace: Trace) -> None:
        del self._timers[trace.id]
        del self._traces[trace.id]


def _detail(trace: Trace, caller: Caller) -> Json:
    state = trace.state()
    shown = {key: state[key] for key in ("link", "phone", "until")}
    return {"trace": str(trace.id), **shown, "account": caller.account}

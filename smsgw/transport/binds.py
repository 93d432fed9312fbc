"""A link's dialled connections side by side: who gets how much, and how they are doing.

Rules: nothing per message but arithmetic. A connection that is answered slowly, or is gone, holds
up no other: what is to be sent goes where it will be answered soonest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from smsgw.model import Segment
from smsgw.protocols import events as ev
from smsgw.protocols.session import Session
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.answer_time import AnswerTime
from smsgw.transport.causes import Cause, Limit, full_window
from smsgw.transport.connector import Connector, Phase

ROUNDS = 8
"""In how many portions work is shared out at most."""

KEPT_MAX = 1024
"""Messages of several parts on their way whose connection is remembered."""

ANSWERS = frozenset({ev.SubmitAnswered, ev.ResponseLost})

Items = Sequence[tuple[Segment, Any]]
Send = Callable[[Session, Segment, Any, float], None]


class Bind:
    """One dialled connection of a link, over all its lives.

    Attributes:
        connector: Keeps it alive.
        times: How fast it is answered; begun anew with each connection.
    """

    __slots__ = ("_protocol", "connector", "times")

    def __init__(self, connector: Connector, now: float) -> None:
        self.connector = connector
        self.times = AnswerTime(now)
        self._protocol: SessionProtocol | None = None

    @property
    def room(self) -> int:
        """Free window slots; 0 while it is not bound."""
        protocol = self.connector.bound
        return protocol.session.window.free if protocol is not None else 0

    def note(self, answers: int, now: float) -> SessionProtocol | None:
        """Count what was sent or answered; return the connection when more was sent."""
        protocol = self.connector.protocol
        if protocol is None:
            return None
        if protocol is not self._protocol:
            self._protocol, self.times = protocol, AnswerTime(now)
        before, unanswered = self.times.unanswered, len(protocol.session.window)
        if answers or unanswered != before:
            self.times.note(unanswered, answers, now)
        return protocol if unanswered > before else None

    def state(self, now: float) -> dict[str, Any]:
        """Where it is and why, and while it is bound how it is doing; JSON-ready."""
        state: dict[str, Any] = {**self.connector.state(), "sends": self.connector.sends}
        if self.connector.bound is not None:
            state["in_flight"] = self.times.unanswered
            state["answer_seconds"] = round(self.times.seconds(now), 3)
        return state


class Binds:
    """All of a link's dialled connections.

    Args:
        connectors: One for each.
        now: The present time.

    Attributes:
        senders: Those that submits go over; all, where the account only receives.
    """

    def __init__(self, connectors: Iterable[Connector], now: float) -> None:
        self._by_connector = {connector: Bind(connector, now) for connector in connectors}
        self._binds = list(self._by_connector.values())
        self.senders = [bind for bind in self._binds if bind.connector.sends] or self._binds
        for bind in self._binds[1:]:
            bind.connector.reason = "waits for another bind's login"
        self._running = self._all = False
        self._turn = 0
        self._kept: dict[tuple[str, str], Bind] = {}  # where the first parts of a message went

    def __iter__(self) -> Iterator[Bind]:
        return iter(self._binds)

    # ---- life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Dial: one goes ahead, so that a login to be refused is refused once, not by each bind."""
        self._running = True
        for bind in self._binds if self._all else self._binds[:1]:
            bind.connector.start()

    def changed(self, connector: Connector) -> None:
        """Have the others follow the one that went ahead, unless it was shut out."""
        tried = connector.phase in (Phase.BOUND, Phase.DOWN) and not connector.shut_out
        if tried and self._running and not self._all:
            self._all = True
            self.start()

    def stop(self) -> list[Deferred[None]]:
        """Unbind and close all; each fires once its connection is gone."""
        self._running = self._all = False
        return [bind.connector.stop() for bind in self._binds]

    # ---- work ----------------------------------------------------------------------------

    def answered(self, connector: Connector, events: Iterable[ev.Event], now: float) -> None:
        """Count the answers of one read, before anything is sent in their place."""
        answers = sum(type(event) in ANSWERS for event in events)
        self._by_connector[connector].note(answers, now)

    def send(self, items: Items, send: Send, now: float) -> int:
        """Send as many as fit, in order, and have them written; return how many."""
        taken, count = 0, len(items)
        while taken < count and (open_binds := [bind for bind in self.senders if bind.room > 0]):
            self._turn += 1
            for bind, portion in share(count - taken, open_binds, now, self._turn):
                taken = self._fill(bind, items, taken, taken + portion, send, now)
        for bind in self.senders:
            protocol = bind.note(0, now)
            if protocol is not None:
                protocol.flush_soon()
        return taken

    def _fill(self, bind: Bind, items: Items, at: int, end: int, send: Send, now: float) -> int:
        """Send ``items[at:end]`` through one bind while it has room; return where it stopped."""
        protocol = bind.connector.bound
        if protocol is None:
            return at
        session, window, several = protocol.session, protocol.session.window, len(self.senders) > 1
        while at < end and window.free > 0:
            segment, context = items[at]
            if several and segment.total > 1:
                send(self._session_for(segment, bind, session), segment, context, now)
            else:
                send(session, segment, context, now)
            at += 1
        return at

    def _session_for(self, segment: Segment, bind: Bind, session: Session) -> Session:
        """Return where a part is sent: with the parts before it while there is room.

        A preference only: a part never waits for one bind while another has room, so that a slow
        one holds nothing up. Then, and after a loss, parts travel over two connections.

        Spec: cmpp.md section 16, quirk 13; text-and-long-messages.md ("Reference numbers").
        """
        key = (segment.to, segment.source)
        kept = self._kept.pop(key, None) if segment.part > 1 else None
        if kept is not None and kept.room > 0:
            bind = kept
        elif bind.room <= segment.total - segment.part:
            bind = max(self.senders, key=_room)
        if segment.part < segment.total:
            self._kept[key] = bind
            if len(self._kept) > KEPT_MAX:
                del self._kept[next(iter(self._kept))]
        protocol = bind.connector.bound
        return protocol.session if protocol is not None else session

    def wake(self) -> None:
        """There is work: connections that rest are dialled."""
        for bind in self._binds:
            bind.connector.wake()

    # ---- how they are doing --------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether a submit could be sent now, or after waking a resting connection."""
        return any(
            bind.connector.phase is Phase.IDLE or bind.connector.bound is not None
            for bind in self.senders
        )

    @property
    def permitted(self) -> bool:
        """Whether one of those that send may be dialled."""
        return any(bind.connector.permit.held for bind in self.senders)

    def free(self, window: int) -> int:
        """Free window slots; a resting connection counts with its whole ``window``."""
        free = 0
        for bind in self.senders:
            free += window if bind.connector.phase is Phase.IDLE else bind.room
        return free

    @property
    def in_flight(self) -> int:
        """Submits that wait for their answer."""
        protocols = [bind.connector.protocol for bind in self._binds]
        return sum(len(protocol.session.window) for protocol in protocols if protocol is not None)

    @property
    def reason(self) -> str:
        """Why connections are not bound, for people; each reason once."""
        away = [bind.connector for bind in self._binds if bind.connector.bound is None]
        return "; ".join(dict.fromkeys(_why_away(one) for one in away))

    def answer_seconds(self, now: float) -> float:
        """Return the answer time over all, each counted by its answers; 0 while nobody knows."""
        times = [bind.times for bind in self._binds if bind.connector.bound is not None]
        answers = sum(one.rate for one in times)
        if not answers:
            return max((one.seconds(now) for one in times), default=0.0)
        return sum(one.rate * one.seconds(now) for one in times) / answers

    def limit(self, now: float) -> Limit:
        """Return what holds up one more submit."""
        if not self.up:
            return Limit(Cause.NOT_BOUND, self.reason)
        if self.free(1) > 0 or not self.in_flight:  # a login that only receives has no window
            return Limit(Cause.NOTHING)
        return full_window(self.answer_seconds(now))


def share(count: int, binds: Sequence[Bind], now: float, turn: int = 0) -> list[tuple[Bind, int]]:
    """Share out ``count`` submits so that the last of each bind is answered about equally soon.

    A bind that is answered slowly gets fewer, one whose window is full none: nobody waits for it.

    Args:
        count: How many there are.
        binds: Those with room, in any order.
        now: The present time.
        turn: Which one begins when all are equal.

    Returns:
        Who gets how many, at most their room; less than ``count`` in all when the room is less.
    """
    if len(binds) == 1:
        return [(binds[0], min(count, binds[0].room))]
    rooms = [bind.room for bind in binds]
    if sum(rooms) <= count:
        return list(zip(binds, rooms, strict=True))
    first = turn % len(binds)
    order = [*range(first, len(binds)), *range(first)]
    seconds = [bind.times.expected(now) for bind in binds]
    ahead = [bind.times.unanswered + 1 for bind in binds]
    shares = [0] * len(binds)
    portion = -(-count // ROUNDS)
    while count:
        best = min((i for i in order if rooms[i]), key=lambda i: ahead[i] * seconds[i])
        given = min(portion, rooms[best], count)
        shares[best] += given
        ahead[best] += given
        rooms[best] -= given
        count -= given
    return [(binds[i], shares[i]) for i in order if shares[i]]


def _why_away(connector: Connector) -> str:
    """Why a connection is not bound; one that is being unbound gives no reason of its own."""
    return connector.reason or ("ending" if connector.phase is Phase.BOUND else connector.phase)


def _room(bind: Bind) -> int:
    return bind.room

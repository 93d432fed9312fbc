"""One POST to a receiver that nobody vouches for: its outcome is a value, whatever happens.

The name is looked up by us, on threads of our own, and the connection goes to an address that was
checked; a redirect is not followed. Of the answer only status and ``Retry-After`` matter: a little
of its body is read, so that the connection can be used again, and what is larger or slower is cut
off.
"""

from __future__ import annotations

import enum
import re
import socket
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import partial
from threading import Thread
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    ConnectError,
    ConnectionClosed,
    ConnectionRefusedError,
)
from twisted.internet.error import TimeoutError as ConnectTimedOut
from twisted.internet.interfaces import (
    IConsumer,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

import smsgw
from smsgw.errors import SmsgwError
from smsgw.services.webhooks.addresses import Rules
from smsgw.services.webhooks.connecting import Endpoints, Forbidden, addresses_of
from smsgw.transport.tls import ClientTls

ANSWER_SECONDS = 10.0
"""Until the head of an answer must be there, name, connection and handshake included."""

BODY_SECONDS = 1.0
"""How long the body of an answer is waited for: it says nothing any more."""

BODY_OCTETS_MAX = 4096
CONNECTIONS_PER_HOST = 8
IDLE_SECONDS = 30
LOOKUP_THREADS = 8
PROBLEM_CHARACTERS = 200
GONE = 410


class Result(enum.StrEnum):
    """What became of a POST."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    GONE = "gone"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    FORBIDDEN = "forbidden"
    CANCELED = "canceled"


class Outcome(msgspec.Struct, frozen=True):
    """What became of a POST.

    Attributes:
        result: In one word.
        status: The answer's; 0 without an answer.
        problem: One line for people; "" when it was delivered.
        retry_after: Seconds the receiver wants to be left alone, or None.
        seconds: How long it took.
    """

    result: Result
    status: int = 0
    problem: str = ""
    retry_after: float | None = None
    seconds: float = 0.0


class Poster:
    """Posts, and keeps connections open for the next time.

    Args:
        reactor: Sockets, timers and threads.
        rules: Which addresses are called.
        tls: Whose certificates are trusted.
        seconds: How long an answer may take.
        lookup: Host to its addresses; None asks the system.
    """

    def __init__(
        self,
        reactor: Any,
        rules: Rules,
        *,
        tls: ClientTls | None = None,
        seconds: float = ANSWER_SECONDS,
        lookup: Callable[[str], Deferred[list[str]]] | None = None,
    ) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._threads: ThreadPool | None = None
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = CONNECTIONS_PER_HOST
        self._pool.cachedConnectionTimeout = IDLE_SECONDS
        endpoints = Endpoints(reactor, rules, tls or ClientTls(), seconds, lookup or self._lookup)
        self._endpoints = endpoints
        self.resolve = endpoints.resolve
        self._agent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)
        self._under_way: set[Deferred[Any]] = set()

    def adopt(self, rules: Rules) -> None:
        """Go by other rules from the next connection on."""
        self._endpoints.rules = rules

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Post JSON; returns what became of it, and never raises."""
        began = self._reactor.seconds()
        given = {"Content-Type": "application/json", "User-Agent": _AGENT, **headers}
        sent = Headers({name: [value] for name, value in given.items()})
        try:
            work = self._agent.request(b"POST", url.encode("ascii"), sent, _Body(body))
        except Exception as error:  # what a URL can be that was taken once, and is none to Twisted
            return Outcome(Result.UNREACHABLE, 0, _words(error))
        self._under_way.add(work)
        late = self._reactor.callLater(self._seconds, work.cancel)
        try:
            response: Any = await work
        except Exception as error:
            if not late.active():
                outcome = Outcome(Result.TIMED_OUT, 0, f"no answer within {self._seconds:g} s")
            elif work not in self._under_way:
                outcome = Outcome(Result.CANCELED, 0, "given up")
            else:
                outcome = _without_answer(error)
        else:
            left = self._seconds - (self._reactor.seconds() - began)
            await _read_rest(response, max(0.0, min(BODY_SECONDS, left)), self._reactor)
            outcome = _answered(response, self._reactor.seconds())
        finally:
            self._under_way.discard(work)
            if late.active():
                late.cancel()
        seconds = self._reactor.seconds() - began
        return msgspec.structs.replace(outcome, seconds=round(seconds, 4))

    def cancel(self) -> None:
        """Give up what is under way."""
        given_up, self._under_way = self._under_way, set()
        for work in given_up:
            work.cancel()

    async def close(self) -> None:
        """Give up what is under way, and close the connections."""
        self.cancel()
        await self._pool.closeCachedConnections()
        if self._threads is not None:
            self._threads.adjustPoolsize(0, 0)  # not stop(): it waits for a name that hangs
            self._threads = None

    def _lookup(self, host: str) -> Deferred[list[str]]:
        if self._threads is None:
            self._threads = ThreadPool(0, LOOKUP_THREADS, "smsgw-webhook-names")
            self._threads.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
            self._threads.start()
        return deferToThreadPool(self._reactor, self._threads, addresses_of, host)


_AGENT = f"smsgw/{smsgw.__version__}"


# ---- what goes out and comes back ------------------------------------------------------------


@implementer(IBodyProducer)
class _Body:
    """Octets that are there."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        """There is nothing to pause: all was written at once."""

    def resumeProducing(self) -> None:
        """There is nothing left."""

    def stopProducing(self) -> None:
        """There is nothing to stop."""


class _Rest(Protocol):
    """Reads the body of an answer to its end, or as much of it as is worth while."""

    def __init__(self, over: Callable[[], None]) -> None:
        self.over = over
        self._octets = 0

    def dataReceived(self, data: bytes) -> None:
        self._octets += len(data)
        if self._octets > BODY_OCTETS_MAX:
            self.over()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over()


def _read_rest(response: Any, seconds: float, reactor: Any) -> Deferred[None]:
    """Fire when the body was read, or its connection cut off."""
    ended: Deferred[None] = Deferred()

    def over() -> None:
        rest.over = _nothing
        if timer.active():
            timer.cancel()
        transport: Any = rest.transport
        if transport is not None:
            transport.loseConnection()  # of no effect once the answer was read whole
        ended.callback(None)

    rest = _Rest(over)
    timer = reactor.callLater(seconds, over)
    response.deliverBody(rest)
    return ended


def _nothing() -> None:
    pass


# ---- what it means ---------------------------------------------------------------------------


def _answered(response: IResponse, now: float) -> Outcome:
    status = int(response.code)
    if 200 <= status < 300:
        return Outcome(Result.DELIVERED, status)
    if status == GONE:
        return Outcome(Result.GONE, status, "the receiver answered 410: it wants no more")
    problem = f"the receiver answered {status}"
    if 300 <= status < 400:
        problem += ", and redirects are not followed; write the URL it leads to"
    values = response.headers.getRawHeaders("retry-after") or []
    return Outcome(Result.REFUSED, status, problem, _retry_after(values, now))


def _retry_after(values: list[str], now: float) -> float | None:
    """Return seconds from seconds, or from a date; None from anything else.

    Spec: RFC 9110 §10.2.3.
    """
    written = values[0].strip() if values else ""
    if re.fullmatch(r"[0-9]{1,9}", written):
        return float(written)
    try:
        return max(0.0, parsedate_to_datetime(written).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _without_answer(error: Exception) -> Outcome:
    if isinstance(error, Forbidden):
        return Outcome(Result.FORBIDDEN, 0, str(error))
    return Outcome(Result.UNREACHABLE, 0, _words(error))


def _words(error: BaseException) -> str:
    """Return one line for what kept an answer from coming."""
    reasons = getattr(error, "reasons", None) or [None]
    if isinstance(reasons[0], Failure) and reasons[0].value is not None:
        error = reasons[0].value
    if isinstance(error, SmsgwError):
        return str(error)[:PROBLEM_CHARACTERS]
    if isinstance(error, socket.gaierror):
        return f"the host has no address: {error.strerror}"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: connection refused"
    if isinstance(error, ConnectTimedOut):
        return "the host does not answer"
    if isinstance(error, ConnectError | OSError) and error.args:
        return " ".join(str(error).split())[:PROBLEM_CHARACTERS]
    if isinstance(error, ConnectionClosed):
        return "the receiver closed the connection without an answer"
    return "what came back is no HTTP answer"

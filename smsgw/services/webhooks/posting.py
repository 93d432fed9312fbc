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
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed, ConnectionRefusedError
from twisted.internet.error import TimeoutError as ConnectTimedOut
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

import smsgw
from smsgw.errors import SmsgwError
from smsgw.services.webhooks.addresses import Rules
from smsgw.transport.certificates import Contexts
from smsgw.transport.tls import ClientTls, TlsEndpoint

ANSWER_SECONDS = 10.0
"""Until the head of an answer must be there, name, connection and handshake included."""

BODY_SECONDS = 1.0
"""How long the body of an answer is waited for: it says nothing any more."""

BODY_OCTETS_MAX = 4096
ANSWER_OCTETS_MAX = 65536
"""What a receiver may send for one POST, headers and all; more ends the connection."""

CONNECTIONS_PER_HOST = 8
IDLE_SECONDS = 30
LOOKUP_THREADS = 8
ADDRESSES_MAX = 4
"""Addresses of one name that are tried, one after the other."""

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


class Forbidden(SmsgwError):
    """The address is none that we call."""


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
        endpoints = _Endpoints(reactor, rules, tls or ClientTls(), seconds, lookup or self._lookup)
        self.resolve = endpoints.resolve
        self._agent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)
        self._under_way: set[Deferred[Any]] = set()

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
        return deferToThreadPool(self._reactor, self._threads, _addresses_of, host)


_AGENT = f"smsgw/{smsgw.__version__}"


# ---- where to --------------------------------------------------------------------------------


def _addresses_of(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Endpoints that look a name up, check what it means, and connect to that."""

    def __init__(
        self,
        reactor: Any,
        rules: Rules,
        tls: ClientTls,
        seconds: float,
        lookup: Callable[[str], Deferred[list[str]]],
    ) -> None:
        self.reactor = reactor
        self.rules = rules
        self.seconds = seconds
        self.contexts = Contexts(tls)
        self._tls = tls
        self._lookup = lookup

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        scheme, host = uri.scheme.decode(), uri.host.decode().strip("[]")
        endpoint: IStreamClientEndpoint = _Checked(self, scheme, host, uri.port)
        if scheme == "https":
            tls = TlsEndpoint(endpoint, self._tls, host, self.reactor, self.seconds, self.contexts)
            endpoint = tls
        return _Metered(endpoint)

    async def resolve(self, scheme: str, host: str) -> list[str]:
        """Return the addresses of a host that may be called.

        Raises:
            Forbidden: None of them may be.
            OSError: It has none.
        """
        found = [host] if _is_literal(host) else await self._lookup(host)
        problems = {address: self.rules.problem(address, scheme) for address in found}
        allowed = [address for address, problem in problems.items() if not problem]
        if not allowed:
            raise Forbidden(next(iter(problems.values()), f"{host} has no address"))
        return allowed[:ADDRESSES_MAX]


def _is_literal(host: str) -> bool:
    return ":" in host or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host) is not None


@implementer(IStreamClientEndpoint)
class _Checked:
    """Connects to the first address of a host that may be called and answers."""

    def __init__(self, endpoints: _Endpoints, scheme: str, host: str, port: int) -> None:
        self._endpoints = endpoints
        self._scheme = scheme
        self._host = host
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        reactor, seconds = self._endpoints.reactor, self._endpoints.seconds
        addresses = await self._endpoints.resolve(self._scheme, self._host)
        while True:
            address = addresses.pop(0)
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            # With others left, one that does not answer leaves them time.
            patience = seconds / (len(addresses) + 1)
            try:
                return await kind(reactor, address, self._port, patience).connect(factory)
            except CancelledError:
                raise
            except Exception:
                if not addresses:
                    raise


# ---- how much --------------------------------------------------------------------------------


class _MeteredProtocol(ProtocolWrapper):
    """Ends a connection whose peer sends more for one POST than an answer needs.

    It ends at once: a peer that goes on sending is not waited for.
    """

    _octets = 0

    def write(self, data: bytes) -> None:
        self._octets = 0
        super().write(data)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        self._octets += len(data)
        if self._octets > ANSWER_OCTETS_MAX:
            self.loseConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        self.disconnecting = 1
        transport: Any = self.transport
        transport.abortConnection()


class _MeteredFactory(WrappingFactory):
    protocol = _MeteredProtocol
    noisy = False


@implementer(IStreamClientEndpoint)
class _Metered:
    """Measures what comes back on the connections of another endpoint."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[Any] = self._endpoint.connect(_metered(protocolFactory))
        return connected.addCallback(_wrapped)


def _metered(factory: IProtocolFactory) -> IProtocolFactory:
    return _MeteredFactory(factory)  # type: ignore[no-untyped-call]


def _wrapped(wrapper: ProtocolWrapper) -> IProtocol:
    inner: IProtocol = wrapper.wrappedProtocol
    return inner


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

"""The tree of the API and the site that serves it.

An endpoint knows neither klein nor twisted.web: here a request becomes a :class:`Call`, and a
:class:`Reply` or an error becomes a response. No traceback ever leaves; every error is
``application/problem+json``. A client that hangs up does not undo what it asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from smsgw.errors import Outdated
from smsgw.interfaces.http import (
    audit,
    batches,
    coding,
    conversations,
    customers,
    etags,
    events,
    health,
    inbound,
    lifecycle,
    link_traces,
    links,
    messages,
    openapi,
    opt_outs,
    people,
    repeats,
    reports,
    requests,
    routing,
    slots,
    stats,
    tokens,
    trace,
    webhooks,
)
from smsgw.interfaces.http.auth import bearer
from smsgw.interfaces.http.calls import Call, Reply, Route, bad_parameter
from smsgw.interfaces.http.channel import ApiChannel, Shared
from smsgw.interfaces.http.problems import CONTENT_TYPE, Problem, invalid, problem_of
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.interfaces.northbound.server import Northbound
from smsgw.services.access.access import Access
from smsgw.services.gateway import Gateway
from smsgw.services.idempotency import IdempotencyKeys
from smsgw.transport.gate import Gate, GateObserver
from smsgw.transport.peers import Network, peer_filter

BODY_OCTETS_MAX = 1024 * 1024
BODY_OCTETS_DRAINED = 16 * BODY_OCTETS_MAX
"""How much of a body that is too large is still read, so that the client gets to see why."""

IDLE_SECONDS = 60

INTAKE = frozenset(
    {
        "/v1/batches",
        "/v1/batches/<id>/messages",
        "/v1/conversations",
        "/v1/conversations/<id>/messages",
        "/v1/messages",
        "/v1/requests",
        "/v1/requests/<id>/resend",
    }
)
"""Where new work comes in: what a gateway that is drained or stopped does not take."""

CONNECTIONS = 512
"""At a time; half of them from one address."""


def make_app(
    front: Gateway,
    access: Access,
    metrics: Metrics,
    log: Logger | None = None,
    northbound: Northbound | None = None,
) -> Api:
    """Return the whole API.

    Args:
        front: The gateway.
        access: Who may do what.
        metrics: What ``/metrics`` shows.
        log: Where failures inside go.
        northbound: The customers who bind to us; None where there are none.
    """
    told = metrics.http_answered
    api = Api(access, front.idempotency, front.check_open, log or Logger(), told)
    routes = [
        *messages.routes(front),
        *batches.routes(front),
        *trace.routes(front),
        *requests.routes(front),
        *inbound.routes(front),
        *events.routes(front),
        *links.routes(front),
        *lifecycle.routes(front),
        *link_traces.routes(front),
        *reports.routes(front),
        *routing.routes(front),
        *opt_outs.routes(front),
        *people.routes(front),
        *audit.routes(front),
        *conversations.routes(front),
        *slots.routes(front),
        *stats.routes(front),
        *customers.routes(northbound),
        *webhooks.routes(front),
        *tokens.routes(access.tokens),
        *health.routes(front, metrics),
    ]
    for route in [*routes, openapi.route(routes)]:
        api.add(route)
    return api


def make_site(
    api: Api,
    reactor: IReactorTime,
    allow: Sequence[Network] = (),
    connections: int = CONNECTIONS,
    observer: GateObserver | None = None,
) -> ApiSite:
    """Return the site to listen with.

    Args:
        api: From :func:`make_app`.
        reactor: For time-outs.
        allow: The networks that may connect besides this machine.
        connections: Most at a time; half of them from one address.
        observer: Told of whom is turned away.
    """
    allows, of_one = peer_filter(allow), max(1, connections // 2)
    return ApiSite(api, reactor, Gate("http", reactor, allows, connections, of_one, observer))


class Api:
    """Between klein and the endpoints.

    A path without variables is found here at once; klein, which takes three times as long to find
    it, has all paths and answers for those that are none.

    Attributes:
        tree: klein's, one for the process: making it takes as long as some hundred requests.
        routes: Every endpoint.
        answered: Told of each answer: method, path as it was declared, status, seconds.
    """

    tree = Klein()
    tree.url_map.merge_slashes = False

    def __init__(
        self,
        access: Access,
        keys: IdempotencyKeys,
        check_open: Callable[[], None],
        log: Logger,
        answered: Callable[[str, str, int, float], None],
    ) -> None:
        self.routes: list[Route] = []
        self.answered = answered
        self._check_open = check_open
        self._access = access
        self._keys = keys
        self._log = log
        self._fixed: dict[tuple[bytes, bytes], Route] = {}
        self._named: dict[str, Route] = {}

    def add(self, route: Route) -> None:
        """Put an endpoint into the tree."""
        self.routes.append(route)
        if "<" not in route.path:
            self._fixed[route.method.encode(), route.path.encode()] = route

        name = f"{route.method} {route.path}"
        self._named[name] = route
        if name not in Api.tree.endpoints:

            def found(api: Api, request: Any, **path: str) -> Deferred[bytes]:
                return api._found(api._named[name], request, path)

            Api.tree.route(route.path, methods=[route.method], endpoint=name)(found)

    def _found(self, route: Route, request: Any, path: Mapping[str, str]) -> Deferred[bytes]:
        done: Deferred[bytes] = Deferred()  # cancelling it, as klein does, leaves the work
        work = Deferred.fromCoroutine(self._answer(route, request, path))
        work.addCallbacks(done.callback, done.errback)
        return done

    def answer(self, request: Any) -> bool:
        """Answer a request whose path has no variables; False for any other."""
        route = self._fixed.get((request.method, request.path))
        if route is None:
            return False
        there = [True]
        request.notifyFinish().addErrback(lambda _: there.clear())

        def send(body: bytes) -> None:
            if there:
                request.write(body)
                request.finish()

        work = Deferred.fromCoroutine(self._answer(route, request, {}))
        work.addErrback(lambda failure: self.failed(request, failure))
        work.addCallback(send)
        return True

    async def _answer(self, route: Route, request: Any, path: Mapping[str, str]) -> bytes:
        request.route = route
        if route.open:
            accept = _header(request, "accept") or ""
            call = Call("", path, _query(request), request.content.read(), accept=accept)
        else:
            call = await self._call(route, request, path)
            if route.path in INTAKE and route.method == "POST":
                self._check_open()
        if route.method != "POST":
            reply = etags.tagged(await route.endpoint(call), _header(request, "if-none-match"))
            return _write(request, reply)
        call.parameters()  # what does something takes none: a misspelt one is not passed over
        etags.expect(call, route, _header(request, "if-match"))
        try:
            return _write(request, await self._done(route, request, call))
        except Outdated as error:
            raise etags.outdated(error) if call.conditional else error from None

    async def _done(self, route: Route, request: Any, call: Call) -> Reply:
        key = _header(request, "idempotency-key")
        if key is not None:
            return await repeats.answer(self._keys, key, request.uri, route, call)
        return etags.tagged(await route.endpoint(call))

    async def _call(self, route: Route, request: Any, path: Mapping[str, str]) -> Call:
        """Return the call of somebody who may make it."""
        token = bearer(_header(request, "authorization"))
        packed = request.content.read()  # now: it is closed when the client hangs up
        caller = await self._access.admit(token, request.peer_host)
        caller.check(route.scope)
        query = _query(request)
        account = caller.account
        below: Sequence[str] = caller.below
        if named := query.pop("account", None):
            if len(named) > 1:
                raise bad_parameter("account", "is given more than once")
            account, *below = caller.accounts_of(named[0])
        coding_name = _header(request, "content-encoding")
        return Call(
            account,
            path,
            query,
            coding.inflated(packed, coding_name, BODY_OCTETS_MAX),
            caller,
            below,
            finished=request.notifyFinish,
        )

    @tree.handle_errors(Exception)
    def failed(self, request: Any, failure: Failure) -> bytes:
        """Answer with the problem that a failure is."""
        return _refuse(request, problem_of(failure, self._log))


def _header(request: Any, name: str) -> str | None:
    """Return a header; what of it is no ASCII is nothing that we know, and breaks nothing."""
    found = request.getHeader(name.encode())
    return None if found is None else found.decode("latin-1")


def _query(request: Any) -> dict[str, list[str]]:
    try:
        return {
            name.decode("utf-8"): [value.decode("utf-8") for value in values]
            for name, values in request.args.items()
        }
    except UnicodeDecodeError:
        raise invalid("", "the query is not UTF-8", HTTPStatus.BAD_REQUEST) from None


def _write(request: Any, reply: Reply) -> bytes:
    body = reply.body()
    status = HTTPStatus(reply.status)
    request.setResponseCode(status.value, status.phrase.encode())
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **reply.headers}
    if len(body) >= coding.WORTH_OCTETS:
        headers["Vary"] = "Accept-Encoding"
        if coding.accepted(_header(request, "accept-encoding")):
            body = coding.deflated(body)
            headers["Content-Encoding"] = "gzip"
    if status == HTTPStatus.NOT_MODIFIED:
        del headers["Content-Type"]
    else:
        headers["Content-Length"] = str(len(body))
    for name, value in headers.items():
        request.setHeader(name, value)
    return body


def _refuse(request: Any, problem: Problem) -> bytes:
    headers = {"Content-Type": CONTENT_TYPE, **problem.headers}
    return _write(request, Reply(problem.body(), problem.status, headers))


class _ApiRequest(Request):
    """A request whose body has a limit, kept in memory.

    Attributes:
        peer_host: The address it came from, which a balancer may have passed on; "" for a Unix
            socket.
        route: What answers it; None where nothing does.
    """

    route: Route | None = None
    _octets = 0
    _kept = True
    _whole_at = 0.0

    def __init__(self, *args: Any, peer_host: str, **kwargs: Any) -> None:
        request: Any = super()
        request.__init__(*args, **kwargs)
        self.peer_host = peer_host

    def gotLength(self, length: int | None) -> None:
        self.content: Any = BytesIO()

    def getRequestHostname(self) -> bytes:
        """Return a name for klein, whatever the Host header says: no endpoint depends on it."""
        return b"localhost"

    def handleContentChunk(self, data: bytes) -> None:
        self._octets += len(data)
        channel: Any = self.channel
        if self._octets > BODY_OCTETS_DRAINED:
            channel.loseConnection()
        elif self._octets <= BODY_OCTETS_MAX and self._kept and channel.hold(len(data)):
            self.content.write(data)
        elif self._kept:
            self._kept, self.content = False, BytesIO()
            channel.let_go()

    def render(self, resrc: IResource) -> None:
        request: Any = super()
        site: Any = self.site
        self._whole_at = time.perf_counter()
        problem = self._problem()
        if problem is not None:
            request.write(_refuse(self, problem))
            request.finish()
        elif not site.api.answer(self):
            request.render(resrc)

    def finish(self) -> None:
        request: Any = super()
        request.finish()
        site: Any = self.site
        method, template = "other", "none"
        if self.route is not None:
            method, template = self.route.method, self.route.path
        seconds = time.perf_counter() - self._whole_at
        site.api.answered(method, template, int(self.code), seconds)

    def _problem(self) -> Problem | None:
        if self._octets > BODY_OCTETS_MAX:
            limit = f"the body has {self._octets} octets, limit {BODY_OCTETS_MAX}"
            return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", limit)
        if not self._kept:
            busy = "too many large bodies are on their way; nothing was looked at"
            again = {"Retry-After": "1"}
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", busy, headers=again)
        try:
            unquote_to_bytes(self.path).decode("utf-8")
        except UnicodeDecodeError:
            return invalid("", "the path is not UTF-8", HTTPStatus.BAD_REQUEST)
        if self.path.startswith(b"//") or b"%2f" in self.path.lower():
            # klein would take either for one /, the rules of a proxy before us would not
            return Problem(HTTPStatus.NOT_FOUND, "not-found", "there is nothing at this path")
        return None


class ApiSite(Site):
    """Lets in whom its gate admits; writes no access log (phones)."""

    noisy = False

    def __init__(self, api: Api, reactor: IReactorTime, gate: Gate) -> None:
        site: Any = super()
        site.__init__(
            api.tree.resource(),
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=reactor,
        )
        whole: Any = self
        whole.protocol = ApiChannel
        self.shared = Shared()
        self.api = api
        self._gate = gate

    def allow(self, networks: Sequence[Network]) -> None:
        """Let in these networks besides this machine, from the next connection on."""
        self._gate.allow = peer_filter(networks)

    def log(self, request: Any) -> None:
        """Write nothing: a request's line may hold a phone number or a text."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        host = getattr(addr, "host", None)
        if host is not None and not self._gate.admits(host, self.shared.spare):
            return None
        site: Any = super()
        channel = site.buildProtocol(addr)
        channel.shared = self.shared
        channel.requestFactory = partial(_ApiRequest, peer_host=host or "")
        if host is not None:  # a Unix socket: its file permissions decide
            channel.gate, channel.host = self._gate, host
        return channel

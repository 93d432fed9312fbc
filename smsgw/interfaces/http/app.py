"""The tree of the API and the site that serves it.

An endpoint knows neither klein nor twisted.web: here a request becomes a :class:`Call`, and a
:class:`Reply` or an error becomes a response. No traceback ever leaves; every error is
``application/problem+json``. A client that hangs up does not undo what it asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from smsgw.interfaces.http import (
    audit,
    coding,
    conversations,
    events,
    health,
    inbound,
    links,
    messages,
    openapi,
    repeats,
    reports,
    requests,
    routing,
    slots,
    tokens,
    trace,
    webhooks,
)
from smsgw.interfaces.http.auth import AccessFront, bearer
from smsgw.interfaces.http.calls import Call, Reply, Route, bad_parameter
from smsgw.interfaces.http.front import (
    Exposition,
    Front,
    IdempotencyFront,
    NewMessage,
    RequestFront,
)
from smsgw.interfaces.http.problems import CONTENT_TYPE, Problem, invalid, problem_of
from smsgw.transport.peers import Network, peer_filter

__all__ = ["Exposition", "Front", "NewMessage", "RequestFront", "make_app", "make_site"]

BODY_OCTETS_MAX = 1024 * 1024
BODY_OCTETS_DRAINED = 16 * BODY_OCTETS_MAX
"""How much of a body that is too large is still read, so that the client gets to see why."""

IDLE_SECONDS = 60


def make_app(
    front: Front,
    access: AccessFront,
    metrics: Exposition,
    log: Logger | None = None,
) -> _App:
    """Return the whole API.

    Args:
        front: The gateway.
        access: Who may do what.
        metrics: What ``/metrics`` shows.
        log: Where failures inside go.
    """
    app = _App()
    app.url_map.merge_slashes = False
    app.api = api = _Api(access, front.idempotency, log or Logger())
    routes = [
        *messages.routes(front),
        *trace.routes(front),
        *requests.routes(front),
        *inbound.routes(front),
        *events.routes(front),
        *links.routes(front),
        *reports.routes(front),
        *routing.routes(front),
        *audit.routes(front),
        *conversations.routes(front),
        *slots.routes(front),
        *webhooks.routes(front),
        *tokens.routes(access.tokens),
        *health.routes(front, metrics),
    ]
    for route in [*routes, openapi.route(routes)]:
        api.add(app, route)
    app.handle_errors(Exception)(api.failed)
    return app


def make_site(app: _App, reactor: IReactorTime, allow: Sequence[Network] = ()) -> Site:
    """Return the site to listen with.

    Args:
        app: From :func:`make_app`.
        reactor: For time-outs.
        allow: The networks that may connect besides this machine.
    """
    return _ApiSite(app, reactor, allow)


class _App(Klein):
    """The tree, and the endpoints in it."""

    api: _Api


class _Api:
    """Between klein and the endpoints.

    A path without variables is found here at once; klein, which takes three times as long to find
    it, has all paths and answers for those that are none.
    """

    def __init__(self, access: AccessFront, keys: IdempotencyFront, log: Logger) -> None:
        self.routes: list[Route] = []
        self._access = access
        self._keys = keys
        self._log = log
        self._fixed: dict[tuple[bytes, bytes], Route] = {}

    def add(self, app: Klein, route: Route) -> None:
        """Put an endpoint into the tree."""
        self.routes.append(route)
        if "<" not in route.path:
            self._fixed[route.method.encode(), route.path.encode()] = route

        def answer(request: Any, **path: str) -> Deferred[bytes]:
            done: Deferred[bytes] = Deferred()  # cancelling it, as klein does, leaves the work
            work = Deferred.fromCoroutine(self._answer(route, request, path))
            work.addCallbacks(done.callback, done.errback)
            return done

        endpoint = f"{route.method} {route.path}"
        app.route(route.path, methods=[route.method], endpoint=endpoint)(answer)

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
        if route.open:
            call = Call("", path, _query(request), request.content.read())
        else:
            call = await self._call(route, request, path)
        key = request.getHeader("idempotency-key")
        if key is None or route.method != "POST":
            return _write(request, await route.endpoint(call))
        return _write(request, await repeats.answer(self._keys, key, request.uri, route, call))

    async def _call(self, route: Route, request: Any, path: Mapping[str, str]) -> Call:
        """Return the call of somebody who may make it."""
        token = bearer(request.getHeader("authorization"))
        caller = await self._access.admit(token, request.peer_host)
        caller.check(route.scope)
        query = _query(request)
        account = caller.account
        below: Sequence[str] = caller.below
        if named := query.pop("account", None):
            if len(named) > 1:
                raise bad_parameter("account", "is given more than once")
            account, *below = caller.accounts_of(named[0])
        coding_name = request.getHeader("content-encoding")
        return Call(
            account,
            path,
            query,
            coding.inflated(request.content.read(), coding_name, BODY_OCTETS_MAX),
            caller,
            below,
            finished=request.notifyFinish,
        )

    def failed(self, request: Any, failure: Failure) -> bytes:
        """Answer with the problem that a failure is."""
        return _refuse(request, problem_of(failure, self._log))


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
        if coding.accepted(request.getHeader("accept-encoding")):
            body = coding.deflated(body)
            headers["Content-Encoding"] = "gzip"
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
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
    """

    _octets = 0

    def __init__(self, *args: Any, peer_host: str, **kwargs: Any) -> None:
        request: Any = super()
        request.__init__(*args, **kwargs)
        self.peer_host = peer_host

    def gotLength(self, length: int | None) -> None:
        self.content: Any = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        self._octets += len(data)
        if self._octets <= BODY_OCTETS_MAX:
            self.content.write(data)
        elif self._octets > BODY_OCTETS_DRAINED:
            channel: Any = self.channel
            channel.loseConnection()

    def render(self, resrc: IResource) -> None:
        request: Any = super()
        site: Any = self.site
        problem = self._problem()
        if problem is not None:
            request.write(_refuse(self, problem))
            request.finish()
        elif not site.api.answer(self):
            request.render(resrc)

    def _problem(self) -> Problem | None:
        if self._octets > BODY_OCTETS_MAX:
            limit = f"the body has {self._octets} octets, limit {BODY_OCTETS_MAX}"
            return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", limit)
        try:
            unquote_to_bytes(self.path).decode("utf-8")
        except UnicodeDecodeError:
            return invalid("", "the path is not UTF-8", HTTPStatus.BAD_REQUEST)
        return None


class _ApiSite(Site):
    """Closes connections from networks that are not allowed; writes no access log (phones)."""

    noisy = False
    peers = Logger()  # not ``log``, which is what Site calls for each request

    def __init__(self, app: _App, reactor: IReactorTime, allow: Sequence[Network]) -> None:
        site: Any = super()
        site.__init__(
            app.resource(),
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=reactor,
        )
        self.api = app.api
        self._allows = peer_filter(allow)

    def log(self, request: Any) -> None:
        """Write nothing: a request's line may hold a phone number or a text."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        site: Any = super()
        host = getattr(addr, "host", None)
        if host is None or self._allows(host):  # a Unix socket: its file permissions decide
            channel = site.buildProtocol(addr)
            channel.requestFactory = partial(_ApiRequest, peer_host=host or "")
            return channel
        self.peers.warn("{host} was turned away: it is in no network of http.allow", host=host)
        return None

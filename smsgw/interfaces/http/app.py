"""The tree of the API.

An endpoint knows neither klein nor twisted.web: here a request becomes a :class:`Call`, and a
:class:`Reply` or an error becomes a response. No traceback ever leaves; every error is
``application/problem+json``. A client that hangs up does not undo what it asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

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
from smsgw.interfaces.http.problems import invalid, problem_of
from smsgw.interfaces.http.responses import header, refuse, write
from smsgw.interfaces.http.site import BODY_OCTETS_MAX
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.interfaces.northbound.server import Northbound
from smsgw.services.access.access import Access
from smsgw.services.gateway import Gateway
from smsgw.services.idempotency import IdempotencyKeys

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


class Api:
    """Between klein and the endpoints.

    A path without variables is found here at once; klein, which takes three times as long to find
    it, has all paths and answers for those that are none.

    Attributes:
        tree: klein's, one for the process: making it takes as long as some hundred requests.
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
        self.answered = answered
        self._check_open = check_open
        self._access = access
        self._keys = keys
        self._log = log
        self._fixed: dict[tuple[bytes, bytes], Route] = {}
        self._named: dict[str, Route] = {}

    @property
    def routes(self) -> list[Route]:
        """Every endpoint."""
        return list(self._named.values())

    def add(self, route: Route) -> None:
        """Put an endpoint into the tree."""
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
            accept = header(request, "accept") or ""
            call = Call("", path, _query(request), request.content.read(), accept=accept)
        else:
            call = await self._call(route, request, path)
            if route.path in INTAKE and route.method == "POST":
                self._check_open()
        if route.method != "POST":
            reply = etags.tagged(await route.endpoint(call), header(request, "if-none-match"))
            return write(request, reply)
        call.parameters()  # what does something takes none: a misspelt one is not passed over
        etags.expect(call, route, header(request, "if-match"))
        try:
            return write(request, await self._done(route, request, call))
        except Outdated as error:
            raise etags.outdated(error) if call.conditional else error from None

    async def _done(self, route: Route, request: Any, call: Call) -> Reply:
        key = header(request, "idempotency-key")
        if key is not None:
            return await repeats.answer(self._keys, key, request.uri, route, call)
        return etags.tagged(await route.endpoint(call))

    async def _call(self, route: Route, request: Any, path: Mapping[str, str]) -> Call:
        """Return the call of somebody who may make it."""
        token = bearer(header(request, "authorization"))
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
        coding_name = header(request, "content-encoding")
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
        return refuse(request, problem_of(failure, self._log))


def _query(request: Any) -> dict[str, list[str]]:
    try:
        return {
            name.decode("utf-8"): [value.decode("utf-8") for value in values]
            for name, values in request.args.items()
        }
    except UnicodeDecodeError:
        raise invalid("", "the query is not UTF-8", HTTPStatus.BAD_REQUEST) from None

"""The site that serves the API: who may connect, and how much a request may hold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from smsgw.interfaces.http.calls import Route
from smsgw.interfaces.http.channel import ApiChannel, Shared
from smsgw.interfaces.http.problems import Problem, invalid
from smsgw.interfaces.http.responses import refuse
from smsgw.transport.gate import Gate, GateObserver
from smsgw.transport.peers import Network, peer_filter

if TYPE_CHECKING:
    from smsgw.interfaces.http.app import Api

BODY_OCTETS_MAX = 1024 * 1024
BODY_OCTETS_DRAINED = 16 * BODY_OCTETS_MAX
"""How much of a body that is too large is still read, so that the client gets to see why."""

IDLE_SECONDS = 60

CONNECTIONS = 512
"""At a time; half of them from one address."""


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
            request.write(refuse(self, problem))
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

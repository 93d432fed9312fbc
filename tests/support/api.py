"""The HTTP API on a real socket, over a :class:`tests.support.front.FakeFront`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.client import HTTPConnectionPool

from smsgw.interfaces.http.app import make_app
from smsgw.interfaces.http.site import make_site
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.services.access.access import Access
from smsgw.services.access.callers import Configured
from tests.support.front import FakeFront
from tests.support.memory import Time

TOKEN = "a-token-of-22-letters!"
OTHER_TOKEN = "another-token-of-25-chars"
CONFIGURED = [
    Configured(name="oa", account="oa", role="admin", token=TOKEN),
    Configured(name="crm", account="crm", role="admin", token=OTHER_TOKEN),
]


class Answer:
    """One answer, read whole."""

    def __init__(self, response: Any, content: bytes) -> None:
        self.status: int = response.code
        self.content = content
        self._headers = response.headers

    def json(self) -> Any:
        import json

        return json.loads(self.content)

    def header(self, name: str) -> str | None:
        values = self._headers.getRawHeaders(name)
        return values[0] if values else None


class ApiServer:
    """Listens until :meth:`stop`; use it with ``async with``."""

    def __init__(self, allow: Sequence[Any] = (), connections: int = 64) -> None:
        self.front = FakeFront()
        self.metrics = Metrics()
        self.logged: list[dict[str, Any]] = []
        self.time = Time()
        self.access = Access(self.front.kept, self.time, CONFIGURED)
        api = make_app(self.front, self.access, self.metrics, Logger(observer=self.logged.append))
        self.site = make_site(api, reactor, allow, connections, self.metrics)  # type: ignore[arg-type]

    async def __aenter__(self) -> ApiServer:
        self.port = reactor.listenTCP(0, self.site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self.port.getHost().port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.port.stopListening()
        await closed_connections()
        await self.access.stop()
        self.front.close()

    async def get(self, path: str, **kwargs: Any) -> Answer:
        return await self.call("GET", path, **kwargs)

    async def post(self, path: str, **kwargs: Any) -> Answer:
        return await self.call("POST", path, **kwargs)

    async def call(
        self, method: str, path: str, token: str | None = TOKEN, **kwargs: Any
    ) -> Answer:
        pool = HTTPConnectionPool(reactor, persistent=False)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers.update(kwargs.pop("headers", {}))
        response = await treq.request(
            method, self.url + path, headers=headers, pool=pool, allow_redirects=False, **kwargs
        )
        return Answer(response, await treq.content(response))


async def closed_connections() -> None:
    """Wait until the server's side of every finished connection is gone."""
    from twisted.internet.tcp import Server

    for _ in range(100):
        if not any(isinstance(one, Server) for one in reactor.getReaders()):  # type: ignore[attr-defined]
            return
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.001, turn.callback, None)  # type: ignore[attr-defined]
        await turn

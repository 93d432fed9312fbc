"""A CMPP link and its simulated gateway with TLS, proxies and balancers between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor

from smsgw.model import Segment, SubmitResult
from smsgw.protocols import cmpp
from smsgw.simulator.ismg import Ismg
from smsgw.transport.certificates import ClientTls, ServerTls
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Link
from smsgw.transport.proxy import Proxy
from tests.support.raw_peer import until
from tests.support.rigs import NUMBERS, make_account


class Secured:
    """Both ends on 127.0.0.1; use it with ``async with``.

    Args:
        serves: How the gateway's port is secured.
        dials: How the link's connections are.
        proxy: What the link dials through.
        balancers: Whose PROXY headers the gateway's port takes.
        host: What the link dials.
    """

    def __init__(
        self,
        serves: ServerTls | None = None,
        dials: ClientTls | None = None,
        proxy: Proxy | None = None,
        balancers: Callable[[str], bool] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._serves = serves
        self._dials = dials
        self._proxy = proxy
        self._balancers = balancers
        self._host = host

    async def __aenter__(self) -> Secured:
        carrier = cmpp.CARRIER
        endpoint = listen_endpoint(
            reactor, "127.0.0.1", 0, tls=self._serves, balancers=self._balancers
        )
        self.ismg = Ismg(carrier, make_account(carrier), endpoint, reactor)
        self.port = await self.ismg.start()
        self.link = Link(
            "one",
            carrier,
            make_account(carrier),
            dial_endpoint(reactor, self._host, self.port, tls=self._dials, proxy=self._proxy),
            reactor,
        )
        self.link.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.link.stop()
        await self.ismg.stop()

    @property
    def _bind(self) -> dict[str, Any]:
        found: dict[str, Any] = self.link.state()["binds"][0]
        return found

    async def submit(self) -> SubmitResult:
        """Send a message over the link."""
        phone = NUMBERS["cmpp"]
        return await self.link.submit(
            Segment(phone, "10690001042", 8, "请审批".encode("utf-16-be"))
        )

    async def reason(self) -> str:
        """Wait until the link is down; return why."""
        await until(lambda: self._bind["phase"] == "down")
        return str(self._bind["reason"])

    async def bound(self) -> None:
        await until(lambda: self._bind["phase"] == "bound")

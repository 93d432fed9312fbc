"""A whole gateway between simulated carriers and customers who bind to it, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.model import MoMessage, Segment, StatusReport
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.text.segmentation import plan, segments
from smsgw.transport.endpoints import dial_endpoint
from smsgw.transport.link import Inbound, Link
from tests.support.gateways import InsideTown
from tests.support.raw_peer import until
from tests.support.rigs import SECRET, make_account

EXTENSIONS = {"smpp": "80", "cmpp": "81"}
LOGINS = {"smpp": "acme", "cmpp": "900081"}

DOORS = """
[northbound.smpp]
listen = "127.0.0.1:{smpp}"

[northbound.cmpp]
listen = "127.0.0.1:{cmpp}"
"""

CUSTOMER = """
[customers.{name}]
protocol = "{protocol}"
login = "{login}"
secret = "s3cret"
extensions = ["{extension}"]
"""


def customer_toml(protocol: str, name: str = "", **keys: Any) -> str:
    """A customer's table; ``keys`` are more of its keys, as they are written."""
    about = {"login": LOGINS[protocol], "extension": EXTENSIONS[protocol]}
    text = CUSTOMER.format(name=name or protocol, protocol=protocol, **about)
    return text + "".join(
        f"{key.replace('_class', 'class')} = {value}\n" for key, value in keys.items()
    )


class CustomerTown(InsideTown):
    """Three simulated carriers, the gateway, and its doors.

    Args:
        folder: For its files.
        tables: The customers, as TOML; None for one of each protocol.
    """

    def __init__(self, folder: Path, tables: str | None = None) -> None:
        super().__init__(folder)
        both = customer_toml("smpp") + customer_toml("cmpp")
        self._tables = both if tables is None else tables
        self._clients: list[Client] = []

    async def run(self) -> None:
        if "[northbound" not in self.config.read_text():
            with self.config.open("a") as file:
                file.write(DOORS.format(smpp=0, cmpp=0) + self._tables)
        await super().run()

    async def stop(self) -> None:
        for client in self._clients:
            await client.stop()
        await super().stop()

    async def __aexit__(self, *exc: object) -> None:
        for client in self._clients:
            await client.stop()
        self._clients = []
        await super().__aexit__(*exc)

    def port(self, protocol: str) -> int:
        assert self.assembly.northbound is not None
        return self.assembly.northbound.port(protocol)

    async def customer(self, protocol: str, *, bound: bool = True, **account: Any) -> Client:
        """Let a customer log in."""
        client = Client(CARRIERS[protocol], self.port(protocol), **account)
        self._clients.append(client)
        client.link.start()
        if bound:
            await until(lambda: client.link.up)
        return client

    async def waiting(self) -> int:
        """How much customers are still to be brought."""
        return await self.count("customer_delivery")


class Client:
    """A customer's own end: one of our links, with what it was brought."""

    def __init__(self, carrier: Carrier, port: int, binds: int = 1, **account: Any) -> None:
        self.carrier = carrier
        name, tls = account.pop("name", LOGINS[carrier.name]), account.pop("tls", None)
        self.link = Link(
            "customer",
            carrier,
            make_account(carrier, name, **account),
            dial_endpoint(reactor, "127.0.0.1", port, tls=tls),
            reactor,
            binds=binds,
        )
        self.link.on_inbound = self._take
        self.answers: list[int] | None = None
        """What deliveries are answered; None: 0, an empty list: nothing."""
        self.reports: list[StatusReport] = []
        self.messages: list[MoMessage] = []
        self._stopped = False

    @property
    def number(self) -> str:
        return "10690001" + EXTENSIONS[self.carrier.name]

    async def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            await self.link.stop()

    def segments(self, to: str, text: str, coding: int = 8, **about: Any) -> list[Segment]:
        """A text as this customer submits it."""
        split = plan(text, coding, family=self.carrier.family)
        about.setdefault("source", self.number)
        return [
            Segment(
                to=to,
                coding=coding,
                content=content,
                udhi=len(split.parts) > 1,
                part=part,
                total=len(split.parts),
                **about,
            )
            for part, content in enumerate(segments(split, about.pop("reference", 77)), 1)
        ]

    async def submit(self, to: str, text: str, **about: Any) -> list[Any]:
        """Submit a text, all parts at once; returns their results."""
        waiting = [self.link.submit(one) for one in self.segments(to, text, **about)]
        return [await one for one in waiting]

    def _take(self, batch: list[Inbound]) -> None:
        for item in batch:
            if item.report is not None:
                self.reports.append(item.report)
            if item.message is not None:
                self.messages.append(item.message)
            if self.answers is None:
                item.acknowledge(0)
            elif self.answers:
                item.acknowledge(self.answers.pop(0))


async def eventually(holds: Any) -> None:
    """Wait for something that has to be asked for."""
    while not await holds():
        await deferLater(reactor, 0.005)


__all__ = ["SECRET", "Client", "CustomerTown", "customer_toml", "eventually", "until"]

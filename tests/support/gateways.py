"""A whole gateway in the test's own process, between simulated or scripted carriers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.daemon.assembly import Assembly, make_gateway
from smsgw.daemon.config import load
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.states import Side
from smsgw.services.gateway import Gateway, NewMessage
from smsgw.services.requests.drafts import Person, RequestDraft, StepDraft
from tests.support.api import closed_connections
from tests.support.daemon import TOKEN, Town
from tests.support.raw_peer import RawGateway, RawPeer, dial, until
from tests.support.rigs import NUMBERS, SECRET

ACCOUNT = "newsroom"
ACCESS_NUMBER = "10690001"

ONE_LINK = """\
[gateway]
database = "smsgw.db"

[http]
listen = "127.0.0.1:0"

[tokens.test]
token = "{token}"
account = "newsroom"

[links.one]
protocol = "{protocol}"
host = "127.0.0.1"
port = {port}
login = "901234"
secret = "{secret}"
access_number = "10690001"
"""

LISTENER = """
[links.one.listener]
listen = "127.0.0.1:0"
login = "smg"
secret = "{secret}"
"""


def one_link(protocol: str, port: int, listener: bool = False) -> str:
    """The configuration of a gateway with one carrier."""
    operator = 'operator = "mobile"\n' if protocol == "smpp" else ""
    config = ONE_LINK + operator + (LISTENER if listener else "")
    return config.format(token=TOKEN, protocol=protocol, port=port, secret=SECRET)


def message(to: str, words: str = "您好", **fields: Any) -> NewMessage:
    return NewMessage(to=to, text=words, **fields)


def prompt(*phones: str) -> list[StepDraft]:
    """One step that asks all of these."""
    return [StepDraft(assignees=[Person(phone, f"p{i}") for i, phone in enumerate(phones)])]


class Inside:
    """What both have in common: the assembly, and looks at its database."""

    assembly: Assembly
    _interval = 0.0

    @property
    def gateway(self) -> Gateway:
        return self.assembly.gateway

    async def open(self, config: Path) -> None:
        self._interval = sys.getswitchinterval()
        self.assembly = make_gateway(load(config), reactor)
        await self.assembly.start()

    async def close(self) -> None:
        await self.assembly.stop()
        await closed_connections()
        sys.setswitchinterval(self._interval)

    async def count(self, table: str, where: str = "TRUE") -> int:
        """How many rows a table has."""
        sql = text(f"SELECT COUNT(*) FROM {table} WHERE {where}")
        found: int = await self.gateway._database.read(lambda c: c.execute(sql).scalar_one())
        return found

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value now, over all series with these labels; 0 when there is none."""
        families = self.assembly.metrics.registry.collect()
        samples = (one for family in families for one in family.samples if one.name == name)
        return sum(one.value for one in samples if labels.items() <= one.labels.items())

    async def become(self, message_id: int, *statuses: str) -> dict[str, Any]:
        """Wait until a message has one of these statuses, and return it."""
        while True:
            shown: dict[str, Any] = await self.gateway.records.message(ACCOUNT, message_id)
            if shown["status"] in statuses:
                await self.heard()
                return shown
            await deferLater(reactor, 0.005)

    async def ask(self, *phones: str) -> int:
        """Ask for approval; returns the request once every prompt was sent."""
        draft = RequestDraft(subject="外景转播车申请", body="请答复", steps=prompt(*phones))
        request_id: int = await self.gateway.requests.create(ACCOUNT, draft)
        await self.person(request_id, lambda one: one["prompt_status"] in ("sent", "delivered"))
        return request_id

    async def person(
        self, request_id: int, holds: Callable[[dict[str, Any]], Any], place: int = 0
    ) -> dict[str, Any]:
        """Wait until something holds of an assignee, and return it."""
        while True:
            shown = await self.gateway.requests.show(request_id, ACCOUNT)
            one: dict[str, Any] = shown["steps"][0]["assignees"][place]
            if holds(one):
                await self.heard()
                return one
            await deferLater(reactor, 0.005)

    async def heard(self) -> None:
        """Wait until the gateway has heard of each commit that a reader may have seen before it."""
        await self.gateway._database.writer.run(lambda connection: None)


class InsideTown(Inside, Town):
    """Three simulated carriers and the gateway between them, all in this process."""

    async def __aenter__(self) -> InsideTown:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
        await self.stop()

    async def run(self) -> None:
        await self.open(self.config)
        self.url = self.assembly.url
        await until(lambda: all(link["up"] for link in self.gateway.links()))

    def brought(self, name: str) -> int:
        """How many deliveries of a carrier were acknowledged."""
        return sum(
            1
            for carrier, what, _, details in self.activity
            if (carrier, what) == (name, "acknowledged") and details["what"] == "mo"
        )


class RawTown(Inside):
    """One scripted carrier and the gateway before it, all in this process."""

    def __init__(self, folder: Path, carrier: Carrier, answers: bool = True) -> None:
        self.carrier = carrier
        self.phone = NUMBERS[carrier.name]
        self.raw = RawGateway(carrier, answers=answers)
        self._folder = folder
        self._dialled: RawPeer | None = None

    async def __aenter__(self) -> RawTown:
        port = await self.raw.start()
        config = self._folder / "smsgw.toml"
        config.write_text(one_link(self.carrier.name, port, self.carrier.peer_dials))
        await self.open(config)
        await until(lambda: self.raw.peers and self.raw.peer.bound)
        await until(lambda: self.gateway.links()[0]["up"])
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._dialled is not None:
            self._dialled.hang_up()
        await self.close()
        await self.raw.stop()

    async def bringer(self) -> RawPeer:
        """The connection over which this carrier brings what phones sent."""
        if not self.carrier.peer_dials:
            return self.raw.peer
        if self._dialled is None:
            port = self.assembly.listener_port("one")
            self._dialled = await dial(self.carrier, port, Side.GATEWAY, name="smg")
        return self._dialled

    async def send(self, *outgoing: NewMessage) -> Sequence[int]:
        return await self.gateway.send(ACCOUNT, outgoing)

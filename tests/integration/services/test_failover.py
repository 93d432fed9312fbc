"""A gateway with two links of one operator, each to a simulated carrier: what one fails to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from twisted.internet import reactor

from smsgw.protocols import cmpp
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.transport.endpoints import listen_endpoint
from tests.support.daemon import TOKEN
from tests.support.gateways import ACCOUNT, Inside, message
from tests.support.ports import free_port
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS, SECRET, make_account

PHONE = NUMBERS["cmpp"]

CONFIG = """\
[gateway]
database = "smsgw.db"

[http]
listen = "127.0.0.1:0"

[tokens.test]
token = "{token}"
account = "newsroom"

[delivery]
failover_after = 0.1

[[routing.rules]]
links = ["first", "second"]
resend_undelivered = true
"""

LINK = """
[links.{name}]
protocol = "cmpp"
host = "127.0.0.1"
port = {port}
login = "901234"
secret = "{secret}"
access_number = "{number}"
"""

ACCESS_NUMBERS = {"first": "10690001", "second": "10690009"}


class TwoCarriers(Inside):
    """Both simulated carriers, and the gateway between them and us."""

    def __init__(self, behaviours: dict[str, Behaviour]) -> None:
        self.carriers = {
            name: Ismg(
                cmpp.CARRIER,
                make_account(cmpp.CARRIER),
                listen_endpoint(reactor, "127.0.0.1", free_port()),
                reactor,
                behaviour=behaviours.get(name) or Behaviour(report_after=0.01),
            )
            for name in ACCESS_NUMBERS
        }

    async def start(self, folder: Path) -> None:
        text = CONFIG.format(token=TOKEN)
        for name, ismg in self.carriers.items():
            port = await ismg.start()
            number = ACCESS_NUMBERS[name]
            text += LINK.format(name=name, port=port, secret=SECRET, number=number)
        (folder / "smsgw.toml").write_text(text)
        await self.open(folder / "smsgw.toml")
        await until(lambda: all(link["up"] for link in self.gateway.links()))

    async def stop(self) -> None:
        await self.close()
        for ismg in self.carriers.values():
            await ismg.stop()

    def inbox(self, name: str) -> list[tuple[str, str]]:
        """What the phone got over a carrier: sender and text."""
        received = self.carriers[name].phones.get(PHONE).inbox
        return [(one.sender, one.text) for one in received]

    async def kinds(self) -> list[str]:
        told = await self.gateway.records.events(ACCOUNT, after=0, limit=100)
        return [one["kind"] for one in told]


@asynccontextmanager
async def two_carriers(folder: Path, **behaviours: Behaviour) -> AsyncIterator[TwoCarriers]:
    town = TwoCarriers(behaviours)
    await town.start(folder)
    try:
        yield town
    finally:
        await town.stop()


@reactor_test
async def test_what_the_first_carrier_does_not_deliver_the_second_one_does(tmp_path: Path) -> None:
    bad = Behaviour(report_after=0.01, stat="UNDELIV")
    async with two_carriers(tmp_path, first=bad) as town:
        (message_id,) = await town.gateway.send(ACCOUNT, [message(PHONE, "您好")])
        shown = await town.become(message_id, "delivered")
        assert (shown["link"], shown["sender_number"]) == ("second", "10690009")
        assert shown["segments"][0]["link"] == "second"
        assert town.inbox("second") == [("10690009", "您好")]
        assert await town.kinds() == [
            "message.queued",
            "message.sent",
            "message.rerouted",
            "message.sent",
            "message.delivered",
        ]


@reactor_test
async def test_what_a_carrier_refuses_for_our_number_leaves_by_the_other(tmp_path: Path) -> None:
    async with two_carriers(tmp_path, first=Behaviour(result=10)) as town:
        words = "新闻部申请使用三号外景转播车" * 12
        (message_id,) = await town.gateway.send(ACCOUNT, [message(PHONE, words)])
        shown = await town.become(message_id, "delivered")
        assert {one["link"] for one in shown["segments"]} == {"second"}
        assert town.inbox("second") == [("10690009", words)]


@reactor_test
async def test_what_waits_for_a_carrier_that_went_away_leaves_by_the_other(tmp_path: Path) -> None:
    fast = Behaviour(result=8)  # "too fast": it stays with its link, and is sent later
    async with two_carriers(tmp_path, first=fast) as town:
        (message_id,) = await town.gateway.send(ACCOUNT, [message(PHONE, "您好")])
        await until(lambda: town.carriers["first"].submits)
        await town.carriers["first"].stop()
        shown = await town.become(message_id, "delivered")
        assert shown["link"] == "second"
        assert town.inbox("second") == [("10690009", "您好")]

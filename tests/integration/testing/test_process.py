"""The process of a simulation, here in the test's own: orders in, answers out."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec
import pytest
from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from smsgw.testing.process import Control
from smsgw.testing.wire import Order, Told
from tests.support.api import closed_connections
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test

PHONE = "13800001001"


@pytest.fixture(autouse=True)
def switch_interval() -> Iterator[None]:
    """What a gateway sets for its process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


class Talk:
    def __init__(self) -> None:
        self.control = Control(reactor)
        self.transport = StringTransport()
        self.control.makeConnection(self.transport)

    @property
    def told(self) -> list[Told]:
        lines = self.transport.value().splitlines()
        return [msgspec.json.decode(line, type=Told) for line in lines]

    async def order(self, number: int, do: str, **words: str) -> Told:
        self.control.dataReceived(msgspec.json.encode(Order(number, do, **words)) + b"\n")
        await until(lambda: any(one.number == number for one in self.told))
        return next(one for one in self.told if one.number == number)

    async def end(self) -> None:
        self.control.connectionLost(Failure(ConnectionDone()))
        await self.control.ended
        await closed_connections()


@reactor_test
async def test_a_gateway_is_started_and_its_phones_write_to_it_and_show_what_comes():
    talk = Talk()
    started = await talk.order(1, "start")
    assert started.url.startswith("http://127.0.0.1:")
    assert (len(started.token) >= 16, started.problem) == (True, "")
    words = {"carrier": "mobile", "phone": PHONE, "to": "10690001", "text": "你好"}
    assert (await talk.order(2, "write", **words)).problem == ""
    words = {**words, "carrier": "sms"}
    assert "sms" in (await talk.order(3, "write", **words)).problem
    assert (await talk.order(4, "stop")).problem == ""
    assert (await talk.order(5, "stop")).problem == ""
    await talk.end()


@reactor_test
async def test_it_ends_with_whoever_gave_the_orders():
    talk = Talk()
    await talk.order(1, "start")
    await talk.end()
    assert talk.control.ended.called


@reactor_test
async def test_without_a_gateway_a_phone_has_nobody_to_write_to():
    talk = Talk()
    told = await talk.order(1, "write", carrier="mobile", phone=PHONE, to="10690001", text="hi")
    assert told.problem == "no gateway is started"
    await talk.end()

"""Fake phones as the tests of a program see them."""

from __future__ import annotations

import asyncio
import time

import pytest

from smsgw.client import Person, Step
from smsgw.testing import SimulatedGateway, Simulation

LONG = "本季度外景转播预算只剩 9000 元，请新闻部与体育部合并使用同一辆转播车。" * 4


def test_a_phone_shows_what_is_sent_to_it_whole(smsgw_gateway):
    phone = smsgw_gateway.phone("+86 138 0000 1001")
    assert (phone.number, phone.carrier) == ("13800001001", "mobile")
    assert phone.inbox == []
    smsgw_gateway.client.send("13800001001", LONG)
    received = phone.wait_for("转播车")
    assert (received.text, received.sender, received.parts) == (LONG, "10690001", 3)
    assert phone.inbox == [received]


def test_each_message_is_waited_for_once_in_any_order(smsgw_gateway):
    phone = smsgw_gateway.phone("18900001002")
    smsgw_gateway.client.send(phone.number, "first")
    smsgw_gateway.client.send(phone.number, "second")
    assert phone.wait_for("second").text == "second"
    assert phone.wait_for().text == "first"
    with pytest.raises(AssertionError, match=r"18900001002 got no message within 0.01 s"):
        phone.wait_for(timeout=0.01)


def test_what_does_not_come_is_said_with_what_did(smsgw_gateway):
    phone = smsgw_gateway.phone("18600001003")
    with pytest.raises(AssertionError, match=r"no message with '待审批' .* it has got nothing"):
        phone.wait_for("待审批", timeout=0.01)
    smsgw_gateway.client.send(phone.number, "hello")
    phone.wait_for("hello")
    with pytest.raises(AssertionError, match=r"it has got\n  10690003: hello"):
        phone.wait_for("待审批", timeout=0.01)


def test_a_reply_goes_to_the_newest_message_or_the_one_that_is_named(smsgw_gateway):
    client, phone = smsgw_gateway.client, smsgw_gateway.phone("13800001001")
    with pytest.raises(AssertionError, match="13800001001 has got nothing"):
        phone.reply("同意")
    first = client.requests.create("甲", [Step([Person(phone.number)])])
    question = phone.wait_for("甲")
    second = client.requests.create("乙", [Step([Person(phone.number)])])
    phone.wait_for("乙")
    phone.reply("同意")
    assert client.requests.wait(second).outcome == "approved"
    phone.reply("不同意 " + LONG, to=question)
    request = client.requests.wait(first)
    assert (request.outcome, request.assignees[0].reason) == ("rejected", LONG.rstrip("。"))


def test_a_phone_writes_to_any_number(smsgw_gateway):
    smsgw_gateway.phone("18600001003").write("10690003", "你好")
    for event in smsgw_gateway.client.events(follow=True):
        if event.kind == "inbound.handled":
            break
    (inbound,) = smsgw_gateway.client.inbound()
    assert (inbound.sender, inbound.text, inbound.outcome) == ("18600001003", "你好", "inbox")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("1", "number: '1' is not a mainland mobile number"),
        ("19200001004", "operator broadnet; fake are mobile, telecom, unicom"),
    ],
)
def test_a_phone_that_no_fake_carrier_has_is_refused(smsgw_gateway, number, words):
    with pytest.raises(ValueError, match=words):
        smsgw_gateway.phone(number)


def test_the_same_number_is_the_same_phone(smsgw_gateway):
    assert smsgw_gateway.phone("13800001001") is smsgw_gateway.phone("138-0000-1001")


def test_an_asyncio_test_waits_while_its_loop_goes_on(smsgw_gateway: SimulatedGateway):
    async def main() -> list[str]:
        done: list[str] = []
        phone = smsgw_gateway.phone("13800001001")
        waiting = asyncio.create_task(phone.wait_for_async("hello"))
        async with smsgw_gateway.async_client() as client:
            message_id = await client.send(phone.number, "hello")
            done.append((await client.wait(message_id)).status)
        done.append((await waiting).text)
        return done

    assert asyncio.run(main()) == ["delivered", "hello"]


def test_a_simulation_that_died_says_so_at_once():
    simulation = Simulation()
    try:
        simulation._process.kill()
        began = time.monotonic()
        with (
            pytest.raises(RuntimeError, match="the simulation has ended"),
            simulation.gateway(),
        ):
            pass
        assert time.monotonic() - began < 10
    finally:
        simulation.close()
    with pytest.raises(RuntimeError, match="the simulation has ended"):
        simulation.order("start")


def test_what_the_simulation_cannot_do_is_an_error_here(smsgw_simulation, smsgw_gateway):
    with pytest.raises(RuntimeError, match="the simulation cannot write: 'broadnet'"):
        smsgw_simulation.order("write", carrier="broadnet")

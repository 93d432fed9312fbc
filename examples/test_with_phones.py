"""Tests of an application that asks people by SMS: a real gateway, and fake carriers and phones.

smsgw brings the fixture with it; nothing else is to be set up:

    pytest examples/test_with_phones.py
"""

from __future__ import annotations

import asyncio

from smsgw.client import AsyncClient, Client, Person, Step
from smsgw.testing import SimulatedGateway

DIRECTOR = "13800001001"


def may_we_buy(client: Client, what: str) -> tuple[bool, str]:
    """The application: asks the director, and waits for the answer."""
    request_id = client.requests.create(f"采购{what}", [Step([Person(DIRECTOR, "台长")])])
    (director,) = client.requests.wait(request_id, timeout=10).assignees
    return director.decision == "yes", director.reason


def test_the_director_can_say_no(smsgw_gateway: SimulatedGateway) -> None:
    phone = smsgw_gateway.phone(DIRECTOR)
    request_id = smsgw_gateway.client.requests.create("采购三脚架", [Step([Person(DIRECTOR)])])
    phone.wait_for("待审批：采购三脚架")
    phone.reply("不同意 预算不够")
    request = smsgw_gateway.client.requests.wait(request_id)
    assert request.outcome == "rejected"
    assert request.assignees[0].reason == "预算不够"
    assert phone.wait_for("已记录").text.endswith("不同意，原因：预算不够")


def test_an_application_that_blocks_waits_in_its_own_thread(
    smsgw_gateway: SimulatedGateway,
) -> None:
    async def both() -> tuple[bool, str]:
        phone = smsgw_gateway.phone(DIRECTOR)
        asked = asyncio.to_thread(may_we_buy, smsgw_gateway.client, "三脚架")
        answer = asyncio.create_task(asked)
        await phone.wait_for_async("待审批")
        phone.reply("同意")
        return await answer

    assert asyncio.run(both()) == (True, "")


def test_an_asyncio_application(smsgw_gateway: SimulatedGateway) -> None:
    async def talk(client: AsyncClient) -> str:
        opened = await client.conversations.open(DIRECTOR, "arrival", text="几点到？")
        phone = smsgw_gateway.phone(DIRECTOR)
        await phone.wait_for_async("几点到")
        phone.reply("下午三点")
        async for event in client.events(follow=True):
            if event.kind == "conversation.reply" and event.subject_id == opened.id:
                break
        return (await client.conversations.show(opened.id)).replies[0].text

    async def main() -> str:
        async with smsgw_gateway.async_client() as client:
            return await talk(client)

    assert asyncio.run(main()) == "下午三点"


def test_every_test_has_a_gateway_of_its_own(smsgw_gateway: SimulatedGateway) -> None:
    assert list(smsgw_gateway.client.messages()) == []
    assert smsgw_gateway.phone(DIRECTOR).inbox == []

"""Conversations, plans and static extensions of a whole gateway between simulated carriers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.support.daemon import LOGINS
from tests.support.gateways import ACCOUNT, InsideTown
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONES = {name: NUMBERS[name] for name in LOGINS}

EXTENSIONS = """
[conversations.conversation]
prefix = "7"
digits = 1

[extensions.desk]
extension = "80"
account = "desk"

[extensions.weather]
extension = "80"
account = "weather"
keywords = ["天气"]
"""


class Numbered(InsideTown):
    """With a plan for conversations, and static extensions beside it."""

    async def run(self) -> None:
        self.config.write_text(self.config.read_text() + EXTENSIONS)
        await super().run()

    async def talk(self, to: str, reference: str, **options: Any) -> dict[str, Any]:
        return await self.gateway.conversations.open(ACCOUNT, to, reference, **options)

    async def replies(self, conversation: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """Wait until a conversation has so many replies."""
        while True:
            shown = await self.gateway.conversations.show(ACCOUNT, int(conversation["id"]))
            if len(shown["replies"]) == count:
                return list(shown["replies"])
            await deferLater(reactor, 0.005)

    async def inbox(self, account: str, count: int) -> list[dict[str, Any]]:
        """Wait until an account sees so many inbound messages, all read."""
        while True:
            found = await self.gateway.records.inbound(account, before=None, limit=50)
            if len(found) == count and all(one["handled_at"] for one in found):
                return list(found)
            await deferLater(reactor, 0.005)


@reactor_test
async def test_a_reply_over_any_carrier_comes_back_with_the_reference(tmp_path):
    async with Numbered(tmp_path) as town:
        for name, phone in PHONES.items():
            opened = await town.talk(phone, f"job-{name}", text="几点到？")
            assert opened["extension"].startswith("7")
            inbox = town.carriers[name].phones.get(phone).inbox
            await until(lambda inbox=inbox: inbox)
            assert (inbox[0].sender, inbox[0].text) == (opened["sender_number"], "几点到？")
            town.carriers[name].send(phone, opened["sender_number"], "下午三点")
            (reply,) = await town.replies(opened, 1)
            assert (reply["from"], reply["text"], reply["late"]) == (phone, "下午三点", False)
        events = await town.gateway.records.events(ACCOUNT, after=0, limit=500)
        told = [one["data"]["reference"] for one in events if one["kind"] == "conversation.reply"]
        assert sorted(told) == sorted(f"job-{name}" for name in PHONES)
        await until(lambda: town.metric("smsgw_replies_total", outcome="replied") == 3)
        (slot,) = await town.gateway.slots.page(ACCOUNT, phone=PHONES["cmpp"])
        assert (slot["plan"], slot["reference"]) == ("conversation", "job-cmpp")
        full = await town.gateway.slots.capacity(ACCOUNT)
        plans = {(one["access_number"], *one["plans"]): one["left"] for one in full["capacity"]}
        assert plans["10690001", "conversation"] == 9
        assert plans["10690001", "conversations"] == 990


@reactor_test
async def test_only_the_recipient_s_texts_are_replies_and_late_ones_are_marked(tmp_path):
    async with Numbered(tmp_path) as town:
        carrier, phone = town.carriers["cmpp"], PHONES["cmpp"]
        opened = await town.talk(phone, "job-1", valid_for=3600)
        carrier.send("13800009999", opened["sender_number"], "我也去")
        (strange,) = await town.inbox(ACCOUNT, 1)
        assert (strange["outcome"], strange["conversation_id"]) == ("inbox", None)
        await town.gateway.conversations.end(ACCOUNT, int(opened["id"]))
        carrier.send(phone, opened["sender_number"], "晚了")
        (reply,) = await town.replies(opened, 1)
        assert reply["late"]
        late, _ = await town.inbox(ACCOUNT, 2)
        assert (late["outcome"], late["conversation_id"]) == ("late", opened["id"])
        assert town.carriers["cmpp"].submits == []


@reactor_test
async def test_what_is_sent_to_a_static_extension_is_its_account_s_by_keyword(tmp_path):
    async with Numbered(tmp_path) as town:
        carrier, phone = town.carriers["cmpp"], PHONES["cmpp"]
        carrier.send(phone, "1069000180", "天气 北京")
        (asked,) = await town.inbox("weather", 1)
        assert asked["text"] == "天气 北京"
        carrier.send(phone, "106900018011", "值班电话多少")
        (told,) = await town.inbox("desk", 1)
        assert (told["text"], told["extension"]) == ("值班电话多少", "8011")
        assert await town.gateway.records.inbound(ACCOUNT, before=None, limit=9) == []


@reactor_test
async def test_who_is_asked_may_still_write_to_a_service(tmp_path: Path) -> None:
    """It is no reply that lost its extension, and nobody is asked back what was meant."""
    async with Numbered(tmp_path) as town:
        carrier, phone = town.carriers["cmpp"], PHONES["cmpp"]
        await town.ask(phone)
        carrier.send(phone, "1069000180", "天气")
        (asked,) = await town.inbox("weather", 1)
        assert (asked["outcome"], asked["request_id"]) == ("inbox", None)
        assert len(carrier.submits) == 1

"""A number that changed operator: learned from what its phone writes, and reached from then on."""

from __future__ import annotations

from typing import Any

from smsgw.model import MessageClass
from tests.support.gateways import ACCOUNT, InsideTown, message
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PORTED = NUMBERS["cmpp"]
"""Issued by the mobile operator; here its phone is the unicom simulator's."""


def explain(town: InsideTown) -> Any:
    return town.gateway.explain(
        ACCOUNT, PORTED, message_class=MessageClass.NOTICE, expects_reply=True
    )


@reactor_test
async def test_a_question_goes_out_by_the_operator_the_phone_last_wrote_over(tmp_path):
    async with InsideTown(tmp_path) as town:
        before = explain(town)
        assert (before["operator"], before["links"]) == ("mobile", [{"name": "mobile", "up": True}])
        town.carriers["sgip"].send(PORTED, "10690003", "我换到联通了")
        await until(lambda: town.brought("sgip") == 1)
        found = explain(town)
        assert (found["operator"], found["links"]) == ("unicom", [{"name": "unicom", "up": True}])
        assert "ported (MO on link unicom, " in found["why"]

        request_id = await town.ask(PORTED)
        person = await town.person(request_id, lambda one: True)
        assert person["access_number"] == "10690003"
        town.carriers["sgip"].send(PORTED, person["sender_number"], "同意")
        await town.person(request_id, lambda one: one["decision"] == "yes")
        assert town.carriers["cmpp"].submits == []

        await town.close()
        await town.run()
        (message_id,) = await town.gateway.send(ACCOUNT, [message(PORTED, expects_reply=True)])
        assert (await town.become(message_id, "delivered"))["link"] == "unicom"
        assert await town.gateway.ported.forget([PORTED]) == 1
        assert explain(town)["operator"] == "mobile"

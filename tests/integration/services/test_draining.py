"""A drained gateway takes no new work, sends what it has, and goes on when that is undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.errors import Disposition, Overloaded
from tests.support.customers import CustomerTown, until
from tests.support.gateways import ACCOUNT, message
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]


def nothing_waits(town: CustomerTown) -> bool:
    queues = [one["queue"] for one in town.gateway.links()]
    return not any(queue["queued"] or queue["sending"] for queue in queues)


@reactor_test
async def test_draining_refuses_for_now_sends_what_waits_and_can_be_undone(tmp_path: Path) -> None:
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer("smpp")
        request_id = await town.ask(PHONE)
        (message_id,) = await town.gateway.send(ACCOUNT, [message(PHONE)])
        told = await town.gateway.drain("zhang")
        assert told["draining"]
        assert await town.gateway.readiness() == ["drained by zhang"]
        with pytest.raises(Overloaded, match="being drained") as refused:
            await town.gateway.send(ACCOUNT, [message(PHONE)])
        assert refused.value.retry_after == 30
        (result,) = await customer.submit(PHONE, "您好")
        assert result.disposition is Disposition.RETRY
        await town.become(message_id, "delivered")
        person = await town.person(request_id, lambda one: True)
        town.carriers["cmpp"].send(PHONE, person["sender_number"], "同意")
        await town.person(request_id, lambda one: one["decision"] == "yes")
        await until(lambda: nothing_waits(town))  # the confirmation went out, too

        told = await town.gateway.drain("li", undo=True)
        assert told == {"draining": False, "queued": 0, "sending": 0, "more_in_store": False}
        assert await town.gateway.readiness() == []
        await town.gateway.send(ACCOUNT, [message(PHONE)])
        (result,) = await customer.submit(PHONE, "您好")
        assert result.disposition is Disposition.ACCEPTED
        assert await town.count("audit", "action LIKE 'gateway.drain%'") == 2

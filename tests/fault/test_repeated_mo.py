"""A gateway brings the same delivery twice, because our answer to the first one got lost."""

from __future__ import annotations

import pytest

from smsgw.protocols.registry import CARRIERS
from tests.support.gateways import ACCOUNT, RawTown
from tests.support.raw_peer import deliver, until
from tests.support.reactor import reactor_test


@pytest.mark.parametrize("name", sorted(CARRIERS))
@reactor_test
async def test_it_is_answered_twice_and_counted_once(tmp_path, name):
    carrier = CARRIERS[name]
    async with RawTown(tmp_path, carrier) as town:
        request_id = await town.ask(town.phone)
        person = await town.person(request_id, lambda one: True)
        bringer = await town.bringer()
        octets = deliver(carrier, bringer, "不同意 超预算", to=person["sender_number"])
        bringer.say(octets + octets)
        await until(lambda: len(bringer.answers_to(octets, carrier)) == 2)
        person = await town.person(request_id, lambda one: one["decision"])
        bringer.say(octets)
        await until(lambda: len(bringer.answers_to(octets, carrier)) == 3)
        assert bringer.answers_to(octets, carrier) == [0, 0, 0]
        request = await town.gateway.requests.show(request_id, ACCOUNT)
        (person,) = request["steps"][0]["assignees"]
        assert (person["decision"], person["reason"]) == ("no", "超预算")
        assert [answer["counted"] for answer in person["answers"]] == [True]
        assert request["outcome"] == "rejected"
        assert len(await town.gateway.records.inbound(ACCOUNT, before=None, limit=9)) == 1
        assert await town.count("answer") == 1
        await until(lambda: town.metric("smsgw_replies_total", outcome="decided") == 1)

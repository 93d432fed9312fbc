"""The status report overtakes the answer that names its segment."""

from __future__ import annotations

import pytest

from smsgw.model import MessageStatus, StatusReport
from smsgw.protocols.registry import CARRIERS
from smsgw.transport.link import china_now
from tests.support.gateways import RawTown, message
from tests.support.raw_peer import report, until
from tests.support.reactor import reactor_test


@pytest.mark.parametrize("name", sorted(CARRIERS))
@reactor_test
async def test_it_waits_for_the_answer_and_ends_matched(tmp_path, name):
    carrier = CARRIERS[name]
    async with RawTown(tmp_path, carrier, answers=False) as town:
        (message_id,) = await town.send(message(town.phone))
        await until(lambda: town.raw.submits)
        submit = town.raw.submits[0]
        make = carrier.message_id
        carrier_id = make(1001, china_now(), 1) if make is not None else carrier.submit_id(submit)
        bringer = await town.bringer()
        about = StatusReport(
            carrier_id,
            MessageStatus.DELIVERED,
            "DELIVRD",
            to=town.phone,
            submitted="2511180930",
            done="2511180930",
        )
        octets = report(carrier, bringer, about)
        bringer.say(octets)
        await until(lambda: bringer.answers_to(octets, carrier) == [0])
        assert await town.count("parked_report") == 1
        assert (await town.gateway.records.message("newsroom", message_id))["status"] == "queued"
        town.raw.peer.answer(submit, carrier_id)
        shown = await town.become(message_id, "delivered")
        assert [one["state"] for one in shown["segments"]] == ["delivered"]
        assert shown["segments"][0]["carrier_message_id"] == carrier_id
        assert await town.count("parked_report") == 0
        assert town.metric("smsgw_reports_total", link="one", result="parked") == 1
        assert town.metric("smsgw_messages_finished_total", status="delivered") == 1

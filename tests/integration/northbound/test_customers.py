"""Customers bind to us: what they submit goes out, what comes of it is brought to them."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.model import MessageStatus
from smsgw.text.charset import decode
from smsgw.text.udh import split_header
from tests.support.customers import CustomerTown, customer_toml, eventually, until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]
LONG = "新闻部申请使用三号外景转播车" * 12

KINDS = [
    pytest.param("smpp", {}, id="smpp"),
    pytest.param("cmpp", {}, id="cmpp30"),
    pytest.param("cmpp", {"version": "2.0"}, id="cmpp20"),
]


@pytest.mark.parametrize(("protocol", "login"), KINDS)
@reactor_test
async def test_a_submit_goes_out_and_its_report_comes_back(tmp_path, protocol, login):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol, **login)
        (result,) = await customer.submit(PHONE, "您好")
        assert result.disposition is Disposition.ACCEPTED
        assert result.carrier_message_id
        await until(lambda: customer.reports)
        (report,) = customer.reports
        assert report.carrier_message_id == result.carrier_message_id
        assert (report.status, report.stat) == (MessageStatus.DELIVERED, "DELIVRD")
        assert (report.to, report.source) == (PHONE, customer.number)
        (received,) = town.carriers["cmpp"].phones.get(PHONE).inbox
        assert (received.sender, received.text) == (customer.number, "您好")
        await eventually(lambda: _is_empty(town))
        assert town.metric("smsgw_customer_submits_total", customer=protocol, result="ok") == 1
        await until(lambda: town.metric("smsgw_customer_deliveries_total", customer=protocol) == 1)
        assert town.metric("smsgw_messages_accepted_total", **{"class": "notice"}) == 1


async def _is_empty(town):
    return not await town.waiting()


@pytest.mark.parametrize(("protocol", "login"), KINDS)
@reactor_test
async def test_what_a_phone_writes_to_its_numbers_is_brought(tmp_path, protocol, login):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol, **login)
        town.carriers["cmpp"].send(PHONE, customer.number + "55", "几点开会")
        town.carriers["smgp"].send(NUMBERS["smgp"], "10690002" + customer.number[8:], LONG)
        town.carriers["cmpp"].send(PHONE, "10690001", "nobody's")
        parts = 1 + 3
        await until(lambda: len(customer.messages) == parts)
        single = next(one for one in customer.messages if not one.udhi)
        assert (single.sender, single.destination) == (PHONE, customer.number + "55")
        assert decode(single.content, single.coding) == "几点开会"
        long = [one for one in customer.messages if one.udhi]
        text = "".join(decode(split_header(one.content)[1], one.coding) for one in long)
        assert text == LONG
        assert {one.destination for one in long} == {"10690002" + customer.number[8:]}
        await eventually(lambda: _is_empty(town))
        assert len(customer.messages) == parts


@pytest.mark.parametrize(("protocol", "login"), KINDS)
@reactor_test
async def test_a_long_message_is_joined_and_each_part_reported(tmp_path, protocol, login):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol, **login)
        results = await customer.submit(PHONE, LONG)
        ids = [result.carrier_message_id for result in results]
        assert len(set(ids)) == len(ids) == 3
        await until(lambda: len(customer.reports) == 3)
        assert sorted(one.carrier_message_id for one in customer.reports) == sorted(ids)
        (received,) = town.carriers["cmpp"].phones.get(PHONE).inbox
        assert (received.text, received.parts) == (LONG, 3)
        assert await town.count("message") == 1
        assert await town.count("submitted_part") == 0
        assert await town.count("awaited_report") == 0


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
@reactor_test
async def test_what_is_not_asked_to_be_reported_is_not(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        (quiet,) = await customer.submit(PHONE, "quiet", coding=0, want_report=False)
        assert quiet.disposition is Disposition.ACCEPTED
        (told,) = await customer.submit(PHONE, "told", coding=0)
        await until(lambda: customer.reports)
        assert [one.carrier_message_id for one in customer.reports] == [told.carrier_message_id]
        assert await town.count("awaited_report") == 0


@reactor_test
async def test_several_recipients_of_one_submit_each_get_a_report_of_their_own(tmp_path):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer("cmpp")
        session = next(iter(customer.link._bound)).session
        (segment,) = customer.segments(PHONE, "hi", coding=0)
        pdu = customer.carrier.to_submit(customer.link.account, "3.0", segment)
        pdu.dest_terminal_id = [PHONE, NUMBERS["smgp"], NUMBERS["sgip"]]
        session.submit(pdu, 0.0)
        next(iter(customer.link._bound)).flush()
        await until(lambda: len(customer.reports) == 3)
        by_phone = {one.to: int(one.carrier_message_id, 16) for one in customer.reports}
        first = by_phone[PHONE]
        assert by_phone == {PHONE: first, NUMBERS["smgp"]: first + 1, NUMBERS["sgip"]: first + 2}
        assert await town.count("message") == 3


REFUSED = [
    ("smpp", {"source": "1069000199"}, 0x0A),
    ("smpp", {"source": "10690001"}, 0x0A),
    ("smpp", {"to": "12"}, 0x0B),
    ("smpp", {"coding": 4}, 0x45),
    ("cmpp", {"source": "1069000180"}, 10),
    ("cmpp", {"to": "12"}, 13),
    ("cmpp", {"coding": 4}, 1),
]


@pytest.mark.parametrize(("protocol", "about", "code"), REFUSED)
@reactor_test
async def test_what_cannot_be_sent_as_asked_is_refused_by_its_code(tmp_path, protocol, about, code):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        (segment,) = customer.segments(PHONE, "hi", coding=0)
        for name, value in about.items():
            setattr(segment, name, value)
        result = await customer.link.submit(segment)
        assert (result.code, result.carrier_message_id) == (code, "")
        assert await town.count("message") == 0


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
@reactor_test
async def test_what_is_brought_waits_for_a_customer_that_is_away(tmp_path, protocol):
    async with CustomerTown(tmp_path, customer_toml(protocol, account='"newsroom"')) as town:
        customer = await town.customer(protocol)
        customer.answers = []
        (result,) = await customer.submit(PHONE, "您好")
        await until(lambda: customer.reports)
        await customer.stop()
        town.carriers["cmpp"].send(PHONE, customer.number, "同意")
        await eventually(lambda: _are(town, 2))
        (sent,) = (await town.get("/v1/messages"))["messages"]
        trace = await town.get(f"/v1/messages/{sent['id']}/trace")
        (reply,) = trace["replies"]
        owed = [(one["kind"], one["subject_id"], one["state"]) for one in trace["customers"]]
        assert owed == [("report", sent["id"], "waiting"), ("mo", reply["id"], "waiting")]
        assert {one["customer"] for one in trace["customers"]} == {protocol}
        again = await town.customer(protocol)
        await until(lambda: again.reports and again.messages)
        assert again.reports[0].carrier_message_id == result.carrier_message_id
        await eventually(lambda: _are(town, 0))


async def _are(town, count):
    return await town.waiting() == count


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
@reactor_test
async def test_what_is_brought_survives_a_restart(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        results = [(await customer.submit(PHONE, "您好"))[0] for _ in range(3)]
        await customer.stop()
        await eventually(lambda: _are(town, 3))
        await town.close()
        await town.run()
        again = await town.customer(protocol)
        await until(lambda: len(again.reports) == 3)
        ids = [one.carrier_message_id for one in again.reports]
        assert ids == [one.carrier_message_id for one in results]
        await eventually(lambda: _are(town, 0))


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
@reactor_test
async def test_what_a_customer_refuses_for_now_is_brought_again(tmp_path, protocol, monkeypatch):
    monkeypatch.setattr("smsgw.services.northbound.outbox.AGAIN_SECONDS", 0.05)
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        customer.answers = [8, 8, 0]
        await customer.submit(PHONE, "您好")
        await until(lambda: len(customer.reports) == 3)
        await eventually(lambda: _are(town, 0))


@reactor_test
async def test_the_rate_and_the_number_of_connections_are_the_agreed_ones(tmp_path):
    async with CustomerTown(tmp_path, customer_toml("smpp", rate=2, binds=1)) as town:
        customer = await town.customer("smpp")
        waiting = [
            customer.link.submit(customer.segments(PHONE, f"n{n}", coding=0)[0]) for n in range(4)
        ]
        codes = [(await one).code for one in waiting]
        assert codes == [0, 0, 0x58, 0x58]
        other = await town.customer("smpp", bound=False)
        await until(lambda: other.link.state()["binds"][0]["refused"])
        assert other.link.state()["binds"][0]["refused"] == "busy"


@reactor_test
async def test_operators_see_who_is_here_and_what_waits(tmp_path):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer("smpp")
        customer.answers = []  # it takes what it is brought, and acknowledges nothing
        await customer.submit(PHONE, "您好")
        await until(lambda: customer.reports)
        shown = {one["name"]: one for one in (await town.get("/v1/customers"))["customers"]}
        here, away = shown["smpp"], shown["cmpp"]
        assert (here["login"], here["extensions"], here["binds_max"]) == ("acme", ["80"], 1)
        (bind,) = here["binds"]
        assert (bind["host"], bind["receives"], bind["in_flight"]) == ("127.0.0.1", True, 1)
        assert (here["waiting"], here["rate"], here["class"]) == (1, None, "notice")
        assert (away["binds"], away["waiting"], away["protocol"]) == ([], 0, "cmpp")
        await customer.stop()

"""Long messages whose parts come one by one, late, twice, or never."""

from __future__ import annotations

import pytest

from smsgw.protocols.carrier import ResultKind
from smsgw.protocols.registry import CARRIERS
from tests.support.customers import CustomerTown, eventually, until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]
LONG = "新闻部申请使用三号外景转播车" * 12

both = pytest.mark.parametrize("protocol", ["smpp", "cmpp"])


@both
@reactor_test
async def test_parts_that_come_one_by_one_in_any_order_are_joined(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        ids = []
        for segment in reversed(customer.segments(PHONE, LONG)):
            result = await customer.link.submit(segment)
            ids.append(result.carrier_message_id)
        assert len(set(ids)) == 3
        await until(lambda: len(customer.reports) == 3)
        assert {one.carrier_message_id for one in customer.reports} == set(ids)
        (received,) = town.carriers["cmpp"].phones.get(PHONE).inbox
        assert received.text == LONG
        assert await town.count("submitted_part") == 0


@both
@reactor_test
async def test_parts_are_joined_over_a_restart(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        first, second, third = customer.segments(PHONE, LONG)
        ids = [(await customer.link.submit(one)).carrier_message_id for one in (first, second)]
        await customer.stop()
        assert await town.count("submitted_part") == 2
        await town.close()
        await town.run()
        again = await town.customer(protocol)
        ids.append((await again.link.submit(third)).carrier_message_id)
        await until(lambda: len(again.reports) == 3)
        assert {one.carrier_message_id for one in again.reports} == set(ids)


@both
@reactor_test
async def test_a_part_that_comes_again_gets_the_id_it_had(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        first, second, third = customer.segments(PHONE, LONG)
        one = (await customer.link.submit(first)).carrier_message_id
        assert (await customer.link.submit(first)).carrier_message_id == one
        await customer.link.submit(second)
        last = (await customer.link.submit(third)).carrier_message_id
        await until(lambda: len(customer.reports) == 3)
        (bind,) = customer.link._bound
        bind.abort()  # as if the last answer had not arrived
        await until(lambda: not town.assembly.northbound._binds)
        again = await town.customer(protocol)
        assert (await again.link.submit(third)).carrier_message_id == last
        assert await town.count("message") == 1
        assert await town.count("submitted_part") == 0


@both
@reactor_test
async def test_the_same_long_message_twice_is_two(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        await customer.submit(PHONE, LONG)
        await customer.submit(PHONE, LONG)
        await until(lambda: len(customer.reports) == 6)
        await customer.stop()
        await eventually(lambda: _free(town))
        again = await town.customer(protocol)
        await again.submit(PHONE, LONG)
        await until(lambda: len(again.reports) == 3)
        assert await town.count("message") == 3


@both
@reactor_test
async def test_what_never_becomes_whole_is_reported_as_expired(tmp_path, protocol, monkeypatch):
    monkeypatch.setattr("smsgw.services.northbound.joining.JOIN_SECONDS", 0.05)
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        first, second, _ = customer.segments(PHONE, LONG)
        told = (await customer.link.submit(first)).carrier_message_id
        second.want_report = False
        await customer.link.submit(second)
        await until(lambda: customer.reports)
        (report,) = customer.reports
        assert (report.carrier_message_id, report.stat) == (told, "EXPIRED")
        assert (report.to, report.source) == (PHONE, customer.number)
        await eventually(lambda: _no_parts(town))  # a late second part is given up later, alone
        assert await town.count("message") == 0
        assert await town.count("event", "kind = 'submit.unfinished'") >= 1


@both
@reactor_test
async def test_a_reference_used_for_another_message_ends_the_first(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        old = (await customer.link.submit(customer.segments(PHONE, LONG)[0])).carrier_message_id
        results = await customer.submit(PHONE, LONG[1:])
        assert [one.code for one in results] == [0, 0, 0]
        await until(lambda: len(customer.reports) == 4)
        stats = {one.carrier_message_id: one.stat for one in customer.reports}
        assert stats.pop(old) == "EXPIRED"
        assert set(stats.values()) == {"DELIVRD"}


@both
@reactor_test
async def test_a_message_that_cannot_be_sent_when_whole_refuses_its_last_part(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        parts = customer.segments(PHONE, LONG)
        parts[2].content += b"\xd8"  # half a character
        ids = [(await customer.link.submit(one)).carrier_message_id for one in parts[:2]]
        last = await customer.link.submit(parts[2])
        assert last.code == CARRIERS[protocol].refusals[ResultKind.FORMAT]
        await until(lambda: len(customer.reports) == 2)
        assert {one.carrier_message_id: one.stat for one in customer.reports} == dict.fromkeys(
            ids, "REJECTD"
        )
        together = customer.segments(PHONE, LONG, reference=9)
        together[2].content += b"\xd8"
        sent = [customer.link.submit(one) for one in together]
        assert [(await one).code for one in sent] == [last.code] * 3
        assert await town.count("message") == 0


@both
@reactor_test
async def test_too_many_parts_that_wait_are_not_taken(tmp_path, protocol, monkeypatch):
    monkeypatch.setattr("smsgw.services.northbound.joining.PARTS_MAX", 1)
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        assert (await customer.link.submit(customer.segments(PHONE, LONG)[0])).code == 0
        other = customer.segments(PHONE, LONG, reference=2)[0]
        assert (await customer.link.submit(other)).code in (8, 0x14)


@reactor_test
async def test_long_messages_in_other_forms_are_joined_too(tmp_path):
    async with CustomerTown(tmp_path) as town:
        inbox = town.carriers["cmpp"].phones.get(PHONE).inbox
        for form in ("sar", "payload"):
            customer = await town.customer("smpp", long_form=form)
            results = await customer.submit(PHONE, LONG)
            assert {one.code for one in results} == {0}
            await until(lambda inbox=inbox: inbox and inbox[-1].text == LONG)
            inbox.clear()
            await customer.stop()
            await eventually(lambda town=town: _free(town))
        assert await town.count("message") == 2


async def _no_parts(town):
    return await town.count("submitted_part") == 0


async def _free(town):
    return not town.assembly.northbound._binds

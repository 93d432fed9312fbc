"""Customers of a gateway that shares a PostgreSQL database with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.store.address import Server
from smsgw.store.customers import KEEP_PARTS, SubmittedPart
from tests.support.customers import CustomerTown, eventually, until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]
LONG = "新闻部申请使用三号外景转播车" * 12


class OnServer(CustomerTown):
    """It keeps what it has in a server's database."""

    def __init__(self, folder: Path, place: Server) -> None:
        super().__init__(folder)
        self.place = place

    async def run(self) -> None:
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace('"smsgw.db"', f'"{self.place}"'), encoding="utf-8")
        await super().run()


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
@reactor_test
async def test_parts_that_another_process_took_are_joined(tmp_path, server, protocol):
    async with OnServer(tmp_path, server) as town:
        customer = await town.customer(protocol)
        segments = customer.segments(PHONE, LONG)
        taken = [
            SubmittedPart(
                id=town.gateway._database.ids.next(),
                customer=protocol,
                source=customer.number,
                recipients=PHONE,
                reference="8:77",
                total=3,
                sequence=sequence,
                coding=8,
                content=segments[sequence - 1].content[6:],
                report=1,
                received_at=1,
            )
            for sequence in (1, 3)
        ]
        await town.gateway._database.writer.batch(KEEP_PARTS, taken)
        result = await customer.link.submit(segments[1])
        await until(lambda: len(customer.reports) == 3)
        own_id = customer.carrier.own_id
        ids = {result.carrier_message_id, *(own_id(one.id) for one in taken)}
        assert {one.carrier_message_id for one in customer.reports} == ids
        (received,) = town.carriers["cmpp"].phones.get(PHONE).inbox
        assert received.text == LONG
        assert await town.count("submitted_part") == 0


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
@reactor_test
async def test_submits_go_out_and_reports_and_replies_come_back(tmp_path, server, protocol):
    async with OnServer(tmp_path, server) as town:
        customer = await town.customer(protocol)
        (single,) = await customer.submit(PHONE, "您好")
        parts = [await customer.link.submit(one) for one in customer.segments(PHONE, LONG)]
        town.carriers["cmpp"].send(PHONE, customer.number, "同意")
        await until(lambda: len(customer.reports) == 4 and customer.messages)
        ids = {one.carrier_message_id for one in (single, *parts)}
        assert {one.carrier_message_id for one in customer.reports} == ids

        async def nothing_waits() -> bool:
            return not await town.waiting()

        await eventually(nothing_waits)
        assert await town.count("submitted_part") == 0

"""A customer of a daemon that is ended with kill -9: what was accepted is reported, all of it."""

from __future__ import annotations

import pytest
from twisted.python.failure import Failure

from smsgw.errors import Disposition, LinkDown
from smsgw.model import SubmitResult
from smsgw.protocols.registry import CARRIERS
from tests.support.customers import DOORS, Client, customer_toml, until
from tests.support.daemon import Town
from tests.support.ports import free_port
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]
LONG = "新闻部申请使用三号外景转播车" * 8


OPEN = """SELECT a.id FROM awaited_report a JOIN message m ON m.id = a.message_id
 WHERE m.final_at IS NULL UNION SELECT id FROM submitted_part"""


class CustomerDaemon(Town):
    """The daemon with its doors, before three carriers."""

    async def open(self, tables: str) -> None:
        self.ports = {"smpp": free_port(), "cmpp": free_port()}
        self.tables = DOORS.format(**self.ports) + tables
        await self.start()

    async def run(self) -> None:
        if self.tables not in self.config.read_text():
            with self.config.open("a") as file:
                file.write(self.tables)
        await super().run()


@pytest.mark.parametrize("protocol", ["smpp", pytest.param("cmpp", marks=pytest.mark.long)])
@reactor_test(seconds=240)
async def test_nothing_that_was_accepted_is_lost_when_the_daemon_is_killed(tmp_path, protocol):
    town = CustomerDaemon(tmp_path)
    await town.open(customer_toml(protocol, window=8))
    accepted: list[str] = []
    reported: set[str] = set()

    async def dial() -> Client:
        client = Client(CARRIERS[protocol], town.ports[protocol], window=8)
        client.link.start()
        await until(lambda: client.link.up)
        return client

    async def hang_up(client: Client) -> None:
        await client.stop()
        reported.update(one.carrier_message_id for one in client.reports)

    def note(result: SubmitResult) -> None:
        if result.disposition is Disposition.ACCEPTED:
            accepted.append(result.carrier_message_id)

    def unknown(failure: Failure) -> None:
        failure.trap(LinkDown)

    try:
        for turn in range(2):
            customer = await dial()
            for n in range(60):
                one = customer.segments(PHONE, f"{turn} {n}", coding=0)
                customer.link.submit(one[0]).addCallbacks(note, unknown)
            lone = customer.segments(PHONE, LONG, reference=turn)[0]
            customer.link.submit(lone).addCallbacks(note, unknown)
            enough = 30 * (turn + 1)
            await until(lambda enough=enough: len(accepted) > enough)
            town.daemon.kill()
            await town.daemon.ended
            await hang_up(customer)
            await town.run()
        customer = await dial()
        town.carriers["cmpp"].send(PHONE, customer.number, "同意")
        await until(lambda: customer.messages)

        async def is_whole() -> bool:
            """What was accepted was reported, or is still to be: its message has not ended."""
            own_id = customer.carrier.own_id
            missing = set(accepted) - reported
            missing -= {one.carrier_message_id for one in customer.reports}
            return missing <= {own_id(row[0]) for row in town.rows(OPEN)}

        await town.until(is_whole)
        await hang_up(customer)
        assert reported
    finally:
        await town.stop()

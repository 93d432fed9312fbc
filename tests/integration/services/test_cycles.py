"""What the gateway is done with is freed at once: nothing of ours waits for the collector.

The daemon has it look for cycles seldom, so what needs it would pile up.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.customers import CustomerTown
from tests.support.daemon import LOGINS
from tests.support.gateways import ACCOUNT, InsideTown, message
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONES = {name: NUMBERS[name] for name in LOGINS}
LONG = "新闻部申请使用三号外景转播车" * 12


@contextmanager
def cycles_of_ours() -> Iterator[Counter[str]]:
    """Fill a counter, in the end, with what of ours only the collector could free."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        for one in gc.garbage:
            name = getattr(one, "__qualname__", type(one).__qualname__)
            module = getattr(one, "__module__", None) or ""
            if module.startswith("smsgw.") and not module.startswith("smsgw.simulator."):
                found[f"{module}.{name}"] += 1
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def one_round(town: InsideTown) -> None:
    """Short and long messages over each carrier, their reports, a request and its answers."""
    words = [message(phone, text) for phone in PHONES.values() for text in ("您好", LONG)]
    for message_id in await town.gateway.send(ACCOUNT, words):
        await town.become(message_id, "delivered")
    request_id = await town.ask(*PHONES.values())
    for place, (name, phone) in enumerate(PHONES.items()):
        person = await town.person(request_id, lambda one: True, place)
        town.carriers[name].send(phone, person["sender_number"], "同意")
        await town.person(request_id, lambda one: one["decision"], place)


@reactor_test
async def test_messages_and_answers_leave_nothing_for_the_collector(tmp_path):
    async with InsideTown(tmp_path) as town:
        await one_round(town)  # what is made once
        with cycles_of_ours() as left:
            await one_round(town)
        assert left == Counter()


async def visit(town: CustomerTown, protocol: str) -> None:
    """A customer logs in, submits, is brought the report, and leaves."""
    client = await town.customer(protocol)
    await client.submit(PHONES["cmpp"], LONG)
    await until(lambda: client.reports)
    await client.stop()


@reactor_test
async def test_a_customer_that_leaves_leaves_nothing_for_the_collector(tmp_path):
    async with CustomerTown(tmp_path) as town:
        for protocol in ("cmpp", "smpp"):
            await visit(town, protocol)
        with cycles_of_ours() as left:
            for protocol in ("cmpp", "smpp"):
                await visit(town, protocol)
        assert left == Counter()

"""Batches in a whole gateway: what was canceled is never sent, what was sent is counted."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.protocols.registry import CARRIERS
from smsgw.services.group_sending import NewBatch, Recipient
from tests.support.gateways import ACCOUNT, Inside, RawTown, one_link
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test

PHONES = [f"138000010{number:02}" for number in range(1, 21)]


async def create(inside: Inside, times: int = 1) -> int:
    people = [Recipient(one, "", {"name": one[-2:]}) for one in PHONES * times]
    new = NewBatch(text="第{name}号请进")
    return (await inside.gateway.batches.create(ACCOUNT, new, people)).id


@reactor_test
async def test_what_waits_for_a_link_is_canceled(tmp_path: Path) -> None:
    (tmp_path / "smsgw.toml").write_text(one_link("cmpp", 9))
    inside = Inside()
    await inside.open(tmp_path / "smsgw.toml")
    try:
        batch_id = await create(inside)
        assert inside.gateway.links()[0]["queue"]["queued"] == len(PHONES)
        shown = await inside.gateway.batches.cancel(ACCOUNT, batch_id)
        assert (shown["canceled"], shown["counts"]["canceled"]) == (len(PHONES), len(PHONES))
        assert await inside.count("queue") == 0
        told = await inside.count("event", "kind = 'message.canceled'")
        assert told == len(PHONES)
    finally:
        await inside.close()


@reactor_test
async def test_what_the_carrier_has_is_counted_and_not_canceled(tmp_path: Path) -> None:
    async with RawTown(tmp_path, CARRIERS["cmpp"]) as town:
        batch_id = await create(town)
        while True:
            shown = await town.gateway.batches.show(ACCOUNT, batch_id)
            if shown["counts"]["sent"] == len(PHONES):
                break
            await deferLater(reactor, 0.01)
        after = await town.gateway.batches.cancel(ACCOUNT, batch_id)
        assert (after["canceled"], after["counts"]["sent"]) == (0, len(PHONES))
        assert after["finished_at"] is None


@reactor_test
async def test_what_was_not_handed_to_the_carrier_is_never_sent(tmp_path: Path) -> None:
    async with RawTown(tmp_path, CARRIERS["cmpp"], answers=False) as town:
        batch_id = await create(town, 20)
        window: int = town.gateway.links()[0]["window"]
        await until(lambda: len(town.raw.submits) == window)
        shown = await town.gateway.batches.cancel(ACCOUNT, batch_id)
        canceled = shown["canceled"]
        assert canceled > len(PHONES)
        assert await town.count("queue") == 0
        left = shown["messages"] - canceled
        answered = 0
        while shown["counts"]["sent"] < left:
            for pdu in town.raw.submits[answered:]:
                town.raw.peer.answer(pdu)
                answered += 1
            await deferLater(reactor, 0.01)
            shown = await town.gateway.batches.show(ACCOUNT, batch_id)
        assert answered == len(town.raw.submits) == left
        assert shown["finished"] == canceled

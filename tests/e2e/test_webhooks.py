"""Webhooks of the daemon as a process: nothing is lost, whatever dies, and repeats are known."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.services.webhooks.shards import SHARDS
from smsgw.store.address import Server
from tests.support.reactor import reactor_test, until
from tests.support.receivers import Receiver, Wire, answer, verified
from tests.support.stores import execute, schema_server, server
from tests.support.webhook_town import WebhookTown, problems

__all__ = ["schema_server", "server"]

SHARES = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'
 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY pid"""
WEBHOOKS = 16
"""So many that each node delivers to some: they are dealt out by their ids."""


@reactor_test(seconds=240)
async def test_kill_9_in_the_middle_loses_no_event(tmp_path: Path) -> None:
    chance = random.Random(7)
    async with Receiver() as receiver, WebhookTown(tmp_path, "smsgw.db") as town:
        made = await town.call("POST", "/v1/webhooks", {"url": receiver.url})
        for _ in range(4):
            for _ in range(3):
                await town.send(60)
            seen = len(receiver.posts)
            await until(lambda seen=seen: len(receiver.posts) > seen)  # type: ignore[misc]
            await deferLater(reactor, chance.random() * 0.05)  # type: ignore[arg-type]
            await town.kill()
            await town.start()
        told = await town.arrived(receiver, made["cursor"])
        assert problems(receiver, told) == []
        assert len(told) > 500
        last = receiver.posts[-1]
        assert verified(made["secret"], last.headers, last.body)
        shown = await town.call("GET", f"/v1/webhooks/{made['id']}")
        assert (shown["state"], shown["problem"]) == ("active", "")
        assert "\nsmsgw_webhooks_paused 0.0\n" in await town.metrics()


@reactor_test(seconds=240)
async def test_what_a_killed_node_had_on_its_way_another_one_delivers(
    tmp_path: Path, server: Server
) -> None:
    async with AsyncExitStack() as stack, WebhookTown(tmp_path, str(server), daemons=2) as town:
        while min(execute(server, SHARES), default=(0,))[0] < SHARDS // 2:
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        receivers = [await stack.enter_async_context(Receiver()) for _ in range(WEBHOOKS)]
        made = [
            await town.call("POST", "/v1/webhooks", {"url": receiver.url}, place % 2)
            for place, receiver in enumerate(receivers)
        ]
        await town.send(20, 0)
        await town.send(20, 1)
        for receiver in receivers:
            await until(lambda receiver=receiver: receiver.posts)  # type: ignore[misc]
        held: list[list[Wire]] = [[] for _ in receivers]
        for receiver, wires in zip(receivers, held, strict=True):
            receiver.behaviours = [wires.append]
        await town.send(20, 0)
        await until(lambda: all(held))
        await town.kill(1)
        await until(lambda: any(len(wires) > 1 for wires in held))  # the other node posts again
        forsaken = [one for one, wires in zip(receivers, held, strict=True) if len(wires) > 1]
        for receiver, wires in zip(receivers, held, strict=True):
            receiver.behaviours = [answer()]
            for wire in wires:
                answer()(wire)
        await town.send(20, 0)
        for receiver, webhook in zip(receivers, made, strict=True):
            told = await town.arrived(receiver, webhook["cursor"])
            assert problems(receiver, told) == []
        assert all(len(set(one.ids)) < len(one.ids) for one in forsaken)

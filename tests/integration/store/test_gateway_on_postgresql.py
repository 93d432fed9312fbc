"""A whole gateway between three simulated carriers, on a PostgreSQL server that comes and goes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from smsgw.daemon import connections
from smsgw.errors import StoreError
from smsgw.store import pulse
from smsgw.store.address import Server
from tests.support.gateways import ACCOUNT, InsideTown, message
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS
from tests.support.stores import execute
from tests.support.tcp_proxy import TcpProxy

LONG = "新闻部申请使用三号外景转播车" * 12


class OnServer(InsideTown):
    """It keeps its messages in a server's database."""

    def __init__(self, folder: Path, place: Server) -> None:
        super().__init__(folder)
        self.place = place

    async def run(self) -> None:
        self.database.unlink(missing_ok=True)
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace('"smsgw.db"', f'"{self.place}"'), encoding="utf-8")
        await super().run()


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a gateway that shares nothing: its links stay bound when the server is away."""
    monkeypatch.setattr(connections, "LEASE_SECONDS", 0.0)
    monkeypatch.setattr(connections, "LEASE_SECONDS_MIN", 0.0)


@reactor_test
async def test_messages_reach_the_phones_and_replies_their_question(
    tmp_path: Path, server: Server
) -> None:
    async with OnServer(tmp_path, server) as town:
        phones = [NUMBERS[name] for name in ("cmpp", "smgp", "sgip") for _ in range(10)]
        ids = await town.gateway.send(ACCOUNT, [message(phone, LONG) for phone in phones])
        request = await town.ask(NUMBERS["cmpp"])
        phone = town.carriers["cmpp"].phones.get(NUMBERS["cmpp"])
        while not any("外景转播车申请" in one.text for one in phone.inbox):
            await deferLater(reactor, 0.005)
        asked = next(one for one in phone.inbox if "外景转播车申请" in one.text)
        for reply in phone.write(asked.sender, "同意"):
            town.carriers["cmpp"].deliver(reply)
        answered = await town.person(request, lambda one: one["decision"])
        assert answered["decision"] == "yes"
        for message_id in ids:
            await town.become(message_id, "delivered")
        query = "SELECT count(*) FROM message WHERE status = 'delivered' AND id = ANY(%s)"
        assert execute(server, query, list(ids)) == [(len(ids),)]
        assert not (tmp_path / "smsgw.db").exists()


@reactor_test
async def test_what_was_accepted_is_sent_once_though_the_server_was_away(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    proxy = TcpProxy(server.host, server.port)
    place = dataclasses.replace(server, host="127.0.0.1", port=proxy.port)
    async with OnServer(tmp_path, place) as town:
        accepted: list[int] = []
        refused = 0
        for turn in range(30):
            if turn == 10:
                await until(lambda: not town.gateway._database.writer.queued)
                proxy.away()  # in the middle of a commit, the writer would wait until it is back
            elif turn == 20:
                proxy.back()
            try:
                accepted += await town.gateway.send(ACCOUNT, [message(NUMBERS["cmpp"])] * 5)
            except StoreError:
                refused += 1
                await deferLater(reactor, 0.01)
        while not accepted[50:]:
            try:
                accepted += await town.gateway.send(ACCOUNT, [message(NUMBERS["cmpp"])])
            except StoreError:
                await deferLater(reactor, 0.02)
        assert refused >= 10
        for message_id in accepted:  # a report that came meanwhile waits at the carrier
            await town.become(message_id, "sent", "delivered")
        inbox = town.carriers["cmpp"].phones.get(NUMBERS["cmpp"]).inbox
        assert len(inbox) == len(accepted)
    proxy.away()


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("table", ["message", "sending"])
@reactor_test
async def test_a_commit_that_got_no_answer_is_gone_on_with_once_the_server_is_back(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, table: str, kept: bool
) -> None:
    monkeypatch.setattr(pulse, "PATIENCE_SECONDS", 0.05)
    alone(monkeypatch)
    proxy = TcpProxy(server.host, server.port)
    place = dataclasses.replace(server, host="127.0.0.1", port=proxy.port)
    async with OnServer(tmp_path, place) as town:
        proxy.after, proxy.answer, proxy.leave = f"INTO {table} ".encode(), kept, True
        proxy.cut_at = b"COMMIT"
        accepting = Deferred.fromCoroutine(town.gateway.send(ACCOUNT, [message(NUMBERS["cmpp"])]))
        await until(lambda: proxy.is_away)
        await deferLater(reactor, 0.2)
        assert accepting.called == (table == "sending")
        assert "the database has not answered for" in (await town.gateway.readiness())[0]
        proxy.back()
        try:
            ids = await accepting
        except StoreError:
            assert (table, kept) == ("message", False)
            ids = await town.gateway.send(ACCOUNT, [message(NUMBERS["cmpp"])])
        await town.become(ids[0], "delivered")
        while await town.gateway.readiness():  # it is patient for less than a commit may take
            await deferLater(reactor, 0.005)
        assert await town.count("message") == 1
        assert len(town.carriers["cmpp"].phones.get(NUMBERS["cmpp"]).inbox) == 1
        (told,) = (await town.gateway.records.message(ACCOUNT, ids[0]))["segments"]
        assert (told["attempts"], told["possible_duplicate"]) == (1, False)
    proxy.away()

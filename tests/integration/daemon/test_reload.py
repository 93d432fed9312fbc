"""The configuration is read again while links are bound and messages flow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from smsgw.daemon.reload import Reload
from smsgw.errors import ConfigErrors, Conflict, Disposition, UnknownAccount, ValidationError
from smsgw.model import MessageClass
from smsgw.protocols import cmpp
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.transport.endpoints import listen_endpoint
from tests.support.customers import CustomerTown, customer_toml
from tests.support.daemon import TOKEN
from tests.support.gateways import ACCOUNT, InsideTown, message
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS, make_account

PHONE = NUMBERS["cmpp"]

LINK = """
[links.spare]
protocol = "cmpp"
host = "127.0.0.1"
port = {port}
login = "901234"
secret = "s3cret"
access_number = "10690009"
"""


class ReloadedTown(InsideTown):
    """Three carriers, a gateway, and its file, which changes."""

    reload: Reload

    async def run(self) -> None:
        await super().run()
        self.reload = Reload(self.assembly, reactor)

    def change(self, *pairs: tuple[str, str]) -> None:
        """Replace text in the file."""
        text = self.config.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        self.config.write_text(text)

    async def changed(self, *pairs: tuple[str, str]) -> dict[str, Any]:
        self.change(*pairs)
        return await self.reload("zhang")

    def connections(self) -> dict[str, set[Any]]:
        """The carriers' ends of all connections that the gateway dialled."""
        return {name: set(ismg._listener.connections) for name, ismg in self.carriers.items()}

    def state(self, name: str) -> str:
        return str(next(x["state"] for x in self.gateway.links() if x["name"] == name))

    async def sent(self, to: str = PHONE, **fields: Any) -> dict[str, Any]:
        (message_id,) = await self.gateway.send(ACCOUNT, [message(to, **fields)])
        return await self.become(message_id, "delivered")

    def metrics(self) -> tuple[float, float, float]:
        """Reloads that were applied and refused, and whether the last one was good."""
        name = "smsgw_config_reloads_total"
        counts = [self.metric(name, result=result) for result in ("ok", "refused")]
        return counts[0], counts[1], self.metric("smsgw_config_reload_success")


@asynccontextmanager
async def reloaded_town(folder: Path) -> AsyncIterator[ReloadedTown]:
    async with ReloadedTown(folder) as town:
        yield town


@asynccontextmanager
async def another_carrier() -> AsyncIterator[tuple[Ismg, int]]:
    ismg = Ismg(
        cmpp.CARRIER,
        make_account(cmpp.CARRIER),
        listen_endpoint(reactor, "127.0.0.1", 0),
        reactor,
        behaviour=Behaviour(report_after=0.01),
    )
    port = await ismg.start()
    try:
        yield ismg, port
    finally:
        await ismg.stop()


def paths(told: dict[str, Any]) -> list[str]:
    return [one["path"] for one in told["changes"]]


def links(**named: Iterable[str]) -> dict[str, tuple[str, ...]]:
    kinds = ("added", "removed", "restarted", "rate")
    return {kind: tuple(named.get(kind, ())) for kind in kinds}


@reactor_test
async def test_only_the_link_that_changes_dials_anew_and_only_when_its_answers_are_there(
    tmp_path: Path,
) -> None:
    async with reloaded_town(tmp_path) as town:
        before = town.connections()
        told = await town.reload("zhang")
        assert (told["applied"], told["changes"], told["needs_restart"]) == (True, [], [])
        assert town.connections() == before

        traffic = town.gateway.control.entries["mobile"].link.traffic  # counted, and traced
        town.carriers["cmpp"].behaviour = Behaviour(answer_after=0.05, report_after=0.01)
        ids = await town.gateway.send(ACCOUNT, [message(PHONE, f"第{n}条") for n in range(40)])
        await until(lambda: town.gateway.links()[0]["in_flight"] > 0)
        told = await town.changed(('access_number = "10690001"', 'access_number = "106900011"'))
        path = "links.mobile.access_number"
        assert told["changes"] == [{"path": path, "before": "10690001", "after": "106900011"}]
        assert told["links"] == links(restarted=["mobile"])
        assert town.gateway.control.entries["mobile"].link.traffic is traffic
        for one in ids:
            await town.become(one, "delivered")
        assert len(town.carriers["cmpp"].submits) == 40
        assert await town.count("segment", "possible_duplicate") == 0
        after = town.connections()
        assert not after["cmpp"] & before["cmpp"]
        assert (after["smgp"], after["sgip"]) == (before["smgp"], before["sgip"])
        assert (await town.sent())["sender_number"] == "106900011"
        assert await town.count("audit", "action = 'config.reloaded' AND actor = 'zhang'") == 2

        told = await town.changed(('login = "901234"', 'login = "901234"\nrate = 7'))
        assert told["links"] == links(rate=["mobile"])
        assert town.gateway.links()[0]["queue"]["rate"] == 7
        await town.changed(("rate = 7", "rate = 0"))
        assert town.gateway.links()[0]["queue"]["rate"] is None
        assert town.connections() == after
        assert town.metrics() == (4, 0, 1)


@reactor_test
async def test_a_link_is_added_and_removed_and_what_waits_for_it_takes_another(
    tmp_path: Path,
) -> None:
    async with another_carrier() as (spare, port), reloaded_town(tmp_path) as town:
        table = LINK.format(port=port)
        told = await town.changed(("[links.mobile]", f"{table}\n[links.mobile]"))
        assert told["links"] == links(added=["spare"])
        await until(lambda: town.state("spare") == "up")
        assert (await town.sent())["link"] == "spare"

        spare.behaviour = Behaviour(result=8)  # "too fast": what it is given waits for it
        (waiting,) = await town.gateway.send(ACCOUNT, [message(PHONE)])
        await until(lambda: len(spare.submits) == 2)
        before = town.connections()
        told = await town.changed((table, ""))
        assert told["links"] == links(removed=["spare"])
        assert [one["name"] for one in town.gateway.links()] == ["mobile", "telecom", "unicom"]
        assert town.connections() == before
        assert (await town.become(waiting, "delivered"))["link"] == "mobile"
        registry = town.assembly.metrics.registry
        assert registry.get_sample_value("smsgw_links_up", {"link": "mobile"}) == 1
        assert registry.get_sample_value("smsgw_links_up", {"link": "spare"}) is None


@reactor_test
async def test_a_file_that_cannot_be_applied_whole_changes_nothing_and_says_why(
    tmp_path: Path,
) -> None:
    async with reloaded_town(tmp_path) as town:
        before, good = town.connections(), town.config.read_text()
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory())
        taken = f"127.0.0.1:{port.getHost().port}"  # type: ignore[attr-defined]
        ours = town.gateway.listener_port("unicom")
        harmless = ('access_number = "10690001"', 'access_number = "10690005"')
        refusals = {
            "links.mobile.prot: unknown key; did you mean port?": ("port =", "prot ="),
            "http.listen: needs a restart; nothing was changed": (
                '"127.0.0.1:0"',
                '"127.0.0.1:1"',
            ),
            "links.unicom.listener.listen: ": (f"127.0.0.1:{ours}", taken),
            f"{town.config} is not TOML: ": ("[links.mobile]", "[links.mobile"),
        }
        for number, (why, change) in enumerate(refusals.items(), start=1):
            town.change(change, harmless)
            with pytest.raises(ConfigErrors) as refused:
                await town.reload("zhang")
            assert str(refused.value).startswith(why)
            assert town.metrics() == (0, number, 0)
            town.config.write_text(good)
        assert town.connections() == before
        assert town.gateway.listener_port("unicom") == ours
        assert (await town.sent())["sender_number"] == "10690001"
        assert await town.count("audit", "action = 'config.reloaded'") == 0

        town.change(refusals["http.listen: needs a restart; nothing was changed"], harmless)
        told = await town.reload("zhang", dry_run=True)
        assert (told["applied"], told["needs_restart"]) == (False, ["http.listen"])
        assert paths(told) == ["http.listen", "links.mobile.access_number"]
        town.config.write_text(good)
        await port.stopListening()  # type: ignore[misc]
        told = await town.changed((f"127.0.0.1:{ours}", taken))
        assert told["links"] == links(restarted=["unicom"])
        assert str(town.gateway.listener_port("unicom")) in taken
        assert town.metrics() == (1, 4, 1)


RULES = """
[requests.words.approval]
yes = ["走起"]

[extensions.lost]
account = "lost-and-found"
extension = "77"

[[routing.rules]]
links = ["telecom"]
classes = ["notice"]

[[routing.rules]]
links = ["mobile", "telecom", "unicom"]

[delivery]
tries = 3

[webhooks]
allow = ["127.0.0.0/8"]

[links.mobile]
"""


@reactor_test
async def test_routes_words_extensions_tokens_and_webhooks_change_at_once(tmp_path: Path) -> None:
    async with reloaded_town(tmp_path) as town:
        before, admit = town.connections(), town.assembly._access.admit
        assert (await admit(TOKEN, "127.0.0.1")).name == "test"
        with pytest.raises(ValidationError, match=r"webhooks\.allow"):
            await town.gateway.webhooks.create(ACCOUNT, "http://127.0.0.1:9/")
        other = "another-token-0123456789"
        told = await town.changed((TOKEN, other), ("[links.mobile]", RULES))
        assert told["needs_restart"] == []
        assert told["links"] == links()
        assert other not in json.dumps(told)
        assert town.connections() == before

        assert (await admit(other, "127.0.0.1")).name == "test"
        with pytest.raises(UnknownAccount):
            await admit(TOKEN, "127.0.0.1")
        await town.gateway.webhooks.create(ACCOUNT, "http://127.0.0.1:9/")
        assert (await town.sent())["link"] == "telecom"
        explained = town.gateway.explain(
            ACCOUNT, PHONE, message_class=MessageClass.NOTICE, expects_reply=False
        )
        assert [one["name"] for one in explained["links"]] == ["telecom"]
        request_id = await town.ask(PHONE)
        person = await town.person(request_id, lambda one: True)
        town.carriers["cmpp"].send(PHONE, person["sender_number"], "走起")
        person = await town.person(request_id, lambda one: one["decision"])
        assert person["decision"] == "yes"
        town.carriers["cmpp"].send(PHONE, "1069000177", "钱包丢了")
        while not await town.count("inbound", "account = 'lost-and-found'"):
            await deferLater(reactor, 0.005)  # type: ignore[arg-type]


@reactor_test
async def test_a_link_that_listens_keeps_its_port_and_a_stopped_one_stays_stopped(
    tmp_path: Path,
) -> None:
    async with reloaded_town(tmp_path) as town:
        ours, text = town.gateway.listener_port("unicom"), town.config.read_text()
        for name in ("mobile", "telecom"):
            await town.gateway.control.stop(name, "zhang")
            await until(lambda name=name: town.state(name) == "stopped")
        start, end = text.index("[links.telecom]"), text.index("[links.unicom]")
        told = await town.changed(
            (text[start:end], ""),
            ('access_number = "10690001"', 'access_number = "10690001"\nbinds = 2'),
            ('access_number = "10690003"', 'access_number = "10690003"\nbinds = 2'),
        )
        assert told["links"] == links(removed=["telecom"], restarted=["mobile", "unicom"])
        assert (town.state("mobile"), town.gateway.listener_port("unicom")) == ("stopped", ours)
        assert await town.count("stopped_link") == 1
        assert (await town.sent("18600001003"))["link"] == "unicom"
        await town.gateway.control.start("mobile", "zhang")
        await until(lambda: len(town.connections()["cmpp"]) == 2)


@reactor_test
async def test_what_the_store_or_the_machine_fails_at_is_told_and_leaves_no_half_a_link(
    tmp_path: Path,
) -> None:
    async with reloaded_town(tmp_path) as town:
        control, text = town.gateway.control, town.config.read_text()
        await control.stop("telecom", "zhang")
        await until(lambda: town.state("telecom") == "stopped")
        with closing(sqlite3.connect(town.config.with_name("smsgw.db"))) as database, database:
            fails = "BEGIN SELECT RAISE(ABORT, 'no'); END"
            database.execute(f"CREATE TRIGGER kept BEFORE DELETE ON stopped_link {fails}")
        ours = town.gateway.listener_port("unicom")
        await control.entries["unicom"].link._listener.stop()  # type: ignore[union-attr]
        port = await TCP4ServerEndpoint(reactor, ours, interface="127.0.0.1").listen(Factory())
        start, end = text.index("[links.telecom]"), text.index("[links.unicom]")
        with capturedLogs() as logged:
            told = await town.changed(
                (text[start:end], ""),
                ('access_number = "10690003"', 'access_number = "10690003"\nbinds = 2'),
            )
        events = [event["event"] for event in logged if "event" in event]
        assert "link.messages_not_moved" in events
        *_, warning = told["warnings"]
        assert warning.startswith("link unicom: its port is lost, stop and start it: ")
        assert list(control.entries) == list(control.infos) == ["mobile", "unicom"]
        assert list(control.dispatcher.senders) == ["mobile", "unicom"]
        await port.stopListening()  # type: ignore[misc]
        await town.assembly.stop()
        with pytest.raises(Conflict, match="being stopped; nothing was changed"):
            await town.changed(("binds = 2", "binds = 3"))
        assert town.assembly.config.links["unicom"].binds == 2


@reactor_test
async def test_customers_change_and_those_that_do_not_keep_their_connections(
    tmp_path: Path,
) -> None:
    town = CustomerTown(tmp_path)
    async with town:
        reload = Reload(town.assembly, reactor)
        kept = await town.customer("smpp")
        await town.customer("cmpp")
        assert town.assembly.northbound is not None
        present = town.assembly.northbound._present
        (connection,) = [bind.protocol for bind in present["smpp"].binds]
        text = town.config.read_text()
        text = text.replace(customer_toml("cmpp"), customer_toml("cmpp", "other"))
        rate = customer_toml("smpp", rate=100, _class='"realtime"')
        town.config.write_text(text.replace(customer_toml("smpp"), rate))
        await reload("zhang")
        assert list(present) == ["smpp", "other"]
        assert [bind.protocol for bind in present["smpp"].binds] == [connection]
        (result,) = await kept.submit(PHONE, "您好")
        assert result.disposition is Disposition.ACCEPTED
        await until(lambda: kept.reports)
        assert town.metric("smsgw_messages_accepted_total", **{"class": "realtime"}) == 1
        await until(lambda: len(present["other"].binds) == 1)  # the same login, dialled again
        text = town.config.read_text().replace('"acme"\nsecret = "s3cret"', '"acme"\nsecret = "x"')
        town.config.write_text(text)
        await reload("zhang")
        await until(lambda: not present["smpp"].binds)

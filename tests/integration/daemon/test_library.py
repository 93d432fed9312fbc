"""``smsgw.Gateway``: a whole gateway inside a program."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import Logger

import smsgw
from smsgw.client import Event, NewMessage, Person, Step
from smsgw.daemon import library
from smsgw.daemon.library import Received
from smsgw.errors import ConfigError, Conflict, NotFound, ValidationError
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.simulator.script import always
from smsgw.transport.endpoints import listen_endpoint
from tests.support.gateways import one_link
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

PHONE = "13800001001"


@pytest.fixture(autouse=True)
def switch_interval() -> Iterator[None]:
    """What a gateway sets for its process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


class World:
    """A simulated China Mobile, and a gateway before it."""

    def __init__(self, folder: Path) -> None:
        carrier = CARRIERS["cmpp"]
        self.ismg = Ismg(
            carrier,
            make_account(carrier),
            listen_endpoint(reactor, "127.0.0.1", 0),
            reactor,  # type: ignore[arg-type]
            behaviour=Behaviour(report_after=0.01),
        )
        self.folder = folder
        self.config: dict[str, Any] = {}

    def gateway(self, config: Any = None) -> smsgw.Gateway:
        return smsgw.Gateway(config or self.config)

    @asynccontextmanager
    async def running(self, gateway: smsgw.Gateway) -> AsyncIterator[smsgw.Gateway]:
        await gateway.start()
        await until(lambda: gateway.links()[0].up)
        yield gateway
        await gateway.stop()


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    made = World(folder)
    port = await made.ismg.start()
    made.config = tomllib.loads(one_link("cmpp", port))
    made.config["gateway"]["database"] = str(folder / "smsgw.db")
    yield made
    await made.ismg.stop()


@reactor_test
async def test_it_sends_and_says_what_became_of_it(tmp_path):
    async with world(tmp_path) as made, made.running(made.gateway()) as gateway:
        message_id = await gateway.send(PHONE, "您好", reference="a-1", message_class="realtime")
        shown = await gateway.message(message_id)
        while shown.final_at is None:
            await deferLater(reactor, 0.005)
            shown = await gateway.message(message_id)
        assert (shown.status, shown.reference) == ("delivered", "a-1")
        assert made.ismg.phones.get(PHONE).inbox[0].text == "您好"
        ids = await gateway.send_many([NewMessage(to=PHONE, text=text) for text in "ab"])
        assert len(set(ids)) == 2


@reactor_test
async def test_it_asks_and_hears_the_answer(tmp_path):
    async with world(tmp_path) as made:
        made.ismg.phone(PHONE, always("不同意 预算不够", after=0.01))
        gateway, heard, seen = made.gateway(), [], []
        gateway.on_inbound(heard.append)

        async def see(event: Event) -> None:
            seen.append(event.kind)

        gateway.on_event(see)
        async with made.running(gateway):
            steps = [Step([Person(PHONE, "台长")])]
            request_id = await gateway.requests.create("采购", steps, reference="oa-7")
            await until(lambda: "request.closed" in seen)
            request = await gateway.requests.show(request_id)
            assert (request.outcome, request.reference) == ("rejected", "oa-7")
            assert request.assignees[0].reason == "预算不够"
            await until(lambda: heard)
        assert isinstance(heard[0], Received)
        assert (heard[0].sender, heard[0].text) == (PHONE, "不同意 预算不够")
        assert heard[0].to == request.assignees[0].sender_number
        assert "request.created" in seen


@reactor_test
async def test_what_happened_while_it_was_stopped_is_heard_from_where_it_left_off(tmp_path):
    async with world(tmp_path) as made:
        first: list[Event] = []
        gateway = made.gateway()
        gateway.on_event(first.append)
        async with made.running(gateway):
            await gateway.send(PHONE, "one")
            await until(lambda: any(event.kind == "message.delivered" for event in first))
        again: list[Event] = []
        gateway = made.gateway()
        gateway.on_event(again.append, after=first[0].id)
        async with made.running(gateway):
            await until(lambda: len(again) >= len(first) - 1)
        assert again == first[1:]


@reactor_test
async def test_a_callback_that_fails_is_logged_and_the_next_event_comes(tmp_path, monkeypatch):
    seen: list[str] = []
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(library._Follower, "log", Logger(observer=logged.append))

    def fail(event: Event) -> None:
        seen.append(event.kind)
        if len(seen) == 1:
            raise LookupError("not today")

    async with world(tmp_path) as made:
        gateway = made.gateway()
        async with made.running(gateway):
            gateway.on_event(fail)
            await gateway.send(PHONE, "one")
            await until(lambda: len(seen) > 1)
    assert [str(event["log_failure"].value) for event in logged] == ["not today"]


@reactor_test
async def test_a_request_is_decided_or_withdrawn_by_the_program(tmp_path):
    async with world(tmp_path) as made, made.running(made.gateway()) as gateway:
        steps = [Step([Person(PHONE)], rule="any", reminders=[60.0])]
        later = datetime.now(UTC) + timedelta(days=1)
        decided = await gateway.requests.create("三脚架", steps, body="4 个", deadline=later)
        (asked,) = (await gateway.requests.show(decided)).assignees
        request = await gateway.requests.decide(decided, asked.id, "yes", reason="可以")
        assert (request.outcome, request.body, request.deadline is not None) == (
            "approved", "4 个", True,
        )  # fmt: skip
        with pytest.raises(Conflict):
            await gateway.requests.decide(decided, asked.id, "no")
        other = await gateway.requests.create("话筒", [Step([Person(PHONE)])])
        assert (await gateway.requests.withdraw(other, "不用了")).outcome == "withdrawn"


@reactor_test
async def test_what_cannot_be_done_is_said_by_its_field(tmp_path):
    async with world(tmp_path) as made, made.running(made.gateway()) as gateway:
        with pytest.raises(ValidationError, match=r"^to: '1' is not a mainland"):
            await gateway.send("1", "hi")
        with pytest.raises(ValidationError, match=r"^messages\[1\].text: "):
            await gateway.send_many([NewMessage(to=PHONE, text="a"), NewMessage(to=PHONE, text="")])
        with pytest.raises(ValidationError, match=r"^steps\[0\].rule: "):
            await gateway.requests.create("采购", [Step([Person(PHONE)], rule="most")])
        for missing in ("7", "seven"):
            with pytest.raises(NotFound):
                await gateway.message(missing)
        later = datetime.now(UTC) + timedelta(hours=1)
        scheduled = await gateway.send(PHONE, "later", send_at=later)
        assert (await gateway.cancel(scheduled)).status == "canceled"
        with pytest.raises(Conflict):
            await gateway.cancel(scheduled)


@reactor_test
async def test_a_file_and_what_is_in_it_are_the_same(tmp_path):
    async with world(tmp_path) as made:
        file = tmp_path / "smsgw.toml"
        file.write_text(one_link("cmpp", made.config["links"]["one"]["port"]))
        for config in (file, str(file)):
            async with made.running(made.gateway(config)) as gateway:
                assert (await gateway.send(PHONE, "hi")).isdigit()


def test_a_wrong_configuration_is_said_whole():
    with pytest.raises(ConfigError, match=r"links.one.prot") as caught:
        smsgw.Gateway({"links": {"one": {"prot": "cmpp"}}, "nothing": {}})
    assert "nothing" in str(caught.value)


@reactor_test
async def test_a_twisted_service_runner_starts_and_stops_it(tmp_path):
    async with world(tmp_path) as made:
        gateway = made.gateway()
        gateway.startService()
        await until(lambda: gateway.links()[0].up)
        await gateway.stopService()


@reactor_test
async def test_a_service_that_cannot_start_logs_why(tmp_path, monkeypatch):
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(smsgw.Gateway, "log", Logger(observer=logged.append))
    config = tomllib.loads(one_link("cmpp", 7890))
    config["gateway"]["database"] = str(tmp_path / "nowhere" / "smsgw.db")
    smsgw.Gateway(config).startService()
    await until(lambda: logged)
    assert "nowhere" in str(logged[0]["log_failure"].value)

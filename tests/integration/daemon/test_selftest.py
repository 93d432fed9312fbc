"""The self-test of a link, against each carrier's simulator: what works, and what does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from smsgw.daemon.config import load
from smsgw.daemon.links import link_info, lone_link
from smsgw.daemon.program import Program
from smsgw.interfaces.cli import running
from smsgw.interfaces.cli.client import Api
from smsgw.interfaces.cli.main import main
from smsgw.interfaces.cli.running import RunningTest
from smsgw.protocols.registry import CARRIERS
from smsgw.services.selftest import LONG_TEXT, TEXT, Order, SelfTest, Step
from smsgw.simulator.faults import Faults
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.simulator.script import always
from smsgw.store.database import Database
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from tests.support.daemon import TOKEN
from tests.support.gateways import InsideTown, one_link
from tests.support.ports import free_port
from tests.support.processes import Command
from tests.support.raw_peer import RawGateway
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS, SECRET, make_account

EVERY = pytest.mark.parametrize("protocol", sorted(CARRIERS))
GOOD = ["login", "heartbeat", "submit", "report", "long", "long report", "reply", "logout"]


class Account:
    """A configuration with one link, and the carrier that it leads to."""

    def __init__(self, folder: Path, protocol: str, **faults: Any) -> None:
        self.carrier = CARRIERS[protocol]
        self.phone = NUMBERS[protocol]
        self.config = folder / "smsgw.toml"
        self.listener = free_port()
        self.ismg = Ismg(
            self.carrier,
            make_account(self.carrier),
            listen_endpoint(reactor, "127.0.0.1", 0),
            reactor,
            behaviour=faults.pop("behaviour", Behaviour(report_after=0.01)),
            script=always("收到", after=0.05),
            **faults,
        )
        if self.carrier.peer_dials:
            there = dial_endpoint(reactor, "127.0.0.1", self.listener)
            self.ismg.dials(there, make_account(self.carrier, "smg"))

    def write(self, port: int, **replaced: str) -> None:
        text = one_link(self.carrier.name, port, self.carrier.peer_dials)
        text = text.replace(
            'listen = "127.0.0.1:0"\nlogin', f'listen = "127.0.0.1:{self.listener}"\nlogin'
        )
        for old, new in replaced.items():
            text = text.replace(old, new)
        self.config.write_text(text)

    async def tried(self, port: int, told: Any = lambda step: None, **order: Any) -> list[Step]:
        self.write(port, **order.pop("replaced", {}))
        settings = load(self.config).links["one"]
        wanted = Order(**{"phone": self.phone, "wait": 30.0, **order})
        make = lambda observer: lone_link(settings, reactor, observer)  # noqa: E731
        test = SelfTest(make, link_info(settings), wanted, reactor, told)
        self.test = test
        return await test.run()


def outcomes(steps: list[Step]) -> dict[str, str]:
    return {step.name: step.outcome for step in steps}


def said(steps: list[Step], name: str) -> str:
    return next(step.said for step in steps if step.name == name)


@EVERY
@reactor_test
async def test_everything_that_works_is_passed_with_the_carriers_ids(
    tmp_path: Path, protocol: str
) -> None:
    account = Account(tmp_path, protocol)
    steps = await account.tried(await account.ismg.start(), long=True, reply=True)
    await account.ismg.stop()
    found = outcomes(steps)
    for name in GOOD:
        sgip = protocol == "sgip" and name == "heartbeat"
        assert found[name] == ("skipped" if sgip else "pass"), steps
    if protocol == "sgip":
        assert (found["listen"], found["callback"]) == ("pass", "pass")
    ids = next(step for step in steps if step.name == "long").details["carrier_message_id"]
    assert len(set(ids)) == len(ids) >= 2
    assert next(s for s in steps if s.name == "reply").details["text"] == "收到"
    assert account.test.passed


@EVERY
@reactor_test
async def test_a_wrong_secret_ends_it_after_one_login(tmp_path: Path, protocol: str) -> None:
    account = Account(tmp_path, protocol)
    port = await account.ismg.start()
    replaced = {f'login = "901234"\nsecret = "{SECRET}"': 'login = "901234"\nsecret = "other"'}
    steps = await account.tried(port, replaced=replaced)
    await account.ismg.stop()
    assert "login refused" in said(steps, "login")
    assert outcomes(steps)["login"] == "fail"
    assert steps[-1].name == "login"
    assert not account.test.passed


@reactor_test
async def test_no_report_and_no_reply_are_told_after_the_wait(tmp_path: Path) -> None:
    account = Account(tmp_path, "cmpp", behaviour=Behaviour(report_after=60.0))
    account.ismg.phone(account.phone)
    port = await account.ismg.start()
    steps = await account.tried(port, reply=True, wait=0.1)
    await account.ismg.stop()
    assert outcomes(steps) == {
        "login": "pass",
        "heartbeat": "pass",
        "submit": "pass",
        "report": "fail",
        "reply": "fail",
        "logout": "pass",
    }
    assert said(steps, "report") == "0 of 1 within 0.1 s"


@reactor_test
async def test_a_refused_submit_and_a_bad_report_say_the_carriers_own_words(tmp_path: Path) -> None:
    account = Account(tmp_path, "cmpp", behaviour=Behaviour(report_after=0.01, stat="UNDELIV"))
    port = await account.ismg.start()
    steps = await account.tried(port)
    assert (outcomes(steps)["report"], said(steps, "report")) == ("fail", "UNDELIV")
    account.ismg.behaviour.result = 6
    steps = await account.tried(port)
    await account.ismg.stop()
    assert outcomes(steps)["submit"] == "fail"
    assert "(result 6)" in said(steps, "submit")
    assert "report" not in outcomes(steps)


@reactor_test
async def test_a_silent_peer_is_given_up_after_the_answer_timeout(tmp_path: Path) -> None:
    raw = RawGateway(CARRIERS["smgp"], speaks=False)
    account = Account(tmp_path, "smgp")
    replaced = {"access_number": "response_timeout = 0.3\naccess_number"}
    steps = await account.tried(await raw.start(), replaced=replaced)
    await raw.stop()
    assert outcomes(steps) == {"login": "fail"}
    assert "no answer" in said(steps, "login")


@reactor_test
async def test_an_unanswered_heartbeat_and_submit_are_told(tmp_path: Path) -> None:
    account = Account(tmp_path, "smpp", faults=Faults.of("loss.answer=100%"))
    port = await account.ismg.start()
    replaced = {"access_number": "response_timeout = 1.0\naccess_number"}
    steps = await account.tried(port, replaced=replaced)
    await account.ismg.stop()
    assert outcomes(steps)["submit"] == "fail"
    assert "no answer came" in said(steps, "submit")


@reactor_test
async def test_a_carrier_that_cannot_be_reached_and_one_that_never_dials_us(tmp_path: Path) -> None:
    account = Account(tmp_path, "sgip")
    steps = await account.tried(free_port())
    assert outcomes(steps) == {"listen": "pass", "login": "fail"}
    assert "cannot connect" in said(steps, "login")
    account.listener = free_port()  # where the carrier does not dial
    port = await account.ismg.start()
    steps = await account.tried(port, wait=0.1)
    await account.ismg.stop()
    assert outcomes(steps)["callback"] == "fail"
    assert f"our port {account.listener}" in said(steps, "callback")


@reactor_test
async def test_what_is_not_the_tests_is_left_for_the_gateway(tmp_path: Path) -> None:
    acknowledged: list[str] = []

    def note(what: str, pdu: str, details: dict[str, Any]) -> None:
        if what == "acknowledged":
            acknowledged.append(details["what"])

    account = Account(tmp_path, "cmpp", activity=note)
    other = account.ismg.phone("13800001999")
    port = await account.ismg.start()
    told: list[Any] = []
    account.ismg.send(other.number, "10690001", "给网关的")
    await account.tried(port, told.append)
    assert account.test.left >= 1
    assert "not acknowledged" in told[-1]
    await account.ismg.stop()
    assert acknowledged == ["report"]


@reactor_test
async def test_through_a_running_gateway_its_own_connections_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.02)
    async with InsideTown(tmp_path) as town:
        for carrier in town.carriers.values():
            carrier.phones.script = always("收到", after=0.05)
        binds = [what for _, what, _, _ in town.activity].count("bind")
        for link, protocol in (("mobile", "cmpp"), ("unicom", "sgip")):
            town.carriers[protocol].phone(NUMBERS[protocol], always("收到", after=0.05))
            order = Order(phone=NUMBERS[protocol], reply=True, long=True, wait=30.0)
            test = RunningTest(Api(town.url, TOKEN), link, order, lambda step: None)
            steps = await deferToThread(test.run)
            found = outcomes(steps)
            assert found.pop("heartbeat") == "skipped"
            assert set(found.values()) == {"pass"}, steps
        assert [what for _, what, _, _ in town.activity].count("bind") == binds
        texts = {one["text"] for one in (await town.get("/v1/messages"))["messages"]}
        assert texts == {TEXT, LONG_TEXT}
        no_link = await town.post("/v1/links/nolink/test", {"to": NUMBERS["cmpp"]})
        assert (no_link["status"], no_link["detail"]) == (404, "no link 'nolink'")
        no_text = await town.post("/v1/links/mobile/test", {"to": NUMBERS["cmpp"], "text": "x"})
        assert no_text["status"] == 422
        no_phone = await town.post("/v1/links/mobile/test", {"to": "123"})
        assert no_phone["errors"][0]["field"] == "to"
        test = RunningTest(Api(town.url, TOKEN), "nolink", Order(), lambda step: None)
        with pytest.raises(Exception, match="has no link nolink"):
            await deferToThread(test.run)


@pytest.mark.long
@reactor_test
async def test_a_test_that_is_broken_off_has_not_passed(tmp_path: Path) -> None:
    account = Account(tmp_path, "cmpp", behaviour=Behaviour(report_after=60.0))
    account.write(await account.ismg.start())
    sheet = tmp_path / "sheet.md"
    arguments = ["one", "-c", account.config, "--phone", account.phone, "--out", sheet]
    command = Command("links", "selftest", *arguments)
    await command.says("submit: taken")
    command.interrupt()
    assert await command.ended == 1
    await account.ismg.stop()
    assert not sheet.exists()


class TestCommand:
    def invoke(self, *args: object) -> Result:
        arguments = ["links", "selftest", *map(str, args)]
        return CliRunner().invoke(main, arguments, obj=Program())

    @reactor_test
    async def test_it_prints_the_sheet_and_writes_it(self, tmp_path: Path) -> None:
        account = Account(tmp_path, "cmpp")
        account.write(await account.ismg.start())
        sheet = tmp_path / "sheet.md"
        arguments = ["one", "-c", account.config, "--phone", account.phone, "--wait", "60"]
        command = Command("links", "selftest", *arguments, "--out", sheet, "--json")
        assert await command.ended == 0, command.err
        await account.ismg.stop()
        shown = json.loads(command.out)
        assert shown["passed"] is True
        assert shown["through"] == "own connection"
        written = sheet.read_text(encoding="utf-8")
        for words in (
            "# 接入验收单 Acceptance sheet: one",
            "| 登录名 login | 901234 |",
            "| 接入号 access number | 10690001 |",
            "| SP 地址 our address | 127.0.0.1 |",
            "| 短信下发 submit | 通过 pass |",
            "结论 conclusion: 通过 passed",
            shown["steps"][2]["details"]["carrier_message_id"][0],
        ):
            assert words in written
        assert SECRET not in written + command.out + command.err

    def test_mistakes_are_one_line(self, tmp_path: Path) -> None:
        config = tmp_path / "smsgw.toml"
        config.write_text(one_link("cmpp", 1))
        result = self.invoke("two", "-c", config)
        assert (result.exit_code, result.stderr) == (
            2,
            f"smsgw: no link 'two' in {config}; links are: one\n",
        )
        assert "--phone: " in self.invoke("one", "-c", config, "--phone", "123").stderr
        assert "who replies?" in self.invoke("one", "-c", config, "--reply").stderr
        taken = self.invoke("one", "-c", config, "--out", config)
        assert "is there already" in taken.stderr

    @reactor_test
    async def test_while_a_gateway_works_nothing_is_dialled_without_its_token(
        self, tmp_path: Path
    ) -> None:
        config = tmp_path / "smsgw.toml"
        config.write_text(one_link("cmpp", free_port()))
        database = Database(tmp_path / "smsgw.db", reactor)
        database.open()
        result = self.invoke("one", "-c", config)
        await database.close()
        assert result.exit_code == 1
        assert "a gateway runs (process " in result.stderr
        assert "give its token" in result.stderr

"""``smsgw simulate``: as a process before a link, and in the test's own for what it prints."""

from __future__ import annotations

import json
import re

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from smsgw.errors import Disposition
from smsgw.interfaces.cli import simulate as module
from smsgw.model import Segment
from smsgw.protocols.events import BindRefused
from smsgw.protocols.registry import CARRIERS
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Link
from smsgw.transport.listener import PeerListener
from tests.support.processes import Command, Shutdown
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS, make_account

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


class Customer:
    """A link to a simulated gateway, and what it got."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.carrier = CARRIERS[name]
        self.replies: list[str] = []
        self.reports = 0
        self.link: Link | None = None

    async def listen(self) -> int:
        """Where the gateway may dial us; 0 where it does not."""
        listener = None
        if self.carrier.peer_dials:
            endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
            listener = PeerListener(endpoint, make_account(self.carrier, "smg"), lambda host: True)
        # The port to dial is known only once the gateway is up.
        self.link = Link(
            self.name, self.carrier, make_account(self.carrier), self, reactor, listener=listener
        )
        self.link.on_inbound = self._take
        await self.link.listen()
        return self.link.listener_port or 0

    def connect(self, factory):
        return dial_endpoint(reactor, "127.0.0.1", self.port).connect(factory)

    async def converse(self, said: str) -> None:
        """Bind to the gateway that said where it listens, send, and wait for report and reply."""
        found = re.search(r" on 127\.0\.0\.1:(\d+);", said)
        assert found is not None
        self.port = int(found[1])
        assert self.link is not None
        self.link.start()
        segment = Segment(NUMBERS[self.name], "10690001042", 8, "请审批".encode("utf-16-be"))
        result = await self.link.submit(segment)
        assert result.disposition is Disposition.ACCEPTED
        await until(lambda: self.reports and self.replies)
        assert self.replies == ["同意"]

    def _take(self, batch) -> None:
        for item in batch:
            item.acknowledge(0)
            if item.message is None:
                self.reports += 1
            else:
                self.replies.append(item.message.content.decode("utf-16-be"))


@every_carrier
@reactor_test
async def test_it_takes_a_bind_answers_reports_and_replies_until_ctrl_c(name):
    customer = Customer(name)
    port = await customer.listen()
    dial = ["--dial", f"127.0.0.1:{port}"] if port else []
    simulator = Command(
        "simulate", "--protocol", name, "--port", 0, "--reply", "同意", "--json", *dial
    )
    await simulator.says("Ctrl-C ends it")
    await customer.converse(simulator.err)
    await customer.link.stop()
    simulator.interrupt()
    assert await simulator.ended == 0
    assert simulator.err.count("\n") == 1
    lines = [json.loads(line) for line in simulator.out.splitlines()]
    assert {"bind", "submit", "read", "type", "mo", "report", "acknowledged"} <= {
        line["what"] for line in lines
    }
    acknowledged = [line["of"] for line in lines if line["what"] == "acknowledged"]
    assert sorted(acknowledged) == ["mo", "report"]


@reactor_test
async def test_a_taken_port_is_one_line():
    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    number = port.getHost().port
    simulator = Command("simulate", "--port", number)
    assert await simulator.ended == 1
    assert simulator.err.startswith(f"smsgw: cannot listen on 127.0.0.1:{number}: ")
    assert simulator.err.endswith("; give another --port, 0 takes any free one\n")
    assert simulator.err.count("\n") == 1
    await port.stopListening()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--version", "9.9"], "--version: '9.9' is none of 2.0, 3.0"),
        (
            ["--fault", "loss=150%"],
            "--fault: loss: '150%' is no share; write 10%, 1/20 (every 20th), once or all",
        ),
        (["--dial", "somewhere"], "--dial: 'somewhere' is no HOST:PORT"),
    ],
)
@reactor_test
async def test_wrong_usage_is_one_line(arguments, line):
    simulator = Command("simulate", "--port", 0, *arguments)
    assert await simulator.ended == 2
    assert simulator.err == f"smsgw: {line}\n"


OPTIONS = {
    "protocol": "cmpp",
    "version": None,
    "host": "127.0.0.1",
    "port": 0,
    "login": "901234",
    "secret": "s3cret",
    "replies": ("同意",),
    "answer_after": 0.0,
    "report_after": 0.0,
    "result": 0,
    "faults": (),
    "fault_seed": 0,
    "dial": None,
    "dial_login": "smg",
    "dial_secret": "s3cret",
    "as_json": False,
}


async def performed(name: str, capsys, **options) -> str:
    """What a whole conversation prints."""
    shutdown, customer = Shutdown(), Customer(name)
    port = await customer.listen()
    dial = f"127.0.0.1:{port}" if port else None
    running = {**OPTIONS, "protocol": name, "dial": dial, **options}
    coroutine = module._run(shutdown, **running)
    stopped = Deferred.fromCoroutine(coroutine)
    stopped.addErrback(lambda failure: None)
    await until(lambda: shutdown.triggers)
    await customer.converse(capsys.readouterr().err)
    await customer.link.stop()
    await shutdown.come()
    stopped.cancel()
    return capsys.readouterr().out


@every_carrier
@reactor_test
async def test_it_says_in_words_what_happens(name, capsys):
    out = await performed(name, capsys)
    assert "bind name=901234" in out
    assert f"to={NUMBERS[name]} from=10690001042 part=1/1" in out
    assert f"from={NUMBERS[name]} to=10690001042" in out
    assert f"type phone={NUMBERS[name]} to=10690001042 text=同意" in out


@reactor_test
async def test_it_says_what_it_breaks_and_breaks_it(capsys):
    out = await performed("cmpp", capsys, faults=("duplicate.report=all", "delay=0.01"))
    assert "fault fault=duplicate of=report" in out
    assert "fault fault=delay of=answer" in out


@reactor_test
async def test_it_says_so_in_json_too(capsys):
    out = await performed("cmpp", capsys, as_json=True)
    assert {"what": "bind", "pdu": "", "name": "901234", "version": "3.0"} in [
        json.loads(line) for line in out.splitlines()
    ]


@reactor_test
async def test_what_it_cannot_do_is_one_line_and_a_code(capsys):
    taken = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    number = taken.getHost().port
    for options, code, line in (
        ({"version": "9.9"}, 2, "smsgw: --version: '9.9' is none of 2.0, 3.0\n"),
        ({"faults": ("lose=1%",)}, 2, "smsgw: --fault: 'lose' is not a fault: delay, "),
        ({"dial": ":7890"}, 2, "smsgw: --dial: ':7890' is no HOST:PORT\n"),
        ({"port": number}, 1, f"smsgw: cannot listen on 127.0.0.1:{number}: "),
    ):
        with pytest.raises(SystemExit) as ended:
            await module._run(Shutdown(), **{**OPTIONS, **options})
        assert ended.value.code == code
        assert capsys.readouterr().err.startswith(line)
    await taken.stopListening()


def test_trouble_is_told_and_what_has_no_words_is_not():
    assert "unknown login" in module._words({"event": BindRefused(2, "unknown login")})
    assert module._words({"other": object()}) == ""

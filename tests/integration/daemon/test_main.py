"""The life of the process, without ending the test's own reactor."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.logger import Logger, formatEvent

from smsgw.daemon import main as module
from smsgw.daemon.assembly import make_gateway
from smsgw.daemon.config import load
from smsgw.errors import StoreError
from smsgw.interfaces.metrics.registry import Metrics
from tests.support.gateways import one_link
from tests.support.ports import free_port
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Process:
    """The test's reactor, begun and ended by hand."""

    def __init__(self) -> None:
        self.begins = []
        self.ends = []
        self.ran = False
        self.stopped = False
        self.logged = []

    def __getattr__(self, name):
        return getattr(reactor, name)

    def callWhenRunning(self, call):
        self.begins.append(call)

    def addSystemEventTrigger(self, phase, kind, call):
        assert (phase, kind) == ("before", "shutdown")
        self.ends.append(call)

    def run(self):
        self.ran = True

    def stop(self):
        self.stopped = True

    async def begin(self) -> None:
        for call in self.begins:
            await call()

    async def end(self) -> None:
        for call in self.ends:
            await call()


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """What the gateway changes for its process is put back."""
    process = Process()
    monkeypatch.setattr(module, "reactor", process)
    monkeypatch.setattr(module, "log", Logger(observer=process.logged.append))
    monkeypatch.setattr(module, "start_logging", lambda *settings: lambda log: None)
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield process
    for number, handler in handlers.items():
        signal.signal(number, handler)
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "smsgw.toml"
    path.write_text(one_link("cmpp", free_port()))
    return path


@reactor_test
async def test_it_starts_says_where_it_listens_and_leaves_in_order(process, config):
    assert module.run(config) == 0
    assert process.ran
    await process.begin()
    assert not process.stopped
    await process.end()
    logged = process.logged
    urls = [event["url"] for event in logged if "url" in event]
    assert len(urls) == 1
    assert urls[0].startswith("http://127.0.0.1:")
    warned = [event["why"] for event in logged if event["event"] == "config.warned"]
    assert [line.split(":")[0] for line in warned] == ["tokens.test.token", "links.one.secret"]
    assert [event["log_format"] for event in logged if "log_format" in event].count("stopping") == 1


@reactor_test
async def test_what_cannot_start_stops_the_reactor_with_code_1(process, config):
    taken = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    number = taken.getHost().port
    config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{number}"))
    life = module._Run(make_gateway(load(config), reactor))
    life.until_signal()
    await process.begin()
    assert process.stopped
    await process.end()
    assert life.until_signal() == 1
    (refused,) = [event for event in process.logged if event["event"] == "gateway.start_failed"]
    assert formatEvent(refused).startswith("cannot start: Couldn't listen on")
    await taken.stopListening()


class Broken:
    """An assembly that fails where it is told to."""

    url = "http://127.0.0.1:1"

    def __init__(self, start: Exception | None = None, stop: Exception | None = None) -> None:
        self._start, self._stop = start, stop
        self.metrics = Metrics()
        self.gateway = SimpleNamespace()

    async def start(self) -> None:
        if self._start is not None:
            raise self._start

    async def stop(self) -> None:
        if self._stop is not None:
            raise self._stop


@reactor_test
async def test_one_signal_ends_it_in_order_and_another_has_it_wait_no_longer(process, config):
    assembly = make_gateway(load(config), reactor)
    life, hurried = module._Run(assembly), []
    assembly.hurry = lambda: hurried.append(True)
    life.until_signal()
    await process.begin()
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
        await until(lambda: process.stopped)
    await until(lambda: hurried)
    await process.end()
    names = [event["event"] for event in process.logged if "event" in event]
    assert names[-2:] == ["gateway.hurried", "gateway.stopping"]
    assert life.until_signal() == 0


@reactor_test
async def test_a_file_that_changed_while_it_started_is_read_once_it_has(process, config):
    assembly = make_gateway(load(config), reactor)
    life = module._Run(assembly)
    life.until_signal()
    config.write_text(config.read_text() + "rate = 5\n")
    life._read_again()
    await process.begin()
    await until(lambda: assembly.config.links["one"].rate == 5)
    assert assembly.metrics.registry.get_sample_value("smsgw_config_reload_success") == 1
    await process.end()


@pytest.mark.parametrize(
    ("broken", "said", "failures"),
    [
        (Broken(StoreError("x.db: too new")), "cannot start: x.db: too new", 0),
        (Broken(RuntimeError("a bug")), "cannot start", 1),
    ],
)
@reactor_test
async def test_a_bug_is_logged_and_a_refusal_is_one_line(process, broken, said, failures):
    life = module._Run(broken)
    life.until_signal()
    await process.begin()
    assert process.stopped
    assert life.until_signal() == 1
    assert [formatEvent(event) for event in process.logged] == [said]
    assert len([event for event in process.logged if event.get("log_failure")]) == failures


@reactor_test
async def test_a_bug_while_stopping_is_no_orderly_end(process):
    life = module._Run(Broken(stop=RuntimeError("a bug")))
    life.until_signal()
    await process.begin()
    await process.end()
    assert life.until_signal() == 1
    assert process.logged[-1]["log_format"] == "while stopping"
    assert process.logged[-1]["log_failure"]


def test_smsgwd_checks_a_configuration(config):
    good = CliRunner().invoke(module.main, ["--check-config", "-c", str(config)])
    assert (good.exit_code, good.output) == (0, "")
    config.write_text("[x]\n")
    bad = CliRunner().invoke(module.main, ["--check-config", "-c", str(config)])
    assert bad.exit_code == 2
    assert "links: there is none" in bad.stderr


def test_smsgwd_runs_and_gives_the_exit_code(config, process):
    config.write_text("[x]\n")
    result = CliRunner().invoke(module.main, ["-c", str(config)])
    assert result.exit_code == 2
    assert not process.ran

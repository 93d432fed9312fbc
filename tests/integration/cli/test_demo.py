"""``smsgw demo``: as a process, and one performance in the test's own."""

from __future__ import annotations

import json
import sys

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from smsgw.daemon.program import Program
from smsgw.errors import ConfigError
from smsgw.interfaces.cli import demo as module
from smsgw.interfaces.cli.story import APPROVERS, narrate
from tests.support.api import closed_connections
from tests.support.processes import Command, Shutdown
from tests.support.reactor import reactor_test

pytestmark = pytest.mark.filterwarnings("ignore:Using readBody with a transport")


@pytest.fixture(autouse=True)
def switch_interval():
    """The gateway changes it for its process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


async def play(tmp_path, as_json: bool = False) -> int:
    performance = module._Demo(reactor, tmp_path, Program(), as_json)
    code = await performance.play(keep=False)
    await closed_connections()
    return code


@reactor_test(seconds=240)
async def test_the_record_says_ok_and_the_exit_code_is_0():
    demo = Command("demo", "--json")
    assert await demo.ended == 0
    record = json.loads(demo.out)
    assert record["ok"] is True
    assert (record["replies"], record["replies_mapped"]) == (4, 4)
    assert record["segments"] == record["segments_reported"]
    assert [one["matched_by"] for one in record["approvers"]]
    assert demo.err == ""


@pytest.mark.long
@reactor_test(seconds=240)
async def test_keep_leaves_it_running_until_ctrl_c(tmp_path):
    demo = Command("demo", "--keep")
    await demo.says("Ctrl-C ends it.")
    assert demo.out.count("curl -H") == 5
    demo.interrupt()
    assert await demo.ended == 0
    assert demo.err == ""


@pytest.mark.long
@reactor_test(seconds=240)
async def test_ctrl_c_in_the_middle_closes_everything_and_is_no_success():
    demo = Command("demo")
    await demo.says("created over HTTP")
    demo.interrupt()
    assert await demo.ended == 1
    assert demo.err == ""


@reactor_test(seconds=240)
async def test_a_performance_tells_its_story_and_prints_the_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_AFTER", 0.02)
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    assert await play(tmp_path) == 0
    out = capsys.readouterr().out
    for one in APPROVERS.values():
        assert one.name in out
        assert one.phone not in out
        assert one.phone[-4:] in out
    for heading in module.COLUMNS:
        assert heading in out
    assert "OK: 4 of 4 replies mapped to the request" in out
    assert 'smsgw_links_up{link="mobile"} 1.0' in out
    assert "WRONG" not in out


@reactor_test(seconds=240)
async def test_one_that_cannot_finish_in_time_says_so_and_fails(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "FINISH_WITHIN", 0.3)
    monkeypatch.setattr(module, "ANSWER_AFTER", 60)
    assert await play(tmp_path) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out
    assert "FAILED: " in out


@reactor_test(seconds=240)
async def test_json_is_all_that_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "FINISH_WITHIN", 0.3)
    monkeypatch.setattr(module, "ANSWER_AFTER", 60)
    assert await play(tmp_path, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize("as_json", [False, True])
@reactor_test(seconds=240)
async def test_what_is_kept_ends_in_order_with_the_performance_s_own_code(
    capsys, monkeypatch, as_json
):
    monkeypatch.setattr(module, "FINISH_WITHIN", 0.1)
    shutdown = Shutdown()
    kept = module._perform(shutdown, Program(), keep=True, as_json=as_json)
    code = Deferred.fromCoroutine(kept)
    said = ""
    while "Ctrl-C ends it." not in said:
        await deferLater(reactor, 0.01)
        captured = capsys.readouterr()
        said += captured.err if as_json else captured.out
    assert not code.called
    await shutdown.come()
    assert await code == 1
    assert said.count("curl -H") == 5
    await closed_connections()


@reactor_test(seconds=240)
async def test_what_is_cut_short_is_no_success(capsys):
    shutdown = Shutdown()
    cut = Deferred.fromCoroutine(module._perform(shutdown, Program(), keep=False, as_json=False))
    while "created over HTTP" not in capsys.readouterr().out:
        await deferLater(reactor, 0.005)
    await shutdown.come()
    assert await cut == 1
    await closed_connections()


@reactor_test(seconds=240)
async def test_what_goes_wrong_is_raised(tmp_path):
    class NoProgram(Program):
        def load(self, path):
            raise ConfigError("links", "no")

    with pytest.raises(ConfigError):
        await module._perform(Shutdown(), NoProgram(), keep=False, as_json=True)


def test_what_goes_wrong_at_a_carrier_is_told_and_what_says_nothing_is_not():
    assert narrate("trouble", "", {"event": "[x] refused"}) == r"[red]\[x] refused[/]"
    assert narrate("acknowledged", "", {}) == ""

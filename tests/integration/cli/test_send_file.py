"""``smsgw send --file`` against the real HTTP API: everybody once, whatever happens in between."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThread

from smsgw.errors import InProgress, Overloaded
from smsgw.interfaces.cli.bulk import Bar, Bulk, Clock, Lines, batches
from smsgw.interfaces.cli.client import Api, Failed, Json, TimedOut, Unreachable
from smsgw.interfaces.cli.journal import Journal
from smsgw.interfaces.cli.sheet import Recipient
from tests.integration.cli.test_commands import smsgw
from tests.support.api import TOKEN, ApiServer
from tests.support.reactor import reactor_test, until

TEMPLATE = "您好 {name}"


def people(folder: Path, rows: int = 3) -> Path:
    path = folder / "people.csv"
    lines = [f"人{row},1380000{row:04d}" for row in range(rows)]
    path.write_text("name,手机号\n" + "\n".join(lines) + "\n", encoding="gb18030")
    return path


@reactor_test
async def test_everybody_in_a_file_is_sent_to_once_and_the_ids_are_kept(tmp_path: Path) -> None:
    path = people(tmp_path, 250)
    command = ("send", "--file", str(path), "--template", TEMPLATE, "--class", "bulk")
    async with ApiServer() as api:
        result = await smsgw(api.url, *command, "--valid-for", "3600")
        assert result.exit_code == 0, result.stderr
        assert result.stdout == f"250 accepted; their ids are in {path}.smsgw\n"
        assert result.stderr.splitlines()[-1] == "250 of 250"
        sent = list(api.front.sent.values())
        assert [one["to"] for one in sent] == [f"1380000{row:04d}" for row in range(250)]
        assert (sent[7]["text"], sent[7]["class"]) == ("您好 人7", "bulk")
        assert sent[7]["valid_for"] == 3600
        assert len({one["ref"] for one in sent}) == 250
        result = await smsgw(api.url, *command, "--valid-for", "3600", "--json")
        shown = json.loads(result.stdout)
        assert (shown["accepted"], shown["accepted_now"], len(api.front.sent)) == (250, 0, 250)
        result = await smsgw(api.url, *command)
        assert (result.exit_code, len(api.front.sent)) == (2, 250)
        assert "250 rows were sent with another valid_for; " in result.stderr


@reactor_test
async def test_bad_rows_are_listed_before_anything_is_sent(tmp_path: Path) -> None:
    path = people(tmp_path)
    path.write_text(path.read_text(encoding="gb18030") + "某,12\n", encoding="utf-8-sig")
    command = ("send", "--file", str(path), "--template", TEMPLATE)
    async with ApiServer() as api:
        result = await smsgw(api.url, *command)
        assert (result.exit_code, api.front.sent) == (2, {})
        first, second = result.stderr.splitlines()
        assert first.startswith("smsgw: line 5: 手机号: '12' is not a mainland mobile number")
        assert second.startswith("smsgw: 1 of 4 rows cannot be sent; mend them, or leave them out")
        assert not Path(f"{path}.smsgw").exists()
        result = await smsgw(api.url, *command, "--skip-bad", "--json")
        assert result.exit_code == 0
        shown = json.loads(result.stdout)
        assert (shown["rows"], shown["accepted"], shown["left_out"][0]["line"]) == (4, 3, 5)


@reactor_test
async def test_a_dry_run_shows_parts_and_a_sample_and_needs_no_gateway(tmp_path: Path) -> None:
    path = people(tmp_path)
    long = TEMPLATE + "请" * 66
    command = ("send", "--file", str(path), "--dry-run", "--template")
    result = await smsgw("http://127.0.0.1:1", *command, long)
    assert result.exit_code == 0, result.stderr
    assert "rows: 3, of which 3 can be sent\nparts: 6 (3 of 2), in 1 calls\n" in result.stdout
    assert "to 13800000000:\n您好 人0请" in result.stdout
    result = await smsgw("http://127.0.0.1:1", *command, TEMPLATE, "--json")
    plan = json.loads(result.stdout)
    assert (plan["encoding"], plan["rows_by_parts"]) == ("gb18030", {"1": 3})
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--file", "F"], "--file needs --template"),
        (["--template", "x"], "need --file"),
        (["--file", "F", "--template", "x", "13800001234", "x"], "--file takes no TO"),
        (["--file", "F", "--template", "x", "--wait", "sent"], "--file takes no TO"),
        (["13800001234"], "give TO and TEXT"),
        (["--file", "missing.csv", "--template", "x"], "--file missing.csv: No such file"),
        (["--file", "F", "--template", "{x}"], "--template: {x} is no column"),
    ],
)
@reactor_test
async def test_options_that_do_not_fit_exit_2(
    tmp_path: Path, words: list[str], problem: str
) -> None:
    path = str(people(tmp_path))
    result = await smsgw("http://127.0.0.1:1", "send", *[path if w == "F" else w for w in words])
    assert result.exit_code == 2
    assert problem in result.stderr


@reactor_test
async def test_no_gateway_exits_3_at_once_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = ("send", "--file", str(people(tmp_path)), "--template", TEMPLATE)
    async with ApiServer() as api:
        url = api.url
        # another address is another gateway, so its port is used again
        away = await smsgw("http://127.0.0.1:1", *command)
        assert away.exit_code == 3
        assert "0 of 3 rows accepted; the same command goes on" in away.stderr
        result = await smsgw(url, *command)
        assert (result.exit_code, api.front.sent) == (2, {})
        assert "with another url" in result.stderr


@reactor_test(seconds=240)
async def test_a_process_killed_while_its_call_is_at_work_sends_nobody_twice(
    tmp_path: Path,
) -> None:
    path = people(tmp_path, 150)
    words = ["send", "--file", str(path), "--template", TEMPLATE, "--token", TOKEN]
    async with ApiServer() as api:
        held: Deferred[None] = Deferred()
        api.front.held = held
        command = [sys.executable, "-m", "smsgw", *words, "--url", api.url]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            await until(lambda: api.front.held_back)  # the gateway is at work
            process.kill()
        api.front.held = succeed(None)
        held.callback(None)  # what was asked is done, though nobody hears of it
        result = await smsgw(api.url, *words)
        assert result.exit_code == 0, result.stderr
        sent = [one["to"] for one in api.front.sent.values()]
        assert sent == [f"1380000{row:04d}" for row in range(150)]
        assert "100 rows had been accepted before" in result.stderr


ROWS = [Recipient(line, f"138000{line:05d}", "x", 1) for line in range(2, 252)]
JOB = {"file": "0f"}


class Time:
    """A clock that only its own sleep moves; what happens during one can be said."""

    def __init__(self) -> None:
        self.at = 0.0
        self.during: Any = lambda: None

    def clock(self) -> Clock:
        return Clock(lambda: self.at, self.sleep, lambda: datetime(2026, 11, 18, 12, tzinfo=UTC))

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.during()


class LossyApi(Api):
    """Loses answers after, or requests before, the gateway had them."""

    def __init__(self, url: str) -> None:
        super().__init__(url, TOKEN)
        self.before: list[BaseException | None] = []
        self.after: list[BaseException | None] = []
        self.keys: list[str] = []

    def post(self, path: str, body: Json, headers: Any = None) -> Json:
        self.keys.append(headers["Idempotency-Key"])
        if self.before and (error := self.before.pop(0)):
            raise error
        answer = super().post(path, body, headers)
        if self.after and (error := self.after.pop(0)):
            raise error
        return answer


def run(api: Api, folder: Path, time: Time, skip_bad: bool = False) -> Bulk:
    with Journal(folder / "j", JOB) as journal, Lines(len(ROWS), 0) as shown:
        bulk = Bulk(api, journal, {"class": "bulk"}, shown, skip_bad, time.clock())
        bulk.run(ROWS)
        assert len(journal.accepted) == len(ROWS) - len(bulk.refused)
        return bulk


def numbers(api: ApiServer) -> list[str]:
    return [one["to"] for one in api.front.sent.values()]


EVERYBODY = [row.to for row in ROWS]


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("batch", [0, 1, 2])
@reactor_test
async def test_a_run_broken_off_around_a_call_sends_nobody_twice(
    tmp_path: Path, where: str, batch: int
) -> None:
    async with ApiServer() as api:
        lossy = LossyApi(api.url)
        getattr(lossy, where).extend([None] * batch + [KeyboardInterrupt()])
        with pytest.raises(KeyboardInterrupt):
            await deferToThread(run, lossy, tmp_path, Time())
        await deferToThread(run, lossy, tmp_path, Time())
        assert numbers(api) == EVERYBODY
        journal = Journal(tmp_path / "j", JOB)
        with journal:
            assert journal.accepted == {line: str(998 + line) for line in range(2, 252)}


@pytest.mark.parametrize("where", ["before", "after"])
@reactor_test
async def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(
    tmp_path: Path, where: str
) -> None:
    async with ApiServer() as api:
        lossy, time = LossyApi(api.url), Time()
        getattr(lossy, where).extend([None, Unreachable("the connection was lost")])
        await deferToThread(run, lossy, tmp_path, time)
        assert numbers(api) == EVERYBODY
        assert time.at == 5
        repeated = lossy.keys[1] == lossy.keys[2]
        assert (len(lossy.keys), repeated) == ((4, True) if where == "before" else (3, False))


@reactor_test
async def test_an_answer_lost_to_a_bad_gateway_ends_the_run_and_the_next_one_asks(
    tmp_path: Path,
) -> None:
    async with ApiServer() as api:
        lossy = LossyApi(api.url)
        lossy.after = [Failed("the gateway answered with status 502")]
        with pytest.raises(Failed, match="502"):
            await deferToThread(run, lossy, tmp_path, Time())
        assert len(numbers(api)) == 100
        await deferToThread(run, lossy, tmp_path, Time())
        assert numbers(api) == EVERYBODY


@pytest.mark.parametrize(
    "trouble",
    [Overloaded("100000 messages wait", 7), InProgress("the same request is at work", 7)],
    ids=["busy", "in progress"],
)
@reactor_test
async def test_a_busy_gateway_is_waited_for_as_long_as_it_says(
    tmp_path: Path, trouble: Exception
) -> None:
    async with ApiServer() as api:
        time = Time()
        api.front.trouble = trouble

        def better() -> None:
            if time.at >= 21:
                api.front.trouble = None

        time.during = better
        await deferToThread(run, Api(api.url, TOKEN), tmp_path, time)
        assert (time.at, numbers(api)) == (21, EVERYBODY)


@reactor_test
async def test_a_gateway_that_stays_busy_times_out(tmp_path: Path) -> None:
    async with ApiServer() as api:
        time = Time()
        api.front.trouble = Overloaded("100000 messages wait", 60)
        with pytest.raises(TimedOut, match="given up after 600 s"):
            await deferToThread(run, Api(api.url, TOKEN), tmp_path, time)
        assert time.at == 600


class Picky(LossyApi):
    """A gateway that refuses one number, whatever its form."""

    def post(self, path: str, body: Json, headers: Any = None) -> Json:
        for index, one in enumerate(body["messages"]):
            if one["to"] == ROWS[120].to:
                refused = Failed("refused")
                refused.status = 422
                refused.errors = [{"field": f"messages[{index}].to", "problem": "is blocked"}]
                raise refused
        return super().post(path, body, headers)


@reactor_test
async def test_a_row_the_gateway_refuses_is_named_by_its_line_and_can_be_left_out(
    tmp_path: Path,
) -> None:
    async with ApiServer() as api:
        picky = Picky(api.url)
        with pytest.raises(Failed, match="line 122: to: is blocked"):
            await deferToThread(run, picky, tmp_path, Time())
        bulk = await deferToThread(run, picky, tmp_path, Time(), True)
        assert [str(one) for one in bulk.refused] == ["line 122: to: is blocked"]
        assert numbers(api) == EVERYBODY[:120] + EVERYBODY[121:]


def test_batches_are_of_100_to_1000_rows_and_less_than_a_call_takes() -> None:
    def sizes(rows: int, text: str) -> list[int]:
        made = [Recipient(line, "13800001234", text, 1) for line in range(rows)]
        return [len(batch) for batch in batches(made)]

    assert sizes(250, "x") == [100, 100, 50]
    assert sizes(20_000, "x") == [400] * 50
    assert set(sizes(60_000, "x")) == {1000}
    long = sizes(200, "请" * 3000)
    assert max(long) < 60
    assert sum(long) == 200


def test_a_terminal_gets_a_bar() -> None:
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=80)
    with Bar(200, 50, console) as bar:
        bar.advance(100)
        bar.say("line 7: to: is [blocked]; left out")
        bar.advance(50)
    assert "200/200" in written.getvalue()
    assert "is [blocked]; left out" in written.getvalue()

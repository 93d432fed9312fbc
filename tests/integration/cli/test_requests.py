"""``smsgw requests``, ``request-types`` and ``stand-ins`` against the API, the engine behind it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.integration.cli.test_commands import rows, smsgw
from tests.support.api import ApiServer
from tests.support.memory import ANN, BOB, EVE
from tests.support.reactor import reactor_test

WHO = f"张三:{ANN}"


class Desk:
    """Somebody at a command line."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.office = api.front.office

    async def run(self, *args: str) -> Result:
        result = await smsgw(self.api.url, *args)
        assert result.exit_code == 0, result.output
        return result

    async def json(self, *args: str) -> Any:
        return json.loads((await self.run(*args, "--json")).stdout)

    async def new(self, *args: str) -> str:
        """Make a request; returns its id."""
        return (await self.run("requests", "new", "--subject", "采购", *args)).stdout.strip()

    async def made(self, *args: str) -> Any:
        """Make a request; returns it as the API shows it."""
        return await self.json("requests", "show", await self.new(*args))

    async def refused(self, code: int, *args: str) -> str:
        """Run what fails; returns the line it says."""
        result = await smsgw(self.api.url, *args)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        assert result.stderr.count("\n") == 1 or "Usage: " in result.stderr
        return result.stderr

    def at(self, seconds: float) -> str:
        return datetime.fromtimestamp(self.office.time() + seconds, UTC).isoformat()


def table(result: Result, first: str) -> list[dict[str, str]]:
    """The table whose first column is named so, as one dictionary a row."""
    lines = rows(result)
    start = next(place for place, line in enumerate(lines) if line[0] == first)
    body = lines[start + 1 :]
    width = len(lines[start])
    end = next((place for place, line in enumerate(body) if len(line) != width), len(body))
    return [dict(zip(lines[start], line, strict=True)) for line in body[:end]]


def people(request: Any, step: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request["steps"][step]["assignees"]
    return found


# ---- new ---------------------------------------------------------------------------------


@reactor_test
async def test_one_step_asks_several_people_at_once() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        given = ["--body", "详情", "--ref", "oa-1", "--rule", "any", "--ask", f"李四：{BOB}"]
        request = await desk.made("--ask", WHO, *given)
        assert (request["body"], request["reference"]) == ("详情", "oa-1")
        assert request["steps"][0]["rule"] == "any"
        asked = [(one["name"], one["phone"]) for one in people(request)]
        assert asked == [("张三", ANN), ("李四", BOB)]
        assert desk.office.prompt_to(ANN).text.startswith("待审批：采购\n详情")


@reactor_test
async def test_steps_follow_each_other_each_with_its_rule() -> None:
    async with ApiServer() as api:
        steps = ["--step", f"2 of 3=张:{ANN}，李:{BOB},王:{EVE}", "--step", f"王:{EVE}"]
        request = await Desk(api).made(*steps, "--rule", "any", "--no-reject-ends")
        assert [step["rule"] for step in request["steps"]] == ["2 of 3", "any"]
        assert [len(step["assignees"]) for step in request["steps"]] == [3, 1]
        assert [step["reject_ends"] for step in request["steps"]] == [False, False]


@reactor_test
async def test_everything_else_a_request_may_say_has_an_option() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        request = await desk.made(
            *("--ask", WHO, "--applicant", f"申请人:{EVE}", "--confirm", "code"),
            *("--deadline", desk.at(86_400), "--step-deadline", "2h", "--on-deadline", "reject"),
            *("--remind", "1h", "--remind", "30m", "--escalate", f"1.5h=主任:{BOB}"),
            *("--answer", "yes=准", "--answer", "no=不准:against", "--allow-change", "--urgent"),
        )
        assert request["applicant"] == {"name": "申请人", "phone": EVE}
        assert request["deadline"].startswith(desk.at(86_400)[:19])
        kept = (request["confirmation"], request["allow_change"], request["urgent"])
        assert kept == ("code", True, True)
        (step,) = request["steps"]
        assert step["reminders"] == [1800, 3600]
        assert step["escalation"] == [{"after": 5400, "phone": BOB, "name": "主任"}]
        assert [(one["key"], one["label"]) for one in step["answers"]] == [
            ("yes", "准"),
            ("no", "不准"),
        ]
        assert step["answers"][1]["effect"] == "against"
        assert step["deadline"].startswith(desk.at(7200)[:19])


@reactor_test
async def test_a_vote_is_opened_to_anyone() -> None:
    async with ApiServer() as api:
        options = ("--answer", "甲", "--answer", "乙", "--anyone", "88", "--counts", "last")
        request = await Desk(api).made("--preset", "vote", *options)
        assert request["vote"]["audience"] == "anyone"
        assert (request["vote"]["counts"], request["vote"]["extension"]) == ("last", "88")
        (step,) = request["steps"]
        assert [one["key"] for one in step["answers"]] == ["1", "2"]
        assert step["assignees"] == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "say whom to ask: --ask, --step, --anyone, or a --type"),
        (["--ask", WHO, "--step", WHO], "and not both"),
        (["--ask", ANN], "write NAME:PHONE"),
        (["--step", "all=a:"], "write NAME:PHONE"),
        (["--ask", WHO, "--remind", "soon"], "'soon' is no duration"),
        (["--ask", WHO, "--escalate", WHO], "write DURATION=NAME:PHONE"),
        (["--ask", WHO, "--answer", "行:maybe"], "'maybe' is none of for, against"),
        (["--ask", WHO, "--confirm", "fax"], "'fax' is not one of 'code', 'api'"),
        (["--type", "用车", "--remind", "1h"], "--remind is about steps"),
    ],
)
@reactor_test
async def test_a_request_written_wrongly_is_a_usage_error(args: list[str], said: str) -> None:
    result = await smsgw("http://127.0.0.1:1", "requests", "new", "--subject", "x", *args)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--ask", WHO, "--ask", WHO], "steps[0].assignees[1].phone: the same number as"),
        (["--ask", WHO, "--rule", "most"], "steps[0].rule: "),
        (["--ask", WHO, "--preset", "poll"], "preset: 'poll' is no preset; write one of appr"),
        (["--ask", WHO, "--deadline", "2026-11-22T09:00Z"], "deadline: "),
        (["--ask", WHO, "--counts", "last"], "vote: preset approval takes no votes"),
        (["--type", "gone"], "type: 'gone' is no saved flow"),
    ],
)
@reactor_test
async def test_what_the_gateway_cannot_ask_is_one_line(args: list[str], said: str) -> None:
    async with ApiServer() as api:
        line = await Desk(api).refused(2, "requests", "new", "--subject", "x", *args)
        assert line.startswith(f"smsgw: {said}")
        assert api.front.office.composer.sent == []


# ---- show and list -----------------------------------------------------------------------


@reactor_test
async def test_a_request_is_shown_with_its_people_answers_history_and_tally() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        request_id = await desk.new("--ask", WHO, "--ask", f"李四:{BOB}", "--remind", "1h")
        first = people(await desk.json("requests", "show", request_id))[0]["id"]
        handed = await desk.run("requests", "delegate", request_id, first, f"王五:{EVE}")
        assert handed.stdout == f"{request_id} open\n"
        desk.office.time.advance(3600)
        assert desk.office.reply(BOB, "同意 尽快") == "decided"
        shown = await desk.run("requests", "show", request_id)
        assert ["subject", "采购"] in rows(shown)
        (step,) = table(shown, "step")
        assert (step["step"], step["state"], step["reminders"]) == ("1", "open", "3600 s")
        assert step["tally"] == "同意 1, 不同意 0"
        lines = rows(shown)
        at = next(place for place, line in enumerate(lines) if line[:2] == ["step", "id"])
        shown_people = [dict(zip(lines[at], line, strict=True)) for line in lines[at + 1 : at + 4]]
        assert [one["name"] for one in shown_people] == ["张三", "王五", "李四"]
        assert [one["state"] for one in shown_people] == ["delegated", "asked", "answered"]
        assert shown_people[1]["in place of"] == "张三 (by api:oa)"
        assert shown_people[1]["reminded"] == "1"
        last = shown_people[2]
        assert (last["answer"], last["reason"], last["matched by"]) == ("yes", "尽快", "slot:word")
        (answer,) = table(shown, "who")
        assert (answer["who"], answer["channel"], answer["text"]) == ("李四", "sms", "同意 尽快")
        assert (answer["decision"], answer["counted"]) == ("yes", "yes")


@reactor_test
async def test_a_votes_numbers_and_tally_are_shown() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        options = ("--answer", "甲", "--answer", "乙", "--anyone", "88")
        request_id = await desk.new("--preset", "vote", *options)
        shown = await desk.run("requests", "show", request_id)
        assert ["vote extension", "88"] in rows(shown)
        assert ["vote numbers", "1069000188"] in rows(shown)
        (step,) = table(shown, "step")
        assert step["tally"] == "甲 0, 乙 0"


@reactor_test
async def test_requests_are_listed_and_found_by_state_and_reference() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        ids = [await desk.new("--ask", WHO, "--ref", ref) for ref in ("a", "b", "a")]
        await desk.run("requests", "withdraw", ids[2])
        listed = await desk.run("requests", "list", "--limit", "1")
        assert rows(listed)[1][:5] == [ids[2], "采购", "approval", "withdrawn", "withdrawn"]
        assert listed.stderr == f"more: --cursor {ids[2]}\n"
        found = await desk.json("requests", "list", "--state", "open", "--reference", "a")
        assert [one["id"] for one in found["requests"]] == [ids[0]]


# ---- its life ----------------------------------------------------------------------------


@reactor_test
async def test_a_decision_is_any_allowed_answer_once() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        request = await desk.made("--ask", WHO, "--preset", "dispatch")
        place = ("requests", "decide", request["id"], people(request)[0]["id"])
        going = await desk.run(*place, "received", "--version", str(request["version"]))
        assert going.stdout == f"{request['id']} open\n"
        line = await desk.refused(1, *place, "done", "--version", str(request["version"]))
        assert "is at version 2, not 1; read it again" in line
        line = await desk.refused(2, *place, "yes")
        assert line == "smsgw: decision: 'yes'; write received or done or decline\n"
        done = await desk.json(*place, "done", "--reason", "换了镜头")
        assert (done["outcome"], people(done)[0]["reason"]) == ("approved", "换了镜头")
        assert "has answered already: done" in await desk.refused(1, *place, "decline")


@reactor_test
async def test_a_request_is_withdrawn_and_a_survey_closed() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        approval = await desk.new("--ask", WHO)
        survey = await desk.new("--ask", WHO, "--preset", "survey")
        line = await desk.refused(1, "requests", "close", approval)
        assert "decide or withdraw it" in line
        done = await desk.run("requests", "withdraw", approval, "--reason", "不需要了")
        assert done.stdout == f"{approval} withdrawn\n"
        assert (await desk.run("requests", "close", survey)).stdout == f"{survey} approved\n"
        assert "is closed: approved" in await desk.refused(1, "requests", "close", survey)


@reactor_test
async def test_who_has_not_answered_is_asked_again() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        request = await desk.made("--ask", WHO, "--ask", f"李四:{BOB}")
        await desk.run("requests", "resend", request["id"], "--to", people(request)[1]["id"])
        await desk.run("requests", "resend", request["id"])
        assert [len(desk.office.texts_to(phone)) for phone in (ANN, BOB)] == [2, 3]
        line = await desk.refused(1, "requests", "resend", request["id"], "--to", "7")
        assert "nobody there is being asked now" in line


@reactor_test
async def test_a_digest_is_sent_when_something_is_open() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        assert (await desk.run("requests", "digest", ANN)).stdout == "nothing is open\n"
        await desk.new("--ask", WHO)
        assert (await desk.run("requests", "digest", ANN)).stdout == "sent\n"
        assert await desk.json("requests", "digest", BOB) == {"sent": False}
        assert "phone: '12' is not" in await desk.refused(2, "requests", "digest", "12")


# ---- flows -------------------------------------------------------------------------------

FLOW = f"""
preset = "approval"
urgent = true
[[steps]]
name = "设备部"
rule = "any"
reminders = [3600]
assignees = [{{ phone = "{ANN}", name = "张三" }}, {{ phone = "{BOB}", name = "李四" }}]
"""


@reactor_test
async def test_a_flow_is_saved_from_toml_used_shown_saved_again_and_removed(tmp_path: Path) -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        toml, saved = tmp_path / "flow.toml", tmp_path / "flow.json"
        toml.write_text(FLOW, "utf-8")
        done = await desk.run("request-types", "save", "外景车", str(toml))
        assert done.stdout == "外景车 1\n"
        request = await desk.made("--type", "外景车")
        assert (request["urgent"], request["steps"][0]["name"]) == (True, "设备部")
        listed = await desk.run("request-types", "list")
        assert rows(listed)[1][:4] == ["外景车", "1", "approval", "1"]
        shown = await desk.run("request-types", "show", "外景车")
        assert ["urgent", "true"] in rows(shown)
        (step,) = table(shown, "step")
        assert (step["name"], step["rule"], step["people"]) == ("设备部", "any", "张三, 李四")
        assert step["more"] == "reminders 3600.0"
        printed = (await desk.run("request-types", "show", "外景车", "--json")).stdout
        saved.write_text(printed, "utf-8")
        again = ("request-types", "save", "外景车", str(saved), "--version")
        assert await desk.json(*again, "1") == {"name": "外景车", "version": 2}
        assert "another version is there" in await desk.refused(1, *again, "1")
        done = await desk.run("request-types", "remove", "外景车")
        assert done.stdout == "外景车 removed\n"
        line = await desk.refused(1, "request-types", "show", "外景车")
        assert line == "smsgw: type 外景车: not saved\n"


@reactor_test
async def test_the_example_flow_is_one() -> None:
    file = Path(__file__).parents[3] / "examples" / "flow.toml"
    async with ApiServer() as api:
        desk = Desk(api)
        await desk.run("request-types", "save", "外景车", str(file))
        request = await desk.made("--type", "外景车")
        names = ["科室", "会签", "调度", "台领导"]
        assert [step["name"] for step in request["steps"]] == names
        for phone, choice in (("13800001002", "同意"), ("18900001003", "不同意 没有预算")):
            assert desk.office.reply(phone, choice) == "decided"
        shown = await desk.json("requests", "show", request["id"])
        assert (shown["outcome"], shown["steps"][1]["outcome"]) == ("rejected", "rejected")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", b"steps = [", "is not TOML: "),
        ("a.json", b"{", "is not JSON: "),
        ("a.json", b"\xff", "is not JSON: "),
        ("a.json", b"[1]", "write an object"),
        ("a.toml", b'preset = "poll"', "flow.preset: 'poll' is no preset"),
        ("a.toml", b"deadline = 2030-01-01T08:00:00Z", "flow.deadline: is each request's own"),
        ("a.toml", b"[[steps]]\nassignees = []", "flow.steps[0].assignees: 0 assignees"),
    ],
)
@reactor_test
async def test_a_file_that_is_no_flow_is_one_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    async with ApiServer() as api:
        file = tmp_path / name
        file.write_bytes(content)
        assert said in await Desk(api).refused(2, "request-types", "save", "a", str(file))


# ---- stand-ins ---------------------------------------------------------------------------


@reactor_test
async def test_a_stand_in_is_added_listed_and_ended() -> None:
    async with ApiServer() as api:
        desk = Desk(api)
        until = ("--until", desk.at(86_400))
        added = await desk.run("stand-ins", "add", ANN, BOB, "--name", "王五", *until)
        row_id = added.stdout.strip()
        second = (await desk.json("stand-ins", "add", EVE, "13800001009", "--second"))["id"]
        listed = await desk.run("stand-ins", "list", "--phone", ANN)
        assert rows(listed)[1][:5] == [row_id, "substitute", ANN, BOB, "王五"]
        kinds = [row["kind"] for row in table(await desk.run("stand-ins", "list"), "id")]
        assert kinds == ["second", "substitute"]
        assert (await desk.run("stand-ins", "end", second)).stdout == f"{second} ended\n"
        found = await desk.json("stand-ins", "list")
        assert [one["id"] for one in found["stand_ins"]] == [row_id]
        found = await desk.json("stand-ins", "list", "--ended")
        assert second in [one["id"] for one in found["stand_ins"]]
        assert "was ended before" in await desk.refused(1, "stand-ins", "end", second)
        assert "other_phone: the same" in await desk.refused(2, "stand-ins", "add", ANN, ANN)
        wrong = ("stand-ins", "add", ANN, BOB, "--until", "soon")
        assert "is no time; write it like" in await desk.refused(2, *wrong)


@pytest.mark.parametrize("command", ["requests", "request-types", "stand-ins"])
@reactor_test
async def test_every_list_prints_the_apis_json(command: str) -> None:
    async with ApiServer() as api:
        assert isinstance(await Desk(api).json(command, "list"), dict)

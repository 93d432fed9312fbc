"""One request through four steps, over three carriers, with the daemon stopped in each of them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor

from smsgw.simulator import ismg
from smsgw.simulator.faults import Faults
from smsgw.store.address import Server
from tests.support.daemon import ACCESS
from tests.support.flow import (
    BODY,
    NAMED,
    SUBJECT,
    UNKNOWN_WAIT,
    Flow,
    Person,
    code_in,
    question,
)
from tests.support.reactor import reactor_test
from tests.support.stores import bare_server

__all__ = ["bare_server"]

APPLICANT = Person("sgip", "18600001000", "新闻部")
HEAD = Person("sgip", "18600001001", "车队")
ENGINEERING = Person("cmpp", "13800001011", "技术部")
PRODUCTION = Person("smgp", "18900001012", "制作部")
DEPUTY = Person("smgp", "18900001013", "制作部副主任")
BROADCAST = Person("sgip", "18600001014", "播出部")
FINANCE = Person("smgp", "18900001021", "财务甲")
CASHIER = Person("cmpp", "13800001022", "财务乙")
DIRECTOR = Person("cmpp", "13800001031", "台长")
ASKED = (HEAD, ENGINEERING, PRODUCTION, BROADCAST, FINANCE, CASHIER, DIRECTOR)

NEVER = 3600.0
"""A reminder that must not come: the question is answered long before."""

REMINDED_AFTER = 10.0
"""Long enough to answer or hand on before, on a busy machine too."""

KILLS = 10

RECORDED = f"已记录您对{NAMED}的意见：同意"
HANDED_ON = f"{NAMED}已转交{DEPUTY.name}处理，您无需再回复"
SETTLED = f"{NAMED}本环节已处理，无需再回复"


@pytest.fixture(autouse=True)
def carriers_repeat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest) -> Server | None:
    """A PostgreSQL database, or None for a file."""
    if request.param == "sqlite":
        return None
    found: Server = request.getfixturevalue("bare_server")
    return found


def step(name: str, *people: Person, rule: str = "all", reminders: list[float]) -> dict[str, Any]:
    assignees = [one.shown for one in people]
    return {"name": name, "rule": rule, "assignees": assignees, "reminders": reminders}


REQUEST = {
    "subject": SUBJECT,
    "body": BODY,
    "reference": "oa-1",
    "confirmation": "code",
    "applicant": APPLICANT.shown,
    "steps": [
        step("车队", HEAD, reminders=[1.0, NEVER]),
        step("会签", ENGINEERING, PRODUCTION, BROADCAST, reminders=[REMINDED_AFTER, NEVER]),
        step("财务", FINANCE, CASHIER, rule="any", reminders=[NEVER]),
        step("批准", DIRECTOR, reminders=[NEVER]),
    ],
}


@reactor_test(seconds=240)
async def test_four_steps_over_three_carriers_survive_a_restart_in_each(
    tmp_path: Path, server: Server | None
) -> None:
    async with Flow(tmp_path, server) as flow:
        for carrier in flow.carriers.values():
            carrier.faults.use(Faults.of("duplicate.mo=all", "duplicate.report=all"))
        await flow.ask(REQUEST)
        await the_head_answers_a_reminder_while_we_are_down(flow)
        await three_departments_agree_and_one_hands_on(flow)
        await one_of_two_answers_without_the_extension(flow)
        await the_director_has_changed_carrier(flow)
        await flow.sees(APPLICANT, 1)
        await flow.handled()

        await everybody_decided_once(flow)
        every_phone_saw_what_it_should(flow)
        await the_evidence_is_whole(flow)
        nothing_is_left(flow)


async def the_head_answers_a_reminder_while_we_are_down(flow: Flow) -> None:
    await flow.sees(HEAD, 2)
    await flow.down()
    flow.agree(HEAD)
    await flow.run()
    await flow.reaches(1, "open")


async def three_departments_agree_and_one_hands_on(flow: Flow) -> None:
    """The reminder of who was handed the question comes due while we are down: it comes once."""
    for one in (ENGINEERING, BROADCAST):
        await flow.sees(one, 1)
        flow.agree(one)
    asked = await flow.sees(PRODUCTION, 1)
    place = await flow.assignee(PRODUCTION)
    to = {"assignment_id": place["id"], "to": DEPUTY.shown}
    await flow.post(f"{flow.path}/delegations", to)
    reminded_at = reactor.seconds() + REMINDED_AFTER  # type: ignore[attr-defined]
    await flow.sees(DEPUTY, 1)
    await flow.sees(PRODUCTION, 2)
    await flow.sees(ENGINEERING, 2)
    await flow.sees(BROADCAST, 2)

    await flow.down(kill=True)
    flow.agree(PRODUCTION, asked)
    flow.write(BROADCAST, flow.seen(BROADCAST)[0].sender, "不同意 撞期")
    await flow.pass_time(max(0.0, reminded_at - reactor.seconds()))  # type: ignore[attr-defined]
    await flow.run()
    await flow.sees(PRODUCTION, 3)
    await flow.sees(BROADCAST, 3)
    await flow.sees(DEPUTY, 2)
    assert (await flow.shown())["steps"][1]["mask"] == {"full": 7, "approved": 5, "rejected": 0}
    flow.agree(DEPUTY)
    await flow.reaches(2, "open")


async def one_of_two_answers_without_the_extension(flow: Flow) -> None:
    code = code_in((await flow.sees(CASHIER, 1)).text)
    await flow.sees(FINANCE, 1)
    flow.write(CASHIER, ACCESS["cmpp"], f"同意 {code}")
    await flow.sees(CASHIER, 2)
    await flow.down()
    flow.write(CASHIER, ACCESS["cmpp"], f"同意{code}")
    await flow.run()
    await flow.reaches(3, "open")
    await flow.sees(FINANCE, 2)
    flow.agree(FINANCE, flow.seen(FINANCE)[0])
    await flow.sees(FINANCE, 3)


async def the_director_has_changed_carrier(flow: Flow) -> None:
    """A consent to something of high value counts only from where the question went."""
    asked = await flow.sees(DIRECTOR, 1)
    await flow.down(kill=True)
    flow.agree(DIRECTOR, asked, over="smgp")
    await flow.run()
    await flow.sees(DIRECTOR, 2)
    (answer,) = (await flow.assignee(DIRECTOR))["answers"]
    assert (answer["counted"], bool(answer["anomaly"])) == (False, True)

    await flow.post(f"{flow.path}/resend", {})
    await flow.sees(DIRECTOR, 3)
    flow.agree(DIRECTOR)
    await flow.reaches(3, "closed")


async def everybody_decided_once(flow: Flow) -> None:
    request = await flow.shown()
    assert (request["state"], request["outcome"]) == ("closed", "approved")
    assert [one["outcome"] for one in request["steps"]] == ["approved"] * 4
    deciders = (HEAD, ENGINEERING, DEPUTY, BROADCAST, CASHIER, DIRECTOR)
    assert await flow.counted("request.answered") == Counter(one.phone for one in deciders)
    for one in deciders:
        person = await flow.assignee(one)
        counted = [answer["text"] for answer in person["answers"] if answer["counted"]]
        assert (person["decision"], len(counted)) == ("yes", 1)
    for one in (PRODUCTION, FINANCE):
        person = await flow.assignee(one)
        assert person["decision"] is None
        assert [answer["counted"] for answer in person["answers"]] == [False]
    assert (await flow.assignee(DEPUTY))["delegated_by"] == "api:test"
    assert await flow.counted("request.delegated") == {PRODUCTION.phone: 1}
    assert await flow.counted("request.reminded") == {HEAD.phone: 1, DEPUTY.phone: 1}
    assert await flow.counted("number.ported") == {DIRECTOR.phone: 1}


def every_phone_saw_what_it_should(flow: Flow) -> None:
    for one, texts in expected(flow).items():
        assert [seen.text for seen in flow.seen(one)] == texts, one
    for one in {*ASKED, DEPUTY} - {DIRECTOR}:
        carriers, senders = zip(
            *((seen.carrier, seen.sender) for seen in flow.seen(one)), strict=True
        )
        assert set(carriers) == {one.carrier}
        assert len(set(senders)) == 1
        assert senders[0].startswith(ACCESS[one.carrier])
        assert senders[0] != ACCESS[one.carrier]
    asked, told, again, recorded = flow.seen(DIRECTOR)
    assert [asked.carrier, told.carrier] == ["cmpp", "cmpp"]
    assert [again.carrier, recorded.carrier] == ["smgp", "smgp"]
    assert again.sender.startswith(ACCESS["smgp"])
    assert recorded.sender == again.sender


def expected(flow: Flow) -> dict[Person, list[str]]:
    """What each of them must have read, in order, and nothing else."""
    people = (*ASKED, DEPUTY)
    code = {one: code_in(flow.seen(one)[0].text) for one in people}
    asked = {one: question(code[one]) for one in people}
    again = {one: question(code[one], again=True) for one in people}
    unclear = f"关于{NAMED}，未能确定您的意思。请回复：同意 {code[CASHIER]} 或 不同意+原因"
    by_console = f"{NAMED}须登录系统确认，短信回复不能作为同意"
    no_change = f"您对{NAMED}的意见已记录为：同意，不能更改"
    return {
        APPLICANT: [f"{NAMED}已批准"],
        HEAD: [asked[HEAD], again[HEAD], RECORDED],
        ENGINEERING: [asked[ENGINEERING], RECORDED],
        PRODUCTION: [asked[PRODUCTION], HANDED_ON, HANDED_ON],
        DEPUTY: [asked[DEPUTY], again[DEPUTY], RECORDED],
        BROADCAST: [asked[BROADCAST], RECORDED, no_change],
        FINANCE: [asked[FINANCE], SETTLED, SETTLED],
        CASHIER: [asked[CASHIER], unclear, RECORDED],
        DIRECTOR: [asked[DIRECTOR], by_console, again[DIRECTOR], RECORDED],
    }


async def the_evidence_is_whole(flow: Flow) -> None:
    """Every text a phone saw or sent is in it, with what proves it."""
    document = await flow.evidence()
    sent = {one["phone"]: [m["text"] for m in one["messages"]] for one in document["people"]}
    assert sent == {one.phone: texts for one, texts in expected(flow).items()}
    assert heard(document) == Counter(flow.written)
    segments = [
        segment["state"]
        for one in document["people"]
        for message in one["messages"]
        for segment in message["segments"]
    ]
    assert set(segments) == {"delivered"}
    assert document["timers"]["pending"] == []
    fired = Counter(one["action"] for one in document["timers"]["fired"])
    assert fired["request.reminded"] == 2


def nothing_is_left(flow: Flow) -> None:
    for table in ("queue", "parked_report", "timer"):
        assert flow.rows(f"SELECT COUNT(*) FROM {table}") == [(0,)], table
    assert flow.rows("SELECT COUNT(*) FROM slot WHERE released_at IS NULL") == [(0,)]
    assert flow.tracebacks() == []


# ---- at any moment -----------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@reactor_test(seconds=240)
async def test_kill_9_at_any_moment_leaves_every_decision_and_every_question_once(
    tmp_path: Path, seed: int, server: Server | None
) -> None:
    """Whoever reads a question consents to it; a text may come twice only where it says so."""
    moments = random.Random(seed)
    async with Flow(tmp_path, server) as flow:
        for carrier in flow.carriers.values():
            carrier.faults.use(Faults.of("duplicate.mo=30%", "duplicate.report=30%"))
        for one in ASKED:
            flow.carriers[one.carrier].phone(one.phone, flow.consents(one))
        await flow.ask(REQUEST)
        for _ in range(KILLS):
            if not await flow.killed_after(moments.randrange(2, 16)):
                break
        await flow.up()
        while (await flow.shown())["state"] == "open":
            await flow.again(UNKNOWN_WAIT)  # what is unknown then is sent again
        await flow.again(UNKNOWN_WAIT)
        await flow.handled()

        answered = await flow.counted("request.answered")
        paid = [one.phone for one in (FINANCE, CASHIER) if answered[one.phone]]
        others = (HEAD, ENGINEERING, PRODUCTION, BROADCAST, DIRECTOR)
        assert answered == Counter([*(one.phone for one in others), *paid[:1]])
        repeats = len(flow.written) - len(set(flow.written))
        document = await flow.evidence(repeats)
        assert document["request"]["outcome"] == "approved"
        texts_came_as_often_as_they_say(flow, document)
        assert heard(document) == Counter(flow.written)
        assert flow.tracebacks() == []


def texts_came_as_often_as_they_say(flow: Flow, document: dict[str, Any]) -> None:
    sent = {one["phone"]: one["messages"] for one in document["people"]}
    for one in (*ASKED, APPLICANT):
        seen = Counter(found.text for found in flow.seen(one))
        made: dict[str, list[dict[str, Any]]] = {}
        for message in sent[one.phone]:
            made.setdefault(message["text"], []).append(message)
        assert seen.keys() <= made.keys(), one
        for text, messages in made.items():
            segments = [segment for message in messages for segment in message["segments"]]
            came = sum(message["status"] == "delivered" for message in messages)
            assert came <= seen[text] <= sum(segment["attempts"] for segment in segments), (
                one,
                text,
            )
            doubtful = any(segment["possible_duplicate"] for segment in segments)
            assert seen[text] <= len(messages) or doubtful, (one, text)
        asked = sum(len(messages) for text, messages in made.items() if text.startswith("待审批"))
        assert asked == (one != APPLICANT), one
    assert len(sent[APPLICANT.phone]) == 1


def heard(document: dict[str, Any]) -> Counter[tuple[str, str]]:
    """What phones said, as often as a carrier brought it."""
    return Counter(
        (one["phone"], inbound["text"])
        for one in document["people"]
        for inbound in one["inbound"]
        for _ in inbound["pdus"]
    )

"""Kinds of requests: presets, rules, own answers, high value, saved flows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.model import Operator
from smsgw.services.choices import Effect
from smsgw.services.requests.drafts import AnswerDraft, Person, RequestDraft
from smsgw.services.requests.settings import (
    Audience,
    Confirmation,
    Counts,
    Escalation,
    VoteSettings,
)
from smsgw.services.requests.types import RequestTypes
from tests.support.memory import result_of
from tests.support.requests import ANN, BOB, EVE, Office, asking

ENGINEERS = (ANN, BOB)


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.store.close()


# ---- rules -------------------------------------------------------------------------------


def test_two_of_three_decide(office: Office) -> None:
    request = office.create(asking(ANN, BOB, EVE, rule="2 of 3"))
    office.reply(BOB, "不同意")
    office.reply(ANN, "同意")
    assert office.show(request)["state"] == "open"
    office.reply(EVE, "同意")
    assert office.show(request)["outcome"] == "approved"


def test_one_rejection_ends_a_step_only_where_it_says_so(office: Office) -> None:
    ends = office.create(asking(ANN, BOB, EVE, rule="2 of 3", reject_ends=True))
    office.reply(ANN, "不同意")
    assert office.show(ends)["outcome"] == "rejected"
    goes_on = office.create(asking(ANN, BOB, reject_ends=False))
    office.reply(ANN, "不同意")
    assert office.show(goes_on)["state"] == "open"
    office.reply(BOB, "同意")
    assert office.show(goes_on)["outcome"] == "rejected"


# ---- dispatch ----------------------------------------------------------------------------


def dispatch(office: Office, *phones: str, **fields: object) -> int:
    return office.create(asking(*phones, rule=""), preset="dispatch", subject="灯光", **fields)


def test_a_dispatch_shows_the_state_of_each_engineer(office: Office) -> None:
    request = dispatch(office, *ENGINEERS)
    assert office.prompt_to(ANN).text.endswith("回复 收到、完成、转派+手机号 或 无法处理+原因")
    extension = office.prompt_to(ANN).extension
    assert office.reply(ANN, "收到", extension) == "noted"
    assert len(office.texts_to(ANN)) == 1
    ann, bob = (office.assignee(request, phone) for phone in ENGINEERS)
    assert (ann["progress"], ann["state"], ann["decision"]) == ("received", "asked", None)
    assert bob["progress"] is None
    assert office.reply(ANN, "收到", extension) == "repeated"
    assert office.reply(ANN, "已修好", extension) == "decided"
    shown = office.show(request)
    assert (shown["outcome"], office.assignee(request, ANN)["decision"]) == ("approved", "done")
    assert office.texts_to(BOB)[-1] == "《灯光》已完成，无需再回复"


def test_who_cannot_go_leaves_it_to_the_others(office: Office) -> None:
    request = dispatch(office, *ENGINEERS)
    assert office.reply(ANN, "去不了，在外地") == "decided"
    assert office.show(request)["state"] == "open"
    assert office.reply(BOB, "完成") == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_a_task_is_handed_on_by_sms(office: Office) -> None:
    request = dispatch(office, ANN)
    assert office.reply(ANN, f"转派 {EVE} 王工") == "transferred"
    assert office.prompt_to(ANN).text == "《灯光》已转交王工处理，您无需再回复"
    assert office.prompt_to(EVE).text.startswith("派工：灯光")
    assert office.reply(EVE, "完成") == "decided"
    shown = office.show(request)
    assert shown["outcome"] == "approved"
    eve = office.assignee(request, EVE)
    assert (eve["name"], eve["delegated_by"]) == ("王工", f"sms:{ANN}")
    told = next(one for one in office.events if one.kind == "request.delegated")
    assert told.data["to_phone"] == EVE


@pytest.mark.parametrize("text", ["转派", "转派给别人", f"转派 {ANN}", "转派 李四"])
def test_a_task_handed_on_to_nobody_we_can_ask_stays(office: Office, text: str) -> None:
    request = dispatch(office, ANN, BOB)
    assert office.reply(ANN, text) in ("unclear", "asked_back")
    assert "转派" in office.prompt_to(ANN).text
    assert office.assignee(request, ANN)["state"] == "asked"
    assert len(office.show(request)["steps"][0]["assignees"]) == 2


def test_a_task_is_handed_on_to_a_name_that_the_request_knows(office: Office) -> None:
    step = asking(ANN, rule="")
    step.escalation = [Escalation(60, EVE, "王主任")]
    request = office.create(step, preset="dispatch")
    office.time.advance(61)
    assert office.reply(ANN, "转派 王主任") in ("unclear", "asked_back")
    assert office.assignee(request, ANN)["state"] == "asked"


# ---- surveys and votes of people who are asked -------------------------------------------


def test_a_survey_counts_ratings_and_keeps_comments(office: Office) -> None:
    request = office.create(asking(ANN, BOB), preset="survey", subject="食堂")
    assert office.reply(ANN, "5 很满意") == "decided"
    assert office.reply(BOB, "３") == "decided"
    shown = office.show(request)
    assert (shown["state"], shown["outcome"]) == ("closed", "approved")
    counts = {one["key"]: one["count"] for one in shown["steps"][0]["answers"]}
    assert counts == {"1": 0, "2": 0, "3": 1, "4": 0, "5": 1}
    assert office.assignee(request, ANN)["decision"] == "5"


def test_a_survey_is_closed_with_what_was_answered(office: Office) -> None:
    request = office.create(asking(ANN, BOB), preset="survey", subject="食堂")
    office.reply(ANN, "4")
    result_of(office.engine.close(request))
    assert office.show(request)["state"] == "closed"
    assert len(office.texts_to(BOB)) == 1
    approval = office.create((ANN,))
    with pytest.raises(Conflict, match="decide or withdraw"):
        result_of(office.engine.close(approval))


def vote(office: Office, counts: Counts) -> int:
    step = asking(ANN, BOB, answers=[AnswerDraft("北京"), AnswerDraft("上海")])
    settings = VoteSettings(counts=counts)
    return office.create(step, preset="vote", subject="下一站", vote=settings)


def tally(office: Office, request: int) -> dict[str, int]:
    return {one["label"]: one["count"] for one in office.show(request)["steps"][0]["answers"]}


def test_each_person_has_one_vote(office: Office) -> None:
    request = vote(office, Counts.FIRST)
    extension = office.prompt_to(ANN).extension
    assert office.reply(ANN, "1", extension) == "decided"
    assert office.reply(ANN, "2", extension) == "already"
    assert tally(office, request) == {"北京": 1, "上海": 0}


# ---- own answers -------------------------------------------------------------------------


def test_a_step_may_allow_answers_of_its_own(office: Office) -> None:
    answers = [
        AnswerDraft("同意", "yes"),
        AnswerDraft("不同意", "no", Effect.AGAINST),
        AnswerDraft("弃权", "abstain", Effect.NEUTRAL),
    ]
    request = office.create(asking(ANN, BOB, rule="any", answers=answers))
    assert office.prompt_to(ANN).text.endswith("回复 同意、不同意+原因 或 弃权")
    assert office.reply(ANN, "弃权") == "decided"
    assert office.show(request)["state"] == "open"
    assert office.reply(BOB, "弃权") == "decided"
    assert office.show(request)["outcome"] == "rejected"


def test_an_answer_that_is_not_allowed_is_asked_back(office: Office) -> None:
    answers = [AnswerDraft("同意", "yes"), AnswerDraft("弃权", "abstain", Effect.NEUTRAL)]
    request = office.create(asking(ANN, answers=answers))
    assert office.reply(ANN, "不同意") == "asked_back"
    assert office.show(request)["state"] == "open"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"answers": [AnswerDraft("同意"), AnswerDraft("同意")]}, "steps[0].answers[1]"),
        ({"answers": [AnswerDraft("")]}, "steps[0].answers[0]"),
        ({"answers": [AnswerDraft("长" * 33)]}, "steps[0].answers[0].label"),
        ({"answers": [AnswerDraft(f"第{n}") for n in range(21)]}, "steps[0].answers"),
        ({"reminders": [0.5]}, "steps[0].reminders[0]"),
        ({"reminders": [120, 60]}, "steps[0].reminders[1]"),
        ({"reminders": [60.0 * n for n in range(1, 12)]}, "steps[0].reminders"),
        ({"deadline_after": 0.5}, "steps[0].deadline_after"),
        ({"escalation": [Escalation(60, "123")]}, "steps[0].escalation[0].phone"),
        ({"escalation": [Escalation(0, EVE)]}, "steps[0].escalation[0].after"),
        ({"escalation": [Escalation(60, ANN)]}, "steps[0].escalation[0].phone"),
        ({"escalation": [Escalation(60, EVE)] * 2}, "steps[0].escalation[1].phone"),
        ({"rule": "2 of 3"}, "steps[0].rule"),
        ({"name": "长" * 65}, "steps[0].name"),
    ],
)
def test_a_step_that_cannot_be_names_its_field(
    office: Office, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        office.create(asking(ANN, **{"rule": "all", **fields}))  # type: ignore[arg-type]
    assert caught.value.field.startswith(field)
    assert office.composer.sent == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"deadline": datetime(2020, 1, 1, tzinfo=UTC)}, "deadline"),
        ({"deadline": datetime(2120, 1, 1, tzinfo=UTC)}, "deadline"),
        ({"deadline": datetime(2027, 1, 1)}, "deadline"),
        ({"applicant": Person("123")}, "applicant.phone"),
        ({"vote": VoteSettings()}, "vote"),
        ({"preset": "vote"}, "steps[0].answers"),
        ({"preset": "vote", "vote": VoteSettings(extension="88")}, "vote.extension"),
        ({"preset": "vote", "vote": VoteSettings(audience=Audience.ANYONE)}, "vote.extension"),
        ({"type": "no such"}, "type"),
    ],
)
def test_a_request_that_cannot_be_names_its_field(
    office: Office, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        office.create((ANN,), **fields)
    assert caught.value.field == field
    assert office.composer.sent == []


# ---- another answer ----------------------------------------------------------------------


def test_another_answer_replaces_the_first_only_where_it_may(office: Office) -> None:
    request = office.create((ANN, BOB), allow_change=True)
    extension = office.prompt_to(ANN).extension
    assert office.reply(ANN, "同意", extension) == "decided"
    assert office.reply(ANN, "同意", extension) == "repeated"
    assert office.reply(ANN, "不同意 看错了", extension) in ("decided", "already")
    fixed = office.create((ANN, BOB))
    extension = office.prompt_to(ANN).extension
    assert office.reply(ANN, "同意", extension) == "decided"
    assert office.reply(ANN, "不同意，太贵", extension) == "already"
    assert office.assignee(fixed, ANN)["decision"] == "yes"
    assert office.show(request)["id"]


def test_an_answer_is_changed_until_the_step_closes(office: Office) -> None:
    request = office.create(asking(ANN, BOB, reject_ends=False), allow_change=True)
    extension = office.prompt_to(ANN).extension
    office.reply(ANN, "同意", extension)
    assert office.reply(ANN, "不同意，太贵", extension) == "decided"
    ann = office.assignee(request, ANN)
    assert (ann["decision"], ann["reason"]) == ("no", "太贵")
    assert [one["counted"] for one in ann["answers"]] == [True, True]
    assert office.reply(ANN, "同意", extension) == "repeated"
    office.reply(BOB, "同意")
    assert office.show(request)["outcome"] == "rejected"
    assert office.reply(ANN, "同意，重新考虑", extension) == "already"


# ---- high value --------------------------------------------------------------------------


def code_of(office: Office, phone: str) -> str:
    return office.prompt_to(phone).text.split("同意 ")[1][:4]


def test_a_consent_of_high_value_needs_its_code(office: Office) -> None:
    request = office.create((ANN,), confirmation=Confirmation.CODE)
    code, extension = code_of(office, ANN), office.prompt_to(ANN).extension
    assert office.reply(ANN, "同意", extension) == "unconfirmed"
    assert "需凭验证码确认" in office.prompt_to(ANN).text
    assert code not in office.prompt_to(ANN).text
    assert office.show(request)["state"] == "open"
    assert office.reply(ANN, f"同意 {code}", extension) == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_a_refusal_of_high_value_needs_none(office: Office) -> None:
    request = office.create((ANN,), confirmation=Confirmation.CODE)
    assert office.reply(ANN, "不同意 太贵") == "decided"
    assert office.show(request)["outcome"] == "rejected"


def test_three_wrong_codes_lock_the_phone_out(office: Office) -> None:
    request = office.create((ANN,), confirmation=Confirmation.CODE)
    code, extension = code_of(office, ANN), office.prompt_to(ANN).extension
    wrong = f"{(int(code) + 1) % 9000 + 1000}"
    for _ in range(3):
        assert office.reply(ANN, f"同意 {wrong}", extension, wait=700) == "unconfirmed"
    assert "须登录系统确认" in office.prompt_to(ANN).text
    assert office.reply(ANN, f"同意 {code}", extension, wait=700) == "unconfirmed"
    assert office.show(request)["state"] == "open"
    ann = int(office.assignee(request, ANN)["id"])
    result_of(office.engine.decide(request, ann, "yes", actor="console"))
    assert office.show(request)["outcome"] == "approved"


def test_what_needs_the_console_is_refused_but_never_approved_by_sms(office: Office) -> None:
    request = office.create((ANN,), confirmation=Confirmation.API)
    assert office.reply(ANN, "同意") == "unconfirmed"
    assert "须登录系统确认" in office.prompt_to(ANN).text
    assert office.show(request)["state"] == "open"
    assert office.reply(ANN, "不同意 太贵", office.composer.sent[0].extension) == "decided"
    assert office.show(request)["outcome"] == "rejected"


def test_a_reply_over_another_carriers_link_is_recorded_as_odd() -> None:
    office = Office(operators={"cmcc": Operator.MOBILE, "telecom": Operator.TELECOM})
    request = office.create((ANN,))
    assert office.reply(ANN, "同意", link="telecom") == "decided"
    answer = office.assignee(request, ANN)["answers"][0]
    assert answer["anomaly"] == "came over telecom (telecom), asked over mobile"
    told = next(one for one in office.events if one.kind == "request.answered")
    assert "telecom" in told.data["anomaly"]
    high = office.create((ANN,), confirmation=Confirmation.CODE)
    text = f"同意 {code_of(office, ANN)}"
    assert office.reply(ANN, text, link="telecom") == "unconfirmed"
    assert office.show(high)["state"] == "open"
    office.store.close()


# ---- types -------------------------------------------------------------------------------


def types_of(office: Office) -> RequestTypes:
    return RequestTypes(office.store, office.tools, office.time)


def test_a_saved_flow_says_what_a_request_leaves_out(office: Office) -> None:
    types = types_of(office)
    flow = RequestDraft(steps=[asking(ANN, BOB, rule="any")], body="按流程", urgent=True)
    assert result_of(types.put("office", "外景车", flow)) == 1
    request = result_of(office.engine.create("office", RequestDraft(subject="用车", type="外景车")))
    shown = office.show(request)
    assert (shown["type"], shown["urgent"], shown["body"]) == ("外景车", True, "按流程")
    assert len(shown["steps"][0]["assignees"]) == 2
    own = RequestDraft(subject="用车", type="外景车", steps=[asking(EVE)], urgent=False)
    shown = office.show(result_of(office.engine.create("office", own)))
    assert [one["phone"] for one in shown["steps"][0]["assignees"]] == [EVE]
    assert shown["urgent"] is False
    with pytest.raises(ValidationError):
        result_of(office.engine.create("others", RequestDraft(subject="用车", type="外景车")))


def test_a_saved_flow_has_versions(office: Office) -> None:
    types, flow = types_of(office), RequestDraft(steps=[asking(ANN)])
    assert result_of(types.put("office", "a", flow, 0)) == 1
    assert result_of(types.put("office", "a", flow, 1)) == 2
    for version in (0, 1, 3):
        with pytest.raises(Conflict):
            result_of(types.put("office", "a", flow, version))
    assert result_of(types.show("office", "a"))["version"] == 2
    assert [one["name"] for one in result_of(types.list("office", after="", limit=5))] == ["a"]
    result_of(types.remove("office", "a"))
    for call in (types.show, types.remove):
        with pytest.raises(NotFound):
            result_of(call("office", "a"))


@pytest.mark.parametrize(
    ("name", "flow", "field"),
    [
        ("", RequestDraft(), "name"),
        ("a b", RequestDraft(), "name"),
        ("a", RequestDraft(subject="x"), "flow.subject"),
        ("a", RequestDraft(steps=[asking("12")]), "flow.steps[0].assignees[0].phone"),
    ],
)
def test_a_flow_that_cannot_be_saved_names_its_field(
    office: Office, name: str, flow: RequestDraft, field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        result_of(types_of(office).put("office", name, flow))
    assert caught.value.field == field

"""``/v1/requests``, ``/v1/request-types`` and ``/v1/stand-ins`` before the engine, no socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from smsgw.errors import ValidationError
from smsgw.interfaces.http import requests
from smsgw.store.schema import metadata
from tests.support.endpoints import Endpoints
from tests.support.front import FakeFront
from tests.support.memory import ACCESS, ANN, BOB, EVE
from tests.support.requests import Office

Json = dict[str, Any]


class Api(Endpoints):
    """The endpoints, and the office behind them."""

    def __init__(self) -> None:
        front = FakeFront()
        self.office: Office = front.office
        super().__init__(requests.routes(front), "office")

    def ask(self, *phones: str, **fields: Any) -> Json:
        """Ask these phones in one step; returns the request."""
        made = self.post("/v1/requests", {"subject": "采购", "steps": [step(*phones)], **fields})
        shown: Json = self.get(f"/v1/requests/{made['id']}")
        return shown

    def at(self, seconds: float, hours: float = 8) -> str:
        """A time so many seconds from now, as a customer writes it."""
        zone = timedelta(hours=hours)
        there = datetime.fromtimestamp(self.office.time() + seconds, UTC) + zone
        return f"{there.replace(tzinfo=None).isoformat()}+08:00"

    def stored(self) -> dict[str, int]:
        """How many rows the tables have that have any."""
        with self.office.store.transaction() as connection:
            counts = {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
            }
        return {name: count for name, count in counts.items() if count}


def step(*phones: str, **fields: Any) -> Json:
    return {"assignees": [{"phone": phone, "name": f"N{phone[:3]}"} for phone in phones], **fields}


def person(request: Json, place: int = 0, step: int = 0) -> Json:
    found: Json = request["steps"][step]["assignees"][place]
    return found


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.office.store.close()


# ---- asking ------------------------------------------------------------------------------


def test_everything_a_request_may_say_is_taken_and_shown(api: Api) -> None:
    body = {
        "preset": "approval",
        "subject": "转播车",
        "body": "城市马拉松",
        "reference": "oa-77",
        "applicant": {"phone": EVE, "name": "申请人"},
        "deadline": api.at(7200),
        "on_deadline": "reject",
        "confirmation": "code",
        "allow_change": True,
        "urgent": True,
        "steps": [
            step(
                ANN,
                BOB,
                name="设备部",
                rule="1 of 2",
                reject_ends=True,
                deadline_after=3600,
                on_deadline="expire",
                reminders=[600, 1200],
                escalation=[{"after": 1800, "phone": EVE, "name": "主任"}],
                answers=[
                    {"key": "yes", "label": "准", "words": ["可以借"]},
                    {"key": "no", "label": "不准", "effect": "against"},
                ],
            ),
            step(EVE),
        ],
    }
    status, made, headers = api.call("POST", "/v1/requests", body)
    assert (status, headers["Location"]) == (201, f"/v1/requests/{made['id']}")
    shown = api.get(f"/v1/requests/{made['id']}")
    assert (shown["subject"], shown["body"], shown["reference"]) == (
        "转播车",
        "城市马拉松",
        "oa-77",
    )
    assert shown["applicant"] == {"name": "申请人", "phone": EVE}
    assert (shown["confirmation"], shown["allow_change"], shown["urgent"]) == ("code", True, True)
    first, second = shown["steps"]
    assert (first["name"], first["rule"], first["reject_ends"]) == ("设备部", "1 of 2", True)
    assert [one["label"] for one in first["answers"]] == ["准", "不准"]
    assert (first["state"], second["state"]) == ("open", "waiting")
    assert (second["rule"], second["reject_ends"]) == ("all", True)
    assert [one["state"] for one in first["assignees"]] == ["asked", "asked"]


def test_requests_are_listed_by_account_state_and_reference(api: Api) -> None:
    ids = [api.ask(ANN, reference=reference)["id"] for reference in ("a", "b", "a")]
    api.post(f"/v1/requests/{ids[2]}/withdraw")
    listed = api.get("/v1/requests", limit="2")
    assert [one["id"] for one in listed["requests"]] == ids[:0:-1]
    rest = api.get("/v1/requests", limit="2", cursor=listed["next"])
    assert ([one["id"] for one in rest["requests"]], rest["next"]) == (ids[:1], None)
    found = api.get("/v1/requests", reference="a", state="open")
    assert [one["id"] for one in found["requests"]] == ids[:1]
    status, found, _ = api.call("GET", "/v1/requests", account="other")
    assert (status, found["requests"]) == (200, [])
    for wrong in ({"state": "gone"}, {"reference": "a\0"}):
        assert api.call("GET", "/v1/requests", **wrong)[0] == 400
    assert api.call("GET", f"/v1/requests/{ids[0]}", account="other")[0] == 404


GOOD = step(ANN)


@pytest.mark.parametrize(
    ("wrong", "field", "problem"),
    [
        ({"steps": [{"assignees": []}]}, "steps[0].assignees", "0 assignees, allowed 1 to 50"),
        ({"steps": []}, "steps", "0 steps, allowed 1 to 20"),
        ({"steps": None}, "steps", "0 steps, allowed 1 to 20"),
        ({"steps": [GOOD, {}]}, "steps[1].assignees", "0 assignees"),
        (
            {"steps": [step(ANN, BOB, f"+86{ANN}")]},
            "steps[0].assignees[2].phone",
            "the same number as assignees[0]",
        ),
        ({"steps": [step("12")]}, "steps[0].assignees[0].phone", "'12' is not a mainland mobile"),
        ({"steps": [{"assignees": [{"name": "x"}]}]}, "steps[0].assignees[0].phone", "is missing"),
        ({"steps": [step(*[ANN] * 51)]}, "steps[0].assignees", "51 assignees, allowed 1 to 50"),
        ({"steps": [GOOD] * 21}, "steps", "21 steps, allowed 1 to 20"),
        ({"deadline": "2026-11-22T09:00:00+08:00"}, "deadline", "s ago; write a time to come"),
        ({"deadline": "2030-11-22T09:00:00"}, "deadline", "has no zone; write +08:00 or Z"),
        ({"deadline": "2030-11-22T09:00:00Z"}, "deadline", "seconds, allowed 1 to 7776000"),
        ({"deadline": "tomorrow"}, "deadline", "is no time; write it like 2026-11-22T18:00"),
        ({"deadline": 3600}, "deadline", "is a whole number; write a time like 2026-11"),
        (
            {"preset": "poll"},
            "preset",
            "'poll' is no preset; write one of approval, dispatch, survey, vote",
        ),
        ({"type": "gone"}, "type", "'gone' is no saved flow; save it first"),
        ({"subject": " "}, "subject", "empty"),
        ({"subject": None}, "subject", "is null; write a text"),
        ({"subject": "长" * 101}, "subject", "101 characters, limit 100"),
        ({"body": "长" * 2001}, "body", "2001 characters, limit 2000"),
        ({"reference": "r" * 129}, "reference", "129 characters, limit 128"),
        ({"applicant": {"phone": "1"}}, "applicant.phone", "'1' is not a mainland mobile"),
        ({"confirmation": "fax"}, "confirmation", "'fax' is none of code, api"),
        ({"on_deadline": "wait"}, "on_deadline", "'wait' is none of expire, approve, reject"),
        ({"urgent": "yes"}, "urgent", "is a text; write true or false or null"),
        ({"steps": [step(ANN, rule="3 of 2")]}, "steps[0].rule", ""),
        ({"steps": [step(ANN, rule="most")]}, "steps[0].rule", ""),
        (
            {"steps": [step(ANN, on_deadline="wait")]},
            "steps[0].on_deadline",
            "'wait' is none of expire, approve, reject",
        ),
        ({"steps": [step(ANN, reminders=[60, 60])]}, "steps[0].reminders[1]", "60 s is not after"),
        ({"steps": [step(ANN, reminders=["1h"])]}, "steps[0].reminders[0]", "is a text; write a n"),
        ({"steps": [step(ANN, deadline_after=0)]}, "steps[0].deadline_after", "0 seconds, allowed"),
        (
            {"steps": [step(ANN, escalation=[{"after": 60, "phone": "1"}])]},
            "steps[0].escalation[0].phone",
            "'1' is not a mainland",
        ),
        (
            {"steps": [step(ANN, escalation=[{"phone": BOB}])]},
            "steps[0].escalation[0].after",
            "is missing",
        ),
        (
            {"steps": [step(ANN, answers=[{"label": "行", "effect": "maybe"}])]},
            "steps[0].answers[0].effect",
            "'maybe' is none of for, against, neutral, progress, transfer",
        ),
        (
            {"steps": [step(ANN, answers=[{"label": "甲"}, {"label": "甲"}])]},
            "steps[0].answers[1].key",
            "means the answer 1 already",
        ),
        (
            {"steps": [step(ANN, answers=[{"label": "TD"}, {"label": "甲"}])]},
            "steps[0].answers[0].key",
            "asks to get no more messages",
        ),
        ({"vote": {}}, "vote", "preset approval takes no votes"),
        ({"preset": "vote"}, "steps[0].answers", "empty; write what people may vote for"),
        ({"preset": "vote", "vote": {"counts": "all"}}, "vote.counts", "'all' is none of first, l"),
        (
            {"preset": "vote", "vote": {"extension": "88"}},
            "vote.extension",
            "is for a vote of anyone",
        ),
        ({"subject": "a\0b"}, "subject", "has a NUL character; leave it out"),
        ({"reference": "\0"}, "reference", "has a NUL character"),
        ({"type": "\0"}, "type", "has a NUL character"),
        ({"steps": [step(ANN, name="\0")]}, "steps[0].name", "has a NUL character"),
        (
            {"steps": [step(ANN, answers=[{"label": "行", "words": ["x"] * 51}])]},
            "steps[0].answers[0].words",
            "51 words, allowed 50",
        ),
        ({"stepz": []}, "stepz", "unknown field"),
        ({"steps": [{"people": []}]}, "steps[0].people", "unknown field"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field_and_nothing_is_stored_or_sent(
    api: Api, wrong: Json, field: str, problem: str
) -> None:
    body = {"subject": "采购", "steps": [GOOD], **wrong}
    status, at, told = api.refused("/v1/requests", body)
    assert (status, at) == (422, field)
    assert problem in told
    assert api.stored() == {}
    assert api.office.composer.sent == []


@pytest.mark.parametrize(
    ("extension", "problem"),
    [
        ("1234567890123", f"{ACCESS}1234567890123 has 21 digits, limit 20"),
        ("", "empty; write the digits"),
        ("8a", "'8a' is not digits only"),
    ],
)
def test_a_votes_extension_that_cannot_be_is_refused(
    api: Api, extension: str, problem: str
) -> None:
    vote = {"audience": "anyone", "extension": extension}
    answers = {"answers": [{"label": "甲"}, {"label": "乙"}]}
    body = {"preset": "vote", "subject": "最佳", "vote": vote, "steps": [answers]}
    status, at, told = api.refused("/v1/requests", body)
    assert (status, at) == (422, "vote.extension")
    assert problem in told
    assert api.stored() == {}


@pytest.mark.parametrize(
    ("refusal", "field"),
    [("extension", "steps[0].assignees[0].phone"), ("text", "body")],
)
def test_a_question_that_cannot_be_composed_leaves_nothing_behind(
    api: Api, refusal: str, field: str
) -> None:
    api.office.composer.refuse = ValidationError(refusal, "are 21 digits, limit 20")
    status, at, told = api.refused("/v1/requests", {"subject": "x", "steps": [GOOD]})
    assert (status, at, told) == (422, field, "are 21 digits, limit 20")
    assert api.stored() == {}
    assert api.office.composer.sent == []


# ---- its life ----------------------------------------------------------------------------


def test_a_decision_is_recorded_and_a_second_one_is_a_conflict(api: Api) -> None:
    request = api.ask(ANN)
    path = f"/v1/requests/{request['id']}/decisions"
    body = {"assignment_id": person(request)["id"], "decision": "no", "reason": "太贵"}
    decided = api.post(path, body)
    assert (decided["state"], decided["outcome"]) == ("closed", "rejected")
    one = person(decided)
    assert (one["decision"], one["reason"], one["channel"]) == ("no", "太贵", "api")
    assert api.refused(path, body)[0] == 409


@pytest.mark.parametrize(
    ("wrong", "status", "field", "problem"),
    [
        ({"decision": "maybe"}, 422, "decision", "'maybe'; write yes or no"),
        ({"assignment_id": "x"}, 422, "assignment_id", "'x' is no id"),
        ({"assignment_id": 3}, 422, "assignment_id", "is a whole number; write a text"),
        ({"assignment_id": "3"}, 404, "", "no assignee 3"),
        ({"version": 99}, 409, "", "is at version 1, not 99; read it again"),
        ({"reason": "a\0"}, 422, "reason", "has a NUL character"),
        ({"reason": "长" * 1001}, 422, "reason", "1001 characters, limit 1000"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(
    api: Api, wrong: Json, status: int, field: str, problem: str
) -> None:
    request = api.ask(ANN)
    body = {"assignment_id": person(request)["id"], "decision": "yes", "version": 1, **wrong}
    answer = api.refused(f"/v1/requests/{request['id']}/decisions", body)
    assert answer[:2] == (status, field)
    assert problem in answer[2]
    assert api.get(f"/v1/requests/{request['id']}") == request


@pytest.mark.parametrize("call", ["decisions", "delegations", "withdraw", "close"])
def test_every_change_of_another_version_is_a_conflict(api: Api, call: str) -> None:
    request = api.ask(ANN, preset="survey")
    person_id = person(request)["id"]
    body: Json = {
        "decisions": {"assignment_id": person_id, "decision": "5"},
        "delegations": {"assignment_id": person_id, "to": {"phone": BOB}},
    }.get(call, {})
    path = f"/v1/requests/{request['id']}/{call}"
    status, _, problem = api.refused(path, {**body, "version": request["version"] - 1})
    assert (status, "read it again" in problem) == (409, True)
    done = api.post(path, {**body, "version": request["version"]})
    assert done["version"] > request["version"]


def test_a_place_is_handed_on_with_its_history(api: Api) -> None:
    request = api.ask(ANN)
    path = f"/v1/requests/{request['id']}/delegations"
    first = person(request)
    handed = api.post(path, {"assignment_id": first["id"], "to": {"phone": BOB, "name": "王"}})
    old, new = handed["steps"][0]["assignees"]
    assert (old["state"], new["state"], new["phone"], new["name"]) == (
        "delegated",
        "asked",
        BOB,
        "王",
    )
    assert (new["delegated_from"], new["delegated_by"]) == (first["id"], "api:office")
    to_ann = {"assignment_id": new["id"], "to": {"phone": "12"}}
    assert api.refused(path, to_ann)[:2] == (422, "to.phone")
    assert api.refused(path, {**to_ann, "to": {"phone": BOB}})[:2] == (422, "to.phone")
    assert api.refused(path, {"assignment_id": first["id"], "to": {"phone": EVE}})[0] == 409


def test_a_withdrawn_request_cannot_be_changed_any_more(api: Api) -> None:
    request = api.ask(ANN)
    path = f"/v1/requests/{request['id']}"
    ended = api.post(f"{path}/withdraw", {"reason": "不需要了"})
    assert (ended["state"], ended["outcome"]) == ("withdrawn", "withdrawn")
    assert api.refused(f"{path}/withdraw")[0] == 409
    assert api.refused(f"{path}/resend")[0] == 409
    assert api.refused("/v1/requests/7/withdraw")[0] == 404
    assert api.refused("/v1/requests/x/withdraw")[0] == 404


def test_a_survey_is_closed_with_what_was_answered_and_an_approval_is_not(api: Api) -> None:
    survey, approval = api.ask(ANN, preset="survey"), api.ask(BOB)
    closed = api.post(f"/v1/requests/{survey['id']}/close")
    assert (closed["state"], closed["outcome"]) == ("closed", "approved")
    status, _, problem = api.refused(f"/v1/requests/{approval['id']}/close")
    assert (status, "decide or withdraw it" in problem) == (409, True)


def test_who_has_not_answered_is_asked_again_from_the_same_number(api: Api) -> None:
    request = api.ask(ANN, BOB)
    path = f"/v1/requests/{request['id']}/resend"
    api.post(path, {"assignment_id": person(request)["id"]})
    api.post(path)
    assert [len(api.office.texts_to(phone)) for phone in (ANN, BOB)] == [3, 2]
    assert person(api.get(f"/v1/requests/{request['id']}"))["extension"] == (
        api.office.composer.sent[0].extension
    )
    assert api.refused(path, {"assignment_id": "7"})[0] == 409


def test_a_digest_lists_all_a_phone_has_open(api: Api) -> None:
    assert api.post("/v1/digests", {"phone": ANN}) == {"sent": False}
    api.ask(ANN, subject="甲")
    api.ask(ANN, subject="乙")
    assert api.post("/v1/digests", {"phone": f"+86 {ANN}"}) == {"sent": True}
    assert "1 《甲》\n2 《乙》" in api.office.texts_to(ANN)[-1]
    assert api.refused("/v1/digests", {"phone": "12"})[:2] == (422, "phone")


# ---- saved flows -------------------------------------------------------------------------


def test_a_flow_is_saved_used_replaced_and_removed(api: Api) -> None:
    flow = {"preset": "approval", "body": "请审批", "urgent": True, "steps": [step(ANN), step(BOB)]}
    path = "/v1/request-types"
    assert api.post(path, {"name": "用车", "flow": flow}) == {"name": "用车", "version": 1}
    made = api.post("/v1/requests", {"subject": "转播车", "type": "用车"})
    request = api.get(f"/v1/requests/{made['id']}")
    assert (request["type"], request["body"], request["urgent"]) == ("用车", "请审批", True)
    assert [person(request, step=place)["phone"] for place in (0, 1)] == [ANN, BOB]
    saved = api.get(f"{path}/用车")
    assert (saved["version"], saved["flow"]["steps"][1]["assignees"][0]["phone"]) == (1, BOB)
    again = {"name": "用车", "flow": {"steps": [step(EVE)]}, "version": 1}
    assert api.post(path, again)["version"] == 2
    assert api.refused(path, again)[0] == 409
    assert api.refused(path, {**again, "version": 0})[0] == 409
    assert api.post(path, {"name": "用车", "flow": api.get(f"{path}/用车")["flow"]})["version"] == 3
    assert api.post(f"{path}/用车/remove") == {"name": "用车"}
    assert api.refused(f"{path}/用车/remove")[0] == 404
    for name in ("用车", "a\0b"):
        assert api.call("GET", f"{path}/{name}")[0] == 404
        assert api.refused(f"{path}/{name}/remove")[0] == 404


def test_flows_are_listed_by_name_page_by_page(api: Api) -> None:
    for name in ("b", "a", "c"):
        api.post("/v1/request-types", {"name": name, "flow": {"preset": "survey"}})
    page = api.get("/v1/request-types", limit="2")
    assert ([one["name"] for one in page["types"]], page["next"]) == (["a", "b"], "b")
    page = api.get("/v1/request-types", limit="2", cursor=page["next"])
    assert ([one["name"] for one in page["types"]], page["next"]) == (["c"], None)
    assert api.call("GET", "/v1/request-types", account="other")[1]["types"] == []


@pytest.mark.parametrize(
    ("wrong", "field", "problem"),
    [
        ({"name": "a b"}, "name", "'a b'; write up to 64 letters"),
        ({"name": "x" * 65}, "name", "write up to 64 letters"),
        ({"flow": {"subject": "x"}}, "flow.subject", "is each request's own"),
        ({"flow": {"preset": "poll"}}, "flow.preset", "'poll' is no preset"),
        ({"flow": {"steps": [step("12")]}}, "flow.steps[0].assignees[0].phone", "'12' is not"),
        ({"flow": {"confirmation": "fax"}}, "flow.confirmation", "'fax' is none of code, api"),
    ],
)
def test_a_flow_that_cannot_be_is_refused_by_its_field(
    api: Api, wrong: Json, field: str, problem: str
) -> None:
    body = {"name": "a", "flow": {"steps": [GOOD]}, **wrong}
    status, at, told = api.refused("/v1/request-types", body)
    assert (status, at) == (422, field)
    assert problem in told
    assert api.stored() == {}


# ---- stand-ins ---------------------------------------------------------------------------


def test_a_substitute_is_asked_as_long_as_they_stand_in(api: Api) -> None:
    body = {"phone": ANN, "other_phone": BOB, "name": "王", "until": api.at(86_400)}
    status, made, _ = api.call("POST", "/v1/stand-ins", body)
    assert status == 201
    (shown,) = api.get("/v1/stand-ins", phone=ANN)["stand_ins"]
    assert (shown["id"], shown["kind"], shown["other_phone"]) == (made["id"], "substitute", BOB)
    assert [person(api.ask(ANN), 1)["phone"]] == [BOB]
    assert api.post(f"/v1/stand-ins/{made['id']}/end") == {"id": made["id"]}
    assert api.refused(f"/v1/stand-ins/{made['id']}/end")[0] == 409
    assert api.refused("/v1/stand-ins/7/end")[0] == 404
    assert api.get("/v1/stand-ins")["stand_ins"] == []
    (ended,) = api.get("/v1/stand-ins", ended="true")["stand_ins"]
    assert ended["ended_at"] is not None
    assert person(api.ask(ANN))["phone"] == ANN
    assert api.call("GET", "/v1/stand-ins", ended="yes")[0] == 400


@pytest.mark.parametrize(
    ("wrong", "field", "problem"),
    [
        ({"phone": "12"}, "phone", "'12' is not a mainland"),
        ({"other_phone": ANN}, "other_phone", "the same number"),
        ({"kind": "friend"}, "kind", "'friend' is none of second, substitute"),
        ({"until": "2026-11-22T09:00:00Z"}, "until", "is over already"),
        ({"until": "2030-11-22T09:00:00"}, "until", "has no zone"),
        ({"until": "soon"}, "until", "is no time"),
        ({"until": "9999-12-31T23:59:59-23:59"}, "until", "is more than 10 years away"),
        ({"start": "0001-01-01T00:00:00+23:59"}, "start", "is more than 10 years away"),
        ({"name": "\0"}, "name", "has a NUL character"),
    ],
)
def test_a_stand_in_that_cannot_be_is_refused(
    api: Api, wrong: Json, field: str, problem: str
) -> None:
    body = {"phone": ANN, "other_phone": BOB, **wrong}
    status, at, told = api.refused("/v1/stand-ins", body)
    assert (status, at) == (422, field)
    assert problem in told
    assert api.stored() == {}

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from smsgw.errors import Conflict, ValidationError
from smsgw.model import Event
from smsgw.services.choices import Effect
from smsgw.services.ledger import SlotPlan, SlotPlans
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.counting import LATE_MS
from smsgw.services.requests.drafts import AnswerDraft, Person, StepDraft
from smsgw.services.requests.engine import RequestEngine
from smsgw.services.requests.settings import (
    Audience,
    Confirmation,
    Counts,
    Escalation,
    VoteSettings,
)
from smsgw.services.requests.votes import READ_SECONDS
from smsgw.store import audit, events, inbox
from smsgw.store.inbox import InboundRow
from tests.support.requests import ACCESS, ANN, BOB, EVE, Office, result_of

OTHER = "10690002"
PLANS = SlotPlans(SlotPlan(), {}, {ACCESS: 20, OTHER: 12}, {ACCESS: ["7"]})
SINGERS = [AnswerDraft("张三"), AnswerDraft("李四", words=["小李"])]


def office(plans: SlotPlans = PLANS) -> Office:
    return Office(plans=plans)


def of_anyone(extension: str = "88", counts: Counts = Counts.FIRST) -> VoteSettings:
    return VoteSettings(audience=Audience.ANYONE, extension=extension, counts=counts)


def opened(
    o: Office,
    extension: str = "88",
    counts: Counts = Counts.FIRST,
    step: StepDraft | None = None,
    **fields: Any,
) -> int:
    return o.create(
        step or StepDraft(answers=SINGERS),
        preset="vote",
        subject="今晚的歌王",
        vote=of_anyone(extension, counts),
        **fields,
    )


def shown(o: Office, request_id: int) -> tuple[dict[str, int], int, int, int]:
    """Votes by answer, all of them, the unclear ones, the late ones."""
    request = o.show(request_id)
    counts = {one["label"]: one["count"] for one in request["steps"][0]["answers"]}
    vote = request["vote"]
    return counts, vote["votes"], vote["unclear"], vote["late"]


def stored(o: Office, row: InboundRow) -> InboundRow:
    with o.store.transaction() as connection:
        found = inbox.get(connection, row.id)
    assert found is not None
    return found


def told(o: Office, kind: str) -> list[Event]:
    with o.store.transaction() as connection:
        return events.list_after(connection, kinds=[kind], limit=1000)


# ---- counting ----------------------------------------------------------------------------


def test_anyone_votes_by_number_label_or_word_on_any_access_number_and_hears_nothing() -> None:
    o = office()
    vote = opened(o)
    assert o.show(vote)["vote"]["numbers"] == [ACCESS + "88", OTHER + "88"]
    assert o.reply(ANN, "1", "88") == "decided"
    assert o.reply(BOB, "我选李四！", "88", access_number=OTHER) == "decided"
    assert o.reply(EVE, "小李", "88") == "decided"
    assert shown(o, vote) == ({"张三": 1, "李四": 2}, 3, 0, 0)
    assert o.composer.sent == []


def test_a_phones_first_vote_counts() -> None:
    o = office()
    vote = opened(o)
    outcomes = [o.reply(ANN, text, "88") for text in ("2", "1", "2")]
    assert outcomes == ["decided", "repeated", "repeated"]
    assert shown(o, vote)[0] == {"张三": 0, "李四": 1}
    (counted,) = told(o, "vote.counted")
    assert counted.data == {"request_id": str(vote), "choice": "2"}
    assert (counted.account, len(told(o, "inbound.handled"))) == ("office", 2)


def test_a_phones_last_vote_counts_where_that_is_asked_for() -> None:
    o = office()
    vote = opened(o, counts=Counts.LAST)
    outcomes = [o.reply(ANN, text, "88") for text in ("2", "1", "1", "2")]
    assert outcomes == ["decided", "decided", "repeated", "decided"]
    assert shown(o, vote)[:2] == ({"张三": 0, "李四": 1}, 1)
    changes = [(one.data["choice"], one.data.get("instead_of")) for one in told(o, "vote.counted")]
    assert changes == [("2", None), ("1", "2"), ("2", "1")]


@pytest.mark.parametrize(("counts", "winner"), [(Counts.FIRST, "张三"), (Counts.LAST, "李四")])
def test_what_came_first_is_first_in_whatever_order_it_is_read(counts: Counts, winner: str) -> None:
    o = office()
    vote = opened(o, counts=counts)
    rows = [o.stored(ANN, text, "88") for text in ("1", "2")]
    for row in reversed(rows):
        result_of(o.engine.reply(row))
    assert shown(o, vote)[:2] == ({"张三": 0, "李四": 0} | {winner: 1}, 1)


def test_what_nobody_can_read_is_kept_for_a_person() -> None:
    o = office()
    vote = opened(o)
    for text in ("今晚真好看", "12", "", "TD", "1还是2"):
        assert o.reply(ANN, text, "88") == "unclear"
    row = o.stored(ANN, "1…", "88", parts=2, missing="2")
    assert result_of(o.engine.reply(row)) == "unclear"
    assert shown(o, vote) == ({"张三": 0, "李四": 0}, 0, 6, 0)
    kept = stored(o, row)
    assert (kept.request_id, kept.account) == (vote, "office")
    assert o.reply(ANN, "1", "88") == "decided"
    assert o.composer.sent == []


def test_a_message_is_counted_once_however_often_it_is_given() -> None:
    o = office()
    vote = opened(o, counts=Counts.LAST)
    row = o.stored(ANN, "1", "88")
    assert [result_of(o.engine.reply(row)) for _ in range(3)] == ["decided"] * 3
    assert len(told(o, "vote.counted")) == 1
    assert shown(o, vote)[1] == 1


def test_a_restart_that_knows_no_number_counts_the_same() -> None:
    o = office()
    vote = opened(o)
    o.restarted()
    assert o.reply(ANN, "1", "88") == "decided"
    result_of(_started(o))
    assert o.reply(ANN, "2", "88") == "repeated"
    assert o.reply(BOB, "2", "88") == "decided"
    assert shown(o, vote)[:2] == ({"张三": 1, "李四": 1}, 2)


def _started(o: Office) -> Any:
    return Deferred.fromCoroutine(o.engine.votes.start())


def test_a_vote_that_another_process_opened_is_known_soon() -> None:
    o = office()
    tools = Tools(o.store.ids, o.composer, PLANS)
    other = RequestEngine(o.store, tools, o.time, shared=True)
    result_of(Deferred.fromCoroutine(other.votes.start()))
    vote = opened(o)
    row = o.stored(ANN, "1", "88")
    assert other.votes.take(row) is None
    o.time.advance(READ_SECONDS)
    counted = other.votes.take(row)
    assert counted is not None
    assert result_of(counted) == "decided"
    assert shown(o, vote)[1] == 1
    other.votes.stop()
    assert not [one for one in o.time.getDelayedCalls() if "LoopingCall" in str(one.func)]


def test_a_number_that_a_new_configuration_gives_to_others_is_left_to_them() -> None:
    o = office()
    result_of(o.engine.close(opened(o)))
    o.options["plans"] = SlotPlans(SlotPlan(prefix="8", digits=1), {}, PLANS.digits_max)
    o.restarted()
    result_of(_started(o))
    approval = o.create((ANN,))
    assert o.reply(ANN, "同意") == "decided"
    assert o.engine.votes.take(o.stored(ANN, "1", "88")) is None
    assert o.show(approval)["outcome"] == "approved"


def test_two_votes_at_a_time_are_kept_apart_and_so_are_other_replies() -> None:
    o = office()
    one, two = opened(o), opened(o, "99")
    approval = o.create((ANN,))
    assert o.reply(ANN, "1", "88") == o.reply(ANN, "2", "99") == "decided"
    assert o.reply(ANN, "同意") == "decided"
    assert o.show(approval)["outcome"] == "approved"
    assert shown(o, one)[0] == {"张三": 1, "李四": 0}
    assert shown(o, two)[0] == {"张三": 0, "李四": 1}
    assert o.reply(BOB, "1", "881") == "inbox"


# ---- its end -----------------------------------------------------------------------------


def test_what_waits_when_a_vote_is_closed_counts_and_what_comes_after_is_late() -> None:
    o = office()
    vote = opened(o, applicant=Person(BOB, "导播"))
    waiting = [o.stored(phone, "1", "88") for phone in (ANN, EVE)]
    result_of(o.engine.close(vote))
    assert [stored(o, row).outcome for row in waiting] == ["decided"] * 2
    assert [result_of(o.engine.reply(row)) for row in waiting] == ["decided"] * 2
    assert o.reply(BOB, "2", "88") == "late"
    assert shown(o, vote) == ({"张三": 2, "李四": 0}, 2, 0, 1)
    request = o.show(vote)
    assert (request["state"], request["outcome"]) == ("closed", "approved")
    assert o.texts_to(BOB) == ["《今晚的歌王》已结束：张三 2票，李四 0票，共2票"]


def test_the_end_tells_the_tally_and_the_audit_chain_has_it_with_a_digest() -> None:
    o = office()
    vote = opened(o)
    o.reply(ANN, "1", "88")
    o.reply(BOB, "什么", "88")
    result_of(o.engine.close(vote))
    (ended,) = told(o, "request.closed")
    assert ended.data["tally"] == {"1": 1, "2": 0}
    assert (ended.data["votes"], ended.data["unclear"]) == (1, 1)
    with o.store.transaction() as connection:
        entries = [row for row, _ in audit.of_subject(connection, vote)]
    assert [row.action for row in entries if "vote" in row.action] == ["request.vote_opened"]
    detail = msgspec.json.decode(next(r.detail for r in entries if r.action == "request.closed"))
    assert detail["tally"] == {"1": 1, "2": 0}
    assert detail["ballots_sha256"] == ended.data["ballots_sha256"]
    assert len(detail["ballots_sha256"]) == 64
    assert len(entries) == 5  # no entry for a vote


@pytest.mark.parametrize("how", ["deadline", "withdrawal"])
def test_a_deadline_and_a_withdrawal_close_the_number_too(how: str) -> None:
    o = office()
    vote = opened(o, step=StepDraft(answers=SINGERS, deadline_after=600))
    assert o.reply(ANN, "1", "88") == "decided"
    if how == "deadline":
        o.time.advance(601)
    else:
        result_of(o.engine.withdraw(vote))
    assert o.reply(BOB, "1", "88") == "late"
    assert shown(o, vote) == ({"张三": 1, "李四": 0}, 1, 0, 1)
    outcome = {"deadline": "approved", "withdrawal": "withdrawn"}[how]
    assert o.show(vote)["outcome"] == outcome


def test_a_number_that_was_closed_takes_the_next_vote() -> None:
    o = office()
    first = opened(o)
    o.reply(ANN, "1", "88")
    result_of(o.engine.close(first))
    second = opened(o)
    assert o.reply(ANN, "2", "88") == "decided"
    assert shown(o, first) == ({"张三": 1, "李四": 0}, 1, 0, 0)
    assert shown(o, second) == ({"张三": 0, "李四": 1}, 1, 0, 0)


def test_a_week_after_its_end_a_number_means_nothing_any_more() -> None:
    o = office()
    result_of(o.engine.close(opened(o)))
    assert o.reply(ANN, "1", "88", wait=LATE_MS / 1000 - 1) == "late"
    assert o.reply(BOB, "1", "88", wait=1) == "inbox"


# ---- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extension", "problem"),
    [
        ("", "empty; write the digits that anyone sends to"),
        ("8a", "'8a' is not digits only"),
        ("88888", "1069000288888 has 13 digits, limit 12; shorten it"),
        ("71", "7 under 10690001 is a static extension; write other digits"),
        ("123", "the plan conversations gives out 123; write other digits, or fewer"),
    ],
)
def test_a_number_that_is_too_long_or_means_something_else_is_refused(
    extension: str, problem: str
) -> None:
    o = office()
    with pytest.raises(ValidationError) as refused:
        opened(o, extension)
    assert (refused.value.field, refused.value.problem) == ("vote.extension", problem)
    assert result_of(o.engine.list()) == []
    assert o.reply(ANN, "1", extension) == "inbox"


def test_a_number_of_another_open_vote_is_refused() -> None:
    o = office()
    opened(o)
    with pytest.raises(Conflict, match=r"vote\.extension: 88 under 10690001 is another open vote"):
        opened(o)
    assert len(result_of(o.engine.list())) == 1


def test_a_number_under_which_a_question_is_open_is_refused() -> None:
    o = office()
    o.create((ANN,))
    extension = o.prompt_to(ANN).extension
    plans = SlotPlans(SlotPlan(prefix="5"), {}, PLANS.digits_max)
    o.options["plans"] = plans
    o.restarted()
    with pytest.raises(ValidationError, match="stands for a question that is open"):
        opened(o, extension)


def test_a_number_that_begins_like_a_longer_access_number_is_refused() -> None:
    o = office(SlotPlans(digits_max={"1069000": 20, ACCESS: 20}))
    with pytest.raises(ValidationError, match="106900019 begins with our access number 10690001"):
        opened(o, "19")


def test_without_a_link_there_is_nowhere_to_vote() -> None:
    with pytest.raises(ValidationError, match="there is no link whose number it could follow"):
        opened(office(SlotPlans()))


@pytest.mark.parametrize(
    ("field", "step", "fields"),
    [
        ("steps[0].assignees", {"assignees": [Person(ANN)]}, {}),
        ("steps[0].rule", {"rule": "any"}, {}),
        ("steps[0].reminders", {"reminders": [60.0]}, {}),
        ("steps[0].escalation", {"escalation": [Escalation(60.0, EVE)]}, {}),
        ("steps[0].answers", {"answers": []}, {}),
        (
            "steps[0].answers[0].effect",
            {"answers": [AnswerDraft("转派", effect=Effect.TRANSFER)]},
            {},
        ),
        ("allow_change", {}, {"allow_change": True}),
        ("confirmation", {}, {"confirmation": Confirmation.CODE}),
    ],
)
def test_what_needs_people_who_are_known_is_refused(
    field: str, step: dict[str, Any], fields: dict[str, Any]
) -> None:
    o = office()
    draft = StepDraft(**{"answers": SINGERS, **step})
    with pytest.raises(ValidationError) as refused:
        opened(o, step=draft, **fields)
    assert refused.value.field == field


# ---- named people ------------------------------------------------------------------------


def test_among_named_people_the_last_answer_counts_until_it_is_closed() -> None:
    o = office()
    step = StepDraft(assignees=[Person(ANN), Person(BOB)], answers=SINGERS)
    vote = o.create(step, preset="vote", vote=VoteSettings(counts=Counts.LAST))
    assert [o.reply(ANN, text) for text in ("1", "2")] == ["decided", "decided"]
    request = o.show(vote)
    assert [one["count"] for one in request["steps"][0]["answers"]] == [0, 1]
    assert request["vote"] == {"audience": "assignees", "counts": "last", "votes": 1}
    assert o.reply(BOB, "1") == "decided"
    (ended,) = told(o, "request.closed")
    assert ended.data["tally"] == {"1": 1, "2": 1}

"""What a second pair of eyes found: each once broke a promise of the request engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smsgw.errors import Conflict, ValidationError
from smsgw.services.choices import Effect
from smsgw.services.ledger import SlotPlan, SlotPlans
from smsgw.services.questions import with_words
from smsgw.services.quiet import QuietHours, Window
from smsgw.services.requests.changes import Outgoing
from smsgw.services.requests.drafts import AnswerDraft, Person
from smsgw.services.requests.presets import PRESETS
from smsgw.services.requests.settings import Confirmation, Escalation
from smsgw.services.requests.stand_ins import StandInDraft, StandIns
from tests.support.memory import ANN, BOB, EVE
from tests.support.requests import ACCESS, Office, asking, result_of

KIM = "13800001002"
HOUR = 3600.0


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.store.close()


def at_night(**options: Any) -> Office:
    """An office whose quiet hours began half an hour ago and last for eight and a half more."""
    now = datetime.fromtimestamp(Office().time(), UTC)
    minute = now.hour * 60 + now.minute
    window = Window((minute - 30) % 1440, (minute + 510) % 1440)
    return Office(quiet=QuietHours(ZoneInfo("UTC"), window, window), **options)


def before_night(hours: float = 0.5, **options: Any) -> Office:
    """An office whose quiet hours begin soon and last for ten hours."""
    now = datetime.fromtimestamp(Office().time(), UTC)
    minute = now.hour * 60 + now.minute + int(hours * 60)
    window = Window(minute % 1440, (minute + 600) % 1440)
    return Office(quiet=QuietHours(ZoneInfo("UTC"), window, window), **options)


def stands_in(office: Office, phone: str, other: str, **fields: Any) -> int:
    people = StandIns(office.store, office.time)
    return result_of(
        people.create("office", StandInDraft(phone=phone, other_phone=other, **fields))
    )


def unserving(office: Office, *phones: str) -> None:
    """From now on no link serves these phones."""
    office.composer.numbers = (
        None if not phones else {one: ACCESS for one in (ANN, BOB, EVE, KIM) if one not in phones}
    )


# ---- what made the reading of a reply fail -------------------------------------------------


def test_two_open_votes_of_one_phone_are_listed(office: Office) -> None:
    answers = [AnswerDraft("张三"), AnswerDraft("李四")]
    for subject in ("甲", "乙"):
        office.create(asking(ANN, BOB, answers=answers), preset="vote", subject=subject)
    assert office.reply(ANN, "张三", "") == "listed"
    assert office.reply(ANN, "2李四", "") == "decided"


def test_after_ninety_nine_numbers_of_a_day_a_reply_goes_to_a_person(office: Office) -> None:
    for place in range(33):
        made = [office.create((ANN,), subject=f"{place}-{one}") for one in range(3)]
        result_of(office.engine.digest(ANN))
        office.time.advance(60)
        for one in made:
            result_of(office.engine.withdraw(one))
    office.create((ANN,), subject="甲")
    office.create((ANN,), subject="乙")
    office.time.advance(600)
    assert office.reply(ANN, "同意", "") == "unclear"
    assert "reply.unclear" in office.kinds()


def test_after_ninety_nine_numbers_of_a_day_reminders_still_come(office: Office) -> None:
    for place in range(33):
        made = [office.create((ANN,), subject=f"{place}-{one}") for one in range(3)]
        result_of(office.engine.digest(ANN))
        for one in made:
            result_of(office.engine.withdraw(one))
    office.create(asking(ANN, reminders=[HOUR]), subject="甲")
    office.create(asking(ANN, reminders=[HOUR]), subject="乙")
    office.time.advance(2 * HOUR)
    assert office.kinds().count("request.reminded") == 2
    assert office.engine.timers.failing == 0


def test_words_configured_later_leave_open_questions_readable(office: Office) -> None:
    answers = [
        AnswerDraft("同意", "yes"),
        AnswerDraft("不同意", "no", Effect.AGAINST),
        AnswerDraft("转法务", "legal", Effect.NEUTRAL),
    ]
    request = office.create(asking(ANN, BOB, answers=answers))
    approval = PRESETS["approval"]
    question = with_words(approval.question, {"yes": ["转法务"]}, "requests.words.approval")
    office.options["presets"] = PRESETS | {
        "approval": dataclasses.replace(approval, question=question)
    }
    office.restarted()
    assert office.reply(ANN, "不同意 太贵") == "decided"
    assert office.show(request)["outcome"] == "rejected"


# ---- handed on, and back -------------------------------------------------------------------


def test_who_gets_an_item_back_answers_in_either_thread(office: Office) -> None:
    request = office.create((ANN,), preset="dispatch")
    first = office.prompt_to(ANN).extension
    assert office.reply(ANN, f"转派 {BOB}") == "transferred"
    assert office.reply(BOB, f"转派 {ANN}") == "transferred"
    assert office.reply(ANN, "完成", first) == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_who_got_an_item_back_answers_a_list_that_has_it_twice(office: Office) -> None:
    one = office.create((ANN,), preset="dispatch", subject="甲")
    two = office.create((ANN,), preset="dispatch", subject="乙")
    result_of(office.engine.digest(ANN))
    office.reply(ANN, f"1转派 {BOB}", "")
    office.reply(BOB, f"转派 {ANN}")
    result_of(office.engine.digest(ANN))
    office.time.advance(600)
    assert office.reply(ANN, "1 2 3 完成", "") == "decided"
    assert [office.show(each)["outcome"] for each in (one, two)] == ["approved", "approved"]


def test_a_substitute_who_cannot_be_asked_leaves_the_question_to_its_person(
    office: Office,
) -> None:
    request = office.create((BOB,), (ANN,))
    stands_in(office, ANN, EVE)
    unserving(office, EVE)
    office.reply(BOB, "同意")
    assert office.assignee(request, ANN, 1)["state"] == "asked"
    assert office.reply(ANN, "同意") == "decided"


def test_a_new_request_is_not_refused_for_a_substitute_who_cannot_be_asked(
    office: Office,
) -> None:
    stands_in(office, ANN, EVE)
    unserving(office, EVE)
    request = office.create((ANN,))
    assert office.assignee(request, ANN)["state"] == "asked"


def test_the_substitute_of_a_substitute_is_asked(office: Office) -> None:
    stands_in(office, ANN, BOB)
    stands_in(office, BOB, EVE)
    office.create((ANN,))
    assert office.texts_to(BOB) == []
    assert len(office.texts_to(EVE)) == 1


def test_two_who_stand_in_for_each_other_do_not_go_round(office: Office) -> None:
    stands_in(office, ANN, BOB)
    stands_in(office, BOB, ANN)
    office.create((ANN,))
    assert len(office.texts_to(ANN)) + len(office.texts_to(BOB)) == 1


def test_an_escalation_is_asked_of_the_substitute(office: Office) -> None:
    stands_in(office, KIM, EVE)
    office.create(asking(ANN, escalation=[Escalation(HOUR, KIM, "主任")]))
    office.time.advance(HOUR)
    assert office.texts_to(KIM) == []
    assert len(office.texts_to(EVE)) == 1


def test_who_stands_in_for_two_decides_nothing_at_an_extension_of_both() -> None:
    plans = SlotPlans(SlotPlan(digits=1))
    office = Office(plans=plans)
    stands_in(office, ANN, EVE, kind="second")
    stands_in(office, BOB, EVE, kind="second")
    for _ in range(10):
        office.create((ANN, BOB))
    shared = office.prompt_to(ANN).extension
    requests = [one["id"] for one in result_of(office.engine.list())]
    assert office.reply(EVE, "同意", shared) == "listed"
    assert not any(
        row["decision"]
        for one in requests
        for row in office.show(int(one))["steps"][0]["assignees"]
    )
    office.store.close()


def test_a_name_is_found_as_it_is_written(office: Office) -> None:
    step = asking(ANN)
    later = asking(BOB)
    later.assignees[0].name = "Li Lei"
    office.create(step, later, preset="dispatch")
    assert office.reply(ANN, "转派 Li Lei") == "transferred"


# ---- told and asked ------------------------------------------------------------------------


def test_who_was_asked_by_day_and_again_at_night_hears_of_the_end() -> None:
    office = before_night(0.5)
    request = office.create((ANN,))
    office.composer.held.clear()  # it went out
    office.time.advance(HOUR)
    result_of(office.engine.resend(request, None))
    result_of(office.engine.withdraw(request))
    assert office.texts_to(ANN)[-1] == "《采购申请》已撤回，无需再回复"
    office.store.close()


def test_a_question_repeated_in_quiet_hours_comes_once_and_never_after_the_end() -> None:
    office = at_night()
    request = office.create((ANN,))
    result_of(office.engine.resend(request, None))
    result_of(office.engine.withdraw(request))
    held = [one for one in office.composer.sent if one.to == ANN]
    assert [one for one in held if one not in office.composer.revoked] == []
    office.store.close()


def test_reminders_that_came_due_in_quiet_hours_are_one() -> None:
    office = before_night(0.5)
    office.create(asking(ANN, reminders=[HOUR, 2 * HOUR, 3 * HOUR, 20 * HOUR]))
    office.time.advance(12 * HOUR)
    assert len(office.texts_to(ANN)) == 2
    office.time.advance(12 * HOUR)
    assert len(office.texts_to(ANN)) == 3
    office.store.close()


def test_reminders_that_came_due_while_nobody_ran_are_one(office: Office) -> None:
    office.create(asking(ANN, reminders=[HOUR, 2 * HOUR, 3 * HOUR, 20 * HOUR]))
    result_of(office.engine.timers.stop())
    office.time.advance(10 * HOUR)
    office.restarted()
    office.time.advance(1)
    assert len(office.texts_to(ANN)) == 2
    office.time.advance(12 * HOUR)
    assert len(office.texts_to(ANN)) == 3


def test_urgent_reminders_that_are_due_together_do_not_wait_for_the_morning() -> None:
    office = at_night()
    office.create(asking(ANN, reminders=[HOUR]), subject="甲", urgent=True)
    office.create(asking(ANN, reminders=[HOUR]), subject="乙", urgent=True)
    office.time.advance(1.5 * HOUR)
    assert office.prompt_to(ANN).text.startswith("您有2项")
    assert office.prompt_to(ANN).due_at == 0
    office.store.close()


def test_a_reminder_that_cannot_be_sent_takes_nobodys_answer_away(office: Office) -> None:
    request = office.create(asking(ANN, reminders=[HOUR, 2 * HOUR]))
    first = office.prompt_to(ANN).extension
    office.composer.refuse = ValidationError("to", "no link serves this operator")
    office.time.advance(HOUR)
    office.composer.refuse = None
    assert "request.prompt_failed" in office.kinds()
    office.time.advance(HOUR)
    assert len(office.texts_to(ANN)) == 2
    assert office.reply(ANN, "同意", first) == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_who_cannot_be_reminded_is_told_that_it_is_over(office: Office) -> None:
    request = office.create(asking(ANN, reminders=[HOUR]))
    office.composer.refuse = ValidationError("to", "no link serves this operator")
    office.time.advance(HOUR)
    office.composer.refuse = None
    result_of(office.engine.withdraw(request))
    assert office.texts_to(ANN)[-1] == "《采购申请》已撤回，无需再回复"


# ---- steps that are over -------------------------------------------------------------------


def unreachable_in_a_closed_step(office: Office) -> int:
    request = office.create((ANN,), asking(BOB, EVE, rule="any"), (KIM,))
    unserving(office, BOB)
    office.reply(ANN, "同意")
    office.reply(EVE, "同意")
    unserving(office)
    assert office.assignee(request, BOB, 1)["state"] == "unreachable"
    return request


def test_nobody_of_a_closed_step_is_asked_again(office: Office) -> None:
    request = unreachable_in_a_closed_step(office)
    assert result_of(office.engine.resend(request, None)) == 1
    assert office.texts_to(BOB) == []


def test_nobody_of_a_closed_step_is_decided_for_or_handed_on(office: Office) -> None:
    request = unreachable_in_a_closed_step(office)
    bob = int(office.assignee(request, BOB, 1)["id"])
    with pytest.raises(Conflict):
        result_of(office.engine.decide(request, bob, "no"))
    with pytest.raises(Conflict):
        result_of(office.engine.delegate(request, bob, Person("13800001003")))


def test_a_survey_that_is_closed_asks_nobody_of_its_next_step(office: Office) -> None:
    request = office.create((ANN,), (BOB,), preset="survey")
    result_of(office.engine.close(request))
    assert office.texts_to(BOB) == []
    assert office.show(request)["outcome"] == "approved"


# ---- decisions that were not meant ---------------------------------------------------------


def test_a_number_that_was_not_offered_refuses_nothing_of_high_value(office: Office) -> None:
    request = office.create((ANN,), confirmation=Confirmation.API)
    assert office.reply(ANN, "好的") == "asked_back"
    assert "2" not in office.prompt_to(ANN).text
    assert office.reply(ANN, "2") == "unclear"
    assert office.show(request)["outcome"] is None


def test_all_of_a_second_list_within_ten_minutes_counts(office: Office) -> None:
    for subject in "甲乙":
        office.create((ANN,), subject=subject)
    result_of(office.engine.digest(ANN))
    assert office.reply(ANN, "全部同意", "") == "decided"
    later = [office.create((ANN,), subject=subject) for subject in "丙丁"]
    result_of(office.engine.digest(ANN))
    assert office.reply(ANN, "全部同意", "") == "decided"
    assert [office.show(one)["outcome"] for one in later] == ["approved", "approved"]
    assert office.reply(ANN, "全部同意", "") == "repeated"


def test_what_was_written_before_the_question_is_no_answer_to_it() -> None:
    office = Office(accept_lost_extension=True)
    row = office.stored(ANN, "同意", "")
    office.time.advance(60)
    request = office.create((ANN,))
    result_of(office.engine.reply(row))
    assert office.show(request)["outcome"] is None
    office.store.close()


def test_a_word_at_night_never_decides_what_is_asked_in_the_morning() -> None:
    office = at_night(accept_lost_extension=True)
    request = office.create((ANN,))
    office.reply(ANN, "同意", "")
    assert office.show(request)["outcome"] is None
    office.store.close()


def test_who_stands_in_and_was_not_asked_decides_nothing_without_the_extension() -> None:
    office = Office(accept_lost_extension=True)
    request = office.create((ANN,))
    stands_in(office, ANN, EVE)
    assert office.reply(EVE, "同意", "") == "asked_back"
    assert office.show(request)["outcome"] is None
    assert office.reply(EVE, "同意", "") == "decided"
    office.store.close()


def test_a_word_after_another_question_never_decides_the_one_asked_about_before(
    office: Office,
) -> None:
    request = office.create((ANN,), subject="甲")
    assert office.reply(ANN, "同意", "") == "asked_back"
    other = office.create((ANN,), subject="乙")
    office.time.advance(60)
    result_of(office.engine.withdraw(other))
    assert office.reply(ANN, "同意", "", wait=2) != "decided"
    assert office.show(request)["outcome"] is None


def test_received_after_an_answer_keeps_its_reason(office: Office) -> None:
    request = office.create(asking(ANN, BOB, rule="any"), preset="dispatch", allow_change=True)
    assert office.reply(ANN, "无法 没有零件") == "decided"
    assert office.reply(ANN, "收到") == "already"
    assert office.reply(ANN, f"转派 {EVE}") == "already"
    ann = office.assignee(request, ANN)
    assert (ann["decision"], ann["reason"]) == ("decline", "没有零件")


# ---- odd but possible: held before, and holds ------------------------------------------------


def test_an_assignee_may_be_their_own_applicant(office: Office) -> None:
    request = office.create((ANN,), applicant=Person(ANN))
    assert office.reply(ANN, "同意") == "decided"
    assert office.texts_to(ANN)[-2:] == [
        "《采购申请》已批准",
        "已记录您对《采购申请》的意见：同意",
    ]
    assert office.show(request)["outcome"] == "approved"


def test_a_delegated_escalation_still_decides_alone(office: Office) -> None:
    request = office.create(asking(ANN, BOB, escalation=[Escalation(HOUR, KIM, "主任")]))
    office.time.advance(HOUR)
    kim = int(office.assignee(request, KIM)["id"])
    result_of(office.engine.delegate(request, kim, Person(EVE)))
    assert office.reply(EVE, "同意") == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_one_text_that_answers_two_items_of_one_request_counts_once_each(office: Office) -> None:
    stands_in(office, BOB, ANN, kind="second")
    request = office.create(asking(ANN, BOB, rule="any"))
    office.reply(ANN, "同意", "")
    assert office.reply(ANN, "1 2 同意", "") == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_a_step_that_ends_while_its_people_are_still_being_asked_asks_no_more(
    office: Office,
) -> None:
    phones = tuple(f"138{place:04d}0000"[:3] + f"0000{place:04d}" for place in range(1000, 1200))
    assert all(len(one) == 11 for one in phones)
    request = office.create(asking(*phones, rule="any"), preset="survey")
    assert len(office.composer.sent) == 50
    assert result_of(office.engine.reply(office.stored(phones[0], "5"))) == "decided"
    office.time.advance(60)
    assert len({one.to for one in office.composer.sent}) == 50
    assert office.show(request)["outcome"] == "approved"


def test_all_agreed_leaves_what_needs_a_code(office: Office) -> None:
    plain = office.create((ANN,), subject="甲")
    high = office.create((ANN,), subject="乙", confirmation=Confirmation.CODE)
    result_of(office.engine.digest(ANN))
    office.reply(ANN, "全部同意", "")
    assert office.show(high)["outcome"] is None
    assert office.show(plain)["outcome"] is None


def test_a_delegate_without_a_slot_answers_by_the_typed_id() -> None:
    office = Office(plans=SlotPlans(SlotPlan(digits=1)))
    for _ in range(10):
        office.create((BOB,))
    request = office.create((ANN,), preset="dispatch")
    assert office.reply(ANN, f"转派 {BOB}") == "transferred"
    prompt: Outgoing = office.prompt_to(BOB)
    assert prompt.extension == ""
    bob = office.assignee(request, BOB)
    assert f"#{bob['short_id']}" in prompt.text
    assert office.reply(BOB, f"#{bob['short_id']} 完成", "") == "decided"
    assert office.show(request)["outcome"] == "approved"
    assert prompt.access_number == ACCESS
    office.store.close()

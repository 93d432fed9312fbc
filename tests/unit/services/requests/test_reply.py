from __future__ import annotations

from collections.abc import Iterator

import pytest

from smsgw.errors import ValidationError
from smsgw.services.ledger import SlotPlan, SlotPlans
from smsgw.store import inbox
from smsgw.store.inbox import InboundRow
from tests.support.requests import ACCESS, ANN, BOB, EVE, Office, asking, result_of


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.store.close()


def recorded(office: Office, inbound_id: int) -> InboundRow:
    with office.store.transaction() as connection:
        row = inbox.get(connection, inbound_id)
    assert row is not None
    return row


def latest(office: Office) -> InboundRow:
    with office.store.transaction() as connection:
        return inbox.page(connection, limit=1)[0]


# live slot


def test_a_clear_word_in_a_live_slot_decides_and_is_confirmed_once(office: Office) -> None:
    request = office.create((ANN,))
    prompt = office.prompt_to(ANN)
    assert office.reply(ANN, "不同意，预算不够") == "decided"
    confirmation = office.prompt_to(ANN)
    assert confirmation.text == "已记录您对《采购申请》的意见：不同意，原因：预算不够"
    assert confirmation.extension == prompt.extension
    assert not confirmation.expects_reply
    assert len(office.texts_to(ANN)) == 2
    handled = latest(office)
    assert (handled.outcome, handled.request_id, handled.account) == ("decided", request, "office")
    answered = next(one for one in office.events if one.kind == "request.answered")
    assert answered.subject_id == request
    assert answered.data["decision"] == "no"
    assert answered.data["assignment_id"] == str(handled.assignment_id)


def test_a_long_reason_is_kept_whole_and_confirmed_shortened(office: Office) -> None:
    request = office.create((ANN,))
    office.reply(ANN, "不同意，" + "长" * 800)
    assert office.prompt_to(ANN).text.endswith("原因：" + "长" * 40 + "…")
    assert office.assignee(request, ANN)["reason"] == "长" * 800


def test_two_open_requests_of_one_phone_are_told_apart_by_their_extensions(office: Office) -> None:
    first = office.create((ANN,), subject="一")
    one = office.prompt_to(ANN).extension
    second = office.create((ANN,), subject="二")
    two = office.prompt_to(ANN).extension
    assert one != two
    office.reply(ANN, "不同意", one)
    office.reply(ANN, "同意", two)
    assert office.show(first)["outcome"] == "rejected"
    assert office.show(second)["outcome"] == "approved"


@pytest.mark.parametrize("text", ["好的", "同意吧", "1", "2 太贵", "T", "TD", "R", "同意？", ""])
def test_what_is_not_certain_is_asked_back_from_the_same_number(office: Office, text: str) -> None:
    request = office.create((ANN,))
    prompt = office.prompt_to(ANN)
    assert office.reply(ANN, text) == "asked_back"
    question = office.prompt_to(ANN)
    assert question.text == "关于《采购申请》，未能确定您的意思。请回复：1 同意 2 不同意"
    assert (question.extension, question.expects_reply) == (prompt.extension, True)
    assert office.show(request)["state"] == "open"


@pytest.mark.parametrize(
    ("text", "outcome"), [("1", "approved"), ("2", "rejected"), ("2 太贵", "rejected")]
)
def test_after_asking_back_the_choices_decide(office: Office, text: str, outcome: str) -> None:
    request = office.create((ANN,))
    office.reply(ANN, "好的")
    assert office.reply(ANN, text) == "decided"
    assert office.show(request)["outcome"] == outcome


def test_what_stays_unclear_is_for_a_person_and_gets_no_third_message(office: Office) -> None:
    request = office.create((ANN,))
    office.reply(ANN, "好的")
    sent = len(office.composer.sent)
    assert office.reply(ANN, "嗯嗯") == "unclear"
    assert office.reply(ANN, "T") == "unclear"
    assert len(office.composer.sent) == sent
    assert office.kinds()[-2:] == ["request.unclear", "request.unclear"]
    assert office.reply(ANN, "同意") == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_an_incomplete_long_reply_never_decides(office: Office) -> None:
    request = office.create((ANN,))
    assert office.reply(ANN, "不同意，预算", missing="2", parts=2) == "asked_back"
    assert office.assignee(request, ANN)["answers"][0]["rule"] == "slot:incomplete"
    assert office.show(request)["state"] == "open"


# the same, another, and late answers


def test_the_same_reply_again_changes_nothing_and_is_counted(office: Office) -> None:
    request = office.create((ANN, BOB))
    extension = office.prompt_to(ANN).extension
    office.reply(ANN, "同意", extension)
    sent = len(office.composer.sent)
    assert office.reply(ANN, "同意", extension) == "repeated"
    assert office.reply(ANN, "同意", extension) == "repeated"
    assert len(office.composer.sent) == sent
    assert office.show(request)["steps"][0]["mask"]["approved"] == 1
    assert [one["counted"] for one in office.assignee(request, ANN)["answers"]] == [
        True,
        False,
        False,
    ]
    assert office.kinds().count("request.repeated") == 2


def test_a_carriers_quick_repeat_of_an_unclear_reply_is_not_a_second_one(office: Office) -> None:
    office.create((ANN,))
    office.reply(ANN, "好的")
    assert office.reply(ANN, "好的", wait=2) == "repeated"
    assert office.reply(ANN, "好的", wait=20) == "unclear"
    assert office.reply(ANN, "好的", wait=14) == "repeated"


@pytest.mark.parametrize("wait", [4, 12])
def test_the_same_number_after_our_question_is_its_answer_and_no_echo(
    office: Office, wait: float
) -> None:
    request = office.create((ANN,))
    assert office.reply(ANN, "1") == "asked_back"
    assert office.reply(ANN, "1", wait=1) == "repeated"
    assert office.reply(ANN, "1", wait=wait) == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_the_same_word_after_our_question_is_its_answer_without_the_extension_too(
    office: Office,
) -> None:
    request = office.create((ANN,))
    assert office.reply(ANN, "同意", "") == "asked_back"
    assert office.reply(ANN, "同意", "", wait=12) == "decided"
    assert office.assignee(request, ANN)["rule"] == "single:word"


def test_what_arrived_before_our_question_left_is_no_answer_to_it(office: Office) -> None:
    request = office.create((ANN,))
    office.time.advance(60)
    rows = [office.stored(ANN, text, "") for text in ("同意", "同意！", "1")]
    office.time.advance(30)  # as after a restart: all are read late, one after the other
    assert [result_of(office.engine.reply(row)) for row in rows] == [
        "asked_back",
        "unclear",
        "unclear",
    ]
    assert office.show(request)["state"] == "open"
    assert office.reply(ANN, "1", "") == "decided"


def test_numbers_that_were_not_offered_decide_nothing() -> None:
    office = Office(plans=SlotPlans(SlotPlan(digits=1)))
    for number in range(10):
        office.create((ANN,), subject=f"第{number}项")
    request = office.create((ANN,))
    ann = office.assignee(request, ANN)
    assert office.reply(ANN, f"#{ann['short_id']} 好", "") == "asked_back"
    with office.store.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE assignment SET state = 'released' WHERE id <> ?", (int(ann["id"]),)
        )
    assert office.reply(ANN, "1", "") == "unclear"
    assert office.reply(ANN, "同意", "") == "decided"
    office.store.close()


def test_a_different_answer_is_told_what_is_recorded(office: Office) -> None:
    request = office.create((ANN, BOB))
    office.reply(ANN, "同意")
    assert office.reply(ANN, "不同意") == "already"
    assert office.texts_to(ANN)[-1] == "您对《采购申请》的意见已记录为：同意，不能更改"
    assert office.assignee(request, ANN)["decision"] == "yes"


def test_thanks_after_the_confirmation_need_no_answer(office: Office) -> None:
    office.create((ANN,))
    office.reply(ANN, "同意")
    sent = len(office.composer.sent)
    assert office.reply(ANN, "收到") == "already"
    assert len(office.composer.sent) == sent


def test_who_is_too_late_is_told_the_outcome_while_the_slot_cools(office: Office) -> None:
    request = office.create(asking(ANN, BOB, rule="any"))
    extension = office.prompt_to(BOB).extension
    office.reply(ANN, "同意")
    office.time.advance(6 * 86_400)
    assert office.reply(BOB, "不同意", extension) == "late"
    assert office.texts_to(BOB)[-1] == "《采购申请》已批准，无需再回复"
    assert office.show(request)["outcome"] == "approved"
    assert office.assignee(request, BOB)["answers"][0]["rule"] == "cooling:word"
    assert office.reply(BOB, "收到", extension) == "late"
    office.time.advance(2 * 86_400)
    assert office.reply(BOB, "不同意", extension) == "inbox"


def test_who_is_too_late_for_a_step_hears_that_it_was_dealt_with(office: Office) -> None:
    office.create(asking(ANN, BOB, rule="any"), asking(EVE))
    extension = office.prompt_to(BOB).extension
    office.reply(ANN, "同意")
    assert office.reply(BOB, "同意", extension) == "late"
    assert "本环节已处理" in office.texts_to(BOB)[-1]


def test_an_open_question_whose_slot_ran_out_is_still_answered_while_it_cools(
    office: Office,
) -> None:
    request = office.create((ANN,))
    office.time.advance(31 * 86_400)
    assert office.reply(ANN, "同意") == "decided"
    assert office.assignee(request, ANN)["rule"] == "cooling:word"


# who may not answer, and who gets no answer


def test_a_reply_from_another_phone_never_decides_and_is_told_to_the_owner(
    office: Office,
) -> None:
    request = office.create((ANN,))
    extension = office.prompt_to(ANN).extension
    sent = len(office.composer.sent)
    assert office.reply(EVE, "同意", extension) == "stranger"
    assert office.show(request)["state"] == "open"
    assert len(office.composer.sent) == sent
    told = office.events[-1]
    assert told.kind == "request.stranger"
    assert (told.account, told.data["sender"]) == ("office", EVE)
    assert office.assignee(request, ANN)["answers"][0]["rule"] == "stranger:word"
    assert latest(office).account == "office"


def test_a_phone_gets_three_automatic_answers_in_ten_minutes(office: Office) -> None:
    for number in range(5):
        office.create((ANN,), subject=f"第{number}项")
    prompts = [one.extension for one in office.composer.sent]
    office.composer.sent.clear()
    for extension in prompts:
        assert office.reply(ANN, "同意", extension) == "decided"
    assert len(office.composer.sent) == 3
    office.time.advance(600)
    office.create((ANN,))
    assert office.reply(ANN, "好的") == "asked_back"


def test_an_unclear_reply_that_may_get_no_answer_goes_to_a_person(office: Office) -> None:
    for number in range(4):
        office.create((ANN,), subject=f"第{number}项")
    prompts = [one.extension for one in office.composer.sent]
    for extension in prompts[:3]:
        office.reply(ANN, "同意", extension)
    assert office.reply(ANN, "好的", prompts[3]) == "unclear"
    assert office.reply(ANN, "1", prompts[3]) == "unclear"
    office.time.advance(600)
    assert office.reply(ANN, "好呢", prompts[3]) == "asked_back"


@pytest.mark.parametrize("number", ["10690009", "10086", "12306", "95588", "1069000912345"])
def test_service_numbers_get_no_automatic_answer(office: Office, number: str) -> None:
    request = office.create((ANN,))
    with office.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE assignment SET phone = ?", (number,))
    sent = len(office.composer.sent)
    assert office.reply(number, "好的", "") == "unclear"
    assert len(office.composer.sent) == sent
    assert office.show(request)["state"] == "open"


def test_an_answer_that_cannot_be_sent_undoes_no_decision(office: Office) -> None:
    request = office.create((ANN,))
    row = office.stored(ANN, "同意")
    office.composer.refuse = ValidationError("to", "no link serves this operator")
    assert result_of(office.engine.reply(row)) == "decided"
    assert office.show(request)["outcome"] == "approved"
    assert office.kinds()[-1] == "reply.failed"


def test_an_inbound_to_no_number_of_ours_is_answered_from_the_phones_own(office: Office) -> None:
    office.create((ANN,), subject="一")
    office.create((ANN,), subject="二")
    assert office.reply(ANN, "同意", "", access_number="") == "listed"
    assert office.composer.sent[-1].access_number == ACCESS


def test_handling_twice_decides_once(office: Office) -> None:
    request = office.create((ANN,))
    row = office.stored(ANN, "同意")
    assert result_of(office.engine.reply(row)) == "decided"
    count = len(office.events), len(office.composer.sent)
    assert result_of(office.engine.reply(row)) == "decided"
    assert (len(office.events), len(office.composer.sent)) == count
    assert recorded(office, row.id).handled_at == office.time.ms
    assert office.assignee(request, ANN)["decision"] == "yes"

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smsgw.errors import ValidationError
from smsgw.services.replies import make_short_id
from smsgw.services.requests.model import Decision
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
    assert office.reply(ANN, "好的", wait=5) == "repeated"
    assert office.reply(ANN, "好的", wait=20) == "unclear"


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


# without the extension


def test_without_its_extension_the_one_open_item_is_asked_about_by_name(office: Office) -> None:
    request = office.create((ANN,))
    extension = office.prompt_to(ANN).extension
    assert office.reply(ANN, "同意", "") == "asked_back"
    assert "《采购申请》" in office.texts_to(ANN)[-1]
    assert office.prompt_to(ANN).extension == extension
    assert office.show(request)["state"] == "open"
    assert office.reply(ANN, "1", "") == "decided"
    assert office.assignee(request, ANN)["rule"] == "single:number"


def test_the_one_open_item_may_be_accepted_where_configured() -> None:
    office = Office(accept_lost_extension=True)
    request = office.create((ANN,))
    assert office.reply(ANN, "1", "") == "asked_back"
    assert office.reply(ANN, "同意", "") == "decided"
    assert office.assignee(request, ANN)["rule"] == "single:word"
    office.store.close()


def test_an_extension_that_was_never_given_out_is_a_lost_one(office: Office) -> None:
    office.create((ANN,))
    extension = office.prompt_to(ANN).extension
    other = f"{(int(extension) + 1) % 1000:03d}"
    assert office.reply(ANN, "同意", other) == "asked_back"


def test_several_open_items_are_listed_and_answered_by_their_numbers(office: Office) -> None:
    first = office.create((ANN,), subject="采购")
    second = office.create((ANN,), subject="请假")
    assert office.reply(ANN, "同意", "") == "listed"
    listing = office.prompt_to(ANN)
    assert listing.text == ("您有2项待审批，请回复“序号+意见”，如“1同意”：\n1 《采购》\n2 《请假》")
    assert (listing.account, listing.access_number, listing.request_id) == ("office", ACCESS, None)
    assert office.reply(ANN, "2不同意 太忙", "") == "decided"
    assert office.show(second)["outcome"] == "rejected"
    assert office.assignee(second, ANN)["rule"] == "list:word"
    assert office.reply(ANN, "1 同意", "") == "decided"
    assert office.show(first)["outcome"] == "approved"


def test_a_number_keeps_its_item_when_items_come_and_go(office: Office) -> None:
    first = office.create((ANN,), subject="一")
    office.create((ANN,), subject="二")
    office.reply(ANN, "同意", "")
    office.time.advance(700)
    result_of(office.engine.decide(first, int(office.assignee(first, ANN)["id"]), "no", "超预算"))
    third = office.create((ANN,), subject="三")
    assert office.reply(ANN, "1同意", "") == "already"
    assert office.show(first)["outcome"] == "rejected"
    assert office.reply(ANN, "可以", "") == "listed"
    assert office.texts_to(ANN)[-1].endswith("如“2同意”：\n2 《二》\n3 《三》")
    assert office.reply(ANN, "3同意", "") == "decided"
    assert office.show(third)["outcome"] == "approved"


def test_a_bare_number_or_an_unknown_one_after_a_list_decides_nothing(office: Office) -> None:
    office.create((ANN,), subject="一")
    office.create((ANN,), subject="二")
    office.reply(ANN, "同意", "")
    sent = len(office.composer.sent)
    assert office.reply(ANN, "1", "") == "unclear"
    assert office.kinds()[-1] == "reply.unclear"
    assert latest(office).outcome == "unclear"
    assert len(office.composer.sent) == sent
    assert office.reply(ANN, "5同意", "") == "listed"


def test_a_carriers_quick_repeat_gets_no_second_list(office: Office) -> None:
    office.create((ANN,), subject="一")
    office.create((ANN,), subject="二", account="others")
    assert office.reply(ANN, "同意", "") == "listed"
    assert office.composer.sent[-1].account == ""
    assert office.reply(ANN, "同意", "", wait=3) == "repeated"


def test_the_answer_to_yesterdays_list_is_asked_about_again(office: Office) -> None:
    office.create((ANN,), subject="一")
    office.create((ANN,), subject="二")
    office.reply(ANN, "同意", "")
    office.time.advance(86_400)
    assert office.reply(ANN, "1同意", "") == "listed"


def test_what_answers_nothing_goes_to_the_inbox(office: Office) -> None:
    assert office.reply(ANN, "您好", "") == "inbox"
    assert office.reply(ANN, "同意", "123") == "inbox"
    assert latest(office).account == ""
    assert office.composer.sent == []


# typed ids


def test_a_typed_id_names_the_item(office: Office) -> None:
    first = office.create((ANN,), subject="一")
    second = office.create((ANN,), subject="二")
    short_id = office.assignee(second, ANN)["short_id"]
    assert office.reply(ANN, f"#{short_id} 同意", "") == "decided"
    assert office.assignee(second, ANN)["rule"] == "id:word"
    assert office.show(first)["state"] == "open"
    assert office.reply(ANN, f"#{short_id} 不同意", "") == "already"


def test_a_typed_id_with_a_wrong_digit_is_asked_back(office: Office) -> None:
    request = office.create((ANN,))
    short_id = office.assignee(request, ANN)["short_id"]
    wrong = short_id[:-1] + str((int(short_id[-1]) + 1) % 10)
    assert office.reply(ANN, f"#{wrong} 同意", "") == "asked_back"
    assert office.assignee(request, ANN)["answers"][0]["rule"] == "lost:bad id"
    assert office.reply(ANN, f"#{wrong} 同意") == "unclear"
    assert office.show(request)["state"] == "open"


def test_a_typed_id_that_names_nothing_of_this_phone_decides_nothing(office: Office) -> None:
    request = office.create((BOB,))
    theirs = office.assignee(request, BOB)["short_id"]
    assert office.reply(ANN, f"#{theirs} 同意", "") == "inbox"
    assert office.show(request)["state"] == "open"


def test_a_typed_id_against_the_extensions_item_decides_neither(office: Office) -> None:
    first = office.create((ANN,), subject="一")
    one = office.prompt_to(ANN).extension
    second = office.create((ANN,), subject="二")
    short_id = office.assignee(second, ANN)["short_id"]
    assert office.reply(ANN, f"#{short_id} 同意", one) == "asked_back"
    assert "《一》" in office.texts_to(ANN)[-1]
    assert office.show(first)["state"] == office.show(second)["state"] == "open"
    mine = office.assignee(first, ANN)["short_id"]
    assert office.reply(ANN, f"#{mine} 同意", one) == "decided"


def test_two_items_that_share_a_short_id_are_asked_about(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.create((ANN,), subject="一")
    office.create((ANN,), subject="二")
    shared = make_short_id(7)
    monkeypatch.setattr("smsgw.services.requests.matching.make_short_id", lambda _: shared)
    assert office.reply(ANN, f"#{shared} 同意", "") == "listed"


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
    assert office.assignee(request, ANN)["decision"] == Decision.YES

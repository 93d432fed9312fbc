from __future__ import annotations

from collections.abc import Iterator

import pytest

from smsgw.services.replies import make_short_id
from smsgw.store import inbox
from smsgw.store.inbox import InboundRow
from tests.support.requests import ACCESS, ANN, BOB, Office, result_of


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.store.close()


def latest(office: Office) -> InboundRow:
    with office.store.transaction() as connection:
        return inbox.page(connection, limit=1)[0]


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


def a_number_nobody_has(office: Office) -> str:
    taken = {one.extension for one in office.composer.sent}
    return next(f"{n:03d}" for n in range(1000) if f"{n:03d}" not in taken)


def test_a_word_to_somebody_elses_number_never_decides_ones_own_item(office: Office) -> None:
    mine = office.create((ANN,), subject="甲")
    own = office.prompt_to(ANN).extension
    theirs = office.create((BOB,), subject="乙")
    foreign = office.prompt_to(BOB).extension
    assert office.reply(ANN, "好的", own) == "asked_back"
    sent = len(office.composer.sent)
    for text in ("同意", "1", "1同意"):
        assert office.reply(ANN, text, foreign) == "stranger"
    assert office.show(mine)["state"] == office.show(theirs)["state"] == "open"
    assert len(office.composer.sent) == sent
    assert latest(office).request_id == theirs


def test_a_word_in_the_thread_of_an_old_request_never_decides_a_new_one(office: Office) -> None:
    office.create((ANN,), subject="旧")
    old = office.prompt_to(ANN).extension
    office.reply(ANN, "不同意", old)
    office.time.advance(40 * 86_400)
    new = office.create((ANN,), subject="新")
    assert office.reply(ANN, "收到") == "asked_back"
    assert office.reply(ANN, "同意", old) == "unclear"
    assert office.reply(ANN, "1", old) == "unclear"
    assert office.show(new)["state"] == "open"


def test_an_old_number_of_ones_own_that_is_anothers_now_makes_nobody_a_stranger(
    office: Office,
) -> None:
    office.create((ANN,), subject="旧")
    old = office.prompt_to(ANN).extension
    office.reply(ANN, "不同意", old)
    office.time.advance(40 * 86_400)
    office.create((BOB,))
    with office.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE slot SET extension = ? WHERE phone = ?", (old, BOB))
    assert office.reply(ANN, "同意", old) == "inbox"
    new = office.create((ANN,), subject="新")
    assert office.reply(ANN, "同意", old) == "asked_back"
    assert "《新》" in office.texts_to(ANN)[-1]
    assert office.show(new)["state"] == "open"


@pytest.mark.parametrize("accept", [False, True])
def test_a_word_to_a_number_nobody_has_is_asked_about_once(accept: bool) -> None:
    office = Office(accept_lost_extension=accept)
    request = office.create((ANN,))
    unknown = a_number_nobody_has(office)
    assert office.reply(ANN, "同意", unknown) == "asked_back"
    assert "《采购申请》" in office.texts_to(ANN)[-1]
    assert office.reply(ANN, "同意", unknown) == "unclear"
    assert office.reply(ANN, "1", unknown) == "unclear"
    assert office.show(request)["state"] == "open"
    assert office.reply(ANN, "同意", "") == "decided"
    office.store.close()


def test_a_lost_extension_long_after_we_asked_is_asked_about_again(office: Office) -> None:
    request = office.create((ANN,))
    assert office.reply(ANN, "好的") == "asked_back"
    office.time.advance(25 * 86_400)
    assert office.reply(ANN, "1", "") == "asked_back"
    assert "《采购申请》" in office.texts_to(ANN)[-1]
    assert office.show(request)["state"] == "open"
    assert office.reply(ANN, "1", "") == "decided"


def test_a_word_to_another_number_of_ours_is_asked_about(office: Office) -> None:
    request = office.create((ANN,))
    assert office.reply(ANN, "好的") == "asked_back"
    assert office.reply(ANN, "同意", "", access_number="10690002") == "unclear"
    assert office.show(request)["state"] == "open"


def test_the_answer_to_a_list_counts_only_where_the_list_came_from(office: Office) -> None:
    office.create((ANN,), subject="一")
    office.create((ANN,), subject="二")
    unknown = a_number_nobody_has(office)
    assert office.reply(ANN, "同意", "") == "listed"
    assert office.reply(ANN, "1同意", unknown) == "unclear"
    assert office.reply(ANN, "1同意", "") == "decided"


def test_numbers_a_list_did_not_show_decide_nothing(office: Office) -> None:
    requests = [office.create((ANN,), subject=f"第{n}项") for n in range(1, 13)]
    assert office.reply(ANN, "同意", "") == "listed"
    assert office.texts_to(ANN)[-1].endswith("9 《第9项》\n另有3项")
    assert office.reply(ANN, "12同意", "") == "unclear"
    assert office.reply(ANN, "10同意", "") == "listed"
    assert office.reply(ANN, "9同意", "") == "decided"
    decided = [n for n, one in enumerate(requests, 1) if office.show(one)["state"] != "open"]
    assert decided == [9]


def test_a_number_of_the_day_is_never_given_to_another_item(office: Office) -> None:
    office.create((ANN,), subject="一")
    office.create((ANN,), subject="二")
    third = office.create((ANN,), subject="三")
    assert office.reply(ANN, "同意", "") == "listed"
    assert office.reply(ANN, "3同意", "", wait=700) == "decided"
    assert office.reply(ANN, "可以", "") == "listed"
    office.create((ANN,), subject="四")
    assert office.reply(ANN, "3不同意", "") == "already"
    assert office.reply(ANN, "可以", "", wait=700) == "listed"
    assert office.texts_to(ANN)[-1].endswith("1 《一》\n2 《二》\n4 《四》")
    assert office.show(third)["outcome"] == "approved"


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

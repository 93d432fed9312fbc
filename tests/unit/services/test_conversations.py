from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.model import MessageClass
from smsgw.services.conversations import take
from smsgw.services.ledger import ConversationsExhausted, find
from smsgw.services.requests.changes import Changes
from smsgw.store import inbox
from smsgw.store.schema import metadata
from tests.support.conversations import Desk
from tests.support.memory import ACCESS, ANN, BOB, EVE, result_of


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.store.close()


def test_a_conversation_is_a_number_to_answer_to(desk: Desk) -> None:
    opened = desk.open("+86 138 0000 1001")
    assert (opened["to"], opened["reference"], opened["state"]) == (ANN, "job-17", "open")
    assert opened["sender_number"] == ACCESS + opened["extension"]
    assert "message_id" not in opened
    assert desk.composer.sent == []
    assert desk.show(opened) == opened | {"replies": []}
    (told,) = desk.told("conversation.opened")
    assert (told.account, told.subject_id) == ("crew", int(opened["id"]))
    assert told.data == {
        "conversation_id": opened["id"],
        "reference": "job-17",
        "phone": ANN,
        "sender_number": opened["sender_number"],
    }


def test_a_text_goes_out_from_its_number_at_once(desk: Desk) -> None:
    opened = desk.open(text="几点到？", message_class=MessageClass.REALTIME)
    (sent,) = desk.composer.sent
    assert (sent.to, sent.text, sent.reference) == (ANN, "几点到？", "job-17")
    assert (sent.access_number + sent.extension, sent.expects_reply) == (
        opened["sender_number"],
        True,
    )
    assert (sent.message_class, sent.valid_for) == (MessageClass.REALTIME, 100)
    (told,) = desk.told("conversation.opened")
    assert told.data["message_id"] == opened["message_id"]


def test_every_reply_carries_the_caller_s_own_reference(desk: Desk) -> None:
    opened = desk.open(text="几点到？", valid_for=3600)
    assert desk.reply(ANN, "下午三点", opened) == "replied"
    assert desk.reply(ANN, "TD", opened) == "replied"
    assert [one["text"] for one in desk.show(opened)["replies"]] == ["TD", "下午三点"]
    first, _ = desk.told("conversation.reply")
    assert first.account == "crew"
    assert first.subject_id == int(opened["id"])
    assert first.data == {
        "conversation_id": opened["id"],
        "reference": "job-17",
        "inbound_id": desk.show(opened)["replies"][1]["id"],
        "from": ANN,
        "to": opened["sender_number"],
        "text": "下午三点",
        "missing": "",
        "late": False,
    }
    with desk.store.transaction() as connection:
        row = inbox.get(connection, int(first.data["inbound_id"]))
    assert row is not None
    assert (row.account, row.conversation_id) == ("crew", int(opened["id"]))
    assert (row.outcome, row.request_id) == ("replied", None)
    assert len(desk.composer.sent) == 1


def test_a_reply_that_is_given_again_is_told_once(desk: Desk) -> None:
    opened = desk.open()
    row = desk.stored(ANN, "好", opened["extension"])
    assert [result_of(desk.engine.reply(row)) for _ in range(2)] == ["replied", "replied"]
    assert len(desk.told("conversation.reply")) == 1


def test_a_reply_somebody_else_has_taken_is_a_conflict(desk: Desk) -> None:
    opened = desk.open()
    row = desk.stored(ANN, "好", opened["extension"])
    result_of(desk.engine.reply(row))
    now = int(desk.clock.seconds() * 1000)
    with desk.store.transaction() as connection:
        found = find(connection, ANN, ACCESS, opened["extension"], now)
        assert found is not None
        with pytest.raises(Conflict, match="another process"):
            take(Changes(desk.tools, connection, now), row, found)


def test_a_stranger_s_text_is_no_reply(desk: Desk) -> None:
    opened = desk.open()
    assert desk.reply(BOB, "我也去", opened) == "inbox"
    assert desk.show(opened)["replies"] == []
    assert desk.told("conversation.reply") == []


@pytest.mark.parametrize("ends", [True, False])
def test_a_reply_after_the_end_is_late_until_the_number_has_cooled(desk: Desk, ends: bool) -> None:
    opened = desk.open()
    if ends:
        assert desk.end(opened)["state"] == "ended"
    else:
        desk.clock.advance(100)
    desk.clock.advance(49)
    assert desk.reply(ANN, "晚了", opened) == "late"
    (told,) = desk.told("conversation.reply")
    assert (told.data["late"], told.data["reference"]) == (True, "job-17")
    (reply,) = desk.show(opened)["replies"]
    assert (reply["late"], reply["text"]) == (True, "晚了")
    desk.clock.advance(1)
    assert desk.reply(ANN, "太晚了", opened) == "inbox"


def test_more_texts_may_follow_until_the_end(desk: Desk) -> None:
    opened = desk.open()
    sent = desk.send(opened, "还有一件事")
    assert sent["id"] == opened["id"]
    (told,) = desk.told("conversation.sent")
    assert told.data["message_id"] == sent["message_id"]
    assert desk.composer.sent[0].extension == opened["extension"]
    desk.clock.advance(100)
    assert desk.show(opened)["state"] == "expired"
    with pytest.raises(Conflict, match="has expired; open another"):
        desk.send(opened, "还在吗")
    other = desk.open()
    desk.end(other)
    with pytest.raises(Conflict, match="has ended"):
        desk.send(other, "还在吗")
    assert len(desk.composer.sent) == 1


def test_ending_again_changes_nothing(desk: Desk) -> None:
    opened = desk.open()
    first = desk.end(opened)
    desk.clock.advance(5)
    assert desk.end(opened) == first
    assert len(desk.told("conversation.ended")) == 1


def test_a_conversation_is_its_account_s(desk: Desk) -> None:
    opened = desk.open()
    for call in (desk.show, desk.end, lambda one, account: desk.send(one, "x", account)):
        with pytest.raises(NotFound):
            call(opened, account="other")
    assert result_of(desk.conversations.list("other")) == []


def test_conversations_are_listed_newest_first(desk: Desk) -> None:
    made = [desk.open(phone, reference) for phone in (ANN, BOB) for reference in ("a", "b")]
    ids = [one["id"] for one in reversed(made)]

    def listed(**filters: Any) -> list[str]:
        return [one["id"] for one in result_of(desk.conversations.list("crew", **filters))]

    assert listed() == ids
    assert listed(limit=2) == ids[:2]
    assert listed(before=int(ids[1])) == ids[2:]
    assert listed(reference="a", to=BOB) == [ids[1]]


def stored_rows(desk: Desk) -> int:
    with desk.store.transaction() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"to": "12"}, "to"),
        ({"to": EVE}, "to"),
        ({"reference": " "}, "reference"),
        ({"reference": "x" * 129}, "reference"),
        ({"valid_for": 0.5}, "valid_for"),
        ({"valid_for": 91 * 86_400}, "valid_for"),
        ({"valid_for": float("nan")}, "valid_for"),
        ({"text": "too long"}, "text"),
    ],
)
def test_what_cannot_be_stores_nothing_and_names_the_field(
    desk: Desk, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        desk.open(**options)
    assert caught.value.field == field
    assert stored_rows(desk) == 0
    assert desk.events == []


def test_when_no_extension_is_free_there_is_no_conversation_and_an_alarm(desk: Desk) -> None:
    made = [desk.open() for _ in range(10)]
    sent = len(desk.composer.sent)
    with pytest.raises(ConversationsExhausted, match="all 10 extensions"):
        desk.open(text="几点到？")
    (alarm,) = desk.told("conversations.exhausted")
    assert alarm.data["phone"] == ANN
    assert len(desk.composer.sent) == sent
    assert len(result_of(desk.conversations.list("crew"))) == 10
    desk.end(made[3])
    desk.clock.advance(10)
    assert desk.open()["extension"] == made[3]["extension"]
    assert len(desk.told("conversations.shortened")) == 1

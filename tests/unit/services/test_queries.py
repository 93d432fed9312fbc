from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from smsgw.errors import NotFound
from smsgw.model import Event, MessageStatus
from smsgw.services import queries
from smsgw.store import events, inbox, messages
from smsgw.store.ids import IdSource
from smsgw.store.inbox import InboundRow
from smsgw.store.statements import give_ids
from tests.support.memory import make_tables
from tests.support.store import NOW, StoredMessages, accepted, message_row

S = MessageStatus
AT = "2027-01-15T08:00:00.000+00:00"
FIRST = InboundRow(7, "cmcc", "13800001001", "10690001042", "10690001", "042", "同意", 1, "", NOW)


@pytest.fixture
def ids() -> IdSource:
    return IdSource(1, lambda: NOW / 1000)


@pytest.fixture
def connection(ids: IdSource) -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        make_tables(connection)
        give_ids(connection, ids)
        yield connection
    engine.dispose()


@pytest.fixture
def store(connection: Connection, ids: IdSource) -> StoredMessages:
    return StoredMessages(connection, ids)


def inbound(connection: Connection, row_id: int, account: str = "", **fields: object) -> None:
    row = InboundRow(**{**_fields(FIRST), "id": row_id, "account": account, **fields})
    inbox.insert_inbound(connection, row, [])


def _fields(row: InboundRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def test_times_are_iso_8601_in_utc() -> None:
    assert queries.iso(None) is None
    assert queries.iso(0) == "1970-01-01T00:00:00.000+00:00"
    assert queries.iso(NOW + 7) == AT.replace(".000", ".007")


def test_a_message_shows_its_segments_in_order(connection: Connection, ids: IdSource) -> None:
    contents = messages.encode_contents([b"12345", b"123"])
    row = message_row(ids, parts=2, final_at=NOW, contents=contents)
    messages.insert(connection, [accepted(row)])
    shown = queries.message(connection, "newsroom", row.id)
    assert (shown["id"], shown["to"], shown["class"]) == (str(row.id), "13800001001", "interactive")
    assert (shown["sender_number"], shown["coding"]) == ("10690001001", "ucs2")
    assert (shown["created_at"], shown["final_at"]) == (AT, AT)
    segments = shown["segments"]
    assert [(one["part"], one["total"], one["octets"]) for one in segments] == [
        (1, 2, 5),
        (2, 2, 3),
    ]
    for segment in segments:
        assert (segment["state"], segment["link"], segment["attempts"]) == ("queued", "cmcc", 0)
        assert (segment["sent_at"], segment["stat"]) == (None, "")
        assert segment["carrier_message_id"] is None


def test_a_message_shows_what_came_of_it_so_far(store: StoredMessages) -> None:
    row = store.message(S.SENDING)
    store.settle(row, S.SENT, at=NOW, carrier_message_id="0a1b", attempts=1, first=True)
    shown = queries.message(store.connection, "newsroom", row.id)
    assert (shown["status"], shown["final_at"]) == ("sent", None)
    (segment,) = shown["segments"]
    assert (segment["state"], segment["sent_at"], segment["attempts"]) == ("sent", AT, 1)
    assert (segment["carrier_message_id"], segment["octets"]) == ("0a1b", 4)


def test_another_account_s_message_is_not_found(store: StoredMessages) -> None:
    row = store.message()
    for account, message_id in (("crm", row.id), ("newsroom", row.id + 9)):
        with pytest.raises(NotFound, match=f"message {message_id}: not recorded"):
            queries.message(store.connection, account, message_id)


def test_a_page_of_messages_is_filtered_and_without_segments(store: StoredMessages) -> None:
    rows = [store.message(), store.message(S.SENT), store.message(account="crm")]
    connection = store.connection
    listed = queries.message_page(connection, "newsroom", limit=9)
    assert [one["id"] for one in listed] == [str(rows[1].id), str(rows[0].id)]
    assert "segments" not in listed[0]
    found = queries.message_page(connection, "newsroom", status="sent", limit=9)
    assert [(one["id"], one["status"]) for one in found] == [(str(rows[1].id), "sent")]
    assert queries.message_page(connection, "newsroom", before=rows[0].id, limit=9) == []


def test_a_coding_nobody_names_is_shown_as_its_number(ids: IdSource) -> None:
    assert queries.message_json(message_row(ids, coding=15))["coding"] == "gbk"
    assert queries.message_json(message_row(ids, coding=246))["coding"] == "246"


def test_the_inbox_shows_one_s_own_and_nobody_s(connection: Connection) -> None:
    inbound(connection, 7)
    inbound(connection, 8, "newsroom", handled_at=NOW, outcome="decided")
    inbound(connection, 9, "crm")
    shown = queries.inbound_page(connection, "newsroom", None, 9)
    assert [one["id"] for one in shown] == ["8", "7"]
    assert (shown[0]["handled_at"], shown[0]["outcome"]) == (AT, "decided")
    assert (shown[1]["handled_at"], shown[1]["request_id"]) == (None, None)
    assert (shown[1]["from"], shown[1]["to"]) == ("13800001001", "10690001042")
    assert [one["id"] for one in queries.inbound_page(connection, "newsroom", 8, 9)] == ["7"]


def test_the_request_of_an_inbound_message_is_shown_as_text() -> None:
    row = InboundRow(**{**_fields(FIRST), "request_id": 1 << 60})
    assert queries.inbound_json(row)["request_id"] == str(1 << 60)


def test_events_are_an_account_s_own_from_where_it_left_off(connection: Connection) -> None:
    kinds = [("message.queued", "newsroom"), ("message.sent", "newsroom"), ("x.y", "crm")]
    appended = [Event(kind, 5, account, {"to": "1"}) for kind, account in kinds]
    events.append(connection, NOW, appended)
    events.write_noted(connection)
    shown = queries.events_after(connection, "newsroom", 0, 9)
    assert [one["kind"] for one in shown] == ["message.queued", "message.sent"]
    assert shown[0] | {"id": "-"} == {
        "id": "-",
        "at": AT,
        "kind": "message.queued",
        "account": "newsroom",
        "subject_id": "5",
        "data": {"to": "1"},
    }
    rest = queries.events_after(connection, "newsroom", int(shown[0]["id"]), 9)
    assert rest == shown[1:]


def test_unmatched_reports_are_shown_newest_first(store: StoredMessages) -> None:
    for name in ("0a", "0b"):
        store.report(name, link="world")
    found = queries.unmatched_page(store.connection, link="world", before=None, limit=9)
    assert [one["carrier_message_id"] for one in found] == ["0b", "0a"]
    assert {key: value for key, value in found[0].items() if key != "id"} == {
        "link": "world",
        "carrier_message_id": "0b",
        "to": "13800001001",
        "status": "delivered",
        "stat": "DELIVRD",
        "error": "000",
        "received_at": AT.replace(".000", ".009"),
    }

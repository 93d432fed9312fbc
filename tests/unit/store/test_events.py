from __future__ import annotations

from sqlalchemy import Connection, select

from smsgw.model import Event
from smsgw.store import events
from smsgw.store.ids import IdSource
from smsgw.store.schema import OF_NO_MESSAGE, event, inbound
from tests.support.store import PHONE, StoredMessages


def written(connection: Connection, *told: Event) -> list[Event]:
    events.append(connection, 1000, told)
    events.write_noted(connection)
    return events.list_after(connection)


def test_appended_events_come_back_in_order_with_id_and_time(connection: Connection) -> None:
    told = [
        Event("message.sent", 7, "newsroom", {"to": "13800001001", "理由": "好"}),
        Event("inbound.received", 8, at=42),
    ]
    found = written(connection, *told)
    assert [(event.id > 0, event.at) for event in found] == [(True, 1000), (True, 42)]
    assert [(e.kind, e.subject_id, e.account, e.data) for e in found] == [
        (e.kind, e.subject_id, e.account, e.data) for e in told
    ]


def test_they_are_written_at_the_end_of_the_transaction_and_once(connection: Connection) -> None:
    events.append(connection, 1000, [Event("one", 1)])
    events.note(connection, [(2000, "two", 2, "", "")])
    assert events.list_after(connection) == []
    for _ in range(2):
        events.write_noted(connection)
        found = events.list_after(connection)
        assert [(event.kind, event.at) for event in found] == [("one", 1000), ("two", 2000)]
    assert events.noted(connection) == []


def test_what_is_cut_off_is_not_written(connection: Connection) -> None:
    events.append(connection, 1000, [Event("one", 1)])
    told = len(events.noted(connection))
    events.append(connection, 1000, [Event("two", 2), Event("three", 3)])
    del events.noted(connection)[told:]
    assert [event.kind for event in written(connection)] == ["one"]


def test_appending_nothing_uses_no_id(connection: Connection, ids: IdSource) -> None:
    assert written(connection) == []
    assert ids.next() & 0xFFF == 0


def test_a_cursor_account_kinds_and_limit_narrow_the_list(connection: Connection) -> None:
    told = written(
        connection,
        Event("message.sent", 1, "a"),
        Event("message.delivered", 1, "a"),
        Event("message.sent", 2, "b"),
        Event("message.sent", 3, "a"),
    )
    assert events.list_after(connection, told[1].id) == told[2:]
    assert events.list_after(connection, limit=1) == told[:1]
    assert events.list_after(connection, accounts=["b"]) == [told[2]]
    assert events.list_after(connection, kinds={"message.sent"}, accounts=["a"]) == [
        told[0],
        told[3],
    ]
    assert events.list_after(connection, told[3].id) == []


def test_of_a_message_it_also_says_to_whom_and_the_customers_reference(
    store: StoredMessages,
) -> None:
    message = store.message(reference="order-2")
    plain, told, other = written(
        store.connection,
        Event("message.sent", message.id),
        Event("message.rejected", message.id, data={"reason": "13", "to": "said"}),
        Event("inbound.received", 8),
    )
    assert plain.data == {"to": PHONE, "reference": "order-2"}
    assert told.data == {"to": "said", "reference": "order-2", "reason": "13"}
    assert other.data == {}


def test_what_is_told_of_a_phones_inbound_messages_is_found_by_index(
    connection: Connection,
) -> None:
    query = (
        select(event.c.data)
        .join(inbound, inbound.c.id == event.c.subject_id)
        .where(inbound.c.sender == "13800001001", event.c.kind == "reply.told", OF_NO_MESSAGE)
    )
    text = query.compile(connection, compile_kwargs={"literal_binds": True})
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
    assert any("ix_event_subject" in row[-1] for row in plan), plan

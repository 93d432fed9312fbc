from __future__ import annotations

from sqlalchemy import Connection

from smsgw.model import Event
from smsgw.store import events
from smsgw.store.ids import IdSource


def test_appended_events_come_back_in_order_with_id_and_time(
    connection: Connection, ids: IdSource
) -> None:
    told = [
        Event("message.sent", 7, "newsroom", {"to": "13800001001", "理由": "好"}),
        Event("inbound.received", 8, at=42),
    ]
    events.append(connection, ids, 1000, told)
    assert [(event.id > 0, event.at) for event in told] == [(True, 1000), (True, 42)]
    assert events.list_after(connection) == told


def test_appending_nothing_uses_no_id(connection: Connection, ids: IdSource) -> None:
    events.append(connection, ids, 1000, [])
    assert events.list_after(connection) == []
    assert ids.next() & 0xFFF == 0


def test_a_cursor_account_kinds_and_limit_narrow_the_list(
    connection: Connection, ids: IdSource
) -> None:
    told = [
        Event("message.sent", 1, "a"),
        Event("message.delivered", 1, "a"),
        Event("message.sent", 2, "b"),
        Event("message.sent", 3, "a"),
    ]
    events.append(connection, ids, 1000, told)
    assert events.list_after(connection, told[1].id) == told[2:]
    assert events.list_after(connection, limit=1) == told[:1]
    assert events.list_after(connection, accounts=["b"]) == [told[2]]
    assert events.list_after(connection, kinds={"message.sent"}, accounts=["a"]) == [
        told[0],
        told[3],
    ]
    assert events.list_after(connection, told[3].id) == []

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection, Table, func, select

from smsgw.store import inbox, messages, schema
from smsgw.store.ids import IdSource
from smsgw.store.statements import fetch_json, insert_rows, json_array, run, update_rows
from tests.support.store import StoredMessages, message_row

astuple = msgspec.structs.astuple


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 127, 128, 511, 512, 1337])
def test_any_number_of_rows_goes_in_and_is_updated(
    connection: Connection, ids: IdSource, count: int
) -> None:
    rows = [message_row(ids) for _ in range(count)]
    insert_rows(connection, schema.message, [astuple(row) for row in rows])
    table = schema.message.c
    assert connection.execute(select(func.count()).select_from(schema.message)).scalar() == count

    changed = [(row.id, str(row.id), 5) for row in rows]
    update_rows(connection, schema.message, ("id",), ("reason", "final_at"), changed)
    found = connection.execute(select(table.id, table.reason, table.final_at)).all()
    assert sorted(map(tuple, found)) == changed


def test_rows_that_have_much_in_common_go_in_as_they_are(
    connection: Connection, ids: IdSource
) -> None:
    groups = ({"account": "newsroom"}, {"account": "desk", "final_at": 5}, {"extension": ""})
    rows = [
        message_row(ids, reference=f"{n}", text=f"第{n}条", **groups[n % 20 % 3 if n % 20 else 2])
        for n in range(100)
    ]
    rows += [message_row(ids, account="alone", send_at=7), message_row(ids, link="another")]
    insert_rows(connection, schema.message, [astuple(row) for row in rows])
    found = connection.execute(select(schema.message).order_by(schema.message.c.id))
    assert [messages.MessageRow(*row) for row in found] == rows


def test_a_row_is_updated_by_its_whole_key(connection: Connection) -> None:
    keys = [(message_id, part) for message_id in (7, 8) for part in (1, 2)]
    rows = [messages.SegmentRow(*key, "cmcc", "sent") for key in keys]
    insert_rows(connection, schema.segment, [astuple(row) for row in rows])
    changed = [(7, 2, "delivered"), (8, 1, "expired")]
    update_rows(connection, schema.segment, ("message_id", "part"), ("state",), changed)
    table = schema.segment.c
    found = connection.execute(select(table.message_id, table.part, table.state)).all()
    assert sorted(map(tuple, found)) == [(7, 1, "sent"), *changed, (8, 2, "sent")]


class TestOurWords:
    def test_rows_come_out_as_one_json_text(self, store: StoredMessages) -> None:
        made = [store.message(text='"引号"\n'), store.message()]
        decoder = msgspec.json.Decoder(list[tuple[int, str, None]])
        query = "SELECT ROWS(id, text, final_at) FROM message WHERE id IN IDS(?) AND parts = ?"
        found = fetch_json(store.connection, decoder, query, json_array([m.id for m in made]), 1)
        assert sorted(found) == [(message.id, message.text, None) for message in made]
        assert fetch_json(store.connection, decoder, query, "[]", 1) == []

    def test_texts_are_compared_as_texts(self, store: StoredMessages) -> None:
        store.message(reference="7")
        for values, count in ((["7", "x"], 1), ([7], 0)):
            query = "SELECT count(*) FROM message WHERE reference IN TEXTS(?)"
            assert run(store.connection, query, json_array(values)).scalar() == count


@pytest.mark.parametrize(
    ("record", "table"),
    [
        (messages.MessageRow, schema.message),
        (messages.QueueRow, schema.queue),
        (messages.SegmentRow, schema.segment),
        (inbox.PartRow, schema.inbound_part),
        (inbox.InboundRow, schema.inbound),
    ],
)
def test_a_record_has_the_columns_of_its_table_in_order(
    record: type[msgspec.Struct], table: Table
) -> None:
    assert list(record.__struct_fields__) == [column.name for column in table.columns]

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from smsgw.store import inbox, messages, schema
from smsgw.store.ids import IdSource
from smsgw.store.statements import insert_rows, set_same, update_rows
from tests.support.store import message_row

astuple = msgspec.structs.astuple


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 127, 128, 511, 512, 1337])
def test_any_number_of_rows_goes_in_and_is_updated(
    connection: Connection, ids: IdSource, count: int
) -> None:
    rows = [message_row(ids) for _ in range(count)]
    insert_rows(connection, schema.message, [astuple(row) for row in rows])
    table = schema.message.c
    assert connection.execute(select(func.count()).select_from(schema.message)).scalar() == count

    update_rows(
        connection, schema.message, ("reason", "final_at"), [(r.id, str(r.id), 5) for r in rows]
    )
    found = connection.execute(select(table.id, table.reason, table.final_at)).all()
    assert sorted(map(tuple, found)) == [(row.id, str(row.id), 5) for row in rows]


def test_many_rows_get_the_same_values_and_one_of_their_own(
    connection: Connection, ids: IdSource
) -> None:
    rows = [message_row(ids) for _ in range(700)]
    insert_rows(connection, schema.message, [astuple(row) for row in rows])
    table = schema.message.c
    some, others = [row.id for row in rows[:300]], [row.id for row in rows[300:]]

    set_same(connection, schema.message, ("status", "final_at"), ("sent", 5), some)
    own = {key: f"{key:016x}" for key in others}
    set_same(connection, schema.message, ("status", "final_at"), ("gone", None), own, "reason")

    query = select(table.id, table.status, table.final_at, table.reason).order_by(table.id)
    found = [tuple(row) for row in connection.execute(query)]
    assert found[:300] == [(key, "sent", 5, "") for key in some]
    assert found[300:] == [(key, "gone", None, f"{key:016x}") for key in others]


@pytest.mark.parametrize(
    ("record", "table"),
    [
        (messages.MessageRow, schema.message),
        (messages.SegmentRow, schema.segment),
        (inbox.PartRow, schema.inbound_part),
        (inbox.InboundRow, schema.inbound),
    ],
)
def test_a_record_has_the_columns_of_its_table_in_order(record: type, table: object) -> None:
    assert list(record.__struct_fields__) == [column.name for column in table.columns]

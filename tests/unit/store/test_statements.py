from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from smsgw.store import inbox, messages, schema
from smsgw.store.ids import IdSource
from smsgw.store.statements import insert_rows, update_rows
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

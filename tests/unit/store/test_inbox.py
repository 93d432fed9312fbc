from __future__ import annotations

import pytest
from sqlalchemy import Connection

from smsgw.errors import Conflict
from smsgw.store import events, inbox
from smsgw.store.ids import IdSource
from smsgw.store.inbox import RECEIVE, Received
from tests.support.store import NOW, inbound_row, part_row


class TestReceiving:
    def test_a_part_is_stored_as_it_came(self, connection: Connection, ids: IdSource) -> None:
        part = part_row(ids, reference="8:17", total=2, content=b"\x00\xff")
        assert RECEIVE.execute(connection, [part]) == [Received(False, part.id)]
        assert inbox.waiting_parts(connection) == [part]

    def test_a_repeated_key_is_stored_once_and_names_the_first(
        self, connection: Connection, ids: IdSource
    ) -> None:
        first = part_row(ids, dedupe_key="k")
        again = part_row(ids, dedupe_key="k")
        late = part_row(ids, dedupe_key="k")
        assert RECEIVE.execute(connection, [first, again]) == [
            Received(False, first.id),
            Received(True, first.id),
        ]
        assert RECEIVE.execute(connection, [late]) == [Received(True, first.id)]
        assert inbox.waiting_parts(connection) == [first]

    def test_the_same_key_on_another_link_is_another_part(
        self, connection: Connection, ids: IdSource
    ) -> None:
        parts = [part_row(ids, link=link, dedupe_key="k") for link in ("cmcc", "unicom")]
        assert [r.duplicate for r in RECEIVE.execute(connection, parts)] == [False, False]
        assert inbox.waiting_parts(connection) == parts


class TestJoining:
    def test_joined_parts_wait_no_longer(self, connection: Connection, ids: IdSource) -> None:
        group = {"reference": "8:17", "total": 3}
        parts = [part_row(ids, sequence=sequence, **group) for sequence in (3, 1)]
        others = [
            part_row(ids, reference="8:18", total=3),
            part_row(ids, reference="8:17", total=2),
            part_row(ids, sender="13300001001", **group),
            part_row(ids, destination="10690001002", **group),
        ]
        RECEIVE.execute(connection, [*parts, *others])
        row = inbound_row(ids, parts=3, missing="2")
        inbox.insert_inbound(connection, row, [part.id for part in parts])

        assert inbox.waiting_parts(connection) == others
        assert inbox.get(connection, row.id) == row

    def test_waiting_parts_are_read_page_by_page(
        self, connection: Connection, ids: IdSource
    ) -> None:
        parts = [part_row(ids, received_at=NOW + place // 2) for place in range(5)]
        RECEIVE.execute(connection, parts)
        first = inbox.waiting_parts(connection, limit=3)
        assert first == parts[:3]
        after = (first[-1].received_at, first[-1].id)
        assert inbox.waiting_parts(connection, after, 3) == parts[3:]

    def test_a_part_is_joined_only_once(self, connection: Connection, ids: IdSource) -> None:
        part = part_row(ids)
        RECEIVE.execute(connection, [part])
        inbox.insert_inbound(connection, inbound_row(ids), [part.id])
        with pytest.raises(Conflict, match="1 parts to join, 0 of them free"):
            inbox.insert_inbound(connection, inbound_row(ids), [part.id])


class TestHandling:
    def test_unhandled_messages_are_what_a_start_goes_on_with(
        self, connection: Connection, ids: IdSource
    ) -> None:
        rows = [inbound_row(ids) for _ in range(3)]
        for row in rows:
            inbox.insert_inbound(connection, row, [])
        assert inbox.unhandled(connection) == rows
        assert inbox.mark_handled(
            connection, rows[1].id, "decided", NOW + 1, request_id=5, assignment_id=6
        )
        assert inbox.unhandled(connection) == [rows[0], rows[2]]
        assert inbox.unhandled(connection, limit=1) == [rows[0]]
        assert inbox.unhandled(connection, after=rows[0].id) == [rows[2]]

    def test_a_message_is_handled_once(self, connection: Connection, ids: IdSource) -> None:
        row = inbound_row(ids)
        inbox.insert_inbound(connection, row, [])
        assert inbox.mark_handled(
            connection,
            row.id,
            "decided",
            NOW + 1,
            request_id=5,
            assignment_id=6,
            account="newsroom",
        )
        assert not inbox.mark_handled(connection, row.id, "inbox", NOW + 2)
        found = inbox.get(connection, row.id)
        assert found is not None
        assert (found.outcome, found.request_id, found.assignment_id) == ("decided", 5, 6)
        assert (found.handled_at, found.account) == (NOW + 1, "newsroom")
        at, kind, subject, account, data = events.noted(connection)[-1]
        assert (at, kind, subject, account) == (NOW + 1, "inbound.handled", row.id, "newsroom")
        assert data == '{"outcome":"decided","request_id":"5"}'
        assert len(events.noted(connection)) == 2

    def test_what_is_not_recorded_is_not_handled(self, connection: Connection) -> None:
        assert inbox.get(connection, 1) is None
        assert not inbox.mark_handled(connection, 1, "inbox", NOW)


class TestFinding:
    def test_pages_go_back_in_time_and_narrow(self, connection: Connection, ids: IdSource) -> None:
        rows = [
            inbound_row(ids, account="a", sender="13300001001"),
            inbound_row(ids, account="b", request_id=9, outcome="decided"),
            inbound_row(ids, account="a"),
        ]
        for row in rows:
            inbox.insert_inbound(connection, row, [])
        assert inbox.page(connection) == rows[::-1]
        assert inbox.page(connection, before=rows[2].id, limit=1) == [rows[1]]
        assert inbox.page(connection, accounts=["a"]) == [rows[2], rows[0]]
        assert inbox.page(connection, sender="13300001001") == [rows[0]]
        assert inbox.page(connection, request_id=9) == [rows[1]]
        assert inbox.page(connection, outcome="decided", accounts=["a"]) == []

    def test_the_same_content_is_found_within_the_window(
        self, connection: Connection, ids: IdSource
    ) -> None:
        row = inbound_row(ids)
        inbox.insert_inbound(connection, row, [])
        same = (row.sender, row.destination, row.text)
        assert inbox.recent_same(connection, *same, since=NOW) == row
        assert inbox.recent_same(connection, *same, since=NOW + 1) is None
        assert inbox.recent_same(connection, *same, since=NOW, before=row.id) is None
        assert inbox.recent_same(connection, row.sender, row.destination, "好", since=0) is None
        assert inbox.recent_same(connection, row.sender, "10690001", row.text, since=0) is None

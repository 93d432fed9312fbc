from __future__ import annotations

from sqlalchemy import Connection

from smsgw.store import timers
from smsgw.store.ids import IdSource
from smsgw.store.timers import TimerRow

NOW = 1_800_000_000_000


def row(timer_id: int, due_at: int = NOW, **fields: object) -> TimerRow:
    given = {"kind": "remind", "request_id": 7, "subject_id": 8, "turn": 0, **fields}
    return TimerRow(id=timer_id, due_at=due_at, **given)  # type: ignore[arg-type]


def ids_of(rows: list[TimerRow]) -> list[int]:
    return [row.id for row in rows]


def test_what_is_due_comes_in_the_order_of_its_time(connection: Connection) -> None:
    timers.set(connection, [row(1, NOW), row(2, NOW - 5), row(3, NOW + 1), row(4, NOW - 5)])
    assert ids_of(timers.due(connection, NOW, 10)) == [2, 4, 1]
    assert ids_of(timers.due(connection, NOW, 2)) == [2, 4]
    assert timers.due(connection, NOW - 5, 1) == [row(2, NOW - 5)]
    assert timers.due(connection, NOW - 6, 10) == []


def test_the_next_due_time_is_the_earliest_within_the_horizon(connection: Connection) -> None:
    assert timers.next_due(connection, NOW) is None
    timers.set(connection, [row(1, NOW + 10), row(2, NOW + 20)])
    assert timers.next_due(connection, NOW + 9) is None
    assert timers.next_due(connection, NOW + 100) == NOW + 10


def test_a_timer_is_taken_once(connection: Connection) -> None:
    timers.set(connection, [row(1), row(2)])
    assert [timers.take(connection, 1) for _ in range(2)] == [True, False]
    assert not timers.take(connection, 9)
    assert ids_of(timers.due(connection, NOW, 10)) == [2]


def test_a_timer_that_is_moved_is_due_then(connection: Connection) -> None:
    timers.set(connection, [row(1)])
    assert timers.move(connection, 1, NOW + 5)
    assert not timers.move(connection, 2, NOW + 5)
    assert timers.due(connection, NOW, 10) == []
    assert timers.of_request(connection, 7) == [row(1, NOW + 5)]


def test_timers_are_cleared_by_request_kind_and_subject(connection: Connection) -> None:
    rows = [
        row(1),
        row(2, subject_id=9),
        row(3, kind="deadline"),
        row(4, kind="deadline", subject_id=9, due_at=NOW - 1),
        row(5, request_id=6),
    ]
    timers.set(connection, rows)
    timers.clear(connection, 7, "remind", [9])
    assert ids_of(timers.of_request(connection, 7)) == [4, 1, 3]
    timers.clear(connection, 7, subjects=[9])
    assert ids_of(timers.of_request(connection, 7)) == [1, 3]
    timers.clear(connection, 7, "remind")
    assert ids_of(timers.of_request(connection, 7)) == [3]
    timers.clear(connection, 7)
    assert timers.due(connection, NOW, 10) == [row(5, request_id=6)]


def test_another_process_has_a_timer_only_when_it_is_late(connection: Connection) -> None:
    mine, other = (IdSource(node, lambda: NOW / 1000).next() for node in (3, 5))
    timers.set(connection, [row(other, NOW), row(mine, NOW + 20)])
    seen = {"node": 3, "late_ms": 50}
    assert timers.due(connection, NOW + 19, 10, **seen) == []
    assert timers.next_due(connection, NOW + 30, **seen) == NOW + 20
    assert ids_of(timers.due(connection, NOW + 20, 10, **seen)) == [mine]
    timers.take(connection, mine)
    assert timers.next_due(connection, NOW + 30, **seen) == NOW + 50
    assert ids_of(timers.due(connection, NOW + 50, 10, **seen)) == [other]


def test_what_is_due_is_found_by_its_index(connection: Connection) -> None:
    statements: list[str] = []
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.set_trace_callback(statements.append)
    timers.due(connection, NOW, 10, node=3, late_ms=50)
    timers.next_due(connection, NOW, node=3, late_ms=50)
    raw.set_trace_callback(None)
    assert len(statements) == 2
    for statement in statements:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert "INDEX ix_timer_due_at (due_at<?)" in str(plan)
        assert "TEMP B-TREE" not in str(plan)

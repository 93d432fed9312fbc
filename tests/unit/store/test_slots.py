from __future__ import annotations

from typing import Any

from sqlalchemy import event

from smsgw.store import slots
from smsgw.store.slots import SlotRow
from tests.support.memory import ACCESS, ANN, BOB, EVE, MemoryStore
from tests.support.store import NOW


def row(slot_id: int, extension: str, phone: str = ANN, **fields: Any) -> SlotRow:
    given = {
        "generation": 1,
        "plan": "approval",
        "owner": "assignment",
        "owner_id": 7,
        "allocated_at": NOW,
        "expires_at": NOW + 100,
    }
    return SlotRow(slot_id, phone, ACCESS, extension, **{**given, **fields})


def test_a_slot_is_found_by_id_and_by_sender_number() -> None:
    store = MemoryStore()
    with store.transaction() as connection:
        assert slots.insert(connection, row(1, "001"))
        assert not slots.insert(connection, row(2, "001", owner_id=8))
        assert (
            slots.get(connection, 1) == row(1, "001") == slots.find(connection, ANN, ACCESS, "001")
        )
        assert slots.get(connection, 2) is None
        assert slots.find(connection, BOB, ACCESS, "001") is None
        assert slots.used(connection, ANN, ACCESS) == {"001"}
    store.close()


def test_only_extensions_of_the_asked_shape_are_given_out_again() -> None:
    store = MemoryStore()
    with store.transaction() as connection:
        slots.insert(connection, row(1, "7001"))
        slots.insert(connection, row(2, "801"))
        slots.insert(connection, row(3, "701"))
        found = slots.least_recent(connection, ANN, ACCESS, "7", 3, NOW + 200)
        assert found is not None
        assert found.id == 3
        assert slots.least_recent(connection, ANN, ACCESS, "7", 3, NOW) is None
        for taken in ("7", "70", "701"):
            later = ANN, ACCESS, "7", 3, NOW + 200
            assert slots.least_recent(connection, *later, taken=["8", taken]) is None
    store.close()


def test_a_slot_is_taken_only_from_the_generation_that_was_seen() -> None:
    store = MemoryStore()
    with store.transaction() as connection:
        slots.insert(connection, row(1, "001"))
        assert slots.reuse(
            connection, row(1, "001", generation=2, owner="conversation", owner_id=8)
        )
        assert not slots.reuse(connection, row(1, "001", generation=2, owner_id=9))
        found = slots.get(connection, 1)
        assert found is not None
        assert (found.owner, found.owner_id) == ("conversation", 8)
    store.close()


def test_live_slots_behind_one_sender_number_are_at_most_two() -> None:
    store = MemoryStore()
    with store.transaction() as connection:
        for slot_id, phone in enumerate((ANN, BOB, EVE), 1):
            slots.insert(connection, row(slot_id, "001", phone))
        slots.release(connection, 1, "assignment", 7, NOW)
        assert [one.phone for one in slots.live_at(connection, ACCESS, "001", NOW)] == [BOB, EVE]
        assert slots.live_at(connection, ACCESS, "001", NOW + 100) == []
    store.close()


def test_live_and_cooling_slots_are_counted() -> None:
    store = MemoryStore()
    with store.transaction() as connection:
        for slot_id, extension in enumerate(("001", "002", "003", "004"), 1):
            slots.insert(connection, row(slot_id, extension, cools_until=NOW + 200))
        slots.insert(connection, row(5, "005"))
        slots.release(connection, 1, "assignment", 7, NOW - 50)
        assert slots.counts(connection, NOW) == (4, 1)
        assert slots.counts(connection, NOW + 60) == (4, 0)
        assert slots.counts(connection, NOW + 150) == (0, 3)
        assert slots.counts(connection, NOW + 300) == (0, 0)
    store.close()


def test_what_is_asked_all_the_time_never_reads_the_whole_table() -> None:
    store = MemoryStore()
    with store.transaction() as connection:
        plans: list[str] = []
        asked: list[tuple[str, object]] = []

        def note(_c: object, _u: object, statement: str, values: object, *_: object) -> None:
            asked.append((statement, values))

        event.listen(connection, "before_cursor_execute", note)
        slots.live_at(connection, ACCESS, "001", NOW)
        slots.counts(connection, NOW)
        slots.in_use(connection, NOW, "office", phone=ANN)
        slots.load(connection, ACCESS, "7", 3, NOW)
        event.remove(connection, "before_cursor_execute", note)
        for statement, values in asked:
            explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans += [line[3] for line in explained]
    store.close()
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN slot")], plans

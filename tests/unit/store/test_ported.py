from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql

from smsgw.model import Operator, PortedNumber
from smsgw.store import events, ported
from smsgw.store.ids import IdSource
from tests.support.store import NOW, PHONE


def number(
    phone: str = PHONE,
    operator: Operator = Operator.UNICOM,
    learned_at: int = NOW,
    expires_at: int = NOW + 1000,
) -> PortedNumber:
    return PortedNumber(phone, operator, "MO on link cucc", learned_at, expires_at)


def test_a_number_is_recorded_and_found(connection: Connection) -> None:
    assert ported.get(connection, PHONE) is None
    assert ported.put(connection, [number()]) == 1
    assert ported.get(connection, PHONE) == number()
    assert ported.put(connection, []) == 0


def test_what_was_learned_later_wins_in_the_store_and_among_the_new(connection: Connection) -> None:
    later = number(operator=Operator.TELECOM, learned_at=NOW + 1)
    assert ported.put(connection, [number(), later, number()]) == 1
    assert ported.put(connection, [number()]) == 0
    assert ported.get(connection, PHONE) == later
    again = number(learned_at=NOW + 1)
    assert ported.put(connection, [again]) == 1
    assert ported.get(connection, PHONE) == again


def test_many_numbers_go_in_by_few_statements(connection: Connection) -> None:
    many = [number(f"1380000{index:04}") for index in range(2 * ported.CHUNK + 1)]
    assert ported.put(connection, many) == len(many)
    assert ported.page(connection, NOW, limit=5000) == many


def test_pages_go_on_after_a_phone_and_leave_out_what_is_over(connection: Connection) -> None:
    rows = [number(f"1380000100{last}") for last in range(4)]
    over = number("13800001009", expires_at=NOW)
    ported.put(connection, [over, *reversed(rows)])
    assert ported.page(connection, NOW, limit=3) == rows[:3]
    assert ported.page(connection, NOW, after=rows[2].phone) == rows[3:]


def test_a_change_has_a_new_id_so_that_others_see_it(connection: Connection) -> None:
    ported.put(connection, [number(), number("13800001002")])
    first, second = ported.changed(connection)
    assert ported.changed(connection, after=first[0]) == [second]
    assert ported.changed(connection, limit=1) == [first]
    assert ported.forget(connection, [PHONE, "13800001009"], NOW + 5) == 1
    ((changed_id, changed),) = ported.changed(connection, after=second[0])
    assert changed_id > second[0]
    assert changed == number(expires_at=NOW + 5)
    assert ported.forget(connection, [PHONE], NOW + 6) == 0


def test_what_has_been_over_for_a_day_is_swept(connection: Connection) -> None:
    ported.put(connection, [number(), number("13800001002", expires_at=NOW + 1001)])
    assert ported.sweep(connection, NOW + 999 + ported.SWEPT_AFTER_MS) == 0
    assert ported.sweep(connection, NOW + 1000 + ported.SWEPT_AFTER_MS) == 1
    assert ported.get(connection, PHONE) is None


def test_changes_are_read_again_from_a_minute_before_the_last_one() -> None:
    now = [NOW / 1000]
    ids = IdSource(7, lambda: now[0])
    before = ids.next()
    now[0] += 0.002
    within = ids.next()
    now[0] += 60.0 - 0.001
    assert before < ported.before(ids.next()) < within
    assert ported.before(0) == 0


def test_postgresql_is_told_the_same() -> None:
    statement = str(
        ported.upsert([number()], [1], "postgresql").compile(dialect=postgresql.dialect())
    )
    assert "ON CONFLICT (phone) DO UPDATE SET id = excluded.id" in statement
    assert statement.endswith("WHERE excluded.learned_at >= ported_number.learned_at")


def test_what_is_recorded_and_forgotten_is_told(connection: Connection) -> None:
    ported.put(connection, [number(), number("13800001002")])
    ported.put(connection, [number(learned_at=NOW - 1)])
    ported.forget(connection, [PHONE, "13800001009"], NOW + 5)
    told = [(one[1], one[0], one[4]) for one in events.noted(connection)]
    data = '{"phone":"%s","operator":"unicom","source":"MO on link cucc"}'
    assert told == [
        ("number.ported", NOW, data % PHONE),
        ("number.ported", NOW, data % "13800001002"),
        ("number.forgotten", NOW + 5, data % PHONE),
    ]

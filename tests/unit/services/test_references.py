from __future__ import annotations

from smsgw.services.references import References


def test_each_pair_of_numbers_has_its_own_counter() -> None:
    references = References(lambda: 5.0)
    assert [references.next("1069", "13800001001", 8) for _ in range(3)] == [5, 6, 7]
    assert references.next("1069", "13800001002", 8) == 5
    assert references.next("10690", "13800001001", 8) == 5


def test_a_counter_wraps_at_its_width() -> None:
    references = References(lambda: 0xFFFE)
    assert [references.next("1", "2", 8) for _ in range(3)] == [0xFE, 0xFF, 0]
    wide = References(lambda: 0xFFFE)
    assert [wide.next("1", "2", 16) for _ in range(3)] == [0xFFFE, 0xFFFF, 0]


def test_a_restart_does_not_begin_where_the_last_one_did() -> None:
    before = References(lambda: 1000.0).next("1", "2", 8)
    assert References(lambda: 1010.0).next("1", "2", 8) != before


def test_memory_is_bounded_and_the_pairs_used_last_stay() -> None:
    references = References(lambda: 50.0, limit=2)
    references.next("1", "a", 8)
    references.next("1", "b", 8)
    references.next("1", "a", 8)
    references.next("1", "c", 8)
    assert references.next("1", "a", 8) == 52
    assert references.next("1", "b", 8) == 50

"""No SGIP sequence is used twice: not by one bind, not by two, not after a restart."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from smsgw.errors import EncodeError
from smsgw.protocols.sgip.sequence import (
    SequenceSource,
    next_second,
    parse_sequence,
    sequence_text,
    time_word,
)
from tests.support.vectors import vector

NODE = 3010092008
WHEN = datetime(2025, 11, 20, 20, 32, 25)


def test_the_time_word_is_the_decimal_number_of_the_worked_example() -> None:
    assert time_word(WHEN) == 1120203225 == 0x42C4F1D9


@pytest.mark.parametrize(
    ("when", "word"),
    [
        (datetime(2025, 1, 16, 17, 0, 0), 116170000),
        (datetime(2025, 1, 1), 101000000),
        (datetime(2025, 12, 31, 23, 59, 59, 999999), 1231235959),
    ],
)
def test_the_time_word_has_no_year_and_no_fraction(when: datetime, word: int) -> None:
    assert time_word(when) == word


def test_the_counter_steps_by_one_and_wraps() -> None:
    source = SequenceSource(0xFFFFFFFE)
    counters = [source.next(NODE, WHEN)[2] for _ in range(4)]
    assert counters == [0xFFFFFFFE, 0xFFFFFFFF, 0, 1]


def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    source = SequenceSource(5)
    taken = [source.next(NODE, WHEN - timedelta(seconds=s % 2)) for s in range(100)]
    assert len(set(taken)) == 100
    assert len({counter for _, _, counter in taken}) == 100


def test_two_sources_start_apart() -> None:
    starts = {SequenceSource().next(NODE, WHEN)[2] for _ in range(20)}
    assert len(starts) == 20
    assert all(0 <= start <= 0xFFFFFFFF for start in starts)


@pytest.mark.parametrize("zone", [None, timezone(timedelta(hours=8))])
def test_the_next_second_crosses_a_year(zone: timezone | None) -> None:
    last = datetime(2025, 12, 31, 23, 59, 59, 7, zone)
    assert next_second(last) == datetime(2026, 1, 1, tzinfo=zone)
    assert next_second(next_second(last)) == datetime(2026, 1, 1, 0, 0, 1, tzinfo=zone)


def test_a_sequence_is_24_hexadecimal_digits_as_an_id() -> None:
    sequence = 3999999999, 1231235959, 4294967295
    assert sequence_text(sequence) == vector("sgip", "sequence_wrap").octets[8:].hex()
    assert parse_sequence(sequence_text(sequence)) == sequence
    assert sequence_text((0, 0, 1)) == "0" * 23 + "1"


@pytest.mark.parametrize("text", ["", "0" * 22, "0" * 26, "g" * 24])
def test_what_is_no_sequence_is_refused(text: str) -> None:
    with pytest.raises(EncodeError, match=r"carrier_message_id: .*limit exactly 24 hexadecimal"):
        parse_sequence(text)

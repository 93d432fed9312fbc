from __future__ import annotations

from datetime import datetime

import click
import pytest

from smsgw.interfaces.cli.times import moment


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("2026-11-22T18:00+08:00", "2026-11-22T18:00:00+08:00"),
        ("2026-11-22T10:00Z", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22 18:00:30+08:00", "2026-11-22T18:00:30+08:00"),
    ],
)
def test_a_time_without_seconds_is_taken_as_the_api_takes_it(typed: str, shown: str) -> None:
    made = moment(None, None, typed)
    assert made is not None
    assert datetime.fromisoformat(made) == datetime.fromisoformat(shown)
    assert datetime.fromisoformat(made).tzinfo is not None


def test_a_time_without_a_zone_is_this_machines() -> None:
    made = moment(None, None, "2026-11-22T18:00")
    assert made is not None
    assert datetime.fromisoformat(made) == datetime(2026, 11, 22, 18).astimezone()


@pytest.mark.parametrize("typed", ["tomorrow", "", "18:00", "2026-13-01T00:00"])
def test_what_is_no_time_says_how_to_write_it(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="write it like"):
        moment(None, None, typed)


def test_no_time_stays_none() -> None:
    assert moment(None, None, None) is None

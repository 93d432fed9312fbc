from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.retention import read_retention, shown_retention
from smsgw.daemon.sections import Problems, Section
from smsgw.model import MessageClass
from smsgw.services.retention import DAY_SECONDS, DEFAULT, Retention


def read(**values: Any) -> tuple[Retention, list[str]]:
    problems = Problems()
    found = read_retention(Section(values, "retention", problems, Path(), {}))
    return found, [str(error) for error in problems.errors]


def test_nothing_said_is_the_default_and_what_is_shown_can_be_written() -> None:
    found, problems = read()
    assert (found, problems) == (DEFAULT, [])
    assert read(**shown_retention(found)) == (DEFAULT, [])


def test_events_that_outlive_the_texts_in_them_are_worth_a_warning() -> None:
    problems = Problems()
    values = {"events": 0, "bulk": "30d"}
    read_retention(Section(values, "retention", problems, Path(), {}))
    assert problems.errors == []
    (line,) = problems.warnings
    assert line.startswith("retention.events: is longer than some texts are kept")


def test_each_class_and_kind_has_a_time_and_zero_is_for_ever() -> None:
    found, problems = read(bulk="30d", inbound="60d", events="7d", requests=0, records=0)
    assert problems == []
    assert found.messages[MessageClass.BULK] == 30 * DAY_SECONDS
    assert found.messages[MessageClass.NOTICE] == 180 * DAY_SECONDS
    assert (found.inbound, found.requests, found.records) == (60 * DAY_SECONDS, 0, 0)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"bulk": "1h"}, 'retention.bulk: 3600 seconds are too short; write "1d" or more'),
        ({"records": "90d"}, "retention.records: is shorter than realtime, whose texts are in"),
        ({"inbound": 0}, "retention.records: is shorter than inbound, whose texts are in them"),
        ({"bluk": "30d"}, "retention.bluk: unknown key; did you mean bulk?"),
        ({"events": "soon"}, "retention.events: 'soon' is no duration"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_key(values: Any, problem: str) -> None:
    (line,) = read(**values)[1]
    assert line.startswith(problem)

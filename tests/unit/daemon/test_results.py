"""``[links.NAME.results]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.results import read_results, shown_results
from smsgw.daemon.sections import Problems, Section
from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.cmpp import CARRIER


def read(results: Any) -> tuple[dict[int, Result], list[str]]:
    problems = Problems()
    section = Section({"results": results}, "links.a", problems, Path(), {})
    found = read_results(section, CARRIER)
    section.finish()
    return found, [str(error) for error in problems.errors]


def test_a_code_is_said_in_full_or_in_part() -> None:
    found, problems = read(
        {
            "8": {"disposition": "final", "kind": "quota", "text": "over today's volume"},
            "13": {"disposition": "retry"},
            "0x8C": {"kind": "throttle"},
            "141": {"disposition": "unknown", "text": "who knows"},
        }
    )
    assert problems == []
    assert found == {
        8: Result("over today's volume", Disposition.FINAL, ResultKind.QUOTA),
        13: Result("Dest_terminal_Id error", Disposition.RETRY, ResultKind.NUMBER),
        140: Result("result 140, in no table", Disposition.RETRY, ResultKind.THROTTLE),
        141: Result("who knows", Disposition.UNKNOWN, ResultKind.VENDOR),
    }
    assert shown_results(found)["140"] == {
        "disposition": "retry",
        "kind": "throttle",
        "text": "result 140, in no table",
    }


def test_no_table_is_no_results() -> None:
    problems = Problems()
    assert read_results(Section({}, "links.a", problems, Path(), {}), CARRIER) == {}
    assert problems.errors == []


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ({"0": {"kind": "quota"}}, "links.a.results.0: write the code as a number from 1 to"),
        ({"x": {"kind": "quota"}}, "links.a.results.x: write the code as a number from 1 to"),
        ({"-1": {"kind": "quota"}}, "links.a.results.-1: write the code as a number from 1 to"),
        ({"8": {}}, "links.a.results.8: is empty; write disposition, kind or text"),
        ({"8": {"kind": "ok"}}, "links.a.results.8.kind: 'ok' is none of throttle, quota,"),
        (
            {"8": {"disposition": "accepted"}},
            "links.a.results.8.disposition: 'accepted' is none of retry, final, unknown",
        ),
        ({"8": {"text": ""}}, "links.a.results.8.text: is empty"),
        ({"8": {"kinds": "quota"}}, "links.a.results.8.kinds: unknown key; did you mean kind?"),
        (
            {"8": {"kind": "quota"}, "0x8": {"kind": "quota"}},
            "links.a.results.0x8: result 8 is there twice",
        ),
        ({"8": "quota"}, "links.a.results.8: 'quota' is not a table"),
        ("no", "links.a.results: 'no' is not a table"),
    ],
)
def test_a_problem_names_the_code(results: Any, problem: str) -> None:
    _, problems = read(results)
    assert problems[0].startswith(problem)
    assert len(problems) == 1

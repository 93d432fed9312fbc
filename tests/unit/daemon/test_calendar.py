from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smsgw.daemon.calendar import read_quiet_hours, shown_quiet_hours
from smsgw.daemon.config import effective, load
from smsgw.daemon.sections import Problems, Section
from smsgw.services.quiet import ALL_DAY, NEVER, QuietHours, Window

NIGHT = Window(22 * 60, 7 * 60 + 30)
SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFICE = """
from = "22:00"
to = "07:30"
weekends = "21:00-09:30"
holidays = ["2026-10-01/2026-10-07", "2027-01-01"]
workdays = ["2026-10-10"]
"""


def read(written: str) -> tuple[QuietHours, list[str]]:
    problems = Problems()
    values = tomllib.loads(written)
    hours = read_quiet_hours(Section(values, "quiet_hours", problems, Path(), {}))
    return hours, [str(error) for error in problems.errors]


def test_without_any_key_it_is_never_quiet() -> None:
    hours, problems = read("")
    assert (hours, problems) == (QuietHours(SHANGHAI), [])


def test_hours_and_calendar_are_read() -> None:
    hours, problems = read(OFFICE)
    assert problems == []
    assert hours == QuietHours(
        zone=SHANGHAI,
        on_workdays=NIGHT,
        on_weekends=Window(21 * 60, 9 * 60 + 30),
        on_holidays=ALL_DAY,
        holidays=frozenset([*(date(2026, 10, day) for day in range(1, 8)), date(2027, 1, 1)]),
        workdays=frozenset([date(2026, 10, 10)]),
    )


@pytest.mark.parametrize(
    ("written", "on_weekends", "on_holidays"),
    [
        ("", NIGHT, ALL_DAY),
        ('weekends = "workdays"', NIGHT, ALL_DAY),
        ('weekends = "quiet"', ALL_DAY, ALL_DAY),
        ('on_holidays = "weekends"', NIGHT, NIGHT),
        ('weekends = "0:00-12:00"\non_holidays = "weekends"', Window(0, 720), Window(0, 720)),
        ('on_holidays = "20:00-10:00"', NIGHT, Window(1200, 600)),
    ],
)
def test_weekends_and_holidays_have_hours_of_others_or_their_own(
    written: str, on_weekends: Window, on_holidays: Window
) -> None:
    hours, problems = read(f'from = "22:00"\nto = "07:30"\n{written}')
    assert (hours.on_weekends, hours.on_holidays, problems) == (on_weekends, on_holidays, [])


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('from = "22:00"', 'to: is missing; from needs it: write it like "22:00"'),
        ('to = "07:30"', 'from: is missing; to needs it: write it like "22:00"'),
        ('from = "22:00"\nto = "24:00"', "to: '24:00' is no time of day; write it like \"22:00\""),
        ('from = "10pm"\nto = "07:30"', "from: '10pm' is no time of day"),
        ('from = 22\nto = "07:30"', "from: 22 is not a text in quotes"),
        ('from = "07:30"\nto = "7:30"', "to: 07:30 is the same as from; for no quiet hours leave"),
        ('zone = "Asia/Beijing"', "zone: 'Asia/Beijing' is not known here; write a name like Asia"),
        ('zone = "../etc/passwd"', "zone: '../etc/passwd' is not known here"),
        ('zone = ""', "zone: is empty"),
        ('weekends = "never"', "weekends: 'never' is none of these: write \"workdays\""),
        ('weekends = "weekends"', "weekends: 'weekends' is none of these"),
        ('weekends = "21:00"', "weekends: '21:00' is none of these"),
        ('weekends = ""', "weekends: is empty"),
        ("weekends = true", "weekends: True is not a text in quotes"),
        ('weekends = "09:00-09:00"', "weekends: '09:00-09:00' begins and ends at once; for all"),
        (
            'on_holidays = "workdays"',
            "on_holidays: 'workdays' is none of these: write \"weekends\"",
        ),
        ('holidays = ["2026-02-30"]', "holidays: '2026-02-30' is no date; write \"2026-10-01\""),
        ('holidays = ["20261001"]', "holidays: '20261001' is no date"),
        ('holidays = ["2026-10-01/"]', "holidays: '2026-10-01/' is no date"),
        ("holidays = [2026-10-01]", 'holidays: write a list of texts: ["a", "b"]'),
        ('holidays = ["2026-10-07/2026-10-01"]', "'2026-10-07/2026-10-01' ends before it begins"),
        ('holidays = ["2026-10-01/2036-10-07"]', "is 3660 days long, limit 366; write it in parts"),
        (
            'holidays = ["2026-10-01/2026-10-07"]\nworkdays = ["2026-10-04"]',
            "workdays: 2026-10-04 is one of the holidays too; leave it out of one of them",
        ),
        ("holiday = []", "holiday: unknown key; did you mean holidays?"),
    ],
)
def test_what_is_wrong_is_said_once_under_its_path(written: str, problem: str) -> None:
    hours, problems = read(written)
    assert len(problems) == 1, problems
    assert problems[0].startswith("quiet_hours.")
    assert problem in problems[0]
    assert hours.on_workdays == NEVER


@pytest.mark.parametrize(
    "written",
    [
        "",
        OFFICE,
        'from = "12:00"\nto = "14:00"\nweekends = "quiet"\non_holidays = "weekends"',
        'zone = "UTC"\nfrom = "23:00"\nto = "06:00"\non_holidays = "20:00-10:00"',
    ],
)
def test_what_is_shown_can_be_written(written: str) -> None:
    hours, _ = read(written)
    shown: dict[str, Any] = shown_quiet_hours(hours)
    again = "\n".join(f"{key} = {value!r}" for key, value in shown.items())
    assert read(again) == (hours, [])


def test_consecutive_days_are_shown_as_a_range() -> None:
    shown = shown_quiet_hours(read(OFFICE)[0])
    assert shown["holidays"] == ["2026-10-01/2026-10-07", "2027-01-01"]


def test_a_file_has_quiet_hours(tmp_path: Path) -> None:
    link = Path(__file__).parents[3] / "examples" / "smsgw.toml"
    file = tmp_path / "smsgw.toml"
    text = link.read_text("utf-8").replace("[quiet_hours]", f"[quiet_hours]\n{OFFICE}")
    file.write_text(text, "utf-8")
    names = ("OA_TOKEN", "CMCC_SECRET", "CTCC_SECRET", "CUCC_SECRET", "CUCC_LISTENER_SECRET")
    config = load(file, {f"SMSGW_{name}": name.ljust(16, "x")[:16] for name in names})
    assert config.quiet_hours.on_workdays == NIGHT
    assert effective(config)["quiet_hours"]["from"] == "22:00"

from __future__ import annotations

import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogBeginner, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from smsgw.daemon import logs
from smsgw.daemon.sections import Problems, Section
from smsgw.daemon.settings import LogSettings

PHONE = "13800001001"


def event(**fields: Any) -> dict[str, Any]:
    return {
        "log_time": 1_800_000_000.25,
        "log_level": LogLevel.warn,
        "log_namespace": "a.b",
        "event": "link.bound",
    } | (fields)


def line(**fields: Any) -> dict[str, Any]:
    written = logs.json_line(event(**fields))
    assert written.endswith("\n")
    assert written.count("\n") == 1
    found: dict[str, Any] = json.loads(written)
    return found


def test_a_line_has_time_level_name_origin_text_and_the_plain_values() -> None:
    assert line(
        log_format="link {link}: {count} of {size}", link="cmcc", count=3, size=[4], done=True
    ) == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "warn",
        "event": "link.bound",
        "from": "a.b",
        "text": "link cmcc: 3 of [4]",
        "link": "cmcc",
        "count": 3,
        "done": True,
    }


def test_no_value_replaces_the_line_s_own_and_newlines_stay_inside() -> None:
    shown = line(log_format="{text}\nmore", text="外景", time="never", level="none")
    assert (shown["text"], shown["level"]) == ("外景\nmore", "warn")
    assert shown["time"].startswith("2027")


def test_a_failure_brings_its_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        shown = line(log_format="inbound", log_failure=Failure())
    assert "ValueError: broken" in shown["failure"]


def test_what_a_library_logs_has_a_name_too() -> None:
    shown = json.loads(logs.json_line({"log_time": 0.0, "log_format": "old", "isError": 0}))
    assert shown == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "event": "library.noted",
        "from": "",
        "text": "old",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Key (phone)=({PHONE}) exists", "Key (phone)=(138****1001) exists"),
        (f"to 86{PHONE}, +86{PHONE}", "to 861****1001, +861****1001"),
        (f"{PHONE}7 a{PHONE} 0.{PHONE}", f"{PHONE}7 a{PHONE} 0.{PHONE}"),
        ("message 738201938475629184", "message 738201938475629184"),
    ],
)
def test_a_number_that_somebody_quoted_is_masked_and_other_digits_stay(
    text: str, shown: str
) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        found = line(log_format="{why}", why=text, log_failure=Failure())
    assert (found["text"], found["why"]) == (shown, shown)
    assert shown in found["failure"]
    assert shown in logs.text_line(event(log_format="{why}", why=text))


def test_a_short_line_is_for_a_person() -> None:
    shown = logs.text_line(event(log_format="link {link}: bound", link="cmcc"))
    assert shown[8:] == " warn     link.bound: link cmcc: bound\n"
    assert shown[2] == shown[5] == ":"
    again = logs.text_line(event(log_format="link {link}: bound", link="cmcc", repeated=231))
    assert again.endswith("link cmcc: bound (231 times like that within a minute)\n")


def test_a_short_line_shows_a_traceback_and_no_control_characters() -> None:
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        shown = logs.text_line(event(log_format="{why}", why="a\rb\x9bc", log_failure=Failure()))
    assert r"a\x0db\x9bc" + "\nTraceback" in shown
    assert r"ValueError: \x1b[2J" in shown
    assert "\x1b" not in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Stage:
    """The log of a process whose reactor keeps what it is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.publisher = LogPublisher()
        beginner = LogBeginner(self.publisher, io.StringIO(), sys, warnings)
        monkeypatch.setattr(logs, "globalLogBeginner", beginner)
        self.log = Logger("smsgw.test", observer=self.publisher)
        self.timers: list[Any] = []
        self.ends: list[Any] = []

    def callLater(self, seconds: float, call: Any) -> None:
        self.timers.append(call)

    def addSystemEventTrigger(self, phase: str, kind: str, call: Any) -> None:
        assert (phase, kind) == ("after", "shutdown")
        self.ends.append(call)

    def start(self, out: io.StringIO, **settings: str) -> io.StringIO:
        self.adopt = logs.start_logging(out, LogSettings(**settings), self)
        return out


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def texts(out: io.StringIO) -> list[str]:
    return [json.loads(one)["text"] for one in out.getvalue().splitlines()]


def test_only_what_is_at_or_above_the_level_is_written(stage: Stage) -> None:
    out = stage.start(io.StringIO(), level="warn")
    stage.log.info("not this")
    stage.log.warn("this")
    stage.log.error("and this")
    assert texts(out) == ["this", "and this"]


def test_the_level_changes_while_it_runs(stage: Stage) -> None:
    out = stage.start(io.StringIO(), level="warn")
    for level in ("debug", "error", "info"):
        stage.adopt(LogSettings(level=level))
        for name in ("debug", "info", "error"):
            getattr(stage.log, name)("{at}: {what}", event="a.b", at=level, what=name)
        stage.log.info("noted at {at}", at=level)
    assert texts(out) == [
        "debug: debug",
        "debug: info",
        "debug: error",
        "noted at debug",
        "error: error",
        "info: info",
        "info: error",
    ]


@pytest.mark.parametrize("level", ["info", "debug"])
def test_what_libraries_only_note_is_for_debugging(stage: Stage, level: str) -> None:
    out = stage.start(io.StringIO(), level=level)
    noted = Logger("log_legacy", observer=stage.publisher)
    noted.info("(TCP Port 8080 Closed)")
    noted.error("Unhandled error")
    assert texts(out)[-1] == "Unhandled error"
    assert len(texts(out)) == (2 if level == "debug" else 1)


@pytest.mark.parametrize(
    ("out", "form", "is_json"),
    [
        (io.StringIO, "auto", True),
        (io.StringIO, "text", False),
        (Terminal, "auto", False),
        (Terminal, "json", True),
    ],
)
def test_lines_are_short_on_a_terminal_or_where_they_are_asked_for(
    stage: Stage, out: type[io.StringIO], form: str, is_json: bool
) -> None:
    written = stage.start(out(), form=form)
    stage.log.warn("this", event="link.bound")
    assert written.getvalue().startswith("{") is is_json


def test_what_is_held_back_is_told_by_a_timer_and_at_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stage.start(io.StringIO())
    for _ in range(14):
        stage.log.warn("again", event="link.bound")
    assert len(texts(out)) == 10
    (timer,), (end,) = stage.timers, stage.ends
    timer()
    assert len(texts(out)) == 10
    assert len(stage.timers) == 2
    end()
    assert json.loads(out.getvalue().splitlines()[-1])["repeated"] == 4


def test_the_file_says_the_level_and_the_form() -> None:
    problems = Problems()
    values = {"level": "debug", "format": "text"}
    settings = logs.read_log(Section(values, "log", problems, Path(), {}))
    assert settings == LogSettings(level="debug", form="text")
    assert logs.shown_log(settings) == values
    logs.read_log(Section({"level": "trace", "file": "x"}, "log", problems, Path(), {}))
    assert [one.path for one in problems.errors] == ["log.level", "log.file"]

from __future__ import annotations

import io
import json
import sys
import warnings
from typing import Any

import pytest
from twisted.logger import LogBeginner, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from smsgw.daemon import logs


def event(**fields: Any) -> dict[str, Any]:
    return {"log_time": 1_800_000_000.25, "log_level": LogLevel.warn, "log_namespace": "a.b"} | (
        fields
    )


def line(**fields: Any) -> dict[str, Any]:
    written = logs.json_line(event(**fields))
    assert written.endswith("\n")
    assert written.count("\n") == 1
    found: dict[str, Any] = json.loads(written)
    return found


def test_a_line_has_time_level_origin_text_and_the_plain_values() -> None:
    assert line(
        log_format="link {link}: {count} of {size}", link="cmcc", count=3, size=[4], done=True
    ) == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "warn",
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


def test_an_event_without_level_or_origin_is_information() -> None:
    shown = json.loads(logs.json_line({"log_time": 0.0, "log_format": "old"}))
    assert (shown["level"], shown["from"], shown["text"]) == ("info", "", "old")


def test_only_what_is_at_or_above_the_level_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = LogPublisher()
    beginner = LogBeginner(publisher, io.StringIO(), sys, warnings)
    monkeypatch.setattr(logs, "globalLogBeginner", beginner)
    out = io.StringIO()
    logs.start_logging(out, LogLevel.warn)
    log = Logger("smsgw.test", observer=publisher)
    log.info("not this")
    log.warn("this")
    log.error("and this")
    assert [json.loads(one)["text"] for one in out.getvalue().splitlines()] == ["this", "and this"]


def test_what_twisted_notes_about_its_ports_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = LogPublisher()
    beginner = LogBeginner(publisher, io.StringIO(), sys, warnings)
    monkeypatch.setattr(logs, "globalLogBeginner", beginner)
    out = io.StringIO()
    logs.start_logging(out)
    noted = Logger("log_legacy", observer=publisher)
    noted.info("(TCP Port 8080 Closed)")
    noted.error("Unhandled error")
    assert [json.loads(one)["text"] for one in out.getvalue().splitlines()] == ["Unhandled error"]

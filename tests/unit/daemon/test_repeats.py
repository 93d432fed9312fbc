from __future__ import annotations

import threading
from typing import Any

from twisted.logger import LogEvent

from smsgw.daemon.repeats import LINES, MINUTES_MAX, Repeats


class Stage:
    def __init__(self) -> None:
        self.written: list[LogEvent] = []
        self.repeats = Repeats(self.written.append)  # type: ignore[arg-type]

    def log(self, at: float, name: str = "link.bound", **fields: Any) -> None:
        self.repeats({"log_time": at, "event": name, **fields})

    def storm(self, at: float, lines: int, name: str = "link.bound", **fields: Any) -> None:
        for number in range(lines):
            self.log(at, name, number=number, **fields)

    def counts(self) -> list[int]:
        return [one["repeated"] for one in self.written if "repeated" in one]


def test_a_few_lines_are_written_and_the_others_are_one_when_the_minute_ends() -> None:
    stage = Stage()
    stage.storm(0.0, LINES + 231, link="cmcc")
    assert [one["number"] for one in stage.written] == list(range(LINES))
    stage.repeats.tick(59.9)
    assert len(stage.written) == LINES
    stage.repeats.tick(60.0)
    last = stage.written[-1]
    assert (last["repeated"], last["number"], last["link"]) == (231, LINES + 230, "cmcc")
    stage.repeats.tick(180.0)
    assert len(stage.written) == LINES + 1


def test_the_next_event_ends_the_minute_too_and_starts_another() -> None:
    stage = Stage()
    stage.storm(0.0, LINES + 1)
    stage.log(61.0, number="next")
    assert [one["number"] for one in stage.written[LINES:]] == [LINES, "next"]
    stage.storm(62.0, LINES)
    assert stage.counts() == [1]
    stage.repeats.flush()
    assert stage.counts() == [1, 1]


def test_each_link_and_each_name_is_counted_apart_and_a_peer_s_address_is_not() -> None:
    stage = Stage()
    stage.storm(0.0, LINES, link="cmcc")
    stage.storm(0.0, LINES, link="ctcc")
    stage.storm(0.0, LINES, "link.unbound", link="cmcc")
    assert len(stage.written) == 3 * LINES
    for number in range(LINES + 5):
        stage.log(0.0, "peer.turned_away", host=f"127.0.0.{number}")
    assert len(stage.written) == 4 * LINES


def test_what_has_no_name_is_counted_by_where_it_is_from() -> None:
    stage = Stage()
    for origin in ("a", "b"):
        for _ in range(LINES + 1):
            stage.repeats({"log_time": 0.0, "log_namespace": origin})
    assert len(stage.written) == 2 * LINES


def test_memory_is_bounded_and_nothing_is_lost_for_it() -> None:
    stage = Stage()
    for number in range(MINUTES_MAX + 50):
        stage.log(0.0, webhook_id=number)
    assert len(stage.written) == MINUTES_MAX + LINES  # beyond the limit they share one minute
    stage.repeats.flush()
    assert stage.counts() == [40]
    for number in range(MINUTES_MAX):
        stage.log(100.0, webhook_id=number)
    stage.log(200.0, webhook_id="another")  # those of before are over
    assert stage.written[-1]["webhook_id"] == "another"
    assert stage.counts() == [40]


def test_a_clock_that_is_set_back_holds_nothing_for_long() -> None:
    stage = Stage()
    stage.storm(1000.0, LINES + 1)
    stage.log(10.0)
    assert stage.counts() == [1]
    assert len(stage.written) == LINES + 2


def test_any_thread_may_log() -> None:
    stage = Stage()
    threads = [threading.Thread(target=stage.storm, args=(0.0, 500)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    stage.repeats.flush()
    assert stage.counts() == [2000 - LINES]

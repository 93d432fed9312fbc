from __future__ import annotations

from typing import Any

from smsgw.interfaces.cli.client import Api
from smsgw.interfaces.cli.messages import GOALS, LONGEST_PAUSE, segment_columns, wait_for


class Course(Api):
    """An API whose one message goes through these statuses, and a clock that only sleeps move."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.now = 0.0
        self.slept: list[float] = []

    def get(self, path: str, parameters: Any = None) -> dict[str, Any]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"id": path.rpartition("/")[2], "status": status}

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wait(self, goal: str, timeout: float = 60.0) -> str:
        message = wait_for(self, "7", GOALS[goal], timeout, self.clock, self.sleep)
        return str(message["status"])


def test_waiting_ends_when_the_goal_is_reached() -> None:
    assert Course("queued", "sending", "sent", "delivered").wait("sent") == "sent"
    assert Course("queued", "sending", "sent", "delivered").wait("delivered") == "delivered"
    assert Course("delivered").wait("sent") == "delivered"


def test_waiting_ends_when_the_goal_cannot_be_reached_any_more() -> None:
    for status in ("undelivered", "expired", "rejected", "canceled"):
        course = Course("sent", status)
        assert course.wait("delivered") == status
        assert len(course.slept) == 1


def test_waiting_ends_when_time_is_up() -> None:
    course = Course("queued")
    assert course.wait("sent", 5.0) == "queued"
    assert course.now == 5.0


def test_pauses_grow_to_a_limit() -> None:
    course = Course("queued")
    course.wait("sent", 10.0)
    assert course.slept[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(course.slept) == LONGEST_PAUSE


def test_what_may_come_twice_has_a_column_of_its_own() -> None:
    sure, doubtful = {"possible_duplicate": False}, {"possible_duplicate": True}
    assert segment_columns([sure, doubtful])[-1] == "possible_duplicate"
    assert "possible_duplicate" not in segment_columns([sure, {}])

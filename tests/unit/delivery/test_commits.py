from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.python.failure import Failure

from smsgw.delivery import commits
from smsgw.delivery.commits import commit_rows, log_failure
from smsgw.store.writer import Operation
from tests.support.delivery import opened, quiet
from tests.support.reactor import reactor_test


class Halve(Operation[int, int]):
    """Halves even numbers; refuses odd ones until ``mercy`` runs out."""

    name = "halve"
    rank = 0

    def __init__(self, mercy: int = 1_000) -> None:
        self.mercy = mercy
        self.calls: list[list[int]] = []

    def execute(self, connection: Connection, rows: Sequence[int]) -> list[int]:
        self.calls.append(list(rows))
        if any(row % 2 for row in rows) and self.mercy > 0:
            self.mercy -= 1
            raise ValueError("odd")
        return [row // 2 for row in rows]


@reactor_test
async def test_rows_are_committed_together(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        operation = Halve()
        assert await commit_rows(database.writer, operation, [2, 4], Clock()) == [1, 2]
        assert operation.calls == [[2, 4]]


@reactor_test
async def test_a_bad_row_is_given_up_and_holds_up_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        assert await commit_rows(database.writer, Halve(), [2, 3, 4], Clock()) == [1, None, 2]


@reactor_test
async def test_a_bad_row_is_tried_again_after_a_pause(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        clock = Clock()
        # The writer tries a group that fails three times: whole, by operation, by call.
        running = Deferred.fromCoroutine(
            commit_rows(database.writer, Halve(mercy=6), [2, 3], clock, tries=9)
        )
        await quiet(database)
        assert not running.called
        clock.advance(1.0)
        await quiet(database)
        assert await running == [1, 1]
        assert clock.getDelayedCalls() == []


@reactor_test
async def test_who_offers_rows_again_hears_that_they_may_be_kept_already(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        again: list[int] = []
        await commit_rows(database.writer, Halve(), [2, 4], Clock(), again=again.append)
        assert again == []
        await commit_rows(database.writer, Halve(), [2, 3], Clock(), again=again.append)
        assert again == [2, 3]


@reactor_test
async def test_rows_that_were_refused_and_given_up_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    log = Logger(observer=lambda event: lines.append(formatEvent(event)))  # type: ignore[arg-type]
    monkeypatch.setattr(commits, "_log", log)
    async with opened(tmp_path) as database:
        await commit_rows(database.writer, Halve(), [1, 2], Clock())
        assert lines == [
            "store: halve: 2 rows refused together: odd",
            "store: halve: 1 rows given up: odd",
        ]


@reactor_test
async def test_canceling_ends_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        running = Deferred.fromCoroutine(commit_rows(database.writer, Halve(), [2], Clock()))
        running.cancel()
        outcome = await running.addErrback(lambda failure: failure.check(CancelledError))
        assert outcome is CancelledError


def test_what_nobody_waits_for_is_logged_unless_it_was_canceled() -> None:
    lines: list[str] = []
    log = Logger(observer=lambda event: lines.append(str(event["why"])))  # type: ignore[arg-type]
    log_failure(log, None)
    log_failure(log, Failure(CancelledError()))
    log_failure(log, Failure(ValueError("bad luck")))
    assert lines == ["bad luck"]

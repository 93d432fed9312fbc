"""The window against a model: every request leaves exactly once, and never more than W wait."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from smsgw.errors import LocalProtocolError
from smsgw.protocols.window import LATE_KEPT, Window


def test_an_answer_gives_the_slot_back_once() -> None:
    window = Window(2, 60.0)
    window.open(1, "a", b"x", 0.0)
    assert (len(window), window.free, 1 in window) == (1, 1, True)
    pending = window.close(1)
    assert pending is not None
    assert pending.context == "a"
    assert window.close(1) is None
    assert window.free == 2


def test_the_oldest_request_sets_the_deadline() -> None:
    window = Window(4, 60.0)
    assert window.deadline is None
    window.open(1, None, b"", 10.0)
    window.open(2, None, b"", 20.0)
    assert window.deadline == 70.0
    window.close(1)
    assert window.deadline == 80.0


def test_a_request_is_given_up_after_its_time_and_a_late_answer_finds_it() -> None:
    window = Window(1, 60.0)
    window.open(1, None, b"octets", 0.0)
    assert window.expire(59.9) == ([], [])
    assert window.expire(60.0) == ([], [(1, None)])
    assert window.free == 1
    late = window.close_late(1)
    assert late is not None
    assert (late.context, late.octets) == (None, b"")
    assert window.close_late(1) is None


def test_a_request_is_sent_as_often_as_allowed_before_it_is_given_up() -> None:
    window = Window(1, 10.0, sends=3)
    window.open(1, "a", b"octets", 0.0)
    assert window.expire(10.0) == ([b"octets"], [])
    assert window.free == 0
    assert window.expire(19.0) == ([], [])
    assert window.expire(20.0) == ([b"octets"], [])
    assert window.expire(30.0) == ([], [(1, "a")])


def test_octets_are_kept_only_when_they_may_be_sent_again() -> None:
    window = Window(1, 10.0)
    window.open(1, "a", b"octets", 0.0)
    pending = window.close(1)
    assert pending is not None
    assert pending.octets == b""


def test_a_lost_connection_gives_every_slot_back_and_forgets_the_late() -> None:
    window = Window(3, 10.0)
    window.open(1, "a", b"", 0.0)
    window.expire(10.0)
    window.open(2, "b", b"", 10.0)
    window.open(3, "c", b"", 10.0)
    assert window.drain() == [(2, "b"), (3, "c")]
    assert window.free == 3
    assert window.close_late(1) is None


def test_only_so_many_given_up_requests_are_remembered() -> None:
    window = Window(LATE_KEPT + 1, 1.0)
    for key in range(LATE_KEPT + 1):
        window.open(key, key, b"", 0.0)
    assert len(window.expire(1.0)[1]) == LATE_KEPT + 1
    assert window.close_late(0) is None
    assert window.close_late(1) is not None
    assert window.close_late(LATE_KEPT) is not None


class WindowModel(RuleBasedStateMachine):
    """Keeps what a window should hold as a plain dict of (deadline, sends left)."""

    LIMIT, TIMEOUT, SENDS = 5, 10, 2

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(self.LIMIT, self.TIMEOUT, self.SENDS)
        self.open: dict[int, tuple[int, int]] = {}
        self.late: set[int] = set()
        self.left: list[int] = []
        self.now = 0
        self.opened = 0

    @precondition(lambda self: len(self.open) < self.LIMIT)
    @rule()
    def send(self) -> None:
        self.opened += 1
        self.window.open(self.opened, f"context {self.opened}", b"%d" % self.opened, self.now)
        self.open[self.opened] = (self.now + self.TIMEOUT, self.SENDS - 1)

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        key = data.draw(st.integers(0, self.opened + 1))
        pending = self.window.close(key)
        assert (pending is not None) == (key in self.open)
        if pending is not None:
            assert pending.context == f"context {key}"
            del self.open[key]
            self.left.append(key)
        else:
            assert (self.window.close_late(key) is not None) == (key in self.late)
            self.late.discard(key)

    @rule(seconds=st.integers(0, 15))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        resend, lost = self.window.expire(self.now)
        due = {key: sends for key, (at, sends) in self.open.items() if at <= self.now}
        assert resend == [b"%d" % key for key, sends in due.items() if sends]
        assert lost == [(key, f"context {key}") for key, sends in due.items() if not sends]
        for key, sends in due.items():
            del self.open[key]
            if sends:
                self.open[key] = (self.now + self.TIMEOUT, sends - 1)
            else:
                self.late.add(key)
                self.left.append(key)

    @rule()
    def cut(self) -> None:
        assert [key for key, _ in self.window.drain()] == list(self.open)
        self.left += self.open
        self.open.clear()
        self.late.clear()

    @invariant()
    def agrees(self) -> None:
        assert len(self.window) == len(self.open)
        assert self.window.free == self.LIMIT - len(self.open)
        assert self.window.deadline == min((at for at, _ in self.open.values()), default=None)
        assert sorted([*self.left, *self.open]) == list(range(1, self.opened + 1))


def test_a_window_agrees_with_its_model() -> None:
    run_state_machine_as_test(WindowModel, settings=settings(stateful_step_count=25))


def test_a_sequence_that_is_unanswered_takes_no_second_slot() -> None:
    window = Window(4, 60.0)
    window.open(1, "first", b"", 0.0)
    with pytest.raises(LocalProtocolError, match="sequence 1 is unanswered"):
        window.open(1, "second", b"", 0.0)
    pending = window.close(1)
    assert pending is not None
    assert pending.context == "first"

"""The process's time beside a machine's clock that is set by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from smsgw.daemon.clock import FOLLOWS, SteadyClock

NOW = 1_800_000_000.0
HOUR = 3600.0


class Machine:
    """Its clock, and how long it has been on."""

    def __init__(self) -> None:
        self.set_by = 0.0
        self.on = 17.0
        self.clock = SteadyClock(lambda: NOW - 17.0 + self.on + self.set_by, lambda: self.on)

    def pass_time(self, seconds: int) -> list[float]:
        """What the clock says at every tenth of a second."""
        said = []
        for _ in range(seconds * 10):
            self.on += 0.1
            said.append(self.clock())
        return said


def test_it_starts_as_the_machines_clock_and_goes_with_it() -> None:
    machine = Machine()
    assert machine.clock() == NOW
    assert machine.pass_time(100)[-1] == pytest.approx(NOW + 100)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_of_the_machines_clock_is_no_jump_and_never_goes_back(step: float) -> None:
    machine = Machine()
    machine.pass_time(10)
    machine.set_by = step
    said = machine.pass_time(100)
    between = [after - before for before, after in pairwise(said)]
    assert min(between) >= 0.1 * (1 - FOLLOWS) - 1e-6
    assert max(between) <= 0.1 * (1 + FOLLOWS) + 1e-6


@pytest.mark.parametrize("step", [30.0, -30.0])
def test_the_machines_clock_is_made_up_for_and_not_passed(step: float) -> None:
    machine = Machine()
    machine.pass_time(10)
    machine.set_by = step
    assert machine.pass_time(302)[-1] == pytest.approx(NOW + 312 + step)
    assert machine.pass_time(10)[-1] == pytest.approx(NOW + 322 + step)


def test_a_long_silence_does_not_make_it_overshoot() -> None:
    machine = Machine()
    machine.set_by = 5.0
    machine.pass_time(2)
    machine.on += 10 * HOUR
    assert machine.clock() == pytest.approx(NOW + 2 + 10 * HOUR + 5.0)

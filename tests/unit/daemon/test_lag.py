from __future__ import annotations

from twisted.internet.task import Clock

from smsgw.daemon.lag import EVERY_SECONDS, HALF_SECONDS, ReactorLag


class Rig:
    """A reactor that is as late as the test says."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.now = 100.0
        self.told: list[float] = []
        self.lag = ReactorLag(self.reactor, self.told.append, lambda: self.now)

    def turn(self, late: float = 0.0) -> None:
        self.now += EVERY_SECONDS + late
        self.reactor.advance(EVERY_SECONDS)


def test_what_comes_late_is_told_by_how_much() -> None:
    rig = Rig()
    rig.lag.start()
    rig.turn()
    rig.turn(0.5)
    rig.turn(-0.01)  # timers may fire a little early: that is no lag
    assert [round(one, 6) for one in rig.told] == [0.0, 0.5, 0.0]
    assert round(rig.lag.worst(), 6) == 0.5
    rig.lag.stop()
    assert rig.reactor.getDelayedCalls() == []


def test_the_worst_is_forgotten_after_a_minute_and_not_before_half_of_one() -> None:
    rig = Rig()
    rig.lag.start()
    rig.turn(2.0)
    turns = int(HALF_SECONDS / EVERY_SECONDS)
    for _ in range(turns):
        rig.turn()
    assert round(rig.lag.worst(), 6) == 2.0
    for _ in range(turns + 1):
        rig.turn()
    assert rig.lag.worst() < 0.001
    rig.lag.stop()


def test_a_lag_that_lasts_is_seen_before_it_is_over() -> None:
    rig = Rig()
    assert rig.lag.worst() == 0.0
    rig.lag.start()
    rig.now += EVERY_SECONDS + 3.0
    assert round(rig.lag.worst(), 6) == 3.0
    rig.lag.stop()
    assert rig.lag.worst() == 0.0
    rig.lag.stop()  # twice does no harm

from __future__ import annotations

import pytest

from smsgw.errors import ConfigError
from smsgw.simulator.faults import (
    MEANINGS,
    STALL_SECONDS,
    USUAL,
    Fault,
    Faults,
    FaultSource,
    Kind,
    Of,
    Share,
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("loss=10%", Fault(Kind.LOSS, Share(probability=0.1))),
        ("loss=0.5%", Fault(Kind.LOSS, Share(probability=0.005))),
        ("loss=0%", Fault(Kind.LOSS, Share())),
        ("duplicate.mo=1/20", Fault(Kind.DUPLICATE, Share(every=20), frozenset((Of.MO,)))),
        ("garbage=all", Fault(Kind.GARBAGE, Share(every=1))),
        ("half-open.login=once", Fault(Kind.HALF_OPEN, Share(first=1), frozenset((Of.LOGIN,)))),
        ("delay=0.5", Fault(Kind.DELAY, Share(every=1), seconds=0.5)),
        ("delay=2@10%", Fault(Kind.DELAY, Share(probability=0.1), seconds=2.0)),
        ("stall=5@1/9", Fault(Kind.STALL, Share(every=9), seconds=5.0)),
        ("stall=1%", Fault(Kind.STALL, Share(probability=0.01), seconds=STALL_SECONDS)),
        ("throttle=5%", Fault(Kind.THROTTLE, Share(probability=0.05), frozenset((Of.ANSWER,)))),
        ("sequence=once", Fault(Kind.SEQUENCE, Share(first=1), frozenset((Of.ANSWER,)))),
    ],
)
def test_a_fault_is_a_name_and_a_share(text, fault):
    assert Fault.parse(text) == fault


WANTED = "write 10%, 1/20 (every 20th), once or all"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("loss", "'loss': write NAME=VALUE, such as loss=10%"),
        ("loss=", "'loss=': write NAME=VALUE, such as loss=10%"),
        ("lose=1%", f"'lose' is not a fault: {', '.join(sorted(Kind))}"),
        (
            "loss.sms=1%",
            "'sms' is not a thing it can befall: answer, login, mo, report",
        ),
        ("throttle.mo=1%", "'mo' is not a thing it can befall: answer"),
        ("loss=150%", f"loss: '150%' is no share; {WANTED}"),
        ("loss=0.1", f"loss: '0.1' is no share; {WANTED}"),
        ("loss=1/0", f"loss: '1/0' is no share; {WANTED}"),
        ("loss=2@10%", "loss: '2@10%' has seconds, which only a delay or a stall takes"),
        ("delay=all", "delay: 'all' has no seconds; write 0.5 or 0.5@10%"),
        ("delay=10%", "delay: '10%' has no seconds; write 0.5 or 0.5@10%"),
        ("delay=soon", "delay: 'soon' has no seconds; write 0.5 or 0.5@10%"),
        ("delay=inf", "delay: 'inf' has no seconds; write 0.5 or 0.5@10%"),
        ("delay.report=-1@10%", "delay.report: '-1@10%' has no seconds; write 0.5 or 0.5@10%"),
        ("delay=1@often", f"delay: 'often' is no share; {WANTED}"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_would_be_right(text, problem):
    with pytest.raises(ConfigError) as raised:
        Faults.of("loss=1%", text)
    assert raised.value.problem == problem


def test_every_kind_is_explained():
    assert set(MEANINGS) == set(Kind)


def struck(source: FaultSource, count: int, of: Of = Of.ANSWER) -> list[int]:
    return [n for n in range(1, count + 1) if source.strike(of)]


def test_every_nth_and_once_are_exact():
    assert struck(FaultSource(Faults.of("loss=1/3")), 10) == [3, 6, 9]
    assert struck(FaultSource(Faults.of("loss=once")), 10) == [1]
    assert struck(FaultSource(Faults.of("loss=all")), 3) == [1, 2, 3]


def test_only_what_it_can_befall_counts():
    source = FaultSource(Faults.of("loss.report=1/2"))
    assert struck(source, 10) == []
    assert struck(source, 4, Of.REPORT) == [2, 4]
    assert not FaultSource(Faults.of("loss=all")).strike(Of.LOGIN)
    assert frozenset((Of.ANSWER, Of.REPORT, Of.MO)) == USUAL


def test_the_same_seed_breaks_the_same_things():
    first, again, other = (
        struck(FaultSource(Faults.of("loss=10%", seed=seed)), 1000) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert 70 < len(first) < 130


def test_several_may_befall_one_and_kinds_can_be_asked_for():
    source = FaultSource(Faults.of("loss=all", "delay=1@1/2", "throttle=all"))
    assert set(source.strike(Of.ANSWER, (Kind.THROTTLE,))) == {Kind.THROTTLE}
    assert set(source.strike(Of.ANSWER, (Kind.LOSS, Kind.DELAY))) == {Kind.LOSS}
    assert set(source.strike(Of.ANSWER)) == {Kind.LOSS, Kind.DELAY, Kind.THROTTLE}


def test_nothing_breaks_without_faults_and_others_can_be_used_later():
    source = FaultSource()
    assert source.quiet
    assert source.strike(Of.ANSWER) == {}
    source.use(Faults.of("loss=all"))
    assert not source.quiet
    assert source.strike(Of.ANSWER)

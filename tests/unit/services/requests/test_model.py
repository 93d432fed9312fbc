from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import ValidationError
from smsgw.services.choices import Effect
from smsgw.services.requests.model import (
    CloseRequest,
    CloseStep,
    Mask,
    OpenStep,
    Outcome,
    Place,
    Progress,
    Request,
    Rule,
    Step,
    advance,
    fold,
    mask,
    parse_rule,
)

Y, N, ABSTAINS = Effect.FOR, Effect.AGAINST, Effect.NEUTRAL
ALL, ANY, TWO = Rule(3, True), Rule(1, False), Rule(2, False)


def step(
    *effects: Effect | None,
    rule: Rule = ALL,
    progress: Progress = Progress.OPEN,
    number: int = 1,
    boss: Effect | None = None,
) -> Step:
    """A step of three, and an escalation when ``boss`` says something."""
    given = [*effects, None, None, None][:3]
    places = [Place(10 * (at + 1), at, False, effect) for at, effect in enumerate(given)]
    if boss is not None:
        places.append(Place(90, 3, True, boss))
    return Step(number, rule, progress, tuple(places))


@pytest.mark.parametrize(
    ("rule", "effects", "outcome"),
    [
        (ALL, [], None),
        (ALL, [Y, Y], None),
        (ALL, [Y, Y, Y], Outcome.APPROVED),
        (ALL, [None, N], Outcome.REJECTED),
        (ALL, [Y, Y, ABSTAINS], Outcome.REJECTED),
        (Rule(3, False), [N], None),
        (Rule(3, False), [N, Y, Y], Outcome.REJECTED),
        (ANY, [], None),
        (ANY, [N, N], None),
        (ANY, [N, Y], Outcome.APPROVED),
        (ANY, [N, N, N], Outcome.REJECTED),
        (Rule(1, True), [N], Outcome.REJECTED),
        (TWO, [Y, N], None),
        (TWO, [Y, N, Y], Outcome.APPROVED),
        (TWO, [Y, N, N], Outcome.REJECTED),
        (TWO, [N, N], None),
        (Rule(2, True), [Y, N], Outcome.REJECTED),
    ],
)
def test_each_rule_decides_as_its_table_says(
    rule: Rule, effects: list[Effect | None], outcome: Outcome | None
) -> None:
    assert fold(step(*effects, rule=rule)).outcome is outcome


@pytest.mark.parametrize(
    ("boss", "outcome"), [(Y, Outcome.APPROVED), (N, Outcome.REJECTED), (ABSTAINS, None)]
)
def test_an_escalation_decides_alone_and_is_never_awaited(
    boss: Effect, outcome: Outcome | None
) -> None:
    state = fold(step(N, rule=TWO, boss=boss))
    assert state.outcome is outcome
    assert 90 not in state.pending


def test_a_step_that_anybody_may_answer_is_never_decided_by_answers() -> None:
    assert fold(Step(1, Rule(1, False), Progress.OPEN, (), open_ended=True)).outcome is None


@pytest.mark.parametrize(
    ("text", "reject_ends", "rule"),
    [
        ("all", None, Rule(3, True)),
        ("all", False, Rule(3, False)),
        ("any", None, Rule(1, False)),
        ("any", True, Rule(1, True)),
        ("2 of 3", None, Rule(2, False)),
        ("3 of 3", True, Rule(3, True)),
    ],
)
def test_a_rule_is_read_from_its_words(text: str, reject_ends: bool | None, rule: Rule) -> None:
    assert parse_rule(text, reject_ends, 3, "rule") == rule


@pytest.mark.parametrize("text", ["most", "", "0 of 3", "4 of 3", "2 of 4", "2/3", "two of 3"])
def test_what_is_no_rule_names_its_field(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_rule(text, None, 3, "steps[1].rule")
    assert caught.value.field == "steps[1].rule"


effect = st.sampled_from([None, Y, N, ABSTAINS])


@given(effect, effect, effect, st.sampled_from([ALL, ANY, TWO, Rule(2, True)]))
def test_everybody_is_in_one_place_only_and_all_answered_is_decided(
    first: Effect | None, second: Effect | None, third: Effect | None, rule: Rule
) -> None:
    state = fold(step(first, second, third, rule=rule))
    neutral = {10 * (at + 1) for at, one in enumerate((first, second, third)) if one is ABSTAINS}
    assert state.approved | state.rejected | set(state.pending) | neutral == {10, 20, 30}
    assert not state.approved & state.rejected
    if not state.pending:
        assert state.outcome is not None


def test_the_mask_shows_bits_by_position_and_no_escalation() -> None:
    one = step(N, None, Y, rule=ANY, boss=Y)
    assert mask(one, fold(one)) == Mask(full=7, approved=4, rejected=1)


def test_a_new_request_opens_its_first_step() -> None:
    first, second = step(progress=Progress.WAITING), step(progress=Progress.WAITING, number=2)
    assert advance(Request(False, (first, second))) == [OpenStep(1)]


def test_an_open_step_waits_for_answers() -> None:
    assert advance(Request(False, (step(Y),))) == []


def test_a_decided_step_closes_and_opens_the_next() -> None:
    later = step(progress=Progress.WAITING, number=2)
    assert advance(Request(False, (step(None, Y, rule=ANY), later))) == [
        CloseStep(1, Outcome.APPROVED),
        OpenStep(2),
    ]


def test_the_last_step_closes_the_request() -> None:
    done = step(progress=Progress.CLOSED)
    last = Step(2, Rule(1, True), Progress.OPEN, (Place(40, 0, False, Y),))
    assert advance(Request(False, (done, last))) == [
        CloseStep(2, Outcome.APPROVED),
        CloseRequest(Outcome.APPROVED),
    ]


def test_a_rejected_step_closes_the_request_and_opens_nothing() -> None:
    later = step(progress=Progress.WAITING, number=2)
    assert advance(Request(False, (step(N), later))) == [
        CloseStep(1, Outcome.REJECTED),
        CloseRequest(Outcome.REJECTED),
    ]


def test_nothing_follows_in_a_closed_request() -> None:
    assert advance(Request(True, (step(N),))) == []

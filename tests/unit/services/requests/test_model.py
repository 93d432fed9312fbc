from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.services.requests.model import (
    Answer,
    Assignee,
    CloseRequest,
    CloseStep,
    Decision,
    Mask,
    OpenStep,
    Outcome,
    Progress,
    Request,
    Rule,
    Step,
    advance,
    fold,
    mask,
)

Y, N = Decision.YES, Decision.NO
PEOPLE = (Assignee(10, 0), Assignee(20, 1), Assignee(30, 2))


def step(rule: Rule = Rule.ALL, progress: Progress = Progress.OPEN, number: int = 1) -> Step:
    return Step(number, rule, progress, PEOPLE)


@pytest.mark.parametrize(
    ("rule", "decisions", "outcome"),
    [
        (Rule.ALL, [], None),
        (Rule.ALL, [(10, Y), (20, Y)], None),
        (Rule.ALL, [(10, Y), (20, Y), (30, Y)], Outcome.APPROVED),
        (Rule.ALL, [(20, N)], Outcome.REJECTED),
        (Rule.ALL, [(10, Y), (20, N)], Outcome.REJECTED),
        (Rule.ANY, [], None),
        (Rule.ANY, [(10, N), (20, N)], None),
        (Rule.ANY, [(10, N), (20, Y)], Outcome.APPROVED),
        (Rule.ANY, [(10, N), (20, N), (30, N)], Outcome.REJECTED),
    ],
)
def test_each_rule_decides_as_its_table_says(
    rule: Rule, decisions: list[tuple[int, Decision]], outcome: Outcome | None
) -> None:
    assert fold(step(rule), [Answer(*one) for one in decisions]).outcome is outcome


def test_one_assignee_answering_three_times_does_not_look_like_three() -> None:
    state = fold(step(), [Answer(10, Y)] * 3)
    assert state.outcome is None
    assert state.pending == (20, 30)


def test_the_first_answer_of_an_assignee_stands() -> None:
    assert fold(step(), [Answer(10, Y), Answer(10, N)]).rejected == frozenset()


def test_answers_of_others_are_nothing() -> None:
    assert fold(step(), [Answer(99, N)]) == fold(step(), [])


answers = st.lists(st.builds(Answer, st.sampled_from([10, 20, 30]), st.sampled_from([Y, N])))


@given(st.sampled_from(Rule), answers)
def test_folding_the_same_answers_again_changes_nothing(rule: Rule, given: list[Answer]) -> None:
    once = fold(step(rule), given)
    assert fold(step(rule), given + given) == once
    assert once.approved | once.rejected | set(once.pending) == {10, 20, 30}
    assert not once.approved & once.rejected


@given(st.sampled_from(Rule), st.permutations([10, 20, 30]), st.lists(st.sampled_from([Y, N])))
def test_the_order_of_assignees_answers_does_not_matter(
    rule: Rule, order: list[int], decisions: list[Decision]
) -> None:
    given = [Answer(*one) for one in zip(order, decisions, strict=False)]
    assert fold(step(rule), given) == fold(step(rule), list(reversed(given)))


def test_the_mask_shows_bits_by_position() -> None:
    state = fold(step(Rule.ANY), [Answer(10, N), Answer(30, Y)])
    assert mask(step(), state) == Mask(full=7, approved=4, rejected=1)


def test_a_new_request_opens_its_first_step() -> None:
    first, second = step(progress=Progress.WAITING), step(progress=Progress.WAITING, number=2)
    assert advance(Request(False, (first, second))) == [OpenStep(1)]


def test_an_open_step_waits_for_answers() -> None:
    assert advance(Request(False, (step(),), (Answer(10, Y),))) == []


def test_a_decided_step_closes_and_opens_the_next() -> None:
    later = step(progress=Progress.WAITING, number=2)
    given = (Answer(20, Y),)
    assert advance(Request(False, (step(Rule.ANY), later), given)) == [
        CloseStep(1, Outcome.APPROVED),
        OpenStep(2),
    ]


def test_the_last_step_closes_the_request() -> None:
    done = step(progress=Progress.CLOSED)
    last = Step(2, Rule.ALL, Progress.OPEN, (Assignee(40, 0),))
    assert advance(Request(False, (done, last), (Answer(40, Y),))) == [
        CloseStep(2, Outcome.APPROVED),
        CloseRequest(Outcome.APPROVED),
    ]


def test_a_rejected_step_closes_the_request_and_opens_nothing() -> None:
    later = step(progress=Progress.WAITING, number=2)
    assert advance(Request(False, (step(), later), (Answer(10, N),))) == [
        CloseStep(1, Outcome.REJECTED),
        CloseRequest(Outcome.REJECTED),
    ]


def test_nothing_follows_in_a_closed_request() -> None:
    assert advance(Request(True, (step(),), (Answer(10, N),))) == []

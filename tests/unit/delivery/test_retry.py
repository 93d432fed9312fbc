"""When a refused segment is tried again, and when on another link."""

from __future__ import annotations

import pytest

from smsgw.delivery.retry import DoubtPolicy, RetryPolicy, retry_at, wants_another_link
from smsgw.errors import Disposition
from smsgw.model import MessageClass, SubmitResult
from smsgw.protocols.carrier import ResultKind

POLICY = RetryPolicy(attempts=5, first_seconds=4.0, cap_seconds=20.0, quota_seconds=3600.0)
ODD = ResultKind.VENDOR


@pytest.mark.parametrize(("refusals", "wait"), [(1, 4.0), (2, 8.0), (3, 16.0), (4, 20.0)])
def test_the_wait_doubles_up_to_its_cap(refusals: int, wait: float) -> None:
    assert retry_at(POLICY, ODD, refusals, 100.0, chance=1.0) == 100.0 + wait


@pytest.mark.parametrize(("chance", "at"), [(0.0, 102.0), (0.5, 103.0), (1.0, 104.0)])
def test_chance_spreads_the_wait_over_its_upper_half(chance: float, at: float) -> None:
    assert retry_at(POLICY, ODD, 1, 100.0, chance) == at


@pytest.mark.parametrize("refusals", [5, 6])
def test_the_last_refusal_is_final(refusals: int) -> None:
    assert retry_at(POLICY, ODD, refusals, 100.0, 0.5) is None


def test_very_many_refusals_do_not_overflow() -> None:
    assert retry_at(RetryPolicy(attempts=10**9), ODD, 10**6, 0.0, 1.0) == 300.0


@pytest.mark.parametrize("kind", [ResultKind.QUOTA, ResultKind.HOURS])
def test_a_used_up_volume_and_a_forbidden_hour_are_waited_out_however_often(
    kind: ResultKind,
) -> None:
    assert retry_at(POLICY, kind, 99, 100.0, 1.0) == 3700.0
    assert retry_at(POLICY, kind, 99, 100.0, 0.0) == 1900.0


@pytest.mark.parametrize(
    ("disposition", "kind", "refusals", "wanted"),
    [
        (Disposition.FINAL, ResultKind.AUTH, 0, True),
        (Disposition.FINAL, ResultKind.SOURCE, 0, True),
        (Disposition.FINAL, ResultKind.NUMBER, 0, False),
        (Disposition.FINAL, ResultKind.CONTENT, 9, False),
        (Disposition.RETRY, ResultKind.QUOTA, 1, True),
        (Disposition.RETRY, ResultKind.HOURS, 1, True),
        (Disposition.RETRY, ResultKind.TEMPORARY, 2, False),
        (Disposition.RETRY, ResultKind.TEMPORARY, 3, True),
        (Disposition.RETRY, ResultKind.VENDOR, 3, True),
        (Disposition.RETRY, ResultKind.THROTTLE, 9, False),
    ],
)
def test_another_link_is_wanted_where_this_one_is_at_fault_or_refuses_again_and_again(
    disposition: Disposition, kind: ResultKind, refusals: int, wanted: bool
) -> None:
    result = SubmitResult(7, disposition, "", "no", kind)
    assert wants_another_link(result, refusals) is wanted


def test_a_class_without_a_policy_of_its_own_has_that_of_all() -> None:
    urgent = DoubtPolicy(wait_seconds=60.0, resend=False)
    policy = DoubtPolicy(classes={MessageClass.REALTIME: urgent})
    assert policy.of(MessageClass.REALTIME) is urgent
    assert policy.of(MessageClass.BULK) is policy

"""SUBMIT_RESP results (cmpp.md section 11)."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.cmpp.results import RESULTS, classify


def test_zero_is_acceptance() -> None:
    assert classify(0) == Result("success", Disposition.ACCEPTED, ResultKind.OK)


def test_only_flow_control_is_worth_another_try_among_the_specifications() -> None:
    retried = [code for code in range(14) if classify(code).disposition is Disposition.RETRY]
    assert retried == [8]


@pytest.mark.parametrize(
    ("code", "disposition", "kind"),
    [
        (5, Disposition.FINAL, ResultKind.FORMAT),
        (8, Disposition.RETRY, ResultKind.THROTTLE),
        (10, Disposition.FINAL, ResultKind.SOURCE),
        (13, Disposition.FINAL, ResultKind.NUMBER),
        (51, Disposition.RETRY, ResultKind.TEMPORARY),
        (54, Disposition.UNKNOWN, ResultKind.TEMPORARY),
        (55, Disposition.UNKNOWN, ResultKind.TEMPORARY),
        (69, Disposition.FINAL, ResultKind.NUMBER),
        (76, Disposition.FINAL, ResultKind.CONTENT),
        (77, Disposition.RETRY, ResultKind.THROTTLE),
        (79, Disposition.FINAL, ResultKind.FORMAT),
    ],
)
def test_a_result_says_what_it_is_about(
    code: int, disposition: Disposition, kind: ResultKind
) -> None:
    assert classify(code)[1:] == (disposition, kind)


def test_every_listed_result_has_a_kind_and_only_success_is_ok() -> None:
    kinds = {code: result.kind for code, result in RESULTS.items()}
    assert ResultKind.VENDOR not in kinds.values()
    assert [code for code, kind in kinds.items() if kind is ResultKind.OK] == [0]


@pytest.mark.parametrize("code", [14, 99, 140, 0xFFFFFFFF])
def test_an_unlisted_result_is_retried_and_shown_by_its_number(code: int) -> None:
    result = classify(code)
    assert (result.disposition, result.kind) == (Disposition.RETRY, ResultKind.VENDOR)
    assert str(code) in result.text

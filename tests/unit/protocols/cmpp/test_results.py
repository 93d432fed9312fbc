"""SUBMIT_RESP results (cmpp.md section 11)."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.cmpp.results import classify


def test_zero_is_acceptance() -> None:
    assert classify(0) == ("success", Disposition.ACCEPTED)


def test_only_flow_control_is_worth_another_try_among_the_listed() -> None:
    retried = [code for code in range(14) if classify(code).disposition is Disposition.RETRY]
    assert retried == [8]


@pytest.mark.parametrize("code", [14, 99, 140, 0xFFFFFFFF])
def test_an_unlisted_result_is_retried_and_shown_by_its_number(code: int) -> None:
    result = classify(code)
    assert result.disposition is Disposition.RETRY
    assert str(code) in result.text

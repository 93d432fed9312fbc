"""What a Status means for the message."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.smgp import classify
from smsgw.protocols.smgp.results import RESULTS


def test_zero_is_acceptance() -> None:
    assert classify(0) == ("success", Disposition.ACCEPTED)


@pytest.mark.parametrize("code", [1, 2, 39, 74, 75])
def test_what_may_pass_is_tried_again(code: int) -> None:
    assert classify(code).disposition is Disposition.RETRY


def test_every_other_listed_status_is_final() -> None:
    final = {code for code, result in RESULTS.items() if result.disposition is Disposition.FINAL}
    assert final == set(RESULTS) - {0, 1, 2, 39, 74, 75}
    assert len(RESULTS) == 50


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (10, "structure error"),
        (11, "wrong command"),
        (12, "repeated sequence number"),
        (21, "authentication failed"),
        (22, "version too high"),
        (36, "illegal MsgLength"),
        (47, "illegal DestTermID"),
        (58, "no matching route"),
        (69, "illegal SP enterprise code"),
        (73, "illegal MServiceID"),
        (76, "SP account expired"),
    ],
)
def test_a_status_has_the_tables_meaning(code: int, text: str) -> None:
    assert classify(code).text == text


@pytest.mark.parametrize("code", [3, 50, 52, 112, 128, 255, 8200])
def test_a_status_in_no_table_is_tried_again_and_shown(code: int) -> None:
    result = classify(code)
    assert result.disposition is Disposition.RETRY
    assert str(code) in result.text

"""What a Status means for the message."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.carrier import ResultKind
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.smgp import classify
from smsgw.protocols.smgp.results import PLATFORMS, RESULTS, SPECIFIED, refusal_kind


def test_zero_is_acceptance() -> None:
    assert classify(0) == ("success", Disposition.ACCEPTED, ResultKind.OK)


@pytest.mark.parametrize("code", [1, 2, 39, 74, 75, 103, 104, 115, 119])
def test_what_may_pass_is_tried_again(code: int) -> None:
    assert classify(code).disposition is Disposition.RETRY


def test_every_other_listed_status_is_final() -> None:
    final = {code for code, result in RESULTS.items() if result.disposition is Disposition.FINAL}
    assert final == set(RESULTS) - {0, 1, 2, 39, 74, 75, 103, 104, 115, 119}
    assert len(SPECIFIED) == 50


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


@pytest.mark.parametrize("code", [3, 50, 112, 128, 255, 8201])
def test_a_status_in_no_table_is_tried_again_and_shown(code: int) -> None:
    result = classify(code)
    assert result.disposition is Disposition.RETRY
    assert result.kind is ResultKind.VENDOR
    assert str(code) in result.text


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, ResultKind.THROTTLE),
        (2, ResultKind.TEMPORARY),
        (21, ResultKind.AUTH),
        (34, ResultKind.CONTENT),
        (46, ResultKind.SOURCE),
        (47, ResultKind.NUMBER),
        (74, ResultKind.HOURS),
        (75, ResultKind.QUOTA),
        (35, ResultKind.FORMAT),
    ],
)
def test_a_status_says_what_kind_of_trouble_it_is(code: int, kind: ResultKind) -> None:
    assert classify(code).kind is kind


def test_no_platforms_code_hides_one_of_the_specification() -> None:
    assert not SPECIFIED.keys() & PLATFORMS.keys()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2, RefusalKind.BUSY),
        (3, RefusalKind.SECRET),
        (20, RefusalKind.ADDRESS),
        (21, RefusalKind.SECRET),
        (22, RefusalKind.VERSION),
        (10, RefusalKind.OTHER),
    ],
)
def test_a_refused_login_says_what_kind_of_trouble_it_is(code: int, kind: RefusalKind) -> None:
    assert refusal_kind(code) is kind

"""What result and error codes mean."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.carrier import ResultKind
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.sgip.results import KINDS, RESULTS, classify, error_text, refusal_kind


def test_zero_is_the_only_acceptance() -> None:
    assert classify(0).disposition is Disposition.ACCEPTED
    accepted = [c for c, result in RESULTS.items() if result.disposition is Disposition.ACCEPTED]
    assert accepted == [0]


def test_exactly_the_codes_that_may_pass_are_retried() -> None:
    retried = {c for c, result in RESULTS.items() if result.disposition is Disposition.RETRY}
    assert retried == {11, 21, 33, 34, 77, 88, 182}


@pytest.mark.parametrize("code", [1, 5, 6, 13, 22, 29, 32, 44, 69, 124])
def test_other_listed_codes_are_final(code: int) -> None:
    assert classify(code).disposition is Disposition.FINAL


@pytest.mark.parametrize("code", [12, 200, 255, 5001])
def test_an_unlisted_code_is_retried_and_shown(code: int) -> None:
    result = classify(code)
    assert (result.disposition, result.kind) == (Disposition.RETRY, ResultKind.VENDOR)
    assert str(code) in result.text
    assert str(code) in error_text(code)


@pytest.mark.parametrize(
    ("code", "response", "report"),
    [
        (32, "packet format", "system failure"),
        (33, "rate limit", "SMSC queue full"),
        (6, "badly filled", "begin with 86"),
        (26, "handset memory full", "handset memory full"),
        (17, "LinkID", "LinkID"),
        (69, "blacklist", "blacklist"),
    ],
)
def test_a_response_is_read_as_version_13_and_a_report_as_version_12(
    code: int, response: str, report: str
) -> None:
    assert response in classify(code).text
    assert report in error_text(code)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0, ResultKind.OK),
        (1, ResultKind.AUTH),
        (5, ResultKind.FORMAT),
        (6, ResultKind.NUMBER),
        (11, ResultKind.THROTTLE),
        (21, ResultKind.TEMPORARY),
        (33, ResultKind.THROTTLE),
        (50, ResultKind.CONTENT),
        (69, ResultKind.NUMBER),
        (88, ResultKind.THROTTLE),
        (101, ResultKind.SOURCE),
        (118, ResultKind.VENDOR),
        (182, ResultKind.QUOTA),
    ],
)
def test_a_result_says_what_kind_of_trouble_it_is(code: int, kind: ResultKind) -> None:
    assert classify(code).kind is kind


def test_every_code_of_a_kind_is_in_the_table_and_has_one_kind() -> None:
    sorted_out = [code for codes in KINDS.values() for code in codes]
    assert len(sorted_out) == len(set(sorted_out))
    assert set(sorted_out) <= set(RESULTS)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, RefusalKind.SECRET),
        (2, RefusalKind.BUSY),
        (3, RefusalKind.BUSY),
        (34, RefusalKind.BUSY),
        (4, RefusalKind.OTHER),
    ],
)
def test_a_refused_login_says_what_kind_of_trouble_it_is(code: int, kind: RefusalKind) -> None:
    assert refusal_kind(code) is kind

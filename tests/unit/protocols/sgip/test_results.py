"""What result and error codes mean."""

from __future__ import annotations

import pytest

from smsgw.errors import Disposition
from smsgw.protocols.sgip.results import RESULTS, classify, error_text


def test_zero_is_the_only_acceptance() -> None:
    assert classify(0).disposition is Disposition.ACCEPTED
    accepted = [c for c, result in RESULTS.items() if result.disposition is Disposition.ACCEPTED]
    assert accepted == [0]


def test_exactly_the_codes_that_may_pass_are_retried() -> None:
    retried = {c for c, result in RESULTS.items() if result.disposition is Disposition.RETRY}
    assert retried == {11, 21, 33, 34, 88}


@pytest.mark.parametrize("code", [1, 5, 6, 13, 22, 29, 32, 44, 69, 182])
def test_other_listed_codes_are_final(code: int) -> None:
    assert classify(code).disposition is Disposition.FINAL


@pytest.mark.parametrize("code", [12, 200, 255, 5001])
def test_an_unlisted_code_is_retried_and_shown(code: int) -> None:
    text, disposition = classify(code)
    assert disposition is Disposition.RETRY
    assert str(code) in text
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

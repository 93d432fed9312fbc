"""Answers explained by the link's own table and its carrier's, and results that no carrier gave."""

from __future__ import annotations

from collections import Counter

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from smsgw.errors import Disposition, EncodeError
from smsgw.model import SubmitResult
from smsgw.protocols import cmpp, sgip, smgp
from smsgw.protocols.carrier import Carrier, Result, ResultKind
from smsgw.protocols.events import ResponseLost, SubmitAnswered
from smsgw.transport.observer import Silent
from smsgw.transport.results import (
    NO_ANSWER,
    NOT_SENDABLE,
    NOT_SENT,
    UNLISTED_MAX,
    ResultTable,
    not_sendable,
    unanswered,
)


class Counting(Silent):
    """Counts unlisted results."""

    def __init__(self) -> None:
        self.unlisted_codes: Counter[str] = Counter()

    def unlisted(self, link: str, code: str) -> None:
        assert link == "cmcc"
        self.unlisted_codes[code] += 1


@pytest.fixture
def said():
    lines: list[LogEvent] = []
    globalLogPublisher.addObserver(lines.append)
    yield lines
    globalLogPublisher.removeObserver(lines.append)


def table(own: dict[int, Result] | None = None) -> tuple[ResultTable, Counting]:
    observer = Counting()
    return ResultTable("cmcc", cmpp.CARRIER.classify, own or {}, observer), observer


def test_an_answer_is_explained_by_the_carriers_table():
    tested, observer = table()
    assert tested.result(SubmitAnswered(None, 0, "2a")) == SubmitResult(
        0, Disposition.ACCEPTED, "2a", "success", ResultKind.OK
    )
    assert tested.result(SubmitAnswered(None, 8, "")) == SubmitResult(
        8, Disposition.RETRY, "", "flow control", ResultKind.THROTTLE
    )
    assert not observer.unlisted_codes


def test_the_links_own_table_comes_first():
    quota = Result("over the daily quota", Disposition.FINAL, ResultKind.QUOTA)
    odd = Result("their own word", Disposition.RETRY, ResultKind.VENDOR)
    tested, observer = table({8: quota, 140: odd})
    assert tested.result(SubmitAnswered(None, 8, "")) == SubmitResult(
        8, Disposition.FINAL, "", "over the daily quota", ResultKind.QUOTA
    )
    assert tested.result(SubmitAnswered(None, 140, "")).text == "their own word"
    assert not observer.unlisted_codes


@pytest.mark.parametrize(
    ("carrier", "code"), [(cmpp.CARRIER, 3), (smgp.CARRIER, 12), (sgip.CARRIER, 9)]
)
def test_a_repeated_sequence_says_nothing_about_the_first_copy_of_a_submit_sent_again(
    carrier: Carrier, code: int
) -> None:
    tested = ResultTable("one", carrier.classify, {}, Counting())
    once = tested.result(SubmitAnswered(None, code, ""))
    assert (once.disposition, once.kind) == (Disposition.FINAL, ResultKind.REPEATED)
    twice = tested.result(SubmitAnswered(None, code, "", again=True))
    assert (twice.disposition, twice.kind) == (Disposition.UNKNOWN, ResultKind.REPEATED)
    other = tested.result(SubmitAnswered(None, 0, "2a", again=True))
    assert other.disposition is Disposition.ACCEPTED


def test_an_unlisted_result_is_counted_each_time_and_told_once(said):
    tested, observer = table()
    for _ in range(3):
        result = tested.result(SubmitAnswered(None, 140, ""))
        assert (result.disposition, result.kind) == (Disposition.RETRY, ResultKind.VENDOR)
    assert observer.unlisted_codes == {"140": 3}
    (line,) = [line for line in said if line.get("code") == 140]
    assert line["link"] == "cmcc"


def test_a_gateway_that_makes_results_up_fills_neither_log_nor_metrics(said):
    tested, observer = table()
    for code in range(1000, 1000 + UNLISTED_MAX + 50):
        tested.result(SubmitAnswered(None, code, ""))
    assert len(observer.unlisted_codes) == UNLISTED_MAX + 1
    assert observer.unlisted_codes["other"] == 50
    assert len([line for line in said if "code" in line]) == UNLISTED_MAX


def test_no_answer_is_unknown_unless_nothing_was_sent() -> None:
    unknown = unanswered(ResponseLost(1, "context", "0a"))
    assert (unknown.code, unknown.disposition) == (NO_ANSWER, Disposition.UNKNOWN)
    assert unknown.carrier_message_id == "0a"
    again = unanswered(ResponseLost(1, "context", written=False))
    assert (again.code, again.disposition) == (NOT_SENT, Disposition.RETRY)
    assert again.carrier_message_id == ""


def test_what_does_not_fit_is_final() -> None:
    result = not_sendable(EncodeError("src_id", "21 octets", "30 octets"))
    assert (result.code, result.disposition) == (NOT_SENDABLE, Disposition.FINAL)
    assert "src_id" in result.text

from __future__ import annotations

from typing import Any

import pytest

from smsgw.interfaces.cli.board import Look, board, reasons_of, values_of
from smsgw.interfaces.metrics.registry import Metrics
from tests.support.figures import figures

LINK: dict[str, Any] = {
    "name": "cmcc",
    "state": "up",
    "binds": [{"phase": "bound"}, {"phase": "down"}],
    "in_flight": 3,
    "window": 32,
    "limited_by": {"cause": "rate limit", "detail": "9.5 of 10 a second"},
}


def look(at: float, text: str, *reasons: str) -> Look:
    return Look(at, [LINK], reasons, values_of(text))


def test_the_text_form_is_read_with_labels_that_hold_anything() -> None:
    text = (
        "# HELP smsgw_binds Connections.\n# TYPE smsgw_binds gauge\n"
        'smsgw_binds{link="a"} 2.0\n'
        'smsgw_errors_total{code="a \\"b\\" {c} \\\\",link="a"} 1e+06\n'
        "smsgw_open 3\nsmsgw_limit +Inf\nnot a sample\n"
    )
    found = values_of(text)
    assert found["smsgw_binds"] == {frozenset({("link", "a")}): 2.0}
    assert [dict(key)["link"] for key in found["smsgw_errors_total"]] == ["a"]
    assert list(found["smsgw_errors_total"].values()) == [1e6]
    assert found["smsgw_open"] == {frozenset(): 3.0}
    assert found["smsgw_limit"][frozenset()] == float("inf")
    assert len(found) == 4


def test_rates_are_what_happened_between_two_looks() -> None:
    before = look(10.0, 'smsgw_submits_total{link="cmcc",result="accepted"} 100\n')
    after = look(
        12.0,
        'smsgw_submits_total{link="cmcc",result="accepted"} 140\n'
        'smsgw_submits_total{link="cmcc",result="unknown"} 2\n'
        'smsgw_submits_total{link="ctcc",result="accepted"} 9000\n',
    )
    (link,) = board(before, after)["links"]
    assert link["submits_per_second"] == 21.0
    (link,) = board(after, before)["links"]  # it was started again: nothing is below 0
    assert link["submits_per_second"] == 0.0


def test_what_a_gateway_exports_is_what_the_board_shows() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc"])
    metrics.watch(figures)
    text = metrics.exposition()[0].decode()
    shown = board(look(0.0, text), look(1.0, text, "no link is up"))
    assert (shown["ready"], shown["reasons"]) == (False, ["no link is up"])
    (link,) = shown["links"]
    assert (link["name"], link["state"], link["bound"], link["binds"]) == ("cmcc", "up", 1, 2)
    assert link["rate_limit"] is None  # without a limit
    assert link["classes"]["realtime"] == {"waiting": 7, "oldest_seconds": 12.5}
    assert link["classes"]["bulk"] == {"waiting": 0, "oldest_seconds": 0.0}
    assert link["limited_by"] == "rate limit: 9.5 of 10 a second"
    assert (link["silent_seconds"], link["unknown"]) == (2.5, 9)
    assert shown["classes"]["realtime"]["waiting"] == 7
    assert shown["webhooks"] == {"waiting": 7, "oldest_seconds": 2.5, "dead": 3, "paused": 1}
    assert (shown["requests_open"], shown["slots_in_use"], shown["unknown"]) == (4, 5, 9)
    assert shown["rows_queued"] == 6


@pytest.mark.parametrize(
    ("status", "text", "reasons"),
    [
        (200, '{"status": "ready"}', []),
        (503, '{"status": "not ready", "reasons": ["no link is up"]}', ["no link is up"]),
        (502, "<html>", ["it answered with status 502"]),
        (502, "[]", ["it answered with status 502"]),
    ],
)
def test_why_it_is_not_ready_is_said(status: int, text: str, reasons: list[str]) -> None:
    assert reasons_of(status, text) == reasons

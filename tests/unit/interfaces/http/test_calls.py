from __future__ import annotations

import json
from typing import Any

import pytest

from smsgw.errors import NotFound
from smsgw.interfaces.http.calls import Call, Reply, cursor_of, limit_of, number_of, page
from smsgw.interfaces.http.messages import BatchBody, MessageBody
from smsgw.interfaces.http.problems import Problem
from smsgw.services.requests.drafts import AnswerDraft
from smsgw.services.requests.settings import VoteSettings


class Outer(VoteSettings, frozen=True, kw_only=True):
    answers: list[AnswerDraft] | None = None
    inner: VoteSettings | None = None


def call(**values: Any) -> Call:
    return Call(**{"account": "oa", "path": {}, "query": {}, "body": b"", **values})


def test_octets_go_out_as_they_are() -> None:
    assert Reply(b"text").body() == b"text"


@pytest.mark.parametrize("written", ["", "x", "-1", "１", "9223372036854775808", "0" * 20])
def test_what_cannot_be_an_id_is_not_found(written: str) -> None:
    with pytest.raises(NotFound):
        call(path={"id": written}).id("message")
    with pytest.raises(Problem) as caught:
        number_of("assignment_id", written)
    assert (caught.value.status, caught.value.errors[0].field) == (422, "assignment_id")


def test_an_id_has_up_to_63_bits() -> None:
    assert call(path={"id": "9223372036854775807"}).id("message") == 2**63 - 1
    assert number_of("assignment_id", "17") == 17


def test_a_page_says_where_the_next_one_begins_only_when_there_is_one() -> None:
    found = [{"id": "3"}, {"id": "2"}, {"id": "1"}]
    assert page("messages", found, 2).content == {"messages": found[:2], "next": "2"}
    assert page("messages", found, 3).content == {"messages": found, "next": None}
    assert page("messages", [], 3).content == {"messages": [], "next": None}


def test_limit_and_cursor_have_defaults() -> None:
    assert limit_of({}) == 50
    assert cursor_of({}) is None
    assert cursor_of({"cursor": "12"}) == 12


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({"text": "x"}, "to", "is missing"),
        ({"to": "1", "txt": "x"}, "txt", "unknown field"),
        ({"to": "1", "text": ""}, "text", "is empty"),
        ({"to": 1, "text": "x"}, "to", "is a whole number; write a text"),
        ({"to": "1", "text": "x", "ref": "r" * 129}, "ref", "is too long; write at most 128 char"),
        ({"to": "1", "text": "x", "valid_for": 0}, "valid_for", "is too small; write more than 0"),
        (
            {"to": "1", "text": "x", "valid_for": 1e9},
            "valid_for",
            "is too large; write at most 259",
        ),
        ({"to": "1", "text": "x", "valid_for": "1h"}, "valid_for", "is a text; write a number or"),
        (
            {"to": "1", "text": "x", "expect_reply": "y"},
            "expect_reply",
            "is a text; write true or f",
        ),
        (
            {"to": "1", "text": "x", "class": "fast"},
            "class",
            "'fast' is none of realtime, interactive, notice, bulk",
        ),
        ([1], "", "the body is a list; write an object"),
    ],
)
def test_a_wrong_field_is_told_with_its_limit_and_what_to_write(
    body: Any, field: str, problem: str
) -> None:
    with pytest.raises(Problem) as caught:
        call(body=json.dumps(body).encode()).json(MessageBody)
    (error,) = caught.value.errors
    assert error.field == field
    assert error.problem.startswith(problem)


def test_a_list_without_entries_is_told_so() -> None:
    with pytest.raises(Problem, match=r"^messages: is empty$"):
        call(body=b'{"messages": []}').json(BatchBody)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_that_is_nested_too_deeply_is_the_customers_mistake(opening: bytes) -> None:
    with pytest.raises(Problem) as caught:
        call(body=b'{"b":' + opening * 100_000).json(dict)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("body", "field", "known"),
    [
        ({"counts": "all"}, "counts", "'all' is none of first, last"),
        ({"answers": [{"label": "a"}, {"label": "b", "effect": "x"}]}, "answers[1].effect", "for,"),
        ({"inner": {"counts": "x"}}, "inner.counts", "'x' is none of first, last"),
    ],
)
def test_a_choice_that_is_none_is_told_with_what_may_be_written_there(
    body: Any, field: str, known: str
) -> None:
    with pytest.raises(Problem) as caught:
        call(body=json.dumps(body).encode()).json(Outer)
    (error,) = caught.value.errors
    assert error.field == field
    assert known in error.problem

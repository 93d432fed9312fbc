"""What a call sends, how its answer is read, and when it is tried again: no sockets, no time."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from typing import Any

import httpx
import pytest

from smsgw.client import ApiError, NewMessage, Person, Step, TimedOut, Unreachable, batches
from smsgw.client import messages as calls
from smsgw.client import requests as request_calls
from smsgw.client.core import Core, Done, Found, Outcome, Pause, advance, trusted_by

URL = "http://gateway.example:8080"
TOKEN = "a-token-of-22-letters!"


class Talk:
    """A call, given one outcome after the other.

    Attributes:
        requests: What it sent.
        pauses: The seconds it waited.
        found: What it found.
    """

    def __init__(self, work: Any, *outcomes: Any, clock: Clock | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.found: list[Any] = []
        self._left = list(outcomes)
        outcome: Outcome = None
        while not isinstance(step := advance(work, outcome), Done):
            outcome = None
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                if clock is not None:
                    clock.now += step.seconds
            elif isinstance(step, Found):
                self.found.append(step.item)
            else:
                self.requests.append(step)
                outcome = self._left.pop(0)
        self.result = step.value
        assert not self._left


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def core(chance: float = 1.0, **kinds: Any) -> Core:
    return Core(URL, TOKEN, 30.0, chance=lambda: chance, **kinds)


def answer(content: Any, status: int = 200, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=content, headers=named)


def problem(status: int, kind: str, detail: str = "no", **members: Any) -> dict[str, Any]:
    return {"type": f"urn:smsgw:problem:{kind}", "status": status, "detail": detail, **members}


REFUSED = httpx.ConnectError("refused")
LOST = httpx.RemoteProtocolError("Server disconnected without sending a response.")
BUSY = answer(problem(503, "busy"), 503, retry_after="2")


def test_a_message_is_posted_with_token_and_key():
    talk = Talk(
        calls.send(core(), "13800001001", "您好", reference="a-1"), answer({"id": "7"}, 202)
    )
    (request,) = talk.requests
    assert talk.result == "7"
    assert (request.method, str(request.url)) == ("POST", f"{URL}/v1/messages")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert len(request.headers["idempotency-key"]) == 32
    assert json.loads(request.content) == {"to": "13800001001", "text": "您好", "ref": "a-1"}
    assert request.extensions["timeout"]["read"] == 30.0


def test_the_callers_own_key_is_sent():
    talk = Talk(
        calls.send(core(), "13800001001", "hi", idempotency_key="order-7"), answer({"id": "7"})
    )
    assert talk.requests[0].headers["idempotency-key"] == "order-7"


def test_two_messages_have_two_keys():
    keys = {
        Talk(calls.send(core(), "13800001001", "hi"), answer({"id": "7"}))
        .requests[0]
        .headers["idempotency-key"]
        for _ in range(2)
    }
    assert len(keys) == 2


def test_several_are_one_post():
    batch = [
        NewMessage(to="13800001001", text="a", message_class="bulk"),
        NewMessage(to="13800001002", text="b", valid_for=60.0),
    ]
    talk = Talk(calls.send_many(core(), batch), answer({"ids": ["1", "2"]}))
    assert talk.result == ["1", "2"]
    assert json.loads(talk.requests[0].content) == {
        "messages": [
            {"to": "13800001001", "text": "a", "class": "bulk"},
            {"to": "13800001002", "text": "b", "valid_for": 60.0},
        ]
    }


def test_a_request_says_only_what_was_given():
    steps = [Step([Person("13800001001", "张工")], rule="any", reminders=[3600])]
    talk = Talk(request_calls.create(core(), "采购", steps, urgent=False), answer({"id": "9"}))
    assert json.loads(talk.requests[0].content) == {
        "subject": "采购",
        "steps": [
            {
                "assignees": [{"phone": "13800001001", "name": "张工"}],
                "rule": "any",
                "reminders": [3600],
            }
        ],
        "urgent": False,
    }


def test_a_problem_is_an_error_with_its_field():
    members = {"errors": [{"field": "to", "problem": "is no number"}]}
    refused = answer(problem(422, "invalid", "to: is no number", **members), 422)
    with pytest.raises(ApiError, match="to: is no number") as caught:
        Talk(calls.send(core(), "1", "hi"), refused)
    error = caught.value
    assert (error.status, error.type, error.field) == (422, "invalid", "to")
    assert (error.detail, error.retry_after) == ("to: is no number", None)
    assert error.errors[0].problem == "is no number"


def test_a_conflict_has_no_field_and_is_not_tried_again():
    with pytest.raises(ApiError) as caught:
        Talk(calls.cancel(core(), "7"), answer(problem(409, "conflict"), 409))
    assert (caught.value.type, caught.value.field) == ("conflict", "")


@pytest.mark.parametrize("content", [b"<html>no</html>", b"\xff", b"[]", b'{"detail":3}'])
def test_an_error_of_something_else_is_said_to_be_that(content):
    with pytest.raises(ApiError, match="answered with status 404, and is not a gateway") as caught:
        Talk(calls.links(core()), httpx.Response(404, content=content))
    assert (caught.value.status, caught.value.type) == (404, "")


@pytest.mark.parametrize("content", [b"<html>", b"\xff", b"[]", b'{"links":[{"name":3}]}'])
def test_a_success_that_is_no_answer_of_ours_is_an_error(content):
    with pytest.raises(ApiError, match="is not a gateway that this client knows"):
        Talk(calls.links(core()), httpx.Response(200, content=content))


def test_a_redirect_is_not_followed():
    moved = httpx.Response(308, headers={"location": "https://elsewhere.example/"})
    with pytest.raises(ApiError, match="status 308"):
        Talk(calls.links(core()), moved)


@pytest.mark.parametrize("trouble", [REFUSED, LOST, httpx.ReadTimeout("")])
def test_what_gets_no_answer_is_sent_again_with_the_same_key(trouble):
    talk = Talk(calls.send(core(), "13800001001", "hi"), trouble, trouble, answer({"id": "7"}))
    assert talk.result == "7"
    assert talk.pauses == [0.25, 0.5]
    assert len({request.headers["idempotency-key"] for request in talk.requests}) == 1
    assert len({request.content for request in talk.requests}) == 1


def test_pauses_differ_so_that_not_all_come_back_at_once():
    talk = Talk(calls.links(core(chance=0.0)), REFUSED, REFUSED, answer({"links": []}))
    assert talk.pauses == [0.125, 0.25]


def test_after_some_tries_nobody_is_there():
    with pytest.raises(
        Unreachable, match=r"http://gateway.example:8080 cannot be reached: refused"
    ):
        Talk(calls.links(core()), *[REFUSED] * 6)


def test_retry_after_is_kept_to():
    talk = Talk(calls.links(core(chance=0.0)), BUSY, answer({"links": []}))
    assert talk.pauses == [2.0]


def test_a_refusal_that_stays_is_the_error():
    with pytest.raises(ApiError) as caught:
        Talk(calls.links(core()), *[BUSY] * 6)
    assert (caught.value.status, caught.value.type, caught.value.retry_after) == (503, "busy", 2.0)


def test_a_long_retry_after_is_left_to_the_caller():
    quota = answer(problem(429, "quota"), 429, retry_after="3600")
    with pytest.raises(ApiError) as caught:
        Talk(calls.send(core(), "13800001001", "hi"), quota)
    assert caught.value.retry_after == 3600.0


def test_a_post_whose_first_try_is_still_under_way_waits_for_its_answer():
    under_way = answer(problem(409, "in-progress"), 409, retry_after="1")
    talk = Talk(
        calls.send(core(chance=0.0), "13800001001", "hi"), LOST, under_way, answer({"id": "7"})
    )
    assert (talk.result, talk.pauses) == ("7", [0.125, 1.0])


@pytest.mark.parametrize("key", ["", "two words", "钥匙"])
def test_a_key_that_is_none_is_said(key):
    with pytest.raises(ValueError, match="idempotency_key: write visible ASCII characters only"):
        Talk(calls.send(core(), "13800001001", "hi", idempotency_key=key))


def test_a_retry_after_that_is_a_date_is_passed_over():
    dated = answer(problem(503, "busy"), 503, retry_after="Sun, 22 Nov 2026 12:00:00 GMT")
    talk = Talk(calls.links(core()), dated, answer({"links": []}))
    assert talk.pauses == [0.25]


def event(number: int) -> dict[str, Any]:
    at = "2026-11-22T09:50:16.730+00:00"
    about = {"account": "oa", "kind": "message.sent", "subject_id": "1"}
    return {"id": str(number), "at": at, **about, "data": {}}


def test_events_go_on_page_by_page_and_end():
    full = [event(number) for number in range(1, 501)]
    talk = Talk(
        calls.events(core(), "0"),
        answer({"events": full, "next": "500"}),
        answer({"events": [event(501)], "next": "501"}),
    )
    assert [one.id for one in talk.found] == [str(number) for number in range(1, 502)]
    assert [request.url.params["after"] for request in talk.requests] == ["0", "500"]
    assert talk.pauses == []


def test_events_are_followed_from_where_they_are():
    stream = calls.events(core(), "7", kinds=["message.sent", "request.*"], follow=True)
    step = advance(stream, None)
    assert isinstance(step, httpx.Request)
    assert dict(step.url.params) == {
        "after": "7", "kind": "message.sent,request.*", "wait": "30", "limit": "500",
    }  # fmt: skip
    assert step.extensions["timeout"]["read"] == 60.0
    step = advance(stream, answer({"events": [], "next": "9"}))
    assert isinstance(step, httpx.Request)
    assert step.url.params["after"] == "9"
    step = advance(stream, answer({"events": [event(10)], "next": "10"}))
    assert isinstance(step, Found)
    assert step.item.id == "10"
    step = advance(stream, None)
    assert isinstance(step, httpx.Request)
    assert step.url.params["after"] == "10"


def test_a_list_is_read_page_by_page():
    talk = Talk(
        request_calls.list_(core(), state="open"),
        answer({"requests": [], "next": "5"}),
        answer({"requests": [], "next": None}),
    )
    assert [dict(request.url.params) for request in talk.requests] == [
        {"state": "open", "limit": "100"},
        {"state": "open", "limit": "100", "cursor": "5"},
    ]


MESSAGE = {
    "id": "7", "to": "13800001001", "text": "hi", "class": "notice", "ref": "", "status": "queued",
    "reason": "", "expect_reply": False, "operator": "mobile", "link": "mobile",
    "sender_number": "10690001", "access_number": "10690001", "extension": "", "coding": "ascii",
    "parts": 1, "created_at": "2026-11-22T12:46:42.077+00:00", "send_at": None,
    "valid_until": "2026-11-23T12:46:42.077+00:00", "final_at": None, "something": "newer",
}  # fmt: skip


def test_waiting_looks_until_the_end():
    final = {**MESSAGE, "status": "delivered", "final_at": "2026-11-22T12:46:43.077+00:00"}
    clock = Clock()
    work = calls.wait(core(clock=clock), "7", timeout=5.0)
    talk = Talk(work, answer(MESSAGE), answer(MESSAGE), answer(final), clock=clock)
    assert talk.result.status == "delivered"
    assert talk.pauses == [0.05, pytest.approx(0.075)]


def test_waiting_ends_in_time_with_a_last_look():
    clock = Clock()
    with pytest.raises(TimedOut, match=r"message 7 is queued after 0.1 s") as caught:
        Talk(
            calls.wait(core(clock=clock), "7", timeout=0.1),
            answer(MESSAGE), answer(MESSAGE), answer(MESSAGE),
            clock=clock,
        )  # fmt: skip
    assert isinstance(caught.value, TimeoutError)
    assert clock.now == pytest.approx(0.1)


def test_an_id_of_the_callers_cannot_leave_its_path():
    talk = Talk(calls.message(core(), "../links?x=1"), answer(MESSAGE))
    assert talk.requests[0].url.raw_path == b"/v1/messages/..%2Flinks%3Fx%3D1"


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("gateway:8080", TOKEN, r"write http://HOST:PORT or https://HOST:PORT"),
        ("ftp://gateway", TOKEN, r"url 'ftp://gateway'"),
        ("http://", TOKEN, r"write http://HOST:PORT"),
        ("http://gateway:port", TOKEN, r"url 'http://gateway:port'"),
        (URL, "", r"no token; .* SMSGW_TOKEN"),
        (URL, "two words", r"token: write visible ASCII characters only"),
        (URL, "令牌", r"token: write visible ASCII characters only"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(url, token, words, monkeypatch):
    monkeypatch.delenv("SMSGW_TOKEN", raising=False)
    with pytest.raises(ValueError, match=words):
        Core(url, token, 30.0)


def test_url_and_token_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SMSGW_URL", "https://gateway.example/")
    monkeypatch.setenv("SMSGW_TOKEN", TOKEN)
    talk = Talk(calls.links(Core(None, None, 30.0)), answer({"links": []}))
    assert str(talk.requests[0].url) == "https://gateway.example/v1/links"
    assert talk.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("url", [URL, "https://gateway.example"])
def test_whoever_cannot_prove_to_be_the_gateway_is_not_trusted(url):
    context = trusted_by(url)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_importing_the_client_loads_no_reactor_and_no_database():
    code = (
        "import sys, smsgw.client, smsgw.client.webhooks;"
        "print([name for name in sys.modules if name.split('.')[0] in ('twisted', 'sqlalchemy')"
        " or name.startswith('smsgw.') and not name.startswith('smsgw.client')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.strip() == "[]"


def test_a_batch_is_canceled_until_there_is_no_more():
    at = "2026-11-22T09:50:16.730+00:00"
    shown = {"id": "7", "account": "oa", "text": "x", "class": "bulk", "ref": "", "messages": 3}
    shown |= {"expect_reply": False, "send_at": None, "valid_for": 60.0}
    shown |= {"created_at": at, "canceled_at": at, "purged": False, "canceled": 2}
    outcomes = answer({**shown, "more": True}), answer({**shown, "finished": 3, "more": False})
    talk = Talk(batches.cancel(core(), "7"), *outcomes)
    assert talk.result.finished == 3
    first, second = [request.headers["Idempotency-Key"] for request in talk.requests]
    assert first != second

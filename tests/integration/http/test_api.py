from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.logger import capturedLogs
from twisted.python import log
from twisted.python.failure import Failure

from smsgw.errors import Conflict, LinkDown, QuotaExceeded, StoreError
from smsgw.interfaces.http.site import BODY_OCTETS_DRAINED, BODY_OCTETS_MAX
from tests.support.api import OTHER_TOKEN, Answer, ApiServer
from tests.support.front import CREATED
from tests.support.reactor import reactor_test

PHONE = "13800001001"


def problem(answer: Answer, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is a whole problem, and return it."""
    assert answer.status == status, answer.content
    assert answer.header("Content-Type") == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:smsgw:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert b"Traceback" not in answer.content
    return body


def fields(answer: Answer) -> list[str]:
    return [one["field"] for one in answer.json()["errors"]]


@reactor_test
async def test_a_message_is_accepted_and_shown_with_its_segments() -> None:
    async with ApiServer() as api:
        answer = await api.post(
            "/v1/messages",
            json={
                "to": f"+86 {PHONE}",
                "text": "您好",
                "class": "bulk",
                "ref": "r-1",
                "valid_for": 60,
                "expect_reply": True,
            },
        )
        assert (answer.status, answer.json()) == (202, {"id": "1000"})
        assert answer.header("Location") == "/v1/messages/1000"
        assert answer.header("Cache-Control") == "no-store"
        shown = await api.get("/v1/messages/1000")
        assert shown.status == 200
        assert shown.header("Content-Type") == "application/json"
        message = shown.json()
        assert (message["to"], message["text"], message["class"]) == (PHONE, "您好", "bulk")
        assert (message["valid_for"], message["expect_reply"]) == (60, True)
        assert message["created_at"] == CREATED
        assert message["segments"][0]["sent_at"] == CREATED


@reactor_test
async def test_a_batch_is_accepted_whole() -> None:
    async with ApiServer() as api:
        batch = [{"to": PHONE, "text": 'one "messages" more'}, {"to": PHONE, "text": "two"}]
        answer = await api.post("/v1/messages", json={"messages": batch})
        assert (answer.status, answer.json()) == (202, {"ids": ["1000", "1001"]})
        text = await api.post("/v1/messages", json=batch[0])
        assert text.json() == {"id": "1002"}


@reactor_test
async def test_what_is_wrong_with_a_message_names_the_field_and_stores_nothing() -> None:
    async with ApiServer() as api:
        good = {"to": PHONE, "text": "x"}
        cases: list[tuple[object, list[str]]] = [
            ({"to": "12", "text": "x"}, ["to"]),
            ({"to": PHONE}, ["text"]),
            ({"to": PHONE, "text": 3}, ["text"]),
            ({"to": PHONE, "text": ""}, ["text"]),
            ({**good, "valid_for": 0}, ["valid_for"]),
            ({**good, "class": "urgent"}, ["class"]),
            ({**good, "txt": "x"}, ["txt"]),
            ({"messages": [{"to": PHONE}]}, ["messages[0].text"]),
            ([], [""]),
            ({"messages": []}, ["messages"]),
            ({"messages": [good] * 1001}, ["messages"]),
            ({"messages": [good, {"to": PHONE, "text": 3}]}, ["messages[1].text"]),
            ({"messages": [good, {"to": "12", "text": "x"}]}, ["messages[1].to"]),
            ({"messages": [{"to": "12", "text": "x"}]}, ["messages[0].to"]),
        ]
        for body, expected in cases:
            answer = await api.post("/v1/messages", json=body)
            problem(answer, 422, "invalid")
            assert fields(answer) == expected
        assert api.front.sent == {}


@pytest.mark.parametrize("body", [b"", b"{", b'{"to": "\xff"}', b"to=13800001001"])
@reactor_test
async def test_a_body_that_is_no_json_is_malformed(body: bytes) -> None:
    async with ApiServer() as api:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        problem(await api.post("/v1/messages", data=body, headers=headers), 400, "malformed")


@reactor_test
async def test_lists_are_paged_newest_first_and_filtered() -> None:
    async with ApiServer() as api:
        for number in (PHONE, "13300001001", PHONE):
            await api.post("/v1/messages", json={"to": number, "text": "x"})
        first = (await api.get("/v1/messages?limit=2")).json()
        assert [one["id"] for one in first["messages"]] == ["1002", "1001"]
        assert first["next"] == "1001"
        second = (await api.get(f"/v1/messages?limit=2&cursor={first['next']}")).json()
        assert [one["id"] for one in second["messages"]] == ["1000"]
        assert second["next"] is None
        to = (await api.get("/v1/messages?to=%2B86133-0000-1001&status=queued")).json()
        assert [one["id"] for one in to["messages"]] == ["1001"]
        assert (await api.get("/v1/messages", token=OTHER_TOKEN)).json()["messages"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=99999999999999999999", "cursor"),
        ("status=gone", "status"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
        ("limit=%ff", ""),
    ],
)
@reactor_test
async def test_a_parameter_that_cannot_be_is_named(query: str, field: str) -> None:
    async with ApiServer() as api:
        answer = await api.get(f"/v1/messages?{query}")
        problem(answer, 400, "malformed")
        assert fields(answer) == [field]


@reactor_test
async def test_what_is_anothers_or_nobodys_is_not_found() -> None:
    async with ApiServer() as api:
        await api.post("/v1/messages", json={"to": PHONE, "text": "x"})
        for path in ("/v1/messages/7", "/v1/messages/x", "/v1/requests/-1", "/v1/requests/1"):
            problem(await api.get(path), 404, "not-found")
        problem(await api.get("/v1/messages/1000", token=OTHER_TOKEN), 404, "not-found")


@reactor_test
async def test_without_a_good_token_nothing_is_answered() -> None:
    async with ApiServer() as api:
        for path in ("/v1/messages", "/v1/requests", "/v1/inbound", "/v1/links", "/v1/events"):
            answer = await api.get(path, token=None)
            problem(answer, 401, "unauthorized")
            assert answer.header("WWW-Authenticate") == 'Bearer realm="smsgw"'
        problem(await api.get("/v1/links", token="wrong"), 401, "unauthorized")
        answer = await api.get("/v1/links", token=None, headers={"Authorization": "Basic eDp4"})
        problem(answer, 401, "unauthorized")


@reactor_test
async def test_paths_and_methods_that_do_not_exist_are_problems() -> None:
    async with ApiServer() as api:
        for path in ("/", "/v1", "/v1/messages/", "/v1//messages", "/v2/messages", "/favicon.ico"):
            problem(await api.get(path), 404, "not-found")
        answer = await api.call("DELETE", "/v1/messages")
        problem(answer, 405, "method")
        assert answer.header("Allow") == "GET, HEAD, POST"
        problem(await api.get("/v1/requests/1/decisions"), 405, "method")


@reactor_test
async def test_a_path_that_is_not_utf8_is_malformed() -> None:
    async with ApiServer() as api:
        answers = await raw(api, b"GET /v1/%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"400 Bad Request" in answers
        assert b"application/problem+json" in answers


@reactor_test
async def test_a_body_over_the_limit_is_refused_and_not_kept() -> None:
    async with ApiServer() as api:
        answer = await api.post("/v1/messages", data=b" " * (BODY_OCTETS_MAX + 1))
        problem(answer, 413, "too-large")
        whole = json.dumps({"to": PHONE, "text": "x"}).encode().ljust(BODY_OCTETS_MAX)
        assert (await api.post("/v1/messages", data=whole)).status == 202


@reactor_test
async def test_a_body_without_end_is_cut_off() -> None:
    async with ApiServer() as api:
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        assert await raw(api, head + b" " * (BODY_OCTETS_DRAINED + 100_000)) == b""


@reactor_test
async def test_errors_of_the_gateway_get_their_status() -> None:
    async with ApiServer() as api:
        for error, status, kind in [
            (Conflict("already there"), 409, "conflict"),
            (QuotaExceeded("100 a day"), 429, "quota"),
            (StoreError("disk full: /var/lib"), 503, "unavailable"),
            (LinkDown("no bind"), 503, "unavailable"),
        ]:
            api.front.trouble = error
            answer = await api.post("/v1/messages", json={"to": PHONE, "text": "x"})
            problem(answer, status, kind)
            assert b"/var/lib" not in answer.content


@reactor_test
async def test_our_own_bug_is_a_problem_with_an_id_that_the_log_repeats() -> None:
    async with ApiServer() as api:
        api.front.trouble = ZeroDivisionError("secret detail")
        answer = await api.post("/v1/messages", json={"to": PHONE, "text": "x"})
        body = problem(answer, 500, "internal")
        assert "secret" not in answer.content.decode()
        (event,) = api.logged
        assert event["problem_id"] in body["detail"]
        assert event["log_failure"].check(ZeroDivisionError)


@reactor_test
async def test_a_client_that_hangs_up_does_not_undo_what_it_asked_for() -> None:
    async with ApiServer() as api:
        api.front.held = Deferred()
        body = json.dumps({"to": PHONE, "text": "x"}).encode()
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
        head %= b"a-token-of-22-letters!"
        client = await connect(api)
        client.transport.write(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        await turns(20)
        client.transport.abortConnection()
        await turns(20)
        api.front.held.callback(None)
        await turns(5)
        assert len(api.front.sent) == 1
        assert api.logged == []


@reactor_test
async def test_inbound_events_and_links_are_listed() -> None:
    async with ApiServer() as api:
        api.front.received = [{"id": "2", "text": "同意"}, {"id": "1", "text": "?"}]
        first = (await api.get("/v1/inbound?limit=1")).json()
        assert (first["inbound"][0]["text"], first["next"]) == ("同意", "2")
        second = (await api.get("/v1/inbound?cursor=2")).json()
        assert ([one["id"] for one in second["inbound"]], second["next"]) == (["1"], None)
        events = (await api.get("/v1/events?after=1&limit=1")).json()
        assert ([one["id"] for one in events["events"]], events["next"]) == (["2"], "2")
        assert events["events"][0]["at"] == CREATED
        assert (await api.get("/v1/events?after=3")).json() == {"events": [], "next": "3"}
        assert (await api.get("/v1/links")).json()["links"][0]["name"] == "cmcc"


@reactor_test
async def test_health_readiness_and_metrics_need_no_token() -> None:
    async with ApiServer() as api:
        assert (await api.get("/healthz", token=None)).json() == {"status": "ok"}
        assert (await api.get("/readyz", token=None)).json() == {"status": "ready"}
        api.front.reasons = ["link cmcc is down"]
        answer = await api.get("/readyz", token=None)
        assert answer.status == 503
        assert answer.json() == {"status": "not ready", "reasons": ["link cmcc is down"]}
        api.metrics.reported("cmcc", "matched", 3)
        scraped = await api.get("/metrics", token=None)
        assert (scraped.header("Content-Type") or "").startswith("text/plain")
        assert b'smsgw_reports_total{link="cmcc",result="matched"} 3.0' in scraped.content
        head = await api.call("HEAD", "/healthz", token=None)
        assert (head.status, head.content, head.header("Content-Length")) == (200, b"", "15")


@reactor_test
async def test_only_allowed_networks_may_connect() -> None:
    class Peer:
        def __init__(self, host: str | None) -> None:
            if host is not None:
                self.host = host

    async with ApiServer(allow=[ipaddress.ip_network("10.0.0.0/8")]) as api:
        allowed = [
            host
            for host in (
                "127.0.0.1",
                "::1",
                "10.1.2.3",
                "::ffff:10.1.2.3",
                "192.0.2.1",
                "fe80::1%e",
            )
            if api.site.buildProtocol(Peer(host)) is not None
        ]
        assert allowed == ["127.0.0.1", "::1", "10.1.2.3", "::ffff:10.1.2.3"]
        assert api.site.buildProtocol(Peer(None)) is not None  # a Unix socket


@reactor_test
async def test_no_access_log_is_written_because_a_path_may_hold_a_phone_number() -> None:
    logged: list[str] = []
    observer = lambda event: logged.append(str(event))  # noqa: E731
    log.addObserver(observer)
    with capturedLogs() as events:
        async with ApiServer() as api:
            assert (await api.get(f"/v1/messages?to={PHONE}")).status == 200
            assert (await api.get(f"/{PHONE}")).status == 404
    log.removeObserver(observer)
    assert not [line for line in [*logged, *map(str, events)] if PHONE in line or "HTTP/1" in line]


class Collector(Protocol):
    """Keeps what comes until the connection ends."""

    def __init__(self) -> None:
        self.received = b""
        self.ended: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.ended.callback(None)


async def connect(api: ApiServer) -> Any:
    endpoint = HostnameEndpoint(reactor, "127.0.0.1", api.port.getHost().port)
    return await connectProtocol(endpoint, Collector())


async def raw(api: ApiServer, data: bytes) -> bytes:
    client = await connect(api)
    client.transport.write(data)
    await client.ended
    return bytes(client.received)


async def turns(count: int) -> None:
    """Let the reactor turn."""
    for _ in range(count):
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, turn.callback, None)  # type: ignore[attr-defined]
        await turn

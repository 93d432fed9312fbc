"""HTTP that no honest client sends: answered or closed, and other callers are served meanwhile."""

from __future__ import annotations

import gzip
import resource
from typing import Any

import pytest
from twisted.internet import reactor

from smsgw.interfaces.http import channel
from smsgw.interfaces.http.site import BODY_OCTETS_MAX
from tests.support.api import TOKEN, ApiServer
from tests.support.raw_http import RawHttp, connect, exchange
from tests.support.reactor import reactor_test, until

AUTH = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + AUTH
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
"""What would be answered with 200 if anybody took it for a request of its own."""

SMUGGLED = {
    "length and chunks": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "two lengths": b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + HIDDEN,
    "the same length twice": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "a list of lengths": b"Content-Length: 0, 40\r\n\r\n" + HIDDEN,
    "a signed length": b"Content-Length: +0\r\n\r\n" + HIDDEN,
    "a negative length": b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "a length in hexadecimal": b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    "a length of 5000 digits": b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + HIDDEN,
    "identity": b"Transfer-Encoding: identity\r\n\r\n" + HIDDEN,
    "another coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a coding after a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a folded header": b"X-A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a bare LF in a header": b"X-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a bare CR in a header": b"X-A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a NUL in a header": b"X-A: b\0c\r\n\r\n" + HIDDEN,
    "two hosts": b"Host: y\r\n\r\n" + HIDDEN,
    "no colon": b"Transfer-Encoding\r\n\r\n" + HIDDEN,
    "a chunk that is no number": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + HIDDEN,
    "a chunk in hexadecimal with 0x": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + HIDDEN,
    "a chunk ended by LF": b"Transfer-Encoding: chunked\r\n\r\n0\n\r\n" + HIDDEN,
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"
    + HIDDEN,
    "501 headers": b"X: y\r\n" * 501 + b"\r\n" + HIDDEN,
    "a header of 20 KiB": b"X: " + b"y" * 20_000 + b"\r\n\r\n" + HIDDEN,
    "headers of 20 KiB together": (b"X: " + b"y" * 1000 + b"\r\n") * 20 + b"\r\n" + HIDDEN,
}

BAD_LINES = [
    b"GET /healthz HTTP/1.1\nHost: x\n\n",
    b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET\t/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1 \r\nHost: x\r\n\r\n",
    b" GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"G(T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0" * 100 + b"\r\n",
]

PATHS = [
    b"/v1/../v1/links",
    b"/v1/%2e%2e/v1/links",
    b"/v1/x/..%2flinks",
    b"/..%2f..%2fetc/passwd",
    b"//v1/links",
    b"/v1//links",
    b"/v1/links/",
    b"/v1/links%2f",
    b"/v1%2flinks",
    b"/v1/links;a=b",
    b"/v1/links%00",
    b"/v1/links%00.json",
    b"/v1/%6c%69nks%0d%0aX-A:%20b",
    b"/v1/messages/%2e%2e",
    b"/v1/messages/1%2fcancel",
    b"/v1/messages/1/../2",
    b"http://elsewhere.example/v1/links",
    b"*",
    b"\\v1\\links",
    b"/V1/LINKS",
]

MALFORMED_PATHS = [b"/v1/%c0%af", b"/v1/%c0%ae%c0%ae/links", b"/v1/%ff", b"/v1/%ed%a0%80"]


@reactor_test
async def test_a_request_in_a_request_is_never_answered() -> None:
    async with ApiServer() as api:
        for name, octets in SMUGGLED.items():
            peer = await exchange(api.port.getHost().port, HEAD + octets)
            assert peer.statuses == [400], (name, peer.received[:300])
        assert (await api.get("/healthz")).status == 200
        assert api.logged == []


@reactor_test
async def test_a_first_line_that_is_none_is_refused() -> None:
    async with ApiServer() as api:
        for octets in BAD_LINES:
            peer = await connect(api.port.getHost().port)
            peer.say(octets + b"\r\n\r\n")
            await until(lambda peer=peer: peer.lost)
            assert set(peer.statuses) <= {400}, octets
        assert api.logged == []


@reactor_test
async def test_no_spelling_of_a_path_reaches_what_another_does() -> None:
    async with ApiServer() as api:
        close = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + AUTH + b"\r\n"
        for path in PATHS:
            peer = await exchange(api.port.getHost().port, b"GET " + path + close)
            assert peer.statuses in ([404], [405]), path
            assert b"X-A" not in peer.received
        for path in MALFORMED_PATHS:
            peer = await exchange(api.port.getHost().port, b"GET " + path + close)
            assert peer.statuses == [400], path
        assert api.logged == []


HOSTS = [b"\xc9", b"..x", b"a" * 70, b"[", b"[::1", b"x:y:z", b"", b"x/y", b"a,b", b"%00"]


@reactor_test
async def test_a_host_that_is_none_is_nobodys_business() -> None:
    async with ApiServer() as api:
        for host in HOSTS:
            octets = b"GET /v1/messages/12 HTTP/1.1\r\nConnection: close\r\nHost: " + host
            peer = await exchange(api.port.getHost().port, octets + b"\r\n" + AUTH + b"\r\n")
            assert peer.statuses == [404], host
        assert api.logged == []


def bombs() -> dict[str, tuple[bytes, set[int]]]:
    """Bodies, and what may be answered."""
    good = b'"to": "13800001001", "text": "hi"'
    return {
        "deep list": (b"[" * 500_000, {400, 422}),
        "deep objects": (b'{"a":' * 150_000, {400, 422}),
        "deep under a key": (b"{" + good + b', "x": ' + b"[" * 300_000, {400, 422}),
        "whole and deep": (b"[" * 400_000 + b"]" * 400_000, {400, 422}),
        "huge whole number": (b"{" + good + b', "valid_for": ' + b"9" * 900_000 + b"}", {400, 422}),
        "huge exponent": (b"{" + good + b', "valid_for": 1e999999999}', {400, 422}),
        "many digits": (b"{" + good + b', "valid_for": 0.' + b"1" * 900_000 + b"}", {202}),
        "many keys": (b"{" + b",".join(b'"k%d":0' % n for n in range(80_000)) + b"}", {400, 422}),
        "the same key often": (b"{" + b'"to":1,' * 100_000 + good + b"}", {400, 422}),
        "surrogates": (b'{"to": "13800001001", "text": "\\ud800\\udfff\\udc00"}', {400, 422}),
    }


@reactor_test
async def test_json_that_explodes_is_a_problem() -> None:
    async with ApiServer() as api:
        for name, (body, statuses) in bombs().items():
            began = reactor.seconds()  # type: ignore[attr-defined]
            answer = await api.post("/v1/messages", data=body)
            took = reactor.seconds() - began  # type: ignore[attr-defined]
            assert answer.status in statuses, (name, answer.content[:300])
            assert len(answer.content) < 2000
            print(f"{name}: {len(body)} octets, {answer.status} after {took * 1000:.0f} ms")
        assert api.logged == []


@reactor_test
async def test_of_a_key_that_comes_twice_the_last_one_counts() -> None:
    async with ApiServer() as api:
        body = b'{"to": "13800001001", "to": "13800001002", "text": "hi"}'
        made = (await api.post("/v1/messages", data=body)).json()
        shown = (await api.get(f"/v1/messages/{made['id']}")).json()
        assert shown["to"] == "13800001002"


@reactor_test
async def test_what_is_packed_is_not_unpacked_beyond_the_limit() -> None:
    packed = gzip.compress(bytes(2**24), 6)
    bomb = gzip.compress(packed, 6)
    async with ApiServer() as api:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for body in (packed, bomb):
            headers = {"Content-Encoding": "gzip"}
            answer = await api.post("/v1/messages", data=body, headers=headers)
            assert answer.status == (413 if body is packed else 400)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown * 1024 < 8 * BODY_OCTETS_MAX


async def late(api: ApiServer, first: bytes, drip: bytes) -> RawHttp:
    """Say something and then an octet now and then; others are answered meanwhile."""
    peer = await connect(api.port.getHost().port)
    peer.say(first)
    while not peer.lost:
        peer.say(drip)
        assert (await api.get("/healthz")).status == 200
    return peer


def turned_away(api: ApiServer, reason: str) -> float:
    labels = {"door": "http", "reason": reason}
    return api.metrics.registry.get_sample_value("smsgw_turned_away_total", labels) or 0.0


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"GET /healthz HTTP/1.1\r\n", b"X-A: b\r\n"),
        (b"GET /healthz HTTP/1.1\r\nX: ", b"y"),
        (b"\r\n", b"G"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"a"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (HIDDEN + b"GET /healthz", b"/"),
    ],
    ids=["headers", "one header", "first line", "body", "chunks", "second request"],
)
@reactor_test
async def test_a_request_that_drips_is_cut_off(first: bytes, drip: bytes, monkeypatch: Any) -> None:
    monkeypatch.setattr(channel, "HEADERS_SECONDS", 0.5)
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.5)
    async with ApiServer() as api:
        peer = await late(api, first, drip)
        assert peer.statuses[-1:] == [408]
        assert turned_away(api, "late") == 1


@reactor_test
async def test_a_connection_that_says_nothing_is_cut_off(monkeypatch: Any) -> None:
    monkeypatch.setattr(channel, "HEADERS_SECONDS", 0.5)
    async with ApiServer() as api:
        peer = await exchange(api.port.getHost().port, b"")
        assert peer.statuses == [408]


@reactor_test
async def test_a_request_that_takes_long_to_answer_is_not_late(monkeypatch: Any) -> None:
    monkeypatch.setattr(channel, "HEADERS_SECONDS", 0.5)
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.5)
    async with ApiServer() as api:
        answer = await api.get("/v1/events?after=9&wait=1")
        assert answer.status == 200
        assert turned_away(api, "late") == 0


@reactor_test
async def test_all_bodies_together_have_a_limit(monkeypatch: Any) -> None:
    monkeypatch.setattr(channel, "BODIES_OCTETS_MAX", 1_500_000)
    async with ApiServer() as api:
        port, site = api.port.getHost().port, api.site
        whole = b'{"to": "13800001001", "text": "hi"}'.ljust(700_000)
        head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(whole)
        peers = [await connect(port) for _ in range(3)]
        for peer in peers[:2]:
            peer.say(head + whole[:-1])
        await until(lambda: site.shared.octets == 1_399_998)  # type: ignore[attr-defined]
        peers[2].say(head + whole)
        await until(lambda: peers[2].lost)
        assert peers[2].statuses == [503]
        for peer in peers[:2]:
            peer.say(whole[-1:])
            await until(lambda peer=peer: peer.lost)  # type: ignore[misc]
            assert peer.statuses == [202]
        assert site.shared.octets == 0  # type: ignore[attr-defined]


@reactor_test
async def test_one_address_has_half_of_the_connections_and_the_silent_make_room() -> None:
    async with ApiServer(connections=8) as api:
        port = api.port.getHost().port
        held = [await connect(port, "127.0.0.2") for _ in range(10)]
        await until(lambda: sum(peer.lost for peer in held) == 6)
        assert turned_away(api, "full_for_address") == 6
        assert (await api.get("/healthz")).status == 200
        others = [await connect(port, "127.0.0.3") for _ in range(4)]
        answer = await api.get("/healthz")  # in the place of the one that has said nothing longest
        assert answer.status == 200
        assert turned_away(api, "full") == 1
        assert sum(not peer.lost for peer in held) <= 4
        for peer in [*held, *others]:
            if not peer.lost:
                peer.drop()
        await until(lambda: api.site._gate._count == 0)  # type: ignore[attr-defined]
        await until(lambda: api.site._gate._count == 0)  # type: ignore[attr-defined]
        assert (await api.get("/healthz")).status == 200


@reactor_test
async def test_answers_that_nobody_reads_do_not_pile_up() -> None:
    """Pipelined requests wait in the caller's own memory once it reads no answers."""
    async with ApiServer() as api:
        peer = await connect(api.port.getHost().port)
        transport: Any = peer.transport
        transport.pauseProducing()
        one = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(20):
            peer.say(one * 400)
            assert (await api.get("/healthz")).status == 200
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 64 * 1024  # KiB; all answers together would be gigabytes
        peer.drop()
        await until(lambda: api.site._gate._count == 0)  # type: ignore[attr-defined]

"""What is said to proxies, octet by octet, and how they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import ConfigError
from smsgw.transport.proxy import Connect, Proxy, Refused, Socks5

OPEN = Proxy(scheme="socks5", host="proxy.example", port=1080)
LOGIN = Proxy(scheme="socks5", host="proxy.example", port=1080, user="me", password="pw")
HTTP = Proxy(scheme="http", host="proxy.example", port=3128)
HTTP_LOGIN = Proxy(scheme="http", host="proxy.example", port=3128, user="me", password="pw")
BOUND = b"\x05\x00\x00\x01" + bytes(6)


def socks(proxy: Proxy = OPEN, host: str = "gateway.example", port: int = 7890) -> Socks5:
    exchange = Socks5(proxy, host, port)
    exchange.start()
    return exchange


def test_socks_without_login_offers_none_and_asks_for_the_name():
    exchange = Socks5(OPEN, "gateway.example", 7890)
    assert exchange.start() == b"\x05\x01\x00"
    assert exchange.feed(b"\x05\x00") == b"\x05\x01\x00\x03\x0fgateway.example\x1e\xd2"
    assert exchange.rest is None
    assert exchange.feed(BOUND + b"hello") == b""
    assert exchange.rest == b"hello"


def test_socks_with_login_sends_it_when_asked():
    exchange = Socks5(LOGIN, "192.0.2.1", 80)
    assert exchange.start() == b"\x05\x02\x00\x02"
    assert exchange.feed(b"\x05\x02") == b"\x01\x02me\x02pw"
    assert exchange.feed(b"\x01\x00") == b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"


def test_socks_with_login_may_not_be_asked():
    assert socks(LOGIN).feed(b"\x05\x00").startswith(b"\x05\x01\x00\x03")


def test_socks_takes_an_address_of_version_6():
    assert socks(host="2001:db8::1").feed(b"\x05\x00")[3:5] == b"\x04\x20"


@pytest.mark.parametrize(
    "answer",
    [
        b"\x05\x00\x00\x01" + bytes(6),
        b"\x05\x00\x00\x04" + bytes(18),
        b"\x05\x00\x00\x03\x03abc\x00\x00",
        b"\x05\x00\x00\x03\x00\x00\x00",
    ],
)
def test_a_socks_answer_may_come_octet_by_octet(answer):
    exchange = socks()
    for octet in b"\x05\x00" + answer[:-1]:
        exchange.feed(bytes([octet]))
        assert exchange.rest is None
    exchange.feed(answer[-1:])
    assert exchange.rest == b""


@pytest.mark.parametrize(
    ("proxy", "said", "why"),
    [
        (OPEN, b"\x04\x00", "it does not speak SOCKS5"),
        (OPEN, b"HTTP/1.1 400", "it does not speak SOCKS5"),
        (OPEN, b"\x05\xff", "none of our ways to log in; set a user and proxy_password"),
        (OPEN, b"\x05\x02", "none of our ways to log in; set a user"),
        (LOGIN, b"\x05\xff", "none of our ways to log in$"),
        (OPEN, b"\x05\x01", r"that was not offered \(0x01\)"),
        (LOGIN, b"\x05\x02\x01\x01", "it refused our login"),
        (OPEN, b"\x05\x00\x05\x05\x00\x01\x00", r"connection refused \(5\)"),
        (OPEN, b"\x05\x00\x05\x63\x00\x01\x00", r"reply \(99\)"),
        (OPEN, b"\x05\x00\x04\x00\x00\x01\x00", "it does not speak SOCKS5"),
        (OPEN, b"\x05\x00\x05\x00\x00\x09\x00", r"unknown address type \(9\)"),
    ],
)
def test_a_socks_refusal_says_why(proxy, said, why):
    with pytest.raises(Refused, match=why):
        socks(proxy).feed(said)


def test_connect_asks_with_host_and_port():
    exchange = Connect(HTTP, "gateway.example", 7890)
    assert exchange.start() == (
        b"CONNECT gateway.example:7890 HTTP/1.1\r\nHost: gateway.example:7890\r\n\r\n"
    )


def test_connect_writes_the_login_and_an_address_of_version_6():
    request = Connect(HTTP_LOGIN, "2001:db8::1", 7890).start()
    assert request.startswith(b"CONNECT [2001:db8::1]:7890 HTTP/1.1\r\n")
    assert b"\r\nProxy-Authorization: Basic bWU6cHc=\r\n" in request


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200\r\nVia: x\r\n\r\n",
        b"HTTP/1.1 204 \r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_connect_opens_with_any_2xx_in_any_pieces(answer):
    whole, pieces = Connect(HTTP, "a", 1), Connect(HTTP, "a", 1)
    whole.feed(answer + b"hello")
    assert whole.rest == b"hello"
    for octet in answer[:-1]:
        assert pieces.feed(bytes([octet])) == b""
        assert pieces.rest is None
    pieces.feed(answer[-1:])
    assert pieces.rest == b""


@pytest.mark.parametrize(
    ("proxy", "said", "why"),
    [
        (HTTP, b"\x05\xff", "it does not answer in HTTP/1.1"),
        (HTTP, b"HTTP/2 200 OK\r\n\r\n", "it does not answer in HTTP/1.1"),
        (HTTP, b"HTTP/1.1 2000 OK\r\n\r\n", "it does not answer in HTTP/1.1"),
        (HTTP, b"HTTP/1.1 403 Forbidden\r\n\r\n", "^403 Forbidden$"),
        (HTTP, b"HTTP/1.1 502\r\n\r\n", "^502$"),
        (HTTP, b"HTTP/1.1 503 " + b"x" * 200 + b"\r\n\r\n", "^503 x{80}$"),
        (HTTP, b"HTTP/1.1 503 \x1b[2J\r\n\r\n", r"^503 \?\[2J$"),
        (HTTP, b"HTTP/1.1 407 Auth\r\n\r\n", r"it wants a login \(407\); set a user"),
        (HTTP_LOGIN, b"HTTP/1.1 407 Auth\r\n\r\n", r"it refused our login \(407\)"),
        (HTTP, b"HTTP/1.1 200 OK\r\n" + b"x" * 20000, "no end within 16384 octets"),
    ],
)
def test_a_connect_refusal_says_why(proxy, said, why):
    with pytest.raises(Refused, match=why):
        Connect(proxy, "a", 1).feed(said)


@given(st.sampled_from(["socks5", "http"]), st.lists(st.binary(max_size=30), max_size=8))
def test_no_octets_of_a_proxy_raise_anything_else(scheme, pieces):
    exchange = socks(LOGIN) if scheme == "socks5" else Connect(HTTP, "a", 1)
    exchange.start() if scheme == "http" else None
    try:
        for piece in pieces:
            exchange.feed(piece)
            if exchange.rest is not None:
                break
    except Refused:
        pass


@pytest.mark.parametrize("kind", [Socks5, Connect])
@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_a_host_that_cannot_be_written_is_a_configuration_error(kind, host):
    with pytest.raises(ConfigError, match="is no host name"):
        kind(OPEN, host, 1)


def test_a_name_longer_than_socks_can_say_is_a_configuration_error():
    with pytest.raises(ConfigError, match="host: 259 octets, limit 255"):
        Socks5(OPEN, ".".join(["a" * 12] * 20), 1)


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("socks5://proxy.example:1080", OPEN),
        ("SOCKS5://me:pw@proxy.example:1080/", LOGIN),
        ("http://[2001:db8::1]:3128", Proxy(scheme="http", host="2001:db8::1", port=3128)),
        (
            "http://a%40b:c%3Ad@h:1",
            Proxy(scheme="http", host="h", port=1, user="a@b", password="c:d"),
        ),
    ],
)
def test_a_proxy_is_written_as_a_url(text, proxy):
    assert Proxy.parse(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proxy.example:1080",
        "socks4://h:1",
        "https://h:1",
        "http://h",
        "http://:1",
        "http://h:0",
        "http://h:99999",
        "http://h:x",
        "http://[::1",
        "http://h:1/path",
        "http://h:1?q",
        "http://h:1#f",
    ],
)
def test_what_is_no_proxy_says_how_one_is_written(text):
    with pytest.raises(ConfigError, match=r'write "socks5://host:port" or "http://host:port"'):
        Proxy.parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("socks5://me@h:1", "has a user and no password; set proxy_password"),
        ("http://:pw@h:1", "has a password and no user"),
        ("http://a%3Ab:pw@h:1", "has a colon in its user"),
        ("http://" + "u" * 256 + "@h:1", "user: 256 octets, limit 255"),
        ("http://u:" + "p" * 256 + "@h:1", "password: 256 octets, limit 255"),
    ],
)
def test_a_login_that_cannot_be_sent_is_a_configuration_error(text, problem):
    with pytest.raises(ConfigError, match=problem):
        Proxy.parse(text).check()


def test_a_proxy_never_shows_its_password():
    proxy = Proxy.parse("socks5://a%40b:hunter2@[::1]:1080")
    assert str(proxy) == "socks5://a%40b@[::1]:1080"
    assert "hunter2" not in repr(proxy)

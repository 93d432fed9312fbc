from __future__ import annotations

import ipaddress

import pytest

from smsgw.errors import ValidationError
from smsgw.services.webhooks.addresses import Rules, check_url

PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
REFUSED = {
    "127.0.0.1": "this machine itself",
    "127.255.0.1": "this machine itself",
    "::1": "this machine itself",
    "::ffff:127.0.0.1": "this machine itself",
    "::7f00:1": "this machine itself",
    "2002:7f00:1::": "this machine itself",
    "10.1.2.3": "a private address",
    "172.16.0.1": "a private address",
    "192.168.1.1": "a private address",
    "100.64.0.1": "a private address",
    "198.18.0.1": "a private address",
    "::ffff:10.0.0.1": "a private address",
    "64:ff9b::a00:1": "a private address",
    "fc00::1": "a private address",
    "169.254.169.254": "a link-local address",
    "::ffff:169.254.169.254": "a link-local address",
    "fe80::1": "a link-local address",
    "224.0.0.1": "a multicast address",
    "239.255.255.250": "a multicast address",
    "ff02::1": "a multicast address",
    "0.0.0.0": "no address of a host",
    "::": "no address of a host",
    "240.0.0.1": "no address of a host",
    "255.255.255.255": "no address of a host",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_called(address: str) -> None:
    assert Rules().problem(address, "https") == ""
    assert "http is not encrypted" in Rules().problem(address, "http")
    assert Rules(plain_http=True).problem(address, "http") == ""


@pytest.mark.parametrize("address", [*REFUSED, "fec0::1", "64:ff9b:1::a00:1", "2001:db8::1"])
def test_an_address_that_only_we_can_reach_is_not_called(address: str) -> None:
    problem = Rules(plain_http=True).problem(address, "https")
    assert problem.startswith(f"{address} is {REFUSED.get(address, '')}")
    assert problem.endswith("only if webhooks.allow has its network")


def test_an_allowed_network_is_called_with_http_too() -> None:
    rules = Rules(allow=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        assert rules.problem(address, "http") == rules.problem(address, "https") == ""
    assert rules.problem("10.2.0.1", "https")
    assert rules.problem("8.8.8.8", "http")
    assert rules.problem("no address", "https")


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example/hook?token=1&b=%20",
        "https://receiver.example",
        "https://receiver.example:8443/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:8443/x",
        "https://xn--fiqs8s.example/",
        "HTTPS://Receiver.Example/",
    ],
)
def test_a_url_that_can_be_called_is_taken(url: str) -> None:
    assert check_url(url, Rules()).scheme == "https"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "begin with https://"),
        ("receiver.example/hook", "begin with https://"),
        ("ftp://receiver.example/", "begin with https://"),
        ("file:///etc/passwd", "begin with https://"),
        ("https:///hook", "no host"),
        ("https://", "no host"),
        ("https://receiver.example:0/", "no host"),
        ("https://receiver.example:99999/", "is no URL"),
        ("https://[::1/", "is no URL"),
        ("https://[fe80::1%25eth0]/", "is no"),
        ("https://user:secret@receiver.example/", "user name"),
        ("https://receiver.example/#part", "fragment"),
        ("https://receiver.example/#", "fragment"),
        ("https://receiver.example/a b", "%XX"),
        ("https://receiver.example/\r\nX: y", "%XX"),
        ("https://中国.example/", "xn--"),
        ("https://receiver.example/" + "x" * 2048, "limit 2048"),
        ("https://10.0.0.1/", "private address"),
        ("https://127.0.0.1:8080/", "this machine"),
        ("https://[::1]/", "this machine"),
        ("http://receiver.example/", "not encrypted"),
        ("https://" + "a" * 70 + ".example/", "no host"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_with_its_reason(url: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        check_url(url, Rules())
    assert refused.value.field == "url"


def test_http_is_taken_where_some_address_may_be_called_so() -> None:
    for rules in (Rules(plain_http=True), Rules(allow=(ipaddress.ip_network("10.0.0.0/8"),))):
        assert check_url("http://oa.example/", rules).scheme == "http"

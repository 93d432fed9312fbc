"""Where webhooks may lead: which URLs are taken, and to which addresses a connection is made.

A customer chooses the URL and we make the call, from inside the network: so nothing is called that
only we can reach (SSRF), unless the configuration allows it. What counts is the address that is
connected to, whatever the name said when it was checked the last time.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from smsgw.errors import ConfigError, ValidationError
from smsgw.transport.peers import Network
from smsgw.transport.tls import ascii_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

URL_CHARACTERS_MAX = 2048
PORTS = {"https": 443, "http": 80}

_TRANSLATED = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (
        ("64:ff9b::/96", 0),  # NAT64, RFC 6052
        ("2002::/16", 80),  # 6to4, RFC 3056
        ("::/96", 0),  # IPv4-compatible, RFC 4291 section 2.5.5.1
    )
)
"""IPv6 networks in which an IPv4 address stands, and how many bits follow it."""

_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""RFC 8215: which IPv4 address is meant, only the network itself knows."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``[webhooks]``: what may be called besides public addresses by HTTPS.

    Attributes:
        allow: Networks that may be called, private ones too, with HTTP as well.
        plain_http: Whether any address may be called with HTTP.
    """

    allow: tuple[Network, ...] = ()
    plain_http: bool = False

    def problem(self, host: str, scheme: str, name: str = "") -> str:
        """Return why an address is not called; "" when it is.

        Args:
            host: An address, IPv4 or IPv6.
            scheme: ``https`` or ``http``.
            name: What it was looked up for: then that is named, since addresses behind names are
                not everybody's business.
        """
        shown = f"{name} leads to" if name else f"{host} is"
        address = _address(host)
        if address is None:
            return f"{host} is no address"
        meant = _meant(address)
        if any(meant in network or address in network for network in self.allow):
            return ""
        if kind := _kind(meant):
            return f"{shown} {kind}; the gateway calls it only if webhooks.allow has its network"
        if scheme == "http" and not self.plain_http:
            return "http is not encrypted; write https, or set webhooks.plain_http"
        return ""


def check_url(url: str, rules: Rules) -> SplitResult:
    """Return the parts of a URL that can be called, as far as it shows by itself.

    Raises:
        ValidationError: It cannot; ``field`` is ``url``.
    """
    if len(url) > URL_CHARACTERS_MAX:
        raise _wrong(f"has {len(url)} characters, limit {URL_CHARACTERS_MAX}")
    if not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
        raise _wrong("has characters that no URL has; write them as %XX, a host name as xn--…")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong(f"is no URL: {error}") from error
    if parts.scheme not in PORTS:
        raise _wrong("does not begin with https://")
    if "@" in parts.netloc:
        raise _wrong("has a user name in it; whoever gets the call knows us by its signature")
    if parts.fragment or url.endswith("#"):
        raise _wrong("has a fragment (#…), which is never sent; leave it out")
    try:
        named = ascii_host(host) if host else ""
    except ConfigError:
        named = ""
    if not named or port == 0 or "%" in host:
        raise _wrong(f"{parts.netloc[:60]!r} is no host to call; write https://HOST/PATH")
    literal = _address(host)
    if literal is not None and (problem := rules.problem(host, parts.scheme)):
        raise _wrong(problem)
    if parts.scheme == "http" and not rules.plain_http and not rules.allow:
        raise _wrong("http is not encrypted; write https, or set webhooks.plain_http")
    return parts


def _wrong(problem: str) -> ValidationError:
    return ValidationError("url", problem)


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.teredo is not None:
        return address.teredo[1]
    for network, shift in _TRANSLATED:
        if address in network and int(address) > 1:  # :: and ::1 are themselves
            return ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def _kind(address: Address) -> str:
    """Return what keeps an address from being public; "" when it is."""
    if address.is_loopback:
        return "this machine itself"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified or address.is_reserved:
        return "no address of a host"
    local = isinstance(address, ipaddress.IPv6Address) and (
        address.is_site_local or address in _LOCAL_NAT64
    )
    return "a private address" if local or not address.is_global else ""

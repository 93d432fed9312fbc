"""PROXY protocol, versions 1 and 2: whose connection a load balancer passes on to us.

The header is the first thing on the connection, before TLS. The address it names is the one that
the factory behind sees, and so the one that a list of allowed networks is about.

Twisted has this too (``twisted.protocols.haproxy``), but builds the protocol before the header is
read, with the balancer's address; closes when the header does not come in one piece; takes a line
that is too long; and lets a port that is no number raise.

Spec: The PROXY protocol, versions 1 & 2 (HAProxy, 2020/03/05), §2.1 and §2.2.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import LinkDown, RemoteProtocolError
from smsgw.transport.opening import Opening

LINE_OCTETS_MAX = 107
"""A whole line of version 1, CRLF included. Spec: §2.1."""

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""How version 2 starts. Spec: §2.2."""

FIXED_OCTETS = 16
EXTENT_OCTETS_MAX = 4096
"""What may follow the 16 fixed octets of version 2: an address of at most 216, and TLVs."""

HEADER_SECONDS = 10.0
"""How long a balancer may take for its header; spec §2 asks for at least 3."""

WAITING_MAX = 256
"""Connections of one port that may be without their header at a time."""

_LINE_START = b"PROXY "
_LENGTHS = {1: 4, 2: 16}
_NAMES = {"TCP4": 4, "TCP6": 6}


class Named(NamedTuple):
    """What a header says.

    Attributes:
        source: Whose connection it is; None when it is the balancer's own (a health check), or
            the balancer does not know.
        rest: The octets after the header.
    """

    source: IPv4Address | IPv6Address | None
    rest: bytes


class HeaderReader:
    """Reads the header of one connection, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Named | None:
        """Return what the header says, or None while it is not whole.

        Raises:
            RemoteProtocolError: It is no header, or one that cannot be.
        """
        self._buffer += data
        have = self._buffer
        if have.startswith(SIGNATURE):
            return self._version_2(have)
        if have.startswith(_LINE_START):
            return self._version_1(have)
        if SIGNATURE.startswith(have) or _LINE_START.startswith(have):
            return None
        raise RemoteProtocolError("the connection does not start with a PROXY header")

    def _version_1(self, have: bytes) -> Named | None:
        end = have.find(b"\r\n", 0, LINE_OCTETS_MAX)
        if end < 0 and len(have) < LINE_OCTETS_MAX:
            return None
        if end < 0:
            raise RemoteProtocolError(
                f"PROXY line: no end within {LINE_OCTETS_MAX} octets, which is the limit"
            )
        return Named(_read_line(have[:end]), have[end + 2 :])

    def _version_2(self, have: bytes) -> Named | None:
        if len(have) < FIXED_OCTETS:
            return None
        version_command, family_protocol, extent = struct.unpack_from("!BBH", have, 12)
        if extent > EXTENT_OCTETS_MAX:
            raise RemoteProtocolError(
                f"PROXY header: length {extent} octets, limit {EXTENT_OCTETS_MAX}"
            )
        if version_command not in (0x20, 0x21):
            raise RemoteProtocolError(
                f"PROXY header: version and command {version_command:#04x}, known are 0x20, 0x21"
            )
        end = FIXED_OCTETS + extent
        if len(have) < end:
            return None
        local = version_command == 0x20  # the balancer's own connection, whatever follows
        source = None if local else _read_addresses(family_protocol, have[FIXED_OCTETS:end])
        return Named(source, have[end:])


def _read_line(line: bytes) -> IPv4Address | IPv6Address | None:
    """Spec: §2.1; single spaces, no leading zeros, addresses as inet_pton takes them."""
    try:
        words = line.decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise RemoteProtocolError("PROXY line: octets that are not ASCII") from None
    if words[1] == "UNKNOWN":
        return None
    if words[1] not in _NAMES or len(words) != 6:
        raise RemoteProtocolError(
            "PROXY line: write PROXY, TCP4 or TCP6, two addresses and two ports, or PROXY UNKNOWN"
        )
    try:
        hosts = [ipaddress.ip_address(word) for word in words[2:4]]
    except ValueError:
        raise RemoteProtocolError("PROXY line: what should be an address is none") from None
    if any(host.version != _NAMES[words[1]] or "%" in str(host) for host in hosts):
        raise RemoteProtocolError(f"PROXY line: an address that is not {words[1]}")
    ports = [_port(word) for word in words[4:]]
    return _address(hosts[0], ports[0])


def _port(word: str) -> int:
    if not word.isdigit() or str(int(word[:6])) != word or int(word) > 65535:
        raise RemoteProtocolError("PROXY line: a port that is no number from 0 to 65535")
    return int(word)


def _read_addresses(family_protocol: int, extent: bytes) -> IPv4Address | IPv6Address | None:
    """Spec: §2.2; what follows the addresses (TLVs) is not ours to read."""
    family, protocol = family_protocol >> 4, family_protocol & 0x0F
    if family > 3 or protocol > 2:
        raise RemoteProtocolError(
            f"PROXY header: family and protocol {family_protocol:#04x} are not defined"
        )
    if family == 0 or protocol == 0:
        return None
    if family == 3 or protocol == 2:
        raise RemoteProtocolError(
            f"PROXY header: family and protocol {family_protocol:#04x} are not TCP over IP"
        )
    octets = _LENGTHS[family]
    if len(extent) < 2 * octets + 4:
        raise RemoteProtocolError(
            f"PROXY header: {len(extent)} octets of addresses, {2 * octets + 4} are needed"
        )
    (port,) = struct.unpack_from("!H", extent, 2 * octets)
    return _address(ipaddress.ip_address(extent[:octets]), port)


def _address(
    host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> IPv4Address | IPv6Address:
    kind = IPv4Address if host.version == 4 else IPv6Address
    return kind("TCP", str(host), port)


class HeaderOpening(Opening):
    """Waits for the header of one connection."""

    what = "PROXY header"

    def __init__(self, factory: IProtocolFactory, clock: IReactorTime, host: str) -> None:
        super().__init__(factory, clock, HEADER_SECONDS)
        self._reader = HeaderReader()
        self._own = _is_loopback(host)

    def take(self, data: bytes) -> None:
        try:
            named = self._reader.feed(data)
        except RemoteProtocolError as error:
            self.fail(error)
            return
        if named is None:
            return
        if named.source is not None and _is_loopback(named.source.host) and not self._own:
            # this machine is always allowed; another one must not say that it is this one
            self.fail(RemoteProtocolError(f"PROXY header: it names {named.source.host}"))
            return
        self.hand_over(named.rest, named.source)


class HeaderFirst(Factory):
    """A factory before another: each connection must start with a PROXY header.

    Args:
        factory: Builds the protocols, with the addresses that the headers name.
        clock: For the time limit.
        trusts: Whether a peer's host may pass connections on; others are closed at once.
    """

    noisy = False
    log = Logger()

    def __init__(
        self, factory: IProtocolFactory, clock: IReactorTime, trusts: Callable[[str], bool]
    ) -> None:
        self._real = factory
        self._clock = clock
        self._trusts = trusts
        self._waiting: set[HeaderOpening] = set()

    def startFactory(self) -> None:
        self._real.doStart()

    def stopFactory(self) -> None:
        for opening in list(self._waiting):
            opening.fail(LinkDown("PROXY header: we are stopping"))
        self._real.doStop()

    def buildProtocol(self, addr: IAddress | None) -> HeaderOpening | None:
        host = getattr(addr, "host", "")
        why = ""
        if not self._trusts(host):
            why = "it is in no network of proxy_protocol"
        elif len(self._waiting) >= WAITING_MAX:
            why = f"{WAITING_MAX} connections wait for their PROXY header"
        if why:
            told = "{host} was turned away: {why}"
            self.log.warn(told, event="peer.turned_away", host=host, why=why)
            return None
        opening = HeaderOpening(self._real, self._clock, host)
        self._waiting.add(opening)
        opening.result.addBoth(self._ended, opening, host)
        return opening

    def _ended(self, result: object, opening: HeaderOpening, host: str) -> None:
        self._waiting.discard(opening)
        if isinstance(result, Failure) and not result.check(NoProtocol):
            told, why = "{host} was turned away: {why}", result.getErrorMessage()
            self.log.warn(told, event="peer.turned_away", host=host, why=why)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback

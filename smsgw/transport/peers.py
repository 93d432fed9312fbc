"""Who may connect to a port of ours, for every listener and the HTTP API."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IPV6_BITS = 64
"""Of an IPv6 address these are one customer's."""


def peer_filter(networks: Sequence[Network]) -> Callable[[str], bool]:
    """Return what says whether a peer's address may connect.

    This machine always may. An IPv4 address written as IPv6 (``::ffff:10.0.0.1``, as a port that
    takes both sees it) is the IPv4 address; a zone (``fe80::1%eth0``) does not count.

    Args:
        networks: Who else may.
    """
    allowed = tuple(networks)

    def allows(host: str) -> bool:
        try:
            peer = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return peer.is_loopback or any(peer in network for network in allowed)

    return allows


def source_of(host: str) -> str:
    """Return what connections and failures of an address are counted under.

    It is the address; of IPv6 the part that one customer has.
    """
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, IPV6_BITS), strict=False))

"""Who may connect."""

from __future__ import annotations

import ipaddress

import pytest

from smsgw.transport.peers import peer_filter


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("::ffff:10.2.0.1", False),
        ("2001:db8::7", True),
        ("fe80::1%eth0", True),
        ("fe81::1", False),
        ("", False),
        ("somewhere", False),
    ],
)
def test_this_machine_and_the_listed_networks_may_connect(host: str, allowed: bool) -> None:
    networks = ["10.1.0.0/16", "2001:db8::/32", "fe80::/16"]
    assert peer_filter([ipaddress.ip_network(one) for one in networks])(host) is allowed

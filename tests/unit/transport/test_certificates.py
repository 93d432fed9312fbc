"""What our TLS offers and takes."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from OpenSSL import SSL

from smsgw.transport.certificates import CIPHERS, ClientTls, Contexts, ServerTls
from tests.support.certificates import Authority

WEAK = ("RC4", "DES", "MD5", "NULL", "EXP", "aNULL", "ADH", "AECDH", "PSK", "SRP", "IDEA", "SEED")


@pytest.fixture
def served(tmp_path: Path) -> tuple[SSL.Context, Authority]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("port", "127.0.0.1")
    return Contexts(ServerTls(certificate=certificate, key=key)).current(), authority


def shake(server: SSL.Context, client: SSL.Context) -> tuple[str, str]:
    """Let two sides shake hands in memory; returns version and cipher."""
    ours, theirs = SSL.Connection(server, None), SSL.Connection(client, None)
    ours.set_accept_state()
    theirs.set_connect_state()
    for _ in range(10):
        for one, other in ((theirs, ours), (ours, theirs)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
    return theirs.get_protocol_version_name(), theirs.get_cipher_name() or ""


def client(newest: int, ciphers: bytes = b"ALL:@SECLEVEL=0") -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_VERSION)
    context.set_max_proto_version(newest)
    context.set_cipher_list(ciphers)
    return context


def test_the_newest_version_is_spoken_with_forward_secrecy(served):
    assert shake(served[0], client(SSL.TLS1_3_VERSION))[0] == "TLSv1.3"
    version, cipher = shake(served[0], client(SSL.TLS1_2_VERSION))
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-")


@pytest.mark.parametrize("newest", [SSL.TLS1_1_VERSION, SSL.TLS1_VERSION])
def test_versions_before_1_2_are_refused_by_ports_and_links(served, newest):
    with pytest.raises(SSL.Error):
        shake(served[0], client(newest))
    old = client(newest)
    link = Contexts(ClientTls(ca=served[1].pem)).current()
    with pytest.raises(SSL.Error):
        shake(old, link)


def test_no_weak_cipher_is_offered():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(CIPHERS.decode())
    names = [one["name"] for one in context.get_ciphers()]
    assert len(names) > 10
    assert [name for name in names if any(weak in name for weak in WEAK)] == []

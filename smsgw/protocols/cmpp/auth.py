"""CMPP login digests, the timestamp they cover, and Msg_Id."""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import md5

NINE_ZEROS = bytes(9)


def login_timestamp(when: datetime) -> int:
    """Return MMDDHHMMSS as a decimal number (cmpp.md section 4)."""
    return int(when.strftime("%m%d%H%M%S"))


def login_digest(source_addr: str, secret: str, timestamp: int) -> bytes:
    """Return AuthenticatorSource: the 16 octets that prove we know the shared secret.

    Spec: cmpp.md section 4 (CMPP 3.0 section 8.4.1.1).

    Args:
        source_addr: SP_Id, hashed without padding.
        secret: The shared secret, hashed as UTF-8 (ASCII by contract).
        timestamp: MMDDHHMMSS as a decimal number; hashed as ten digits, zero padded.
    """
    return md5(
        source_addr.encode("latin-1", "replace")
        + NINE_ZEROS
        + secret.encode(errors="surrogatepass")
        + b"%010d" % timestamp
    ).digest()


def login_matches(digest: bytes, source_addr: str, secret: str, timestamp: int) -> bool:
    """Whether a client's digest is right; a Source_Addr hashed with its padding also counts.

    Spec: cmpp.md section 4 ("accept both digests").
    """
    padded = source_addr.ljust(6, "\0")
    return any(
        hmac.compare_digest(digest, login_digest(name, secret, timestamp))
        for name in {source_addr, padded}
    )


def server_digest(status: int, status_octets: int, login: bytes, secret: str) -> bytes:
    """Return AuthenticatorISMG, the gateway's proof.

    Spec: cmpp.md section 4. ``status_octets`` is 1 in version 2.0 and 4 in 3.0.
    """
    status_raw = status.to_bytes(status_octets, "big")
    return md5(status_raw + login + secret.encode(errors="surrogatepass")).digest()


def server_matches(digest: bytes, status: int, login: bytes, secret: str) -> bool:
    """Whether the gateway's proof is right under either status width (cmpp.md section 16 Q5)."""
    return any(
        hmac.compare_digest(digest, server_digest(status, octets, login, secret))
        for octets in (1, 4)
    )


def make_message_id(gateway: int, when: datetime, count: int) -> int:
    """Return a Msg_Id as a gateway makes it.

    Spec: cmpp.md section 5.

    Args:
        gateway: Gateway code as a decimal integer, at most 4194303.
        when: China Standard Time.
        count: Step 1; its low 16 bits are used.
    """
    return (
        when.month << 60
        | when.day << 55
        | when.hour << 50
        | when.minute << 44
        | when.second << 38
        | (gateway & 0x3FFFFF) << 16
        | count & 0xFFFF
    )


def receiver_message_id(first: int, place: int) -> int:
    """Return the Msg_Id of one recipient of a SUBMIT with several.

    Spec: cmpp.md section 5: the sequence is ``place`` higher and wraps, without carry into the
    gateway code.

    Args:
        first: Msg_Id of the SUBMIT_RESP.
        place: The recipient's in Dest_terminal_Id, from 0.
    """
    return first & ~0xFFFF | first + place & 0xFFFF

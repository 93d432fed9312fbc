"""SMGP login digests, the timestamp they cover, and MsgID."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from hashlib import md5

from smsgw.protocols.smgp.constants import GATEWAYS, SEQUENCES

SEVEN_ZEROS = bytes(7)
STATUS_OCTETS = 4
ONE_SECOND = timedelta(seconds=1)
PROOF_OCTETS_MIN = 8
"""A cut digest that is believed has at least so many octets: 64 bits are not guessed online."""


def login_timestamp(when: datetime) -> int:
    """Return MMDDHHMMSS as a decimal number (smgp.md section 4)."""
    return int(when.strftime("%m%d%H%M%S"))


def login_digest(client_id: str, secret: str, timestamp: int) -> bytes:
    """Return AuthenticatorClient: the 16 octets that prove we know the shared secret.

    Spec: smgp.md section 4. Seven zero octets, where CMPP has nine.

    Args:
        client_id: ClientID, hashed without padding.
        secret: The shared secret, at most 15 octets of ASCII in the specification.
        timestamp: MMDDHHMMSS as a decimal number; hashed as ten digits, zero padded.
    """
    name = client_id.encode("latin-1", "replace")  # a name that does not fit fails in its field
    return md5(
        name + SEVEN_ZEROS + secret.encode(errors="surrogatepass") + b"%010d" % timestamp
    ).digest()


def login_proof(client_id: str, secret: str, when: datetime) -> tuple[int, bytes]:
    """Return a timestamp and AuthenticatorClient whose digest has no zero octet.

    Gateways that handle the digest as a C string cut it at the first one and so refuse about 6 %
    of the logins (smgp.md section 13). Nothing is lost by naming a second a little in the past,
    since the sheet sets no clock tolerance.

    Args:
        client_id: As :func:`login_digest` wants it.
        secret: The same.
        when: China Standard Time.
    """
    while True:  # 94 of 100 digests will do
        timestamp = login_timestamp(when)
        digest = login_digest(client_id, secret, timestamp)
        if 0 not in digest:
            return timestamp, digest
        when -= ONE_SECOND


def login_matches(digest: bytes, client_id: str, secret: str, timestamp: int) -> bool:
    """Whether a client's digest is right. Any timestamp is taken (smgp.md section 4).

    Two wrong forms count too, because clients in the field send them (section 13): cut at its
    first zero octet, and the first 16 characters of its hexadecimal form.
    """
    right = login_digest(client_id, secret, timestamp)
    kept = right.partition(b"\0")[0]
    cut = kept.ljust(len(right), b"\0") if len(kept) >= PROOF_OCTETS_MIN else right
    in_hex = right[:PROOF_OCTETS_MIN].hex().encode()
    return (
        hmac.compare_digest(digest, right)
        or hmac.compare_digest(digest, cut)
        or hmac.compare_digest(digest.lower(), in_hex)
    )


def server_digest(status: int, login: bytes, secret: str) -> bytes:
    """Return AuthenticatorServer, the gateway's proof (smgp.md section 4)."""
    return md5(
        status.to_bytes(STATUS_OCTETS, "big") + login + secret.encode(errors="surrogatepass")
    ).digest()


def server_matches(digest: bytes, status: int, login: bytes, secret: str) -> bool:
    """Whether the gateway's proof is right. Several gateways send zeros (smgp.md section 13)."""
    return hmac.compare_digest(digest, server_digest(status, login, secret))


def make_message_id(gateway: int, when: datetime, count: int) -> bytes:
    """Return a MsgID as a gateway makes it: 20 BCD digits.

    Spec: smgp.md section 6.

    Args:
        gateway: SMGW code as a decimal integer, at most 6 digits (10061 is 010061).
        when: China Standard Time.
        count: Step 1; taken modulo one million.
    """
    time = when.strftime("%m%d%H%M")
    return bytes.fromhex(f"{gateway % GATEWAYS:06d}{time}{count % SEQUENCES:06d}")


def receiver_message_id(first: bytes, place: int) -> bytes:
    """Return the MsgID of one receiver of a Submit with several.

    Spec: smgp.md section 5: the sequence is ``place`` higher and wraps. An id that is not BCD
    (section 13) cannot follow this rule and is returned as it is.

    Args:
        first: MsgID of the Submit_Resp.
        place: The receiver's in DestTermID, from 0.
    """
    digits = first.hex()
    if not digits[14:].isdecimal():
        return first
    return bytes.fromhex(f"{digits[:14]}{(int(digits[14:]) + place) % SEQUENCES:06d}")

"""SMGP login digests, the timestamp they cover, and MsgID."""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import md5

from smsgw.protocols.smgp.constants import GATEWAYS, SEQUENCES

SEVEN_ZEROS = bytes(7)
STATUS_OCTETS = 4


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


def login_matches(digest: bytes, client_id: str, secret: str, timestamp: int) -> bool:
    """Whether a client's digest is right. Any timestamp is taken (smgp.md section 4)."""
    return hmac.compare_digest(digest, login_digest(client_id, secret, timestamp))


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


def receiver_message_id(first: bytes, index: int) -> bytes:
    """Return the MsgID of one receiver of a Submit with several.

    Spec: smgp.md section 5: the sequence is ``index`` higher and wraps. An id that is not BCD
    (section 13) cannot follow this rule and is returned as it is.

    Args:
        first: MsgID of the Submit_Resp.
        index: The receiver's place in DestTermID, from 0.
    """
    digits = first.hex()
    if not digits[14:].isdecimal():
        return first
    return bytes.fromhex(f"{digits[:14]}{(int(digits[14:]) + index) % SEQUENCES:06d}")

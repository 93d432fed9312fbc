"""Secrets of webhooks, and what is signed with them.

Spec: Standard Webhooks 1.0.0 (standardwebhooks.com), "Webhook Metadata" and "Signature Scheme".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
SECRET_OCTETS = 32
"""The specification asks for 24 to 64."""


def new_secret() -> str:
    """Return a secret that nobody knows yet: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_OCTETS)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return ``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(
    secret_list: Iterable[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers of one attempt, with a signature for each secret in force.

    Args:
        secret_list: Those in force, newest first.
        message_id: The same in every attempt, so that a receiver knows a repeat.
        timestamp: Seconds since the Unix epoch, of this attempt.
        body: What is posted.
    """
    signatures = [signature(secret, message_id, timestamp, body) for secret in secret_list]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }

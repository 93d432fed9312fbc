"""For receivers of webhooks: whether what was posted is from the gateway, and what it says.

Source: Standard Webhooks 1.0.0, "Webhook Metadata" and "Signature Scheme".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

import msgspec

from smsgw.client.answers import Event
from smsgw.client.errors import ClientError

TOLERANCE = 300.0
"""Seconds by which a post's time and ours may differ: what was overheard is worth nothing later."""

PREFIX = "whsec_"
VERSION = "v1"


class NotGenuine(ClientError):
    """What was posted is not from the gateway, or too old: answer 400 and do nothing."""


class _Body(msgspec.Struct):
    events: list[Event]


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> list[Event]:
    """Return the events that a gateway posted.

    Answer with any 2xx once they are safe with you. A post may come again, and an event in another
    one: each has its ``id``, always the same.

    Args:
        headers: Of the post, in any case: ``webhook-id``, ``webhook-timestamp`` and
            ``webhook-signature``.
        body: Its octets as they came, not parsed and written again.
        secret: The webhook's, with ``whsec_`` before it.
        tolerance: Seconds by which the post's time may differ from ours.
        now: Our time in seconds since the Unix epoch; the machine's unless given.

    Raises:
        NotGenuine: Who posted it does not know the secret, or did so long ago.
        ValueError: ``secret`` is not one.
    """
    key = _key(secret)
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id = given["webhook-id"]
        timestamp = given["webhook-timestamp"]
        signatures = given["webhook-signature"]
    except KeyError as missing:
        raise NotGenuine(f"no header {missing.args[0]}") from None
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        raise NotGenuine("webhook-timestamp is not seconds since the Unix epoch")
    signed = b"%b.%b.%b" % (message_id.encode(errors="replace"), timestamp.encode(), body)
    digest = hmac.digest(key, signed, hashlib.sha256)
    # All are looked at, however early one fits: the time it takes tells nothing.
    if not sum(hmac.compare_digest(digest, one) for one in _signatures(signatures)):
        raise NotGenuine("no signature fits: another secret, or a body that was changed")
    age = (time.time() if now is None else now) - int(timestamp)
    if abs(age) > tolerance:
        raise NotGenuine(f"posted {age:.0f} s ago, limit {tolerance:.0f} s")
    try:
        return msgspec.json.decode(body, type=_Body).events
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotGenuine(f"the body is not what a gateway posts: {error}") from error


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or not secret.startswith(PREFIX):
        raise ValueError("secret: write the webhook's, whsec_ and base64")
    return key


def _signatures(written: str) -> list[bytes]:
    """Return the signatures of the scheme we know; others are passed over."""
    found = []
    for one in written.split():
        version, _, signature = one.partition(",")
        if version != VERSION:
            continue
        try:
            found.append(base64.b64decode(signature, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found

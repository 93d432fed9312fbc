"""SMPP logins, which prove nothing but knowledge of a clear password, and message ids."""

from __future__ import annotations

import hmac
from datetime import datetime

COUNTS = 1_000_000


def password_matches(password: str, secret: str) -> bool:
    """Whether a client's password is right, in a time that does not depend on where it differs.

    Spec: SMPP 3.4 5.2.2.
    """
    return hmac.compare_digest(
        password.encode(errors="surrogatepass"), secret.encode(errors="surrogatepass")
    )


def make_message_id(gateway: int, when: datetime, count: int) -> str:
    """Return a message_id as a gateway makes it: digits that do not repeat.

    Spec: SMPP 3.4 5.2.23 leaves the form to the SMSC; at most 64 characters.

    Args:
        gateway: A number of the gateway's own.
        when: China Standard Time.
        count: Step 1; taken modulo one million.
    """
    return f"{gateway}{when:%y%m%d%H%M%S}{count % COUNTS:06d}"

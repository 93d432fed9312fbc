"""Bearer tokens: who asks. What they may do is for :mod:`smsgw.services.access`."""

from __future__ import annotations

from smsgw.errors import UnknownAccount


def bearer(authorization: str | None) -> str:
    """Return the token of an Authorization header.

    Raises:
        UnknownAccount: There is none.
    """
    if not authorization:
        raise UnknownAccount("send the header Authorization: Bearer TOKEN")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise UnknownAccount("the Authorization header must be: Bearer TOKEN")
    return token

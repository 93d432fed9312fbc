"""Bearer tokens: who asks. Only hashes are kept, and every comparison takes the same time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from smsgw.errors import UnknownAccount


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Tokens:
    """The tokens in force.

    Args:
        accounts: Token to the account it stands for.
    """

    def __init__(self, accounts: Mapping[str, str]) -> None:
        self._accounts = [(_digest(token), account) for token, account in accounts.items()]

    def account_of(self, authorization: str | None) -> str:
        """Return the account that an Authorization header proves.

        Raises:
            UnknownAccount: There is none, or its token is not one of ours.
        """
        if not authorization:
            raise UnknownAccount("send the header Authorization: Bearer TOKEN")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnknownAccount("the Authorization header must be: Bearer TOKEN")
        given = _digest(token.strip())
        found: str | None = None
        for digest, account in self._accounts:
            if hmac.compare_digest(digest, given):
                found = account
        if found is None:
            raise UnknownAccount("the token is not known")
        return found

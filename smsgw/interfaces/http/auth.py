"""Bearer tokens: who asks. What they may do is for :mod:`smsgw.services.access`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from smsgw.errors import UnknownAccount
from smsgw.interfaces.http.front import Json
from smsgw.services.access.book import TokenChange, TokenDraft
from smsgw.services.access.callers import Caller


class TokensFront(Protocol):
    """The tokens that are not in the configuration (:class:`smsgw.services.access.book.Tokens`)."""

    def create(self, by: Caller, draft: TokenDraft) -> Awaitable[Json]:
        """Make one; return it with its ``token``."""
        ...

    def show(self, account: str, token_id: int) -> Awaitable[Json]:
        """Return a department's token."""
        ...

    def list(
        self, account: str, *, revoked: bool, before: int | None, limit: int
    ) -> Awaitable[Sequence[Json]]:
        """Return a department's, newest first, older than the id ``before``."""
        ...

    def change(self, by: Caller, token_id: int, change: TokenChange) -> Awaitable[Json]:
        """Change what is given; return the token."""
        ...

    def revoke(self, by: Caller, token_id: int) -> Awaitable[Json]:
        """Refuse it from now on; return it."""
        ...


class AccessFront(Protocol):
    """Who may do what (:class:`smsgw.services.access.access.Access`)."""

    @property
    def tokens(self) -> TokensFront:
        """The tokens that are not in the configuration."""
        ...

    def admit(self, token: str, host: str) -> Awaitable[Caller]:
        """Return whose a token is, or raise what becomes 401, 403 or 429."""
        ...


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

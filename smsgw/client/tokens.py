"""Tokens: who may use the gateway, and for what; docs/access.md has the roles and scopes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from smsgw.client.core import Core, Stream, Work, segment


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token, without what it is.

    Attributes:
        prefix: Its first characters, to know it by.
        account: The department whose data it is about.
        state: ``active``, ``expired`` or ``revoked``.
        networks: Where it may be used from; none for anywhere.
        rate: Requests a second, 0 for no limit.
        daily: Messages a day, 0 for no limit.
        last_used_at: To the minute; None before its first use.
        token: The token itself; only in the answer to ``create``, else "".
    """

    id: str
    prefix: str
    name: str
    account: str
    state: str
    roles: list[str]
    scopes: list[str]
    networks: list[str]
    rate: int
    daily: int
    expires_at: datetime | None
    version: int
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str
    token: str = ""


class _Change(msgspec.Struct, frozen=True):
    """What is UNSET stays; an ``expires_at`` of None is for never."""

    roles: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    scopes: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    networks: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    rate: int | msgspec.UnsetType = msgspec.UNSET
    daily: int | msgspec.UnsetType = msgspec.UNSET
    expires_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET


def create(
    core: Core,
    name: str,
    *,
    account: str | None = None,
    roles: Sequence[str] = (),
    scopes: Sequence[str] = (),
    networks: Sequence[str] = (),
    rate: int = 0,
    daily: int = 0,
    expires_at: datetime | None = None,
) -> Work[Token]:
    """Make a token; the answer's ``token`` is shown to nobody ever again.

    Args:
        name: What its uses are recorded under.
        account: Its department; that of the client's own token unless given.
        roles: Such as ``sender``.
        scopes: Such as ``events:read``, besides those of the roles.
        networks: Where it may be used from, such as ``10.20.0.0/16``; anywhere unless given.
        rate: Requests a second; 0 for no limit.
        daily: Messages a day; 0 for no limit.
        expires_at: From when on it is refused, with its zone; None for never.

    Raises:
        ApiError: 403 when it would be more than the client's own token has.
    """
    body = {
        "name": name,
        "account": account,
        "roles": roles,
        "scopes": scopes,
        "networks": networks,
        "rate": rate,
        "daily": daily,
        "expires_at": expires_at,
    }
    return (yield from core.post("/v1/tokens", Token, body))


def show(core: Core, token_id: str) -> Work[Token]:
    """Return a token: what it may do, when it was used last."""
    return (yield from core.get(f"/v1/tokens/{segment(token_id)}", Token))


def list_(core: Core, *, revoked: bool = False) -> Stream[Token]:
    """Iterate over tokens, newest first; with ``revoked`` also those."""
    asked = {"revoked": "true" if revoked else None}
    yield from core.pages("/v1/tokens", "tokens", Token, asked)


def change(
    core: Core,
    token_id: str,
    *,
    roles: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
    networks: Sequence[str] | None = None,
    rate: int | None = None,
    daily: int | None = None,
    expires_at: datetime | Literal["never"] | None = None,
    version: int | None = None,
) -> Work[Token]:
    """Change what a token may do; what is None stays.

    Args:
        token_id: Which.
        roles: Instead of those it has; so with the others.
        scopes: Besides those of the roles.
        networks: Where it may be used from; empty for anywhere.
        rate: Requests a second; 0 for no limit.
        daily: Messages a day; 0 for no limit.
        expires_at: From when on it is refused, with its zone, or ``never``.
        version: The one that was seen: another one is a conflict (409).
    """
    given = {
        "roles": roles,
        "scopes": scopes,
        "networks": networks,
        "rate": rate,
        "daily": daily,
        "version": version,
        "expires_at": expires_at,
    }
    body: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if expires_at == "never":
        body["expires_at"] = None
    path = f"/v1/tokens/{segment(token_id)}/change"
    return (yield from core.post(path, Token, msgspec.convert(body, _Change)))


def revoke(core: Core, token_id: str) -> Work[Token]:
    """Refuse a token from now on, for good."""
    return (yield from core.post(f"/v1/tokens/{segment(token_id)}/revoke", Token))

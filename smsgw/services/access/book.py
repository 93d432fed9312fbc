"""Makes tokens, shows, changes and revokes them.

Rules: a token is shown once, when it is made; afterwards there is only its digest. Nobody gives
what he has not himself: a token is made, changed and revoked by those that have all of its scopes,
in their own department or one below. Every change lands in the audit chain.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import msgspec
from twisted.internet.defer import Deferred

from smsgw.errors import Conflict, NotAllowed, NotFound, Outdated, ValidationError
from smsgw.services.access import departments, form, roles
from smsgw.services.access.callers import Caller, is_free
from smsgw.services.queries import Json, iso
from smsgw.store import audit, tokens
from smsgw.store.audit import Entry
from smsgw.store.idempotency import Once, remember
from smsgw.store.ids import IdSource
from smsgw.store.tokens import TokenRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

NAME_MAX = 64
NETWORKS_MAX = 50
RATE_MAX = 100_000
DAILY_MAX = 1_000_000_000

CONSOLE = Caller(name="console", scopes=frozenset(roles.SCOPES))
"""Who has the database itself: above all departments."""

Names = Annotated[list[str], msgspec.Meta(max_length=len(roles.SCOPES))]
Networks = Annotated[list[str], msgspec.Meta(max_length=NETWORKS_MAX)]
Rate = Annotated[int, msgspec.Meta(ge=0, le=RATE_MAX)]
Daily = Annotated[int, msgspec.Meta(ge=0, le=DAILY_MAX)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Clock(Protocol):
    """What is needed of a reactor."""

    def seconds(self) -> float:
        """Return the time since the Unix epoch."""
        ...


class Runs(Protocol):
    """What is needed of the writer."""

    def run(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Call ``fn`` in a transaction."""
        ...


class Store(Protocol):
    """A database (:class:`smsgw.store.database.Database`), or one open transaction of it."""

    @property
    def ids(self) -> IdSource:
        """Where ids come from."""
        ...

    @property
    def writer(self) -> Runs:
        """What commits."""
        ...

    def read(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Call ``fn`` with a read-only connection."""
        ...


class TokenDraft(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A token to make.

    Attributes:
        name: What its uses are recorded under; another one of its department has another.
        account: Its department; "" for that of who makes it.
        roles: See :mod:`smsgw.services.access.roles`.
        scopes: What it may do besides.
        networks: Where it may be used from; empty for anywhere.
        rate: Requests a second; 0 for no limit.
        daily: Messages a day; 0 for no limit.
        expires_at: From when on it is refused; None for never.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]
    account: str = ""
    roles: Names = []
    scopes: Names = []
    networks: Networks = []
    rate: Rate = 0
    daily: Daily = 0
    expires_at: Time | None = None


class TokenChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different of a token; what is UNSET stays."""

    roles: Names | msgspec.UnsetType = msgspec.UNSET
    scopes: Names | msgspec.UnsetType = msgspec.UNSET
    networks: Networks | msgspec.UnsetType = msgspec.UNSET
    rate: Rate | msgspec.UnsetType = msgspec.UNSET
    daily: Daily | msgspec.UnsetType = msgspec.UNSET
    expires_at: Time | msgspec.UnsetType | None = msgspec.UNSET
    version: int | None = None


class Tokens:
    """Keeps the tokens that are not in the configuration.

    Args:
        store: The open database.
        clock: Its time.
        changed: Called after the commit of every change.
    """

    def __init__(
        self, store: Store, clock: Clock, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed

    async def create(self, by: Caller, draft: TokenDraft, once: Once[Json] | None = None) -> Json:
        """Make a token; returns it with ``token``, which nobody is ever shown again.

        What ``once`` makes of what is returned is recorded in the same commit; so below.

        Raises:
            ValidationError: A field is wrong.
            NotAllowed: It would be more than who makes it has.
            Conflict: Its department has one of this name.
        """
        now = self._now()
        account = draft.account or by.account
        departments.check_name(account)
        if not departments.is_within(account, by.account):
            raise NotAllowed(f"{account!r} is not a department of this token")
        if draft.name != draft.name.strip() or not draft.name.isprintable():
            raise ValidationError("name", "has blanks around it, or what cannot be printed")
        if not is_free(draft.name):
            raise ValidationError("name", "is what something else is recorded under; use a word")
        values = self._values(by, msgspec.to_builtins(draft, builtin_types=(datetime,)), now)
        token = form.new_token()
        row = TokenRow(
            id=self._store.ids.next(),
            digest=form.digest_of(token),
            prefix=token[: form.SHOWN],
            name=draft.name,
            account=account,
            created_at=now,
            created_by=by.name,
            **values,
        )

        def work(connection: Connection) -> Json:
            if not tokens.insert(connection, row):
                raise Conflict(
                    f"{account} has a token {row.name!r}; revoke it, or use another name"
                )
            self._audit(connection, now, by, row, "created", _granted(row))
            return remember(connection, once, {**_shown(row, now), "token": token})

        made = await self._store.writer.run(work)
        self._changed()
        return made

    async def show(self, account: str, token_id: int) -> Json:
        """Return a department's token, or anybody's with ""; or raise NotFound."""
        row = await self._store.read(lambda c: tokens.get(c, token_id))
        if row is None or account not in ("", row.account):
            raise _unknown(token_id)
        return _shown(row, self._now())

    def list(
        self, account: str, *, revoked: bool, before: int | None, limit: int
    ) -> Deferred[Sequence[Json]]:
        """Return a department's tokens, or all with "", newest first, before the id ``before``."""
        now = self._now()

        def find(connection: Connection) -> Sequence[Json]:
            rows = tokens.page(connection, account, revoked=revoked, before=before, limit=limit)
            return [_shown(row, now) for row in rows]

        return self._store.read(find)

    async def change(
        self, by: Caller, token_id: int, change: TokenChange, once: Once[Json] | None = None
    ) -> Json:
        """Change what is given; returns the token.

        Raises:
            ValidationError, NotAllowed, NotFound: As :meth:`create`, or there is none.
            Conflict: It was revoked.
            Outdated: It is at another version.
        """
        now = self._now()
        asked = msgspec.to_builtins(change, builtin_types=(datetime,))
        version = asked.pop("version")

        def work(connection: Connection) -> Json:
            row = _of(connection, by, token_id)
            _check_version(row, version)
            if row.revoked_at is not None:
                raise Conflict(f"token {token_id} was revoked; make a new one")
            before = _granted(row)
            values = self._values(by, {**_plain(row), **asked}, now, asked)
            changed = _kept(tokens.change(connection, row, **values), token_id)
            after = _granted(changed)
            detail = {key: value for key, value in after.items() if value != before[key]}
            was = {key: before[key] for key in detail}
            self._audit(connection, now, by, row, "changed", {**detail, "was": was})
            return remember(connection, once, _shown(changed, now))

        shown = await self._store.writer.run(work)
        self._changed()
        return shown

    async def revoke(
        self,
        by: Caller,
        token_id: int,
        version: int | None = None,
        once: Once[Json] | None = None,
    ) -> Json:
        """Refuse a token from now on; returns it as it is then. Again, it does nothing.

        Raises:
            NotFound, NotAllowed: There is none, or it may do more than who revokes it.
            Outdated: It is not at ``version``.
        """
        now = self._now()

        def work(connection: Connection) -> Json:
            row = _of(connection, by, token_id)
            _check_version(row, version)
            if row.revoked_at is None:
                values = {"revoked_at": now, "revoked_by": by.name}
                row = _kept(tokens.change(connection, row, **values), token_id)
                self._audit(connection, now, by, row, "revoked", {})
            return remember(connection, once, _shown(row, now))

        shown = await self._store.writer.run(work)
        self._changed()
        return shown

    def _values(
        self, by: Caller, given: Json, now: int, fresh: Json | None = None
    ) -> dict[str, Any]:
        """Return the columns of what a token may do, checked."""
        roles.check(given["roles"], given["scopes"])
        granted = roles.scopes_of(given["roles"], given["scopes"])
        if not granted:
            raise ValidationError("roles", f"is empty; write some of {', '.join(roles.ROLES)}")
        _check_covers(by, granted)
        expires = given["expires_at"]
        expires_at = int(expires.timestamp() * 1000) if isinstance(expires, datetime) else expires
        if expires_at is not None and expires_at <= now and "expires_at" in (fresh or given):
            raise ValidationError("expires_at", "is over; write a time to come, or leave it out")
        return {
            "roles": _json(given["roles"]),
            "scopes": _json(given["scopes"]),
            "networks": _json([_network(*one) for one in enumerate(given["networks"])]),
            "rate": given["rate"],
            "daily": given["daily"],
            "expires_at": expires_at,
        }

    def _audit(
        self, connection: Connection, now: int, by: Caller, row: TokenRow, action: str, detail: Json
    ) -> None:
        told = {**detail, "name": row.name, "by_token": str(by.token_id)}
        entry = Entry(by.name, f"token.{action}", row.account, row.id, told)
        audit.append(connection, now, [entry])

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)


def _of(connection: Connection, by: Caller, token_id: int) -> TokenRow:
    """Return a token that somebody may change."""
    row = tokens.get(connection, token_id)
    if row is None or not departments.is_within(row.account, by.account):
        raise _unknown(token_id)
    _check_covers(by, roles.scopes_of(_texts(row.roles), _texts(row.scopes)))
    return row


def _check_covers(by: Caller, granted: frozenset[str]) -> None:
    if missing := granted - by.scopes:
        names = ", ".join(sorted(missing))
        raise NotAllowed(f"this token has not itself: {names}")


def _kept(changed: TokenRow | None, token_id: int) -> TokenRow:
    if changed is None:
        raise Outdated(f"token {token_id} was changed by somebody else; look at it again")
    return changed


def _check_version(row: TokenRow, version: int | None) -> None:
    if version is not None and version != row.version:
        raise Outdated(f"token {row.id} is at version {row.version}, not {version}")


def _unknown(token_id: int) -> NotFound:
    return NotFound(f"token {token_id}: not recorded")


def _network(place: int, written: str) -> str:
    try:
        return str(ipaddress.ip_network(written.strip()))
    except ValueError as error:
        problem = f'{error}; write a network as "10.0.0.0/8", or one address'
        raise ValidationError(f"networks[{place}]", problem) from None


def _plain(row: TokenRow) -> Json:
    """Return what a token may do, as its columns have it."""
    lists = {name: _texts(getattr(row, name)) for name in ("roles", "scopes", "networks")}
    return {**lists, "rate": row.rate, "daily": row.daily, "expires_at": row.expires_at}


def _granted(row: TokenRow) -> Json:
    return {**_plain(row), "expires_at": iso(row.expires_at)}


def _shown(row: TokenRow, now: int) -> Json:
    state = "active"
    if row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at is not None and row.expires_at <= now:
        state = "expired"
    return {
        "id": str(row.id),
        "prefix": row.prefix,
        "name": row.name,
        "account": row.account,
        "state": state,
        **_granted(row),
        "version": row.version,
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "last_used_at": iso(row.last_used_at),
        "revoked_at": iso(row.revoked_at),
        "revoked_by": row.revoked_by,
    }


def _json(names: Sequence[str]) -> str:
    return msgspec.json.encode(list(dict.fromkeys(names))).decode()


def _texts(written: str) -> list[str]:
    return msgspec.json.decode(written, type=list[str])

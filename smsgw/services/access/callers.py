"""Who makes a request: a token becomes a :class:`Caller`.

Rules: a token is looked for by its SHA-256, so how long that takes says nothing about it. What was
found is kept for a moment only, so that a token that another process revoked is refused within
:data:`KEPT_SECONDS`. What is asked on every request costs no look into the store.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import NotAllowed, RateLimited, StoreError, UnknownAccount
from smsgw.services.access import departments, form, roles
from smsgw.services.access.limits import Bucket
from smsgw.services.access.usage import Usage
from smsgw.store import audit, tokens
from smsgw.store.audit import Entry
from smsgw.store.database import Database
from smsgw.store.tokens import TokenRow
from smsgw.transport.bans import Bans
from smsgw.transport.gate import GateObserver
from smsgw.transport.peers import source_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

KEPT_SECONDS = 4.0
"""How long what the store said of a token is believed."""
FRESH_SECONDS = 2.0
"""Then it is asked again, while requests go on."""
FAILURES_MAX, WINDOW_SECONDS = 20, 60.0
"""So many wrong tokens from one address within this time are too many."""
BAN_SECONDS, LONGEST_BAN_SECONDS = 60.0, 900.0
"""For how long it then may try no new one: longer each time."""
NOTED_SECONDS = 60.0
"""How exactly it is known when a token was used last, and how often a refusal is recorded."""


def is_free(name: str) -> bool:
    """Whether a token may have this name: the audit chain has phones and these as actors too."""
    return name not in ("gateway", "console") and not name.isdigit()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A token of the configuration."""

    name: str
    account: str
    role: str
    token: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Caller:
    """Who makes a request.

    Attributes:
        name: The token's.
        account: Its department.
        scopes: What it may do.
        below: The departments below its own.
        token_id: 0 for one of the configuration.
        daily: Messages it may send a day; 0 for no limit.
        usage: Where those are counted.
    """

    name: str = ""
    account: str = ""
    scopes: frozenset[str] = frozenset()
    below: tuple[str, ...] = ()
    token_id: int = 0
    daily: int = 0
    usage: Usage | None = None

    def check(self, scope: str) -> None:
        """Check that it may do something.

        Raises:
            NotAllowed: It may not.
        """
        if scope not in self.scopes:
            raise NotAllowed(f"this token has not the scope {scope or roles.ADMIN}")

    def accounts_of(self, department: str) -> tuple[str, ...]:
        """Return a department of its own, and those below it.

        Raises:
            NotAllowed: It is not its own, nor one below that exists.
        """
        if department != self.account and department not in self.below:
            problem = f"{department[:80]!r} is not a department of this token"
            raise NotAllowed(f"{problem}: {self.account!r} and what is below")
        return (department, *departments.below(department, self.below))

    async def counted(self, messages: int, send: Callable[[], Awaitable[T]]) -> T:
        """Send messages; those that are sent count against the daily limit.

        Raises:
            QuotaExceeded: They are too many; nothing was sent.
        """
        if not self.daily or self.usage is None:
            return await send()
        return await self.usage.counted(self.token_id, self.daily, messages, send)


class _Known:
    """A token that was good, and what the store said of it."""

    __slots__ = ("asked_at", "caller", "expires_at", "kept", "networks", "noted_at", "row_rate")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.networks: tuple[Network, ...] = ()
        self.expires_at = float("inf")
        self.row_rate = 0
        self.asked_at = float("-inf")
        self.kept = float("inf")  # seconds from then on
        self.noted_at = float("-inf")


class Callers:
    """Tells who makes a request.

    Args:
        store: The open database.
        clock: Its time.
        usage: What is told of each use.
        configured: The tokens of the configuration.
        accounts: Departments that exist without a token.
        observer: Told of requests refused since their address tried too many tokens.
    """

    log = Logger()

    def __init__(
        self,
        store: Database,
        clock: IReactorTime,
        usage: Usage,
        configured: Iterable[Configured] = (),
        accounts: Iterable[str] = (),
        observer: GateObserver | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._usage = usage
        self._configured: dict[bytes, Caller] = {}
        self._accounts: set[str] = set()
        self._known: dict[bytes, _Known] = {}
        self._asking: dict[bytes, list[Deferred[_Known]]] = {}
        self._turn = 0  # answers to what was asked in an earlier one are not kept
        self._buckets: dict[int, Bucket] = {}
        self._refused: dict[tuple[int, str], float] = {}
        self._observer = observer
        self._bans = Bans(FAILURES_MAX, WINDOW_SECONDS, BAN_SECONDS, LONGEST_BAN_SECONDS)
        self.configure(configured, accounts)

    def configure(self, configured: Iterable[Configured], accounts: Iterable[str]) -> None:
        """Go by these tokens of the configuration from now on; one that is gone is refused."""
        for digest in self._configured:
            self._known.pop(digest, None)
        self._configured = {}
        for one in configured:
            scopes = roles.scopes_of([one.role], ())
            caller = Caller(name=one.name, account=one.account, scopes=scopes)
            self._configured[form.digest_of(one.token)] = caller
        own = {caller.account for caller in self._configured.values()}
        self._accounts = own | set(accounts)
        for caller in self._configured.values():
            caller.below = departments.below(caller.account, self._accounts)
        self.reload()

    async def admit(self, token: str, host: str) -> Caller:
        """Return whose a token is.

        Args:
            token: As it was sent.
            host: The address it came from; "" for a Unix socket.

        Raises:
            UnknownAccount: It is none of ours, or not any more.
            NotAllowed: It may not be used from there.
            RateLimited: It makes too many requests, or its address tried too many others.
            StoreError: The database cannot be asked now.
        """
        now = self._clock.seconds()
        digest = form.digest_of(token)
        known = self._known.get(digest)
        if known is None:
            self._check(host, now)
        if known is None or not known.asked_at <= now < known.asked_at + known.kept:
            try:
                known = await self._find(digest, token)
            except UnknownAccount:
                self._failed(host, now)
                raise
        elif now >= known.asked_at + FRESH_SECONDS and digest not in self._asking:
            self._ask(digest).addErrback(self._asked_in_vain)
        caller = known.caller
        if now >= known.expires_at:
            self._failed(host, now)
            raise UnknownAccount("the token has expired; have a new one made")
        if known.networks and not _is_in(host, known.networks):
            self._refuse(caller, host, now)
        if known.row_rate:
            self._bucket(caller.token_id, known.row_rate, now).take(now)
        if caller.token_id and not known.noted_at <= now < known.noted_at + NOTED_SECONDS:
            known.noted_at = now
            self._usage.note(caller.token_id)
        return caller

    def reload(self) -> None:
        """Believe nothing that was asked before now: a token was changed or revoked here."""
        self._turn += 1
        for known in self._known.values():
            known.asked_at = float("-inf")

    # ---- what the store says -------------------------------------------------------------

    async def _find(self, digest: bytes, token: str) -> _Known:
        caller = self._configured.get(digest)
        if caller is None:
            if not form.is_whole(token):
                raise UnknownAccount(_MISTYPED if form.is_ours(token) else _UNKNOWN)
            return await self._ask(digest)
        known = self._known.setdefault(digest, _Known(caller))
        known.asked_at = self._clock.seconds()
        with suppress(StoreError):  # it is good without the store, which knows departments only
            await self._ask(digest)
        return known

    def _ask(self, digest: bytes) -> Deferred[_Known]:
        """Look a token up; whoever asks meanwhile waits for the same answer."""
        answer: Deferred[_Known] = Deferred()
        waiting = self._asking.get(digest)
        if waiting is not None:
            waiting.append(answer)
            return answer
        self._asking[digest] = [answer]
        turn, asked_at = self._turn, self._clock.seconds()

        def look(connection: Connection) -> tuple[TokenRow | None, list[str]]:
            found = None if digest in self._configured else tokens.by_digest(connection, digest)
            return found, tokens.accounts(connection)

        def answered(found: tuple[TokenRow | None, list[str]]) -> _Known:
            known = self._learn(digest, *found)
            known.asked_at = asked_at if turn == self._turn else float("-inf")
            return known

        def tell(outcome: _Known | Failure) -> None:
            for one in self._asking.pop(digest):
                if isinstance(outcome, Failure):
                    one.errback(outcome)
                else:
                    one.callback(outcome)

        self._store.read(look).addCallback(answered).addBoth(tell)
        return answer

    def _learn(self, digest: bytes, row: TokenRow | None, accounts: Iterable[str]) -> _Known:
        known = self._known.get(digest)
        accounts = self._accounts.union(accounts)
        if (caller := self._configured.get(digest)) is not None:
            if known is None:  # the configuration was read again meanwhile
                known = self._known[digest] = _Known(caller)
            caller = known.caller
            caller.below = departments.below(caller.account, accounts)
            return known
        if row is None or row.revoked_at is not None:
            self._known.pop(digest, None)
            raise UnknownAccount(_UNKNOWN if row is None else "the token was revoked")
        if known is None:
            known = self._known[digest] = _Known(Caller())
        granted = roles.scopes_of(_texts(row.roles), _texts(row.scopes))
        known.caller = Caller(
            name=row.name,
            account=row.account,
            scopes=granted,
            below=departments.below(row.account, accounts),
            token_id=row.id,
            daily=row.daily,
            usage=self._usage,
        )
        known.networks = tuple(map(ipaddress.ip_network, _texts(row.networks)))
        known.expires_at = float("inf") if row.expires_at is None else row.expires_at / 1000
        known.row_rate, known.kept = row.rate, KEPT_SECONDS
        return known

    def _asked_in_vain(self, failure: Failure) -> None:
        """Nobody waits for this answer: who comes when the last one is too old, is told."""
        failure.trap(StoreError, UnknownAccount)

    # ---- what is refused -----------------------------------------------------------------

    def _bucket(self, token_id: int, rate: int, now: float) -> Bucket:
        bucket = self._buckets.get(token_id)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[token_id] = Bucket(rate, now)
        return bucket

    def _refuse(self, caller: Caller, host: str, now: float) -> None:
        """Refuse an address, and record it: once a minute for each."""
        self._failed(host, now)
        key = caller.token_id, host
        if not 0 <= now - self._refused.get(key, float("-inf")) < NOTED_SECONDS:
            self._refused = {
                one: at for one, at in self._refused.items() if now - at < NOTED_SECONDS
            }
            self._refused[key] = now
            detail: Mapping[str, str] = {"address": host}
            entry = Entry(caller.name, "token.refused", caller.account, caller.token_id, detail)
            ms = int(now * 1000)
            recorded = self._store.writer.run(lambda c: audit.append(c, ms, [entry]))
            recorded.addErrback(lambda failure: failure.trap(StoreError))
            text = "token {token} was used from {host}, which is none of its networks"
            self.log.warn(text, event="token.used_elsewhere", token=caller.name, host=host)
        raise NotAllowed(f"this token may not be used from {host or 'a Unix socket'}")

    def _check(self, host: str, now: float) -> None:
        """Check that an address may try a token that was never right before."""
        wait = self._bans.left(source_of(host), now)
        if wait > 0:
            if self._observer is not None:
                self._observer.turned_away("http", "banned")
            raise RateLimited("too many wrong tokens came from your address", math.ceil(wait))

    def _failed(self, host: str, now: float) -> None:
        """Count a wrong token."""
        seconds = self._bans.failed(source_of(host), now)
        if seconds:
            told = "too many wrong tokens from {host}: no new one is tried for {seconds:g} s"
            self.log.warn(told, event="token.guessed", host=host, seconds=seconds)


_UNKNOWN = "the token is not known"
_MISTYPED = "the token is mistyped: its checksum does not fit"


def _texts(written: str) -> list[str]:
    return msgspec.json.decode(written, type=list[str])


def _is_in(host: str, networks: Iterable[Network]) -> bool:
    try:
        peer = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return any(peer in network for network in networks)

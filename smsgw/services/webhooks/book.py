"""What the owner of a webhook does with it: make it, change it, try it, have events again.

A secret is shown once: when it is made. Everything returned is ready for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut

from smsgw.errors import Conflict, NotFound, Outdated, ValidationError
from smsgw.model import Event
from smsgw.services.queries import Json, iso
from smsgw.services.webhooks import signing
from smsgw.services.webhooks.addresses import Rules, check_url
from smsgw.services.webhooks.connecting import Forbidden
from smsgw.services.webhooks.lane import Tools, body_of, signed
from smsgw.services.webhooks.posting import Result
from smsgw.store import audit, redeliveries, wanted, webhooks
from smsgw.store.audit import Entry
from smsgw.store.idempotency import Once, remember
from smsgw.store.redeliveries import DEAD, REPLAYING, RedeliveryRow
from smsgw.store.webhooks import ACTIVE, PAUSED, WebhookRow

T = TypeVar("T")

WEBHOOKS_MAX = 100
"""Of one account."""

KINDS_MAX = 50
REPLAYS_MAX = 20
"""Redeliveries of one webhook that wait for their turn."""

LOOKUP_SECONDS = 3.0
OVERLAP_SECONDS = 24 * 3600.0
OVERLAP_SECONDS_MAX = 30 * 24 * 3600.0
GROUPS = (
    "conversation",
    "conversations",
    "delivery",
    "inbound",
    "message",
    "number",
    "reply",
    "report",
    "request",
    "submit",
    "vote",
)
"""What the kinds of events begin with."""

TEST = "webhook.test"

_KIND = re.compile(r"([a-z]+)\.(\*|[a-z_]{1,40})")


class Resolves(Protocol):
    """What looks a host up (:class:`smsgw.services.webhooks.posting.Poster`)."""

    async def resolve(self, scheme: str, host: str) -> list[str]:
        """Return the addresses that may be called."""
        ...


class Webhooks:
    """Keeps webhooks for their owners.

    Args:
        tools: As lanes have them.
        rules: Which URLs are taken.
        resolve: Returns the addresses of a host that may be called, for a scheme.
        changed: Called after the commit of every change.
    """

    def __init__(
        self,
        tools: Tools,
        rules: Rules,
        resolve: Callable[[str, str], Any],
        changed: Callable[[], None],
    ) -> None:
        self._tools = tools
        self.rules = rules
        self._resolve = resolve
        self._changed = changed
        self._tested: set[int] = set()

    # ---- to have one ---------------------------------------------------------------------

    async def create(
        self, account: str, url: str, kinds: Sequence[str] = (), once: Once[Json] | None = None
    ) -> Json:
        """Have an account's events posted to a URL, from now on; returns it with its ``secret``.

        Args:
            account: Whose.
            url: Where to.
            kinds: Only these: ``request.closed``, ``request.*``; none is all.
            once: What it makes of what is returned is recorded in the same commit; so below.

        Raises:
            ValidationError: We do not call this URL, or there are no such kinds.
            Conflict: The account has as many as it may have.
        """
        host = await self._check_url(url)
        row = WebhookRow(
            id=self._tools.store.ids.next(),
            account=account,
            url=url,
            kinds=_kinds(kinds),
            secret=signing.new_secret(),
            created_at=self._tools.now(),
        )

        def work(connection: Connection) -> Json:
            if webhooks.count(connection, account) >= WEBHOOKS_MAX:
                raise Conflict(f"there are {WEBHOOKS_MAX} webhooks, the most; remove one first")
            row.cursor = wanted.newest(connection)
            webhooks.add(connection, row)
            detail = {"host": host, "kinds": row.patterns}
            self._audit(connection, row, "created", detail)
            return remember(connection, once, {**_shown(row, {}), "secret": row.secret})

        made = await self._tools.store.writer.run(work)
        self._changed()
        return made

    async def show(self, account: str, webhook_id: int) -> Json:
        """Return a webhook, or raise NotFound."""

        def find(connection: Connection) -> Json:
            row = webhooks.get(connection, webhook_id, account)
            if row is None:
                raise _unknown(webhook_id)
            return _shown(row, redeliveries.tally(connection, [row.id]).get(row.id, {}))

        return await self._tools.store.read(find)

    async def list(self, account: str, *, before: int | None, limit: int) -> Sequence[Json]:
        """Return an account's webhooks, newest first, older than the id ``before``."""

        def find(connection: Connection) -> Sequence[Json]:
            rows = webhooks.page(connection, account, before=before, limit=limit)
            counts = redeliveries.tally(connection, [row.id for row in rows])
            return [_shown(row, counts.get(row.id, {})) for row in rows]

        return await self._tools.store.read(find)

    async def change(
        self,
        account: str,
        webhook_id: int,
        *,
        url: str | None = None,
        kinds: Sequence[str] | None = None,
        version: int | None = None,
        once: Once[Json] | None = None,
    ) -> Json:
        """Post somewhere else, or other kinds; what failed is tried again at once.

        Other kinds hold for every event that is not acknowledged yet.

        Raises:
            ValidationError, NotFound: As :meth:`create`, or there is none.
            Outdated: It is not at ``version``; so in all that follow.
        """
        values: Json = {}
        detail: Json = {}
        if url is not None:
            values["url"], detail["host"] = url, await self._check_url(url)
        if kinds is not None:
            # What is under way was chosen by the old kinds, so it goes out under another id.
            values |= {"kinds": _kinds(kinds), "batch_id": 0, "batch_until": 0, "batch_of": 0}
            detail["kinds"] = sorted(set(kinds))
        about = account, webhook_id, version, once
        return await self._set(*about, "changed", detail, {**values, **_AT_ONCE})

    async def remove(
        self,
        account: str,
        webhook_id: int,
        version: int | None = None,
        once: Once[int] | None = None,
    ) -> int:
        """Forget a webhook, its dead letters too; returns its id. Raises NotFound."""

        def work(connection: Connection) -> int:
            row = _own(connection, account, webhook_id, version)
            webhooks.remove(connection, row.id)
            self._audit(connection, row, "removed", {})
            return remember(connection, once, row.id)

        removed = await self._tools.store.writer.run(work)
        self._changed()
        return removed

    # ---- its life ------------------------------------------------------------------------

    async def pause(
        self,
        account: str,
        webhook_id: int,
        version: int | None = None,
        once: Once[Json] | None = None,
    ) -> Json:
        """Post nothing until it is resumed; its events wait. Raises NotFound."""
        values = {"state": PAUSED, "reason": "asked for", **_AT_ONCE}
        return await self._set(account, webhook_id, version, once, "paused", {}, values)

    async def resume(
        self,
        account: str,
        webhook_id: int,
        version: int | None = None,
        once: Once[Json] | None = None,
    ) -> Json:
        """Go on with what waited; one that fails is tried again at once. Raises NotFound."""
        values = {"state": ACTIVE, "reason": "", **_AT_ONCE}
        return await self._set(account, webhook_id, version, once, "resumed", {}, values)

    async def rotate(
        self,
        account: str,
        webhook_id: int,
        overlap: float = OVERLAP_SECONDS,
        version: int | None = None,
        once: Once[Json] | None = None,
    ) -> Json:
        """Sign with a new secret, and with the old one as well for so many seconds.

        Returns:
            The webhook with its new ``secret``.
        """
        if not 0 <= overlap <= OVERLAP_SECONDS_MAX:
            problem = f"{overlap:g} seconds; write 0 to {OVERLAP_SECONDS_MAX:g}"
            raise ValidationError("overlap", problem)
        secret = signing.new_secret()
        until = self._tools.now() + int(overlap * 1000)

        def values(row: WebhookRow) -> Json:
            old = {"old_secret": row.secret if overlap else "", "old_secret_until": until}
            return {"secret": secret, **old}

        about = account, webhook_id, version, once
        return await self._set(*about, "secret_rotated", {}, values, secret=secret)

    async def test(self, account: str, webhook_id: int) -> Json:
        """Post an event ``webhook.test`` now, paused or not; returns what became of it.

        Raises:
            NotFound: There is none.
            Conflict: Another test is under way.
        """
        find = partial(webhooks.get, webhook_id=webhook_id, account=account)
        row = await self._tools.store.read(find)
        if row is None:
            raise _unknown(webhook_id)
        if webhook_id in self._tested:
            raise Conflict(f"webhook {webhook_id}: a test is under way; wait for it")
        self._tested.add(webhook_id)
        try:
            now, made = self._tools.now(), self._tools.store.ids.next()
            body = body_of([Event(TEST, row.id, account, {}, made, now)])
            outcome = await self._tools.poster.post(row.url, signed(row, made, now, body), body)
        finally:
            self._tested.discard(webhook_id)
        return {
            "delivered": outcome.result is Result.DELIVERED,
            "result": str(outcome.result),
            "status": outcome.status or None,
            "problem": outcome.problem,
            "seconds": outcome.seconds,
        }

    # ---- again ---------------------------------------------------------------------------

    async def dead_letters(
        self, account: str, webhook_id: int, *, before: int | None, limit: int
    ) -> Sequence[Json]:
        """Return what could not be delivered in a day, newest first."""

        def find(connection: Connection) -> Sequence[Json]:
            if webhooks.get(connection, webhook_id, account) is None:
                raise _unknown(webhook_id)
            rows = redeliveries.page(connection, webhook_id, state=DEAD, before=before, limit=limit)
            return [_letter(row) for row in rows]

        return await self._tools.store.read(find)

    async def replay_dead(
        self,
        account: str,
        webhook_id: int,
        dead_letter: int | None = None,
        once: Once[Json] | None = None,
    ) -> Json:
        """Have one dead letter delivered, or all with None; returns the webhook."""

        def work(connection: Connection, row: WebhookRow) -> Json:
            if not redeliveries.replay(connection, webhook_id, dead_letter) and dead_letter:
                raise NotFound(f"webhook {webhook_id}: no dead letter {dead_letter}")
            return {"dead_letter": str(dead_letter or "all")}

        return await self._replay(account, webhook_id, once, work)

    async def replay(
        self,
        account: str,
        webhook_id: int,
        *,
        after: int | None = None,
        since: datetime | None = None,
        until: int | None = None,
        once: Once[Json] | None = None,
    ) -> Json:
        """Have events delivered again, beside the new ones; returns the webhook.

        Args:
            account: Whose.
            webhook_id: Which.
            after: Those newer than this event.
            since: Or those recorded at this time or later.
            until: Up to this event; None for all that are acknowledged by now.
            once: As of :meth:`create`.

        Raises:
            ValidationError: There are none.
            Conflict: Too much waits for its turn already.
        """
        if since is not None:
            after = wanted.before_time(int(since.timestamp() * 1000))
        beyond, field = after or 0, "since" if since is not None else "after"

        def work(connection: Connection, row: WebhookRow) -> Json:
            last = row.cursor if until is None else min(until, row.cursor)
            if last <= beyond:
                raise ValidationError(field, "no event after it was delivered yet")
            made, now = self._tools.store.ids.next(), self._tools.now()
            again = RedeliveryRow(made, row.id, REPLAYING, beyond, last, 0, None, "asked for", now)
            redeliveries.add(connection, again)
            return {"after": str(beyond), "until": str(last)}

        return await self._replay(account, webhook_id, once, work)

    async def _replay(
        self,
        account: str,
        webhook_id: int,
        once: Once[Json] | None,
        work: Callable[[Connection, WebhookRow], Json],
    ) -> Json:
        def all_work(connection: Connection) -> Json:
            row = _own(connection, account, webhook_id)
            waiting, _ = (
                redeliveries.tally(connection, [row.id]).get(row.id, {}).get(REPLAYING, (0, 0))
            )
            if waiting >= REPLAYS_MAX:
                problem = f"{waiting} replays wait for their turn, the most; wait for one"
                raise Conflict(f"webhook {webhook_id}: {problem}")
            self._audit(connection, row, "replayed", work(connection, row))
            row = webhooks.change(connection, row, **_AT_ONCE)
            shown = _shown(row, redeliveries.tally(connection, [row.id]).get(row.id, {}))
            return remember(connection, once, shown)

        shown = await self._tools.store.writer.run(all_work)
        self._changed()
        return shown

    # ---- what they share -----------------------------------------------------------------

    async def _set(
        self,
        account: str,
        webhook_id: int,
        version: int | None,
        once: Once[Json] | None,
        action: str,
        detail: Json,
        values: Json | Callable[[WebhookRow], Json],
        **besides: str,
    ) -> Json:
        def work(connection: Connection) -> Json:
            row = _own(connection, account, webhook_id, version)
            given = values(row) if callable(values) else values
            row = webhooks.change(connection, row, **given)
            self._audit(connection, row, action, detail)
            shown = _shown(row, redeliveries.tally(connection, [row.id]).get(row.id, {}))
            return remember(connection, once, {**shown, **besides})

        shown = await self._tools.store.writer.run(work)
        self._changed()
        return shown

    async def _check_url(self, url: str) -> str:
        """Return the host of a URL that we call; one whose name is not known yet is taken."""
        parts = check_url(url, self.rules)
        host = parts.hostname or ""
        looked: Deferred[Any] = Deferred.fromCoroutine(self._resolve(parts.scheme, host))
        looked.addTimeout(LOOKUP_SECONDS, self._tools.clock)
        try:
            await looked
        except Forbidden as error:
            raise ValidationError("url", str(error)) from error
        except (OSError, TimedOut):
            pass
        return host

    def _audit(self, connection: Connection, row: WebhookRow, action: str, detail: Json) -> None:
        entry = Entry(row.account, f"webhook.{action}", row.account, row.id, detail)
        audit.append(connection, self._tools.now(), [entry])


_AT_ONCE: Json = {"attempts": 0, "failing_since": None, "next_attempt_at": None}


def _own(
    connection: Connection, account: str, webhook_id: int, version: int | None = None
) -> WebhookRow:
    row = webhooks.locked(connection, webhook_id)
    if row is None or row.account != account:
        raise _unknown(webhook_id)
    if version is not None and version != row.version:
        raise Outdated(
            f"webhook {webhook_id} is at version {row.version}, not {version}; read it again"
        )
    return row


def _unknown(webhook_id: int) -> NotFound:
    return NotFound(f"webhook {webhook_id}: not recorded")


def _kinds(kinds: Sequence[str]) -> str:
    """Return kinds as they are stored."""
    if len(kinds) > KINDS_MAX:
        raise ValidationError("kinds", f"has {len(kinds)} entries, limit {KINDS_MAX}")
    for place, kind in enumerate(kinds):
        found = _KIND.fullmatch(kind)
        if found is None or found[1] not in GROUPS:
            hint = f"write request.closed, or request.* for all; groups: {', '.join(GROUPS)}"
            raise ValidationError(f"kinds[{place}]", f"{kind[:60]!r} is no kind of event; {hint}")
    return msgspec.json.encode(sorted(set(kinds))).decode()


def _shown(row: WebhookRow, counts: dict[str, tuple[int, int]]) -> Json:
    return {
        "id": str(row.id),
        "version": row.version,
        "url": row.url,
        "kinds": row.patterns,
        "state": row.state,
        "reason": row.reason,
        "created_at": iso(row.created_at),
        "cursor": str(row.cursor),
        "delivered_at": iso(row.delivered_at),
        "failing_since": iso(row.failing_since),
        "attempts": row.attempts,
        "next_attempt_at": iso(row.next_attempt_at),
        "problem": row.problem,
        "old_secret_until": iso(row.old_secret_until) if row.old_secret else None,
        "dead_events": counts.get(DEAD, (0, 0))[1],
        "replays": counts.get(REPLAYING, (0, 0))[0],
    }


def _letter(row: RedeliveryRow) -> Json:
    return {
        "id": str(row.id),
        "after": str(row.after_id),
        "until": str(row.until_id),
        "events": row.events,
        "failing_since": iso(row.failing_since),
        "why": row.why,
        "at": iso(row.at),
    }

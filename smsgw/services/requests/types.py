"""Request types: flows saved by name, so that a form's type maps to its steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred

from smsgw.errors import NotFound, Outdated, ValidationError
from smsgw.services.queries import Json, iso
from smsgw.services.requests import checks
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.drafts import RequestDraft
from smsgw.store import audit
from smsgw.store import request_types as rows_of
from smsgw.store.audit import Entry
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember
from smsgw.store.request_types import RequestTypeRow

if TYPE_CHECKING:
    from sqlalchemy import Connection


_NAME = re.compile(r"\w[\w.-]{0,63}")

_OWN = ("subject", "reference", "type", "deadline")
"""What a request says itself, never its type."""


class RequestTypes:
    """Keeps flows.

    Args:
        store: The open database.
        tools: What requests are checked with.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, store: Database, tools: Tools, clock: Callable[[], float]) -> None:
        self._store = store
        self._tools = tools
        self._clock = clock

    def put(
        self,
        account: str,
        name: str,
        flow: RequestDraft,
        version: int | None = None,
        actor: str = "",
        once: Once[int] | None = None,
    ) -> Deferred[int]:
        """Save a flow; fires with its version after the commit.

        Args:
            account: Whose.
            name: Letters, digits, ``_``, ``.`` and ``-``, up to 64.
            flow: A request without what each says itself; its steps may be left out.
            version: The version it replaces, 0 for a new one; None replaces whatever is there.
            actor: Who does it; "" for the account.
            once: What it makes of the version is recorded in the same commit.

        Returns:
            Fails with ValidationError, or with Outdated when another version is there.
        """

        async def put() -> int:
            now = int(self._clock() * 1000)
            self._check(name, flow, now)
            definition = msgspec.json.encode(flow).decode()

            def work(connection: Connection) -> int:
                saved = rows_of.put(connection, account, name, definition, version, now)
                if saved is None:
                    raise Outdated(f"type {name}: another version is there; read it again")
                detail = {"name": name, "version": saved, "sha256": audit.digest(definition)}
                entry = Entry(actor or account, "request_type.saved", account, 0, detail)
                audit.append(connection, now, [entry])
                return remember(connection, once, saved)

            return await self._store.writer.run(work)

        return Deferred.fromCoroutine(put())

    def _check(self, name: str, flow: RequestDraft, now: int) -> None:
        if not _NAME.fullmatch(name):
            problem = f"{name[:70]!r}; write up to 64 letters, digits, '_', '.' or '-'"
            raise ValidationError("name", problem)
        for field in _OWN:
            if getattr(flow, field):
                raise ValidationError(f"flow.{field}", "is each request's own; leave it out")
        try:
            whole = msgspec.structs.replace(flow, subject=name)
            checks.check(whole, self._tools.presets, self._tools.composer, now)
        except ValidationError as error:
            if error.field == "steps" and flow.steps is None:
                return
            raise ValidationError(f"flow.{error.field}", error.problem) from error

    def show(self, account: str, name: str) -> Deferred[Json]:
        """Return a flow, or fail with NotFound."""

        def find(connection: Connection) -> Json:
            row = rows_of.get(connection, account, name) if _NAME.fullmatch(name) else None
            if row is None:
                raise NotFound(f"type {name[:70]}: not saved")
            return _shown(row)

        return self._store.read(find)

    def list(self, account: str, *, after: str, limit: int) -> Deferred[Sequence[Json]]:
        """Return an account's flows by name; ``after`` continues a page."""

        def page(connection: Connection) -> Sequence[Json]:
            found = rows_of.page(connection, account, after=after, limit=limit)
            return [_shown(row) for row in found]

        return self._store.read(page)

    def remove(
        self,
        account: str,
        name: str,
        actor: str = "",
        version: int | None = None,
        once: Once[str] | None = None,
    ) -> Deferred[str]:
        """Forget a flow; requests made from it stay as they are. Fires with its name.

        What ``once`` makes of that is recorded in the same commit. Fails with NotFound, or with
        Outdated when it is not at ``version``.
        """
        now = int(self._clock() * 1000)

        def work(connection: Connection) -> str:
            row = rows_of.get(connection, account, name) if _NAME.fullmatch(name) else None
            if row is None:
                raise NotFound(f"type {name[:70]}: not saved")
            present = row.version if version is None else version
            if not rows_of.remove(connection, account, name, present):
                raise Outdated(f"type {name}: another version is there; read it again")
            entry = Entry(actor or account, "request_type.removed", account, 0, {"name": name})
            audit.append(connection, now, [entry])
            return remember(connection, once, name)

        return self._store.writer.run(work)


def _shown(row: RequestTypeRow) -> Json:
    return {
        "name": row.name,
        "version": row.version,
        "updated_at": iso(row.updated_at),
        "flow": msgspec.json.decode(row.definition),
    }

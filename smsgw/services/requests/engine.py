"""The question engine's front door: create, reply, decide, show.

Rules: everything a call changes is one transaction; messages leave and the observer hears only
after its commit. A reply is handled once however often it is given. It knows no carrier, no PDU and
no HTTP: messages become rows through a :class:`~smsgw.services.requests.changes.Composer`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.model import Event
from smsgw.services.conversations import SlotPlan
from smsgw.services.requests import drafts, view
from smsgw.services.requests.changes import Changes, Composer, Tools
from smsgw.services.requests.model import Decision, StepDraft
from smsgw.services.requests.presets import PRESETS, Preset
from smsgw.services.requests.reply import settle
from smsgw.store import requests as rows_of
from smsgw.store.ids import IdSource
from smsgw.store.inbox import InboundRow
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRow, RequestRows

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

_log = Logger()


class Runs(Protocol):
    """What the engine needs of the writer."""

    def run(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Call ``fn`` inside one transaction."""
        ...


class Store(Protocol):
    """What the engine needs of the database (:class:`smsgw.store.database.Database`)."""

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


class RequestEngine:
    """Asks people and ties their replies to what they were asked.

    Args:
        store: The open database.
        composer: Turns prompts and answers into messages.
        clock: Seconds since the Unix epoch.
        on_event: Called on the reactor thread with every event after its commit.
        plan: How extensions are made.
        presets: The kinds of request.
        accept_lost_extension: Let a clear reply that lost its extension decide the phone's one
            open item; by default the person is asked by name first.
    """

    def __init__(
        self,
        store: Store,
        composer: Composer,
        clock: Callable[[], float],
        on_event: Callable[[Event], None] = lambda event: None,
        *,
        plan: SlotPlan | None = None,
        presets: Sequence[Preset] = tuple(PRESETS.values()),
        accept_lost_extension: bool = False,
    ) -> None:
        self._store = store
        self._composer = composer
        self._clock = clock
        self._on_event = on_event
        self._tools = Tools(
            ids=store.ids,
            composer=composer,
            plan=plan or SlotPlan(),
            presets={preset.name: preset for preset in presets},
            accept_lost_extension=accept_lost_extension,
        )

    def create(
        self,
        account: str,
        preset: str,
        subject: str,
        body: str,
        steps: Sequence[StepDraft],
        reference: str = "",
    ) -> Deferred[int]:
        """Store a request and ask the first step's assignees.

        Returns:
            Fires with the request's id after the commit. Fails with ValidationError, whose field is
            a path such as ``steps[0].assignees[1].phone``; then nothing was stored.
        """

        async def create() -> int:
            drafts.check_texts(preset, self._tools.presets, subject, body, reference)
            checked = drafts.check_steps(steps, self._composer)

            def work(changes: Changes) -> int:
                request = RequestRow(
                    id=changes.tools.ids.next(),
                    account=account,
                    preset=preset,
                    subject=subject.strip(),
                    body=body.strip(),
                    reference=reference,
                    state="open",
                    outcome="",
                    version=0,
                    created_at=changes.now,
                )
                rows = drafts.rows(request, checked, changes.tools.ids)
                rows_of.insert(changes.connection, rows)
                changes.emit("request.created", request.id, account, reference=reference)
                changes.advance(rows, strict=True)
                return request.id

            return await self._commit(work)

        return _deferred(create())

    def reply(self, inbound: InboundRow) -> Deferred[str]:
        """Read a stored inbound message and do what follows; see :func:`reply.settle`.

        Returns:
            Fires with the outcome after the commit; with the same one when given again.
        """
        return _deferred(self._commit(lambda changes: settle(changes, inbound.id)))

    def decide(
        self,
        request_id: int,
        assignment_id: int,
        decision: str,
        reason: str = "",
        version: int | None = None,
        account: str | None = None,
    ) -> Deferred[int]:
        """Answer for an assignee, over the API or a console.

        Args:
            request_id: The request.
            assignment_id: The assignee's place in it.
            decision: ``yes`` or ``no``.
            reason: Theirs.
            version: The request's version the decision was made on; None skips the comparison.
            account: Only if the request is this account's; None is anyone's.

        Returns:
            Fires with the request's new version. Fails with Conflict when somebody was first,
            NotFound, or ValidationError.
        """

        async def decide() -> int:
            if decision not in tuple(Decision):
                raise ValidationError("decision", f"{decision!r}; write yes or no")
            drafts.check_length("reason", reason, drafts.REASON_MAX)

            def work(changes: Changes) -> int:
                rows = rows_of.get(changes.connection, request_id)
                if rows is None or (account is not None and rows.request.account != account):
                    raise NotFound(f"request {request_id}: not recorded")
                row = _open_assignment(rows, assignment_id, version)
                answer = AnswerRow(
                    id=changes.tools.ids.next(),
                    request_id=request_id,
                    assignment_id=assignment_id,
                    channel="api",
                    inbound_id=None,
                    text="",
                    decision=decision,
                    reason=reason,
                    rule="api",
                    counted=True,
                    at=changes.now,
                )
                changes.decide(rows, row, Decision(decision), answer)
                return rows.request.version

            return await self._commit(work)

        return _deferred(decide())

    def show(self, request_id: int, account: str | None = None) -> Deferred[dict[str, Any]]:
        """Return a request, JSON-ready, with its steps, assignees and answers.

        Returns:
            Fails with NotFound when there is none, or it is another account's.
        """
        return self._store.read(lambda connection: view.show(connection, request_id, account))

    def list(
        self,
        *,
        account: str | None = None,
        state: str | None = None,
        reference: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Deferred[list[dict[str, Any]]]:
        """Return requests newest first, without their steps; ``before`` continues a page."""

        def page(connection: Connection) -> list[dict[str, Any]]:
            rows = rows_of.page(
                connection,
                account=account,
                state=state,
                reference=reference,
                before=before,
                limit=limit,
            )
            return [view.summary(row) for row in rows]

        return self._store.read(page)

    async def _commit(self, work: Callable[[Changes], T]) -> T:
        """Run ``work`` in one transaction, then send and tell what came of it."""
        now = int(self._clock() * 1000)

        def run(connection: Connection) -> tuple[T, Changes]:
            changes = Changes(self._tools, connection, now)
            result = work(changes)
            changes.finish()
            return result, changes

        result, changes = await self._store.writer.run(run)
        if changes.inserted:
            self._composer.dispatch(changes.inserted)
        for event in changes.events:
            try:
                self._on_event(event)
            except Exception:
                trace = traceback.format_exc()
                _log.error("observer failed on {kind}: {trace}", kind=event.kind, trace=trace)
        return result


def _deferred(work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)


def _open_assignment(rows: RequestRows, assignment_id: int, version: int | None) -> AssignmentRow:
    """Return the assignment if it may still be decided."""
    request = rows.request
    row = next((one for one in rows.assignments if one.id == assignment_id), None)
    if row is None:
        raise NotFound(f"request {request.id}: no assignee {assignment_id}")
    if row.state == "answered":
        raise Conflict(f"assignee {row.id} has answered already: {row.decision}")
    if request.state != "open":
        raise Conflict(f"request {request.id} is {request.state}: {request.outcome}")
    if row.state not in ("asked", "unreachable"):
        raise Conflict(f"assignee {row.id} is not being asked now ({row.state})")
    if version is not None and version != request.version:
        raise Conflict(
            f"request {request.id} is at version {request.version}, not {version}; read it again"
        )
    return row

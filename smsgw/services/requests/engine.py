"""The question engine's front door: create, reply, decide, delegate, withdraw, show.

Rules: everything a call changes is one transaction; messages leave and the observer hears only
after its commit. A reply is handled once however often it is given. It knows no carrier, no PDU and
no HTTP: messages become rows through a :class:`~smsgw.services.requests.changes.Composer`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.errors import Conflict, ValidationError
from smsgw.model import Event
from smsgw.services.choices import Effect
from smsgw.services.requests import checks, drafts, due, listing, view, votes
from smsgw.services.requests.asking import UNSENDABLE, ask, dismiss, unreachable
from smsgw.services.requests.changes import GATEWAY, Changes, Tools
from smsgw.services.requests.drafts import Person, RequestDraft
from smsgw.services.requests.following import advance, end, raise_version, record
from smsgw.services.requests.model import Outcome
from smsgw.services.requests.opened import open_assignment, open_request, request_of
from smsgw.services.requests.opening import hand_on
from smsgw.services.requests.places import choice_by_key, choices_of, step_by_id
from smsgw.services.requests.reply import settle
from smsgw.services.requests.settings import OnDeadline
from smsgw.services.requests.timers import TimerKind, Timers
from smsgw.services.requests.votes import Votes
from smsgw.store import request_types as types_of
from smsgw.store import requests as rows_of
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember
from smsgw.store.inbox import InboundRow
from smsgw.store.requests import AnswerRow
from smsgw.store.timers import TimerRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

    OnceShown = Once[dict[str, Any]]

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

_log = Logger()


class RequestEngine:
    """Asks people and ties their replies to what they were asked.

    Args:
        store: The open database.
        tools: What its transactions use.
        reactor: Its clock and timers.
        on_event: Called on the reactor thread with every event after its commit.
        shared: Whether other processes write to the same database.

    Attributes:
        timers: What is due; started and stopped by the owner.
        votes: Counts votes of anyone together; started and stopped by the owner.
    """

    def __init__(
        self,
        store: Database,
        tools: Tools,
        reactor: IReactorTime,
        on_event: Callable[[Event], None] = lambda event: None,
        *,
        shared: bool = False,
    ) -> None:
        self._store = store
        self._tools = tools
        self._clock = reactor
        self._on_event = on_event
        self.timers = Timers(store, reactor, self._fire, shared=shared)
        self.votes = Votes(store, tools.presets, tools.plans, reactor, shared=shared)

    # ---- asking --------------------------------------------------------------------------

    def create(
        self, account: str, draft: RequestDraft, actor: str = "", once: Once[int] | None = None
    ) -> Deferred[int]:
        """Store a request and ask the first step's assignees.

        What ``once`` makes of the id is recorded in the same commit.

        Returns:
            Fires with the request's id after the commit. Fails with ValidationError, whose field is
            a path such as ``steps[0].assignees[1].phone``; then nothing was stored.
        """

        async def create() -> int:
            whole = await self._completed(account, draft)
            now = self._now()
            checked = checks.check(whole, self._tools.presets, self._tools.composer, now)

            def work(changes: Changes) -> int:
                rows = checks.rows(checked, account, self._tools.ids, changes.now)
                request = rows.request
                rows_of.insert(changes.connection, rows)
                told = {"reference": request.reference, "preset": request.preset}
                changes.emit("request.created", request.id, account, **told)
                deadline_at = checked.settings.deadline_at
                if deadline_at is not None:
                    changes.set_timer(TimerKind.REQUEST_DEADLINE, request.id, deadline_at)
                votes.open_numbers(changes, rows)
                advance(changes, rows, strict=True)
                return remember(changes.connection, once, request.id)

            request_id = await self.commit(work, actor or account)
            if checked.settings.vote is not None:
                self.votes.add(checked.settings.vote.extension)
            return request_id

        return _deferred(create())

    async def _completed(self, account: str, draft: RequestDraft) -> RequestDraft:
        """Return a draft with what its type says filled in."""
        if not draft.type:
            return draft
        checks.check_length("type", draft.type, checks.NAME_MAX)
        row = await self._store.read(lambda c: types_of.get(c, account, draft.type))
        if row is None:
            raise ValidationError("type", f"{draft.type[:64]!r} is no saved flow; save it first")
        return draft.over(drafts.decode(row.definition))

    def resend(
        self,
        request_id: int,
        assignment_id: int | None,
        account: str | None = None,
        version: int | None = None,
        once: OnceShown | None = None,
    ) -> Deferred[int]:
        """Ask again who has not answered, one or all of the open step; fires with how many.

        The extension stays while it is live; else there is a new one. Fails with NotFound, or with
        Conflict when nobody is being asked, or it is not at ``version``.
        """

        def work(changes: Changes) -> int:
            rows = open_request(changes, request_id, account, version)
            found = [
                row
                for row in rows.assignments
                if row.state in ("asked", "unreachable")
                and step_by_id(rows, row.step_id).state == "open"
                and assignment_id in (None, row.id)
            ]
            if not found:
                raise Conflict(f"request {request_id}: nobody there is being asked now")
            for row in found:
                row.state = "asked"
                try:
                    ask(changes, rows, row, again=True)
                except UNSENDABLE as error:
                    unreachable(changes, rows, row, error)
                else:
                    changes.tell("request.resent", rows, row)
                rows_of.save_assignment(changes.connection, row)
            raise_version(changes, rows)
            return len(found)

        return _deferred(self._change(work, account or GATEWAY, request_id, account, once))

    def digest(
        self, phone: str, account: str | None = None, once: Once[bool] | None = None
    ) -> Deferred[bool]:
        """Send a phone the list of all it has open; fires with whether there was anything.

        Args:
            phone: Normalised.
            account: Only its requests; None is anyone's.
            once: What it makes of that is recorded in the same commit.
        """

        def work(changes: Changes) -> bool:
            sent = listing.send(changes, phone, account) is not None
            return remember(changes.connection, once, sent)

        return _deferred(self.commit(work))

    # ---- answers -------------------------------------------------------------------------

    def reply(self, inbound: InboundRow) -> Deferred[str]:
        """Read a stored inbound message and do what follows; see :func:`reply.settle`.

        Returns:
            Fires with the outcome after the commit; with the same one when given again.
        """

        def alone() -> Deferred[str]:
            return _deferred(self.commit(lambda changes: settle(changes, inbound.id)))

        counted = self.votes.take(inbound)
        return alone() if counted is None else counted.addCallback(lambda found: found or alone())

    def decide(
        self,
        request_id: int,
        assignment_id: int,
        decision: str,
        reason: str = "",
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
        once: OnceShown | None = None,
    ) -> Deferred[int]:
        """Answer for an assignee, over the API or a console.

        Args:
            request_id: The request.
            assignment_id: The assignee's place in it.
            decision: The key of one of the answers allowed there.
            reason: Theirs.
            version: The request's version the decision was made on; None skips the comparison.
            account: Only if the request is this account's; None is anyone's.
            actor: Who decides; "" for the account.
            once: Makes of the request, as it is shown then, what is recorded in the same commit;
                likewise below.

        Returns:
            Fires with the request's new version. Fails with Conflict when somebody was first,
            NotFound, or ValidationError.
        """

        async def decide() -> int:
            checks.check_length("reason", reason, checks.REASON_MAX)

            def work(changes: Changes) -> int:
                rows = request_of(changes, request_id, account)
                row = open_assignment(rows, assignment_id, version)
                preset = changes.preset_of(rows.request)
                step = step_by_id(rows, row.step_id)
                choice = choice_by_key(preset, step, decision)
                if choice is None or choice.effect is Effect.TRANSFER:
                    allowed = [
                        one.key
                        for one in choices_of(preset, step)
                        if one.effect is not Effect.TRANSFER
                    ]
                    raise ValidationError("decision", f"{decision!r}; write {_or(allowed)}")
                answer = AnswerRow(
                    id=changes.tools.ids.next(),
                    request_id=request_id,
                    assignment_id=assignment_id,
                    channel="api",
                    actor=changes.actor,
                    inbound_id=None,
                    text="",
                    decision=decision,
                    reason=reason,
                    rule="api",
                    anomaly="",
                    counted=True,
                    at=changes.now,
                )
                record(changes, rows, row, choice, answer)
                return rows.request.version

            actor_ = actor or account or GATEWAY
            return await self._change(work, actor_, request_id, account, once)

        return _deferred(decide())

    # ---- its life ------------------------------------------------------------------------

    def delegate(
        self,
        request_id: int,
        assignment_id: int,
        to: Person,
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
        once: OnceShown | None = None,
    ) -> Deferred[int]:
        """Give an assignee's place to somebody else, who is asked; fires with the new version.

        Fails with NotFound, ValidationError (``to.phone``), or Conflict when they are not being
        asked any more.
        """

        async def delegate() -> int:
            person = checks.check_person(to, "to", self._tools.composer)

            def work(changes: Changes) -> int:
                rows = request_of(changes, request_id, account)
                row = open_assignment(rows, assignment_id, version)
                hand_on(changes, rows, row, person.phone, person.name, f"api:{changes.actor}")
                preset, subject = changes.preset_of(rows.request), rows.request.subject
                text = preset.handed_on(subject, person.name or person.phone)
                dismiss(changes, rows, row, text)
                raise_version(changes, rows)
                return rows.request.version

            actor_ = actor or account or GATEWAY
            return await self._change(work, actor_, request_id, account, once)

        return _deferred(delegate())

    def withdraw(
        self,
        request_id: int,
        reason: str = "",
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
        once: OnceShown | None = None,
    ) -> Deferred[int]:
        """End an open request: nobody need answer any more; fires with the new version.

        Fails with NotFound, or with Conflict when it is over already.
        """

        async def withdraw() -> int:
            checks.check_length("reason", reason, checks.REASON_MAX)

            def work(changes: Changes) -> int:
                rows = open_request(changes, request_id, account, version)
                told = {"reason": reason, "reference": rows.request.reference}
                changes.emit("request.withdrawn", request_id, rows.request.account, **told)
                end(changes, rows, Outcome.WITHDRAWN)
                return rows.request.version

            actor_ = actor or account or GATEWAY
            return await self._change(work, actor_, request_id, account, once)

        return _deferred(withdraw())

    def close(
        self,
        request_id: int,
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
        once: OnceShown | None = None,
    ) -> Deferred[int]:
        """End a survey or a vote with what was answered until now; fires with the new version.

        Fails with NotFound, or with Conflict when it is over already, or is to be decided.
        """

        def work(changes: Changes) -> int:
            rows = open_request(changes, request_id, account, version)
            preset = changes.preset_of(rows.request)
            if preset.on_deadline is not OnDeadline.APPROVE:
                raise Conflict(
                    f"request {request_id} has preset {preset.name}: decide or withdraw it"
                )
            end(changes, rows, Outcome.APPROVED)
            return rows.request.version

        actor_ = actor or account or GATEWAY
        return _deferred(self._change(work, actor_, request_id, account, once))

    def _fire(self, timer: TimerRow) -> Deferred[None]:
        return _deferred(self.commit(lambda changes: due.fire(changes, timer)))

    # ---- looking -------------------------------------------------------------------------

    def show(self, request_id: int, account: str | None = None) -> Deferred[dict[str, Any]]:
        """Return a request, JSON-ready, with its steps, assignees and answers.

        Returns:
            Fails with NotFound when there is none, or it is another account's.
        """
        presets = self._tools.presets
        return self._store.read(
            lambda connection: view.show(connection, presets, request_id, account)
        )

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

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)

    async def _change(
        self,
        work: Callable[[Changes], T],
        actor: str,
        request_id: int,
        account: str | None,
        once: OnceShown | None,
    ) -> T:
        """Run ``work`` on a request in one transaction, with what ``once`` makes of it then."""

        def whole(changes: Changes) -> T:
            result = work(changes)
            if once is not None:
                presets = self._tools.presets
                shown = view.show(changes.connection, presets, request_id, account)
                remember(changes.connection, once, shown)
            return result

        return await self.commit(whole, actor)

    async def commit(self, work: Callable[[Changes], T], actor: str = GATEWAY) -> T:
        """Run ``work`` in one transaction, then send and tell what came of it."""
        now = self._now()

        def run(connection: Connection) -> tuple[T, Changes]:
            changes = Changes(self._tools, connection, now, actor)
            result = work(changes)
            changes.finish()
            return result, changes

        result, changes = await self._store.writer.run(run)
        if changes.inserted or changes.revoked:
            self._tools.composer.dispatch(changes.inserted, changes.revoked)
        if changes.wake_at is not None:
            self.timers.wake(changes.wake_at)
        for event in changes.events:
            try:
                self._on_event(event)
            except Exception:
                told = "observer failed on {kind}"
                _log.failure(told, event="requests.observer_failed", kind=event.kind)
        return result


def _deferred(work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)


def _or(words: Sequence[str]) -> str:
    return " or ".join(words)

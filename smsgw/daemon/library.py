"""A whole gateway inside a program of yours: :class:`smsgw.Gateway`.

What goes in and comes back has the types of :mod:`smsgw.client`, so that a program can move between
the two; what cannot be done is raised as one of :mod:`smsgw.errors`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.client.answers import Event, LinkState, Message, Request
from smsgw.client.drafts import Flow, NewMessage, Step
from smsgw.daemon.assembly import SWITCH_INTERVAL, make_gateway
from smsgw.daemon.config import load, read
from smsgw.errors import NotFound, ValidationError
from smsgw.interfaces.http.messages import MessageBody
from smsgw.services.gateway import Gateway as Inner
from smsgw.services.news import Watch
from smsgw.services.requests.drafts import RequestDraft
from smsgw.store.ids import first_at

T = TypeVar("T")

WAIT_SECONDS = 60.0
"""How long one wait for events lasts; then there is another."""

RETRY_SECONDS = 1.0
"""After events could not be read."""

EVENT_ROWS = 500


class Received(msgspec.Struct, frozen=True):
    """What a phone sent, whole.

    Attributes:
        id: Of the inbound message.
        sender: The phone.
        to: The number it wrote to: access number and extension.
        text: All of it.
        missing_parts: Such as "2,3", of a message whose parts did not all come; else "".
        event_id: Where to go on from after a restart.
    """

    id: str
    sender: str
    to: str
    text: str
    missing_parts: str
    event_id: str


class Gateway(Service):
    """Sends, asks and receives over the carriers' own protocols, in this process.

    It has no HTTP API of its own and no listeners for customers; ``smsgw run`` has.

    Args:
        config: The path of a ``smsgw.toml``, or what one would hold; relative paths in it are
            relative to its folder, or to the present one.
        account: Whose messages and requests these are.
        reactor: Twisted's; the installed one unless given.

    Attributes:
        requests: Asks people by SMS.

    Raises:
        ConfigError: The configuration is wrong; it says all that is.
    """

    log = Logger()

    def __init__(
        self,
        config: Path | str | dict[str, Any],
        *,
        account: str = "main",
        reactor: Any = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor  # noqa: TID251 - the program's own choice
        checked = read(config, Path("smsgw.toml")) if isinstance(config, dict) else load(config)
        self._reactor = reactor
        self._account = account
        self._inner = make_gateway(checked, reactor).gateway
        self._started = False
        self._followers: list[_Follower] = []
        self.requests = Requests(self._inner, account)

    def start(self) -> Deferred[None]:
        """Open the database, take up what the last run left, and dial.

        Returns:
            Fails with StoreError when the database cannot be used.
        """

        async def start() -> None:
            sys.setswitchinterval(SWITCH_INTERVAL)
            await self._inner.start()
            self._started = True
            for follower in self._followers:
                follower.start()

        return Deferred.fromCoroutine(start())

    def stop(self) -> Deferred[None]:
        """Finish what is in flight, unbind, and close the database."""

        async def stop() -> None:
            self._started = False
            for follower in self._followers:
                await follower.stop()
            await self._inner.stop()

        return Deferred.fromCoroutine(stop())

    def startService(self) -> None:
        """For Twisted's own service runners; a failure to start is logged."""
        super().startService()  # type: ignore[no-untyped-call]
        self.start().addErrback(self._not_started)

    def _not_started(self, failure: Failure) -> None:
        self.log.failure("cannot start", failure, event="gateway.start_failed")

    def stopService(self) -> Deferred[None]:
        """For Twisted's own service runners."""
        super().stopService()  # type: ignore[no-untyped-call]
        return self.stop()

    # ---- messages ------------------------------------------------------------------------

    def send(self, to: str, text: str, **fields: Any) -> Deferred[str]:
        """Send one message; fires with its id once it is recorded.

        Args:
            to: A mainland mobile number.
            text: All of it, however long.
            fields: The others of :class:`smsgw.client.NewMessage`.

        Returns:
            Fails with ValidationError when it cannot be sent, with Overloaded when too much waits.
        """

        async def send() -> str:
            try:
                (message_id,) = await self.send_many([NewMessage(to=to, text=text, **fields)])
            except ValidationError as error:
                field = error.field.removeprefix("messages[0].")
                raise ValidationError(field, error.problem) from None
            return message_id

        return Deferred.fromCoroutine(send())

    def send_many(self, messages: Sequence[NewMessage]) -> Deferred[list[str]]:
        """Send several, all or none; fires with their ids in order. As :meth:`send`."""

        async def send() -> list[str]:
            written = [
                _converted(one, MessageBody, f"messages[{place}]").message()
                for place, one in enumerate(messages)
            ]
            return [str(one) for one in await self._inner.send(self._account, written)]

        return Deferred.fromCoroutine(send())

    def message(self, message_id: str) -> Deferred[Message]:
        """Return a message with its segments, or fail with NotFound."""
        shown = self._inner.records.message(self._account, _id(message_id, "message"))
        return shown.addCallback(msgspec.convert, Message)

    def cancel(self, message_id: str) -> Deferred[Message]:
        """End a message before anything of it is sent; fails with Conflict when it is too late."""

        async def cancel() -> Message:
            shown = await self._inner.cancel(self._account, _id(message_id, "message"))
            return msgspec.convert(shown, Message)

        return Deferred.fromCoroutine(cancel())

    def links(self) -> list[LinkState]:
        """Return the carriers, whether they are up, and what waits for them."""
        return msgspec.convert(self._inner.links(), list[LinkState])

    # ---- what happens --------------------------------------------------------------------

    def on_event(
        self, callback: Callable[[Event], Awaitable[None] | None], after: str | None = None
    ) -> None:
        """Call back with everything that happens, one after the other, oldest first.

        Args:
            callback: Each call is waited for before the next; what it raises is logged.
            after: The id of the last event that is known; None: only what happens from now on.
        """
        now = first_at(int(self._reactor.seconds() * 1000))
        since = now if after is None else _id(after, "event")
        follower = _Follower(self._inner, self._account, self._reactor, callback, since)
        self._followers.append(follower)
        if self._started:
            follower.start()

    def on_inbound(
        self, callback: Callable[[Received], Awaitable[None] | None], after: str | None = None
    ) -> None:
        """Call back with what phones send, whole, oldest first. As :meth:`on_event`."""

        def received(event: Event) -> Awaitable[None] | None:
            if event.kind != "inbound.received":
                return None
            data = event.data
            return callback(
                Received(
                    event.subject_id,
                    data["from"],
                    data["to"],
                    data["text"],
                    data["missing"],
                    event.id,
                )
            )

        self.on_event(received, after)


class Requests:
    """Asks people: ``gateway.requests``."""

    def __init__(self, inner: Inner, account: str) -> None:
        self._inner = inner
        self._account = account

    def create(
        self,
        subject: str,
        steps: Sequence[Step] | None = None,
        *,
        type: str = "",
        reference: str = "",
        deadline: datetime | None = None,
        **fields: Any,
    ) -> Deferred[str]:
        """Ask people; fires with the request's id once it is recorded.

        Args:
            subject: What is to be decided, in one line.
            steps: Who is asked, in order; None where ``type`` has them.
            type: The name of a saved flow.
            reference: Your own.
            deadline: When it ends, whatever was answered; with its zone.
            fields: The others of :class:`smsgw.client.Flow`.

        Returns:
            Fails with ValidationError, whose field is such as ``steps[0].rule``.
        """

        async def create() -> str:
            given = msgspec.to_builtins(Flow(steps=steps, **fields))
            own = {"subject": subject, "type": type, "reference": reference, "deadline": deadline}
            draft = _converted({**given, **own}, RequestDraft, "")
            return str(await self._inner.requests.create(self._account, draft))

        return Deferred.fromCoroutine(create())

    def show(self, request_id: str) -> Deferred[Request]:
        """Return a request with its people and their answers, or fail with NotFound."""
        shown = self._inner.requests.show(_id(request_id, "request"), self._account)
        return shown.addCallback(msgspec.convert, Request)

    def decide(
        self,
        request_id: str,
        assignment_id: str,
        decision: str,
        *,
        reason: str = "",
        version: int | None = None,
    ) -> Deferred[Request]:
        """Answer in an assignee's name; fails with Conflict when it was decided already."""
        decided = self._inner.requests.decide(
            _id(request_id, "request"), _id(assignment_id, "assignee"), decision, reason, version,
            self._account,
        )  # fmt: skip
        return decided.addCallback(lambda _: self.show(request_id))

    def withdraw(self, request_id: str, reason: str = "") -> Deferred[Request]:
        """End a request that need not be decided any more."""
        number = _id(request_id, "request")
        ended = self._inner.requests.withdraw(number, reason, None, self._account)
        return ended.addCallback(lambda _: self.show(request_id))


class _Follower:
    """Calls back with events, in order."""

    log = Logger()

    def __init__(
        self,
        inner: Inner,
        account: str,
        reactor: Any,
        callback: Callable[[Event], Awaitable[None] | None],
        after: int,
    ) -> None:
        self._inner = inner
        self._account = account
        self._reactor = reactor
        self._callback = callback
        self._after = after
        self._watch: Watch | None = None
        self._timer: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Go on until :meth:`stop`."""
        self._timer = None
        self._work = Deferred.fromCoroutine(self._run())
        self._work.addErrback(self._failed)

    async def stop(self) -> None:
        """Call back no more; what was begun is finished."""
        self._stopped = True
        if self._watch is not None:
            self._watch.end()
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            await self._work

    async def _run(self) -> None:
        while not self._stopped:
            self._watch = await self._inner.news.watch(self._account, (), ())
            try:
                found = await self._read()
                if not found and not self._stopped and await self._watch.heard(WAIT_SECONDS):
                    found = await self._read()
            finally:
                self._watch.end()
            for event in found:
                await self._tell(event)

    async def _read(self) -> list[Event]:
        found = self._inner.records.events(self._account, after=self._after, limit=EVENT_ROWS)
        return msgspec.convert(await found, list[Event])

    async def _tell(self, event: Event) -> None:
        if self._stopped:
            return
        try:
            await maybeDeferred(self._callback, event)
        except Exception:
            self.log.failure(
                "a callback failed for event {event_id}",
                event="callback.failed",
                event_id=event.id,
            )
        self._after = int(event.id)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("events cannot be read", failure, event="callback.events_not_read")
        if not self._stopped:
            self._timer = self._reactor.callLater(RETRY_SECONDS, self.start)


def _converted(given: object, type_: type[T], path: str) -> T:
    """Return what a program wrote as the gateway takes it.

    Raises:
        ValidationError: It is something else.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(given), type_)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        field = (path + where.removesuffix("`")).removeprefix(".")
        raise ValidationError(field, problem) from None


def _id(written: str, noun: str) -> int:
    """Return an id; what cannot be one is not found."""
    if not (written.isascii() and written.isdigit() and len(written) <= 19):
        raise NotFound(f"no {noun} {written[:40]!r}")
    return int(written)

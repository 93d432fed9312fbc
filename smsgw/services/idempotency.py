"""Idempotency keys: a request that comes again is answered as it was, and not done again.

Rules: a key belongs to an account and to the first request that came with it; another request
with it is refused. An answer is kept for :data:`KEPT_SECONDS`. A request that was refused did
nothing, so its key is free. What a request changes and its key are one commit, so it was done if,
and only if, its key is there. Only what is harmless to do again has its key recorded after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import Conflict, InProgress, OutcomeUnknown, StoreError
from smsgw.store import idempotency
from smsgw.store.database import Database
from smsgw.store.idempotency import KeyRow

KEPT_SECONDS = 24 * 3600
SWEEP_SECONDS = 3600.0
RETRY_SECONDS = 1

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True):
    """A request with a key.

    Attributes:
        account: Who asks.
        key: The caller's own.
        digest: SHA-256 of everything that makes it this request.
    """

    account: str
    key: str
    digest: bytes


class Answer(msgspec.Struct, frozen=True):
    """What came of a request.

    Attributes:
        status: As in HTTP.
        headers: Besides those of every answer.
        body: The octets.
        secret: Whether they may be kept nowhere.
        repeated: Whether it is the answer to an earlier request.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    secret: bool = False
    repeated: bool = False


class IdempotencyKeys:
    """Answers what came before, and does what did not.

    Args:
        store: The database.
        clock: Its time and timers.
    """

    log = Logger()

    def __init__(self, store: Database, clock: IReactorTime) -> None:
        self._store = store
        self._clock = clock
        self._running: set[tuple[str, str]] = set()
        self._timer: IDelayedCall | None = None

    async def start(self) -> None:
        """Forget what is old, now and from time to time, until :meth:`stop`."""
        self._timer = self._clock.callLater(SWEEP_SECONDS, self._again)
        await self._store.writer.run(partial(idempotency.sweep, cutoff=self._cutoff()))

    def stop(self) -> None:
        """Sweep no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    async def once(self, asked: Asked, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to a request: the one there was, or what ``work`` comes to.

        Args:
            asked: The request.
            work: Does it, and commits :meth:`row` together with what it does; or calls
                :meth:`keep` at its end, when it is harmless to do again.

        Raises:
            InProgress: The same request is being worked on.
            OutcomeUnknown: It was done, and its answer was not kept.
            Conflict: The key belongs to another request.
        """
        place = (asked.account, asked.key)
        if place in self._running:
            problem = f"the request with Idempotency-Key {asked.key!r} is still being worked on"
            raise InProgress(problem, RETRY_SECONDS)
        self._running.add(place)
        try:
            found = await self._find(asked)
            return await work() if found is None else _repeated(found, asked)
        finally:
            self._running.discard(place)

    def row(self, asked: Asked, answer: Answer) -> KeyRow:
        """Return what is stored of a request that was done."""
        headers = msgspec.json.encode(answer.headers).decode()
        return KeyRow(
            asked.account,
            asked.key,
            asked.digest,
            answer.status,
            headers,
            b"" if answer.secret else answer.body,
            self._now(),
        )

    async def keep(self, asked: Asked, answer: Answer) -> None:
        """Record what came of a request that was done."""
        await self._store.writer.run(partial(idempotency.put, row=self.row(asked, answer)))

    async def _find(self, asked: Asked) -> KeyRow | None:
        find = partial(idempotency.get, account=asked.account, name=asked.key)
        found = await self._store.read(find)
        if found is None or found.at >= self._cutoff():
            return found
        forget = partial(idempotency.forget, account=asked.account, name=asked.key)
        await self._store.writer.run(partial(forget, cutoff=self._cutoff()))
        return None

    def _again(self) -> None:
        Deferred.fromCoroutine(self.start()).addErrback(self._not_swept)

    def _not_swept(self, failure: Failure) -> None:
        failure.trap(StoreError)
        if self._timer is not None:
            told = "old idempotency keys stay: {why}"
            self.log.warn(told, event="idempotency.not_swept", why=failure.getErrorMessage())

    def _cutoff(self) -> int:
        return self._now() - KEPT_SECONDS * 1000

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)


def _repeated(found: KeyRow, asked: Asked) -> Answer:
    """Return the answer there was."""
    if found.digest != asked.digest:
        problem = f"Idempotency-Key {asked.key!r} belongs to another request; take a new one"
        raise Conflict(problem)
    if not found.body:
        raise OutcomeUnknown(
            f"the request with Idempotency-Key {asked.key!r} was done; its answer held a "
            "secret, or a phone that was erased, and is kept nowhere"
        )
    headers = msgspec.json.decode(found.headers, type=dict[str, str])
    return Answer(found.status, headers, found.body, repeated=True)

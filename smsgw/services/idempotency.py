"""Idempotency keys: a request that comes again is answered as it was, and not done again.

Rules: a key belongs to an account and to the first request that came with it; another request
with it is refused. An answer is kept for :data:`KEPT_SECONDS`. A request that was refused did
nothing, so its key is free again. A request whose effect and key are one commit (``reserve`` false)
was done if, and only if, its key is there. Any other has its key reserved by a commit before it;
when the process ends between that and the answer's own commit, the key says that nobody knows.
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

from smsgw.errors import Conflict, InProgress, OutcomeUnknown, SmsgwError, StoreError
from smsgw.store import idempotency
from smsgw.store.database import Database
from smsgw.store.idempotency import KeyRow

KEPT_SECONDS = 24 * 3600
SWEEP_SECONDS = 3600.0
RETRY_SECONDS = 1

CUT_OFF_SECONDS = 60
"""Where other processes write too: how long a request without answer may be one of theirs."""

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
        shared: Whether other processes write to the database too.
    """

    log = Logger()

    def __init__(self, store: Database, clock: IReactorTime, *, shared: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._shared = shared
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

    async def once(
        self, asked: Asked, work: Callable[[], Awaitable[Answer]], *, reserve: bool = True
    ) -> Answer:
        """Return the answer to a request: the one there was, or what ``work`` comes to.

        Args:
            asked: The request.
            work: Does it; what it raises of :mod:`smsgw.errors` left nothing done.
            reserve: Whether the key is recorded here; False when ``work`` commits
                :meth:`row` together with what it does.

        Raises:
            InProgress: The same request is being worked on.
            OutcomeUnknown: It was cut off, or its answer was not kept.
            Conflict: The key belongs to another request.
        """
        place = (asked.account, asked.key)
        if place in self._running:
            raise _in_progress(asked)
        self._running.add(place)
        try:
            found = await (self._reserve(asked) if reserve else self._find(asked))
            if found is not None:
                return self._repeat(found, asked)
            if not reserve:
                return await work()
            return await self._reserved(asked, work)
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

    async def _find(self, asked: Asked) -> KeyRow | None:
        find = partial(idempotency.get, account=asked.account, name=asked.key)
        found = await self._store.read(find)
        if found is not None and found.at < self._cutoff():
            await self._release(asked)
            return None
        return found

    async def _reserve(self, asked: Asked) -> KeyRow | None:
        row = self.row(asked, Answer(0, {}, b""))
        reserve = partial(idempotency.reserve, row=row, cutoff=self._cutoff())
        found: KeyRow | None = await self._store.writer.run(reserve)
        return found

    async def _reserved(self, asked: Asked, work: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            answer = await work()
        except StoreError:
            raise  # something of it may have been committed
        except SmsgwError:
            await self._release(asked)
            raise
        await self._store.writer.run(partial(idempotency.finish, row=self.row(asked, answer)))
        return answer

    async def _release(self, asked: Asked) -> None:
        release = partial(idempotency.release, account=asked.account, name=asked.key)
        await self._store.writer.run(release)

    def _repeat(self, found: KeyRow, asked: Asked) -> Answer:
        if found.digest != asked.digest:
            problem = f"Idempotency-Key {asked.key!r} belongs to another request; take a new one"
            raise Conflict(problem)
        if found.status == 0:
            if self._shared and self._now() - found.at < CUT_OFF_SECONDS * 1000:
                raise _in_progress(asked)
            raise OutcomeUnknown(
                f"the request with Idempotency-Key {asked.key!r} was cut off; look whether it was "
                "done, and ask again with a new key if not"
            )
        if not found.body:
            raise OutcomeUnknown(
                f"the request with Idempotency-Key {asked.key!r} was done; its answer held a "
                "secret, or a phone that was erased, and is kept nowhere"
            )
        headers = msgspec.json.decode(found.headers, type=dict[str, str])
        return Answer(found.status, headers, found.body, repeated=True)

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


def _in_progress(asked: Asked) -> InProgress:
    problem = f"the request with Idempotency-Key {asked.key!r} is still being worked on"
    return InProgress(problem, RETRY_SECONDS)

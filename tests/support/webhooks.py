"""Webhooks on a store in memory, and receivers that answer at once or when told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from smsgw.errors import StoreError
from smsgw.model import Event
from smsgw.services.webhooks.addresses import Rules
from smsgw.services.webhooks.book import Webhooks
from smsgw.services.webhooks.lane import Tools
from smsgw.services.webhooks.posting import Outcome, Result
from smsgw.services.webhooks.subscribers import Subscribers
from smsgw.store import events
from tests.support.memory import MemoryStore, Time, result_of
from tests.support.receivers import Post

ACCOUNT = "newsroom"
URL = "https://receiver.example/hook"
OK = Outcome(Result.DELIVERED, 200)
BUSY = Outcome(Result.REFUSED, 503, "the receiver answered 503")

Json = dict[str, Any]


class Receivers:
    """Takes posts; ``answers`` says what comes of them, by URL, the last for all further ones."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Post]] = []
        self.answers: dict[str, list[Outcome | Deferred[Outcome]]] = {}

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        self.posts.append((url, Post("", headers, body)))
        answers = self.answers.get(url, [OK])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Outcome) else await answer

    async def resolve(self, scheme: str, host: str) -> list[str]:
        return ["192.0.9.1"]

    def to(self, url: str = URL) -> list[Post]:
        return [post for to, post in self.posts if to == url]

    def subjects(self, url: str = URL) -> list[int]:
        """Of every event that came, as often as it came."""
        return [subject for post in self.to(url) for subject in post.subjects]


class AwayStore(MemoryStore):
    """One that can be away."""

    away = False

    def run(self, fn: Callable[[Connection], Any]) -> Deferred[Any]:
        if self.away:
            failed: Deferred[Any] = Deferred()
            failed.errback(StoreError("the database is away"))
            return failed
        return super().run(fn)

    read = run


class Exchange:
    """Webhooks of one process on a store, and the receivers they lead to."""

    def __init__(self, store: MemoryStore | None = None, time: Time | None = None) -> None:
        self.time = time or Time()
        self.store = store or AwayStore(self.time)
        self.receivers = Receivers()
        self.counts: list[tuple[str, int]] = []
        self.tools = Tools(
            self.store,
            self.receivers,
            self.time,
            lambda result, events: self.counts.append((result, events)),
            lambda: 0.0,
        )
        self.subscribers = Subscribers(self.tools)
        self.webhooks = Webhooks(
            self.tools, Rules(), self.receivers.resolve, self.subscribers.reload
        )

    def start(self) -> Exchange:
        result_of(Deferred.fromCoroutine(self.subscribers.start()))
        return self

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.subscribers.stop())

    def create(self, url: str = URL, *kinds: str, account: str = ACCOUNT) -> Json:
        return self.ask(self.webhooks.create(account, url, kinds))

    def ask(self, work: Any) -> Any:
        return result_of(Deferred.fromCoroutine(work))

    def show(self, webhook: Json) -> Json:
        shown: Json = self.ask(self.webhooks.show(ACCOUNT, int(webhook["id"])))
        return shown

    def happen(self, *subjects: int, kind: str = "message.sent", account: str = ACCOUNT) -> None:
        """Commit an event for each subject, and let those who want it know."""
        told = [Event(kind, subject, account, {"n": subject}) for subject in subjects]

        def work(connection: Connection) -> None:
            events.append(connection, self.time.ms, told)

        result_of(self.store.run(work))
        self.subscribers.committed()
        self.time.advance(0.02)

    def advance(self, seconds: float) -> None:
        """Let time pass, and what is due meanwhile happen at its time."""
        until = self.time.seconds() + seconds
        while True:
            due = [call.getTime() for call in self.time.getDelayedCalls()]
            if not due or min(due) > until:
                break
            self.time.advance(max(0.0, min(due) - self.time.seconds()))
        self.time.advance(max(0.0, until - self.time.seconds()))

    def close(self) -> None:
        self.stop()
        self.store.close()


def later() -> Deferred[Outcome]:
    """An answer that has not come yet."""
    return Deferred()

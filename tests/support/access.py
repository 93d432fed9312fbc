"""Tokens on a store in memory, for tests of who may do what."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
from twisted.internet.defer import Deferred

from smsgw.services.access import roles
from smsgw.services.access.access import Access
from smsgw.services.access.book import CONSOLE, TokenChange, TokenDraft
from smsgw.services.access.callers import Caller, Configured
from smsgw.store import audit
from tests.support.memory import MemoryStore, Time, result_of

T = TypeVar("T")
Json = dict[str, Any]

PLAIN = "a-token-of-22-letters!"
HERE, THERE = "192.0.2.1", "198.51.100.7"


def done(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine comes to that is done at once."""
    return result_of(Deferred.fromCoroutine(work))


class Door:
    """An :class:`Access` with one token in the configuration, of the department "oa"."""

    def __init__(self, accounts: tuple[str, ...] = ()) -> None:
        self.time = Time()
        self.store = MemoryStore(self.time)
        self.asked = 0
        configured = [Configured(name="office", account="oa", role="admin", token=PLAIN)]
        self.access = Access(self, self.time, configured, accounts)

    # The store, counting what is read.

    @property
    def ids(self) -> Any:
        return self.store.ids

    @property
    def writer(self) -> Any:
        return self.store

    def read(self, fn: Any) -> Any:
        self.asked += 1
        return self.store.read(fn)

    # What tests do.

    def make(self, by: Caller = CONSOLE, **fields: Any) -> Json:
        """Make a token; a viewer of "tv" called "n" unless told otherwise."""
        given = {"name": "n", "account": "tv", "roles": ["viewer"], **fields}
        return done(self.access.tokens.create(by, msgspec.convert(given, TokenDraft)))

    def change(self, made: Json, by: Caller = CONSOLE, **fields: Any) -> Json:
        change = msgspec.convert(fields, TokenChange)
        return done(self.access.tokens.change(by, int(made["id"]), change))

    def revoke(self, made: Json, by: Caller = CONSOLE) -> Json:
        return done(self.access.tokens.revoke(by, int(made["id"])))

    def admit(self, made: Json | str, host: str = HERE) -> Caller:
        token = made if isinstance(made, str) else made["token"]
        return done(self.access.admit(token, host))

    def shown(self, made: Json) -> Json:
        return done(self.access.tokens.show("", int(made["id"])))

    def audited(self) -> list[tuple[str, str, str, Json]]:
        """Actor, action, account and detail of every entry."""
        rows = result_of(self.store.run(lambda c: audit.page(c)))
        return [(r.actor, r.action, r.account, msgspec.json.decode(r.detail)) for r in rows]

    def close(self) -> None:
        done(self.access.stop())
        assert self.time.getDelayedCalls() == []
        self.store.close()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


def caller(account: str, *names: str) -> Caller:
    """Somebody of a department with some roles."""
    return Caller(name=f"{account}-admin", account=account, scopes=roles.scopes_of(names, ()))

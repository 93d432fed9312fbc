"""Tokens for whoever has the database itself: the first one is made so, when nobody has one yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.python.failure import Failure

from smsgw.services.access.book import Tokens
from smsgw.store.address import Server
from smsgw.store.database import write_once
from smsgw.store.ids import IdSource
from smsgw.store.statements import ids_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")
R = TypeVar("R")


def at_console(
    place: Path | Server, node: int, do: Callable[[Tokens], Coroutine[Deferred[Any], Any, R]]
) -> R:
    """Do something with the tokens of a database, without a gateway.

    Args:
        place: The database; made when there is none.
        node: The process's number in ids.
        do: Called with the tokens; what it raises is raised, and nothing was changed.

    Raises:
        StoreError: It cannot be used, such as a file that a gateway writes to.
    """

    def work(connection: Connection) -> R:
        results: list[Any] = []
        Deferred.fromCoroutine(do(Tokens(_Inside(connection), _Clock()))).addBoth(results.append)
        (result,) = results  # whatever is asked of the store here is done at once
        if isinstance(result, Failure):
            result.raiseException()
        found: R = result
        return found

    return write_once(place, work, node=node)


class _Clock:
    def seconds(self) -> float:
        return time.time()


class _Inside:
    """A store that is one open transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.writer = self

    @property
    def ids(self) -> IdSource:
        return ids_of(self._connection)

    def run(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        return execute(fn, self._connection)

    read = run

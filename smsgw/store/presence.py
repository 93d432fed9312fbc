"""What a process is to the others on its PostgreSQL database: alive, holding places, within call.

One thread with one connection of its own renews the lease, holds places as advisory locks of its
session, hears notifications, and looks for others whose lease has ended. Nothing here waits for
the reactor or for the writer. The locks vanish with the connection: whoever loses it has no place
any more, and is told at once.
"""

from __future__ import annotations

import hashlib
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from smsgw.errors import StoreError
from smsgw.store import nodes, ported
from smsgw.store.nodes import Lease
from smsgw.store.postgresql import Cluster
from smsgw.store.writer import Reactor

CHANNEL = "smsgw"
"""Notifications name the link whose queue has something for whoever can send it."""

TRY_SECONDS = 1.0
"""Between two looks for a place that is free; also the pause before connecting again."""


class Permit:
    """A place in a pool, once it is ours: the right to one of an account's connections.

    Args:
        presence: Asks for it.
        pool: Which pool.
        size: How many places it has, over all processes.

    Attributes:
        held: It is ours.
        wanted_back: It is ours, and others have fewer: give it back as soon as that costs nothing.
    """

    def __init__(self, presence: Presence, pool: str, size: int) -> None:
        self.pool = pool
        self.size = size
        self.held = False
        self.wanted_back = False
        self.number = -1  # used on the thread only
        self._presence = presence
        self._changed: Callable[[], None] = lambda: None

    def ask(self, changed: Callable[[], None]) -> None:
        """Ask for a place; ``changed`` is called whenever ``held`` or ``wanted_back`` change."""
        self._changed = changed
        self._presence.ask(self)

    def drop(self) -> None:
        """Give the place back, or ask for it no longer."""
        self._changed = _nothing
        self.held = self.wanted_back = False
        self._presence.drop(self)

    def told(self, held: bool, wanted_back: bool) -> None:
        """Note what the thread says."""
        changed = (held, wanted_back) != (self.held, self.wanted_back)
        self.held, self.wanted_back = held, wanted_back
        if changed:
            self._changed()


class Presence:
    """One process among others on one database.

    Args:
        backend: The database.
        reactor: Its timers and its way back from the thread.

    Attributes:
        on_lost: Called once with a line for people when our lease is lost: others do our work.
        on_called: Called with the name of a link whose queue has something for whoever can send it.
        on_ported: Called with the id of the first of the ported numbers that some process changed.
        on_ended: Called with nodes whose lease has ended.
    """

    log = Logger()

    def __init__(self, backend: Cluster, reactor: Reactor) -> None:
        self.on_lost: Callable[[str], None] = _nothing
        self.on_called: Callable[[str], None] = _nothing
        self.on_ported: Callable[[int], None] = _nothing
        self.on_ended: Callable[[list[int]], None] = _nothing
        self._backend = backend
        self._reactor = reactor
        self._lease: Lease | None = None
        self._orders: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._permits: set[Permit] = set()  # those asked for, on the reactor's side
        self._thread: Thread | None = None
        self._stopped: Deferred[None] | None = None
        self._watch: IDelayedCall | None = None
        self._is_lost = False
        self._heard_at = time.monotonic()  # when the server last answered
        self._wake_out, self._wake_in = -1, -1
        # The thread's own:
        self._connection: Connection | None = None
        self._asked: list[Permit] = []
        self._held: dict[Permit, None] = {}
        self._calls: set[str] = set()  # links to name to the others
        self._share = 1.0  # of each pool, how much is ours
        self._since = 0.0  # from when on we have been heard without a break
        self._due = 0.0

    # ---- the reactor's side --------------------------------------------------------------

    def start(self, lease: Lease) -> None:
        """Begin to renew a lease that was claimed."""
        self._lease = lease
        self._wake_out, self._wake_in = os.pipe()
        self._heard_at = time.monotonic()
        self._thread = Thread(
            target=self._work, args=(lease,), name="smsgw-store-presence", daemon=True
        )
        self._thread.start()
        self._look(lease.seconds)

    def permit(self, pool: str, size: int) -> Permit:
        """Return one of ``size`` places, not asked for yet."""
        return Permit(self, pool, size)

    def ask(self, permit: Permit) -> None:
        """Ask for a place."""
        self._permits.add(permit)
        self._order("ask", permit)

    def drop(self, permit: Permit) -> None:
        """Give a place back."""
        self._permits.discard(permit)
        self._order("drop", permit)

    @property
    def lease_seconds(self) -> float:
        """How long a process may be silent."""
        return self._lease.seconds if self._lease is not None else 0.0

    def call(self, link: str) -> None:
        """Tell all processes that a link's queue has something for whoever can send it."""
        self._order("call", link)

    def stop(self) -> Deferred[None]:
        """Give back places and lease; fires when the connection is closed."""
        if self._thread is None or self._stopped is not None:
            return self._stopped or succeed(None)
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self._stopped = Deferred()
        self._order("stop", None)
        return self._stopped

    def lose(self) -> None:
        """Note, on any thread, that the lease is not ours any more."""
        self._reactor.callFromThread(self._lost)

    def _lost(self) -> None:
        if self._is_lost or self._stopped is not None:
            return
        self._is_lost = True
        self._order("lost", None)
        self._lose_places()
        self.on_lost("another process has taken over what this one had to send; start it again")

    def _lose_places(self) -> None:
        for permit in list(self._permits):
            permit.told(False, False)

    def _look(self, seconds: float) -> None:
        """Do not go on trusting places when the server does not answer at all."""
        if self._stopped is None:
            silent = time.monotonic() - self._heard_at
            if silent > seconds:
                self._lose_places()
                self._order("distrust", None)
            self._watch = self._reactor.callLater(seconds / 4, self._look, seconds)

    def _order(self, what: str, about: Any) -> None:
        if self._wake_in >= 0:
            self._orders.put((what, about))
            os.write(self._wake_in, b"\0")

    def _ended(self) -> None:
        if self._thread is not None:
            self._thread.join()
        os.close(self._wake_out)
        os.close(self._wake_in)
        self._wake_out = self._wake_in = -1
        if self._stopped is not None:
            self._stopped.callback(None)

    def _tell(self, changed: list[tuple[Permit, bool, bool]]) -> None:
        for permit, held, wanted_back in changed:
            if permit in self._permits:
                permit.told(held, wanted_back)

    # ---- the thread's side ---------------------------------------------------------------

    def _work(self, lease: Lease) -> None:
        wait, going = 0.0, True
        while going:
            going = self._obey(wait)
            try:
                if self._connection is None and going:
                    self._connect(lease)
                if self._connection is not None and going:
                    wait = self._turn(self._connection, lease)
            except (StoreError, SQLAlchemyError, psycopg.Error, OSError) as error:
                self._cut_off(error)
                wait = TRY_SECONDS
        self._leave(lease)
        self._reactor.callFromThread(self._ended)

    def _obey(self, wait: float) -> bool:
        """Wait for something to do, and take what was asked; False when all is to end."""
        sockets = [self._wake_out]
        if self._connection is not None:
            with suppress(Exception):
                sockets.append(_driver(self._connection).fileno())
        ready, _, _ = select.select(sockets, [], [], wait)
        if self._wake_out in ready:
            os.read(self._wake_out, 4096)
        while True:
            try:
                what, about = self._orders.get_nowait()
            except Empty:
                return True
            if what == "stop":
                return False
            if what == "lost":
                self._asked, self._due = [], float("inf")
            elif what == "distrust":
                self._cut_off(StoreError("the database did not answer in time"))
            elif what == "call":
                self._calls.add(about)
            else:
                self._take_order(what, about)

    def _take_order(self, what: str, permit: Permit) -> None:
        if permit in self._asked:
            self._asked.remove(permit)
        if what == "ask":
            if permit not in self._held:
                self._asked.append(permit)
        elif permit in self._held:
            del self._held[permit]
            if self._connection is not None:
                try:
                    _run(self._connection, "SELECT pg_advisory_unlock(%s)", _key(permit))
                except (SQLAlchemyError, psycopg.Error) as error:
                    self._cut_off(error)

    def _connect(self, lease: Lease) -> None:
        self._connection = connection = self._backend.listen(lease.seconds)
        _driver(connection).add_notify_handler(self._notified)
        nodes.hold(connection, lease)
        _run(connection, f"LISTEN {CHANNEL}")
        _run(connection, f"LISTEN {ported.CHANNEL}")
        self._since, self._due = time.monotonic(), 0.0

    def _turn(self, connection: Connection, lease: Lease) -> float:
        """Do what is due; return how long there is nothing to do."""
        now = time.monotonic()
        if now >= self._due:
            if not nodes.renew(connection, lease):
                self._due = float("inf")
                self._reactor.callFromThread(self._lost)
                return TRY_SECONDS
            self._due = now + lease.seconds / 4
            self._share = 1.0 / max(1, nodes.alive(connection))
            self._return_what_is_too_much()
            # A server that was away has heard of nobody for long: first they all renew.
            if now - self._since >= lease.seconds and (over := nodes.ended(connection)):
                self._reactor.callFromThread(self._tell_ended, over)
        else:
            _run(connection, "SELECT 1")  # what was notified comes with the answer
        self._heard_at = time.monotonic()
        while self._calls:
            _run(connection, "SELECT pg_notify(%s, %s)", CHANNEL, self._calls.pop())
        self._try_places(connection)
        return min(TRY_SECONDS if self._asked else lease.seconds, max(0.0, self._due - now))

    def _try_places(self, connection: Connection) -> None:
        got: list[tuple[Permit, bool, bool]] = []
        for permit in list(self._asked):
            ours = {one.number for one in self._held if one.pool == permit.pool}
            if len(ours) >= self._fair(permit):
                continue
            for number in range(permit.size):
                if number in ours:
                    continue
                permit.number = number
                if _run(connection, "SELECT pg_try_advisory_lock(%s)", _key(permit)):
                    self._asked.remove(permit)
                    self._held[permit] = None
                    got.append((permit, True, False))
                    break
        if got:
            self._reactor.callFromThread(self._tell, got)

    def _fair(self, permit: Permit) -> int:
        """How many places of its pool are ours at most, rounded up: none stays without a holder."""
        return -int(-permit.size * self._share // 1)

    def _return_what_is_too_much(self) -> None:
        pools: dict[str, list[Permit]] = {}
        for permit in self._held:
            pools.setdefault(permit.pool, []).append(permit)
        told: list[tuple[Permit, bool, bool]] = []
        for held in pools.values():
            fair = self._fair(held[0])
            told += [(permit, True, place >= fair) for place, permit in enumerate(held)]
        if told:
            self._reactor.callFromThread(self._tell, told)

    def _notified(self, note: psycopg.Notify) -> None:
        self._reactor.callFromThread(self._tell_notified, note)

    def _tell_notified(self, note: psycopg.Notify) -> None:
        if self._stopped is not None:
            return
        if note.channel == CHANNEL:
            self.on_called(note.payload)
        elif note.payload.isdecimal():
            self.on_ported(int(note.payload))

    def _tell_ended(self, over: list[int]) -> None:
        if self._stopped is None:
            self.on_ended(over)

    def _cut_off(self, error: BaseException) -> None:
        """Forget a connection that is lost, and with it all places."""
        if self._connection is not None:
            line = " ".join(str(getattr(error, "orig", None) or error).split())
            self.log.warn("cut off from the other nodes: {why}", event="node.cut_off", why=line)
            with suppress(Exception):
                self._connection.invalidate()
                self._connection.close()
        self._connection = None
        lost, self._held = list(self._held), {}
        self._asked += [permit for permit in lost if permit not in self._asked]
        if lost:
            changed = [(permit, False, False) for permit in lost]
            self._reactor.callFromThread(self._tell, changed)

    def _leave(self, lease: Lease) -> None:
        connection = self._connection
        if connection is not None:
            with suppress(SQLAlchemyError, psycopg.Error, OSError):
                nodes.give_back(connection, lease)
            with suppress(Exception):
                connection.close()
        self._connection = None


def _run(connection: Connection, text: str, *parameters: Any) -> Any:
    result = connection.exec_driver_sql(text, parameters)
    return result.scalar() if result.returns_rows else None


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _key(permit: Permit) -> int:
    """Return the number of the lock that stands for one place of a pool."""
    name = f"smsgw {permit.pool} {permit.number}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True)


def _nothing(*what: object) -> None:
    pass

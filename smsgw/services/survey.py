"""What only the database knows of the gateway's state, looked up every half minute.

Whoever shows it never waits for the database: it tells what was found last.
"""

from __future__ import annotations

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.services.figures import Pool, Stored
from smsgw.services.slots import SlotMap
from smsgw.store import survey
from smsgw.store.database import Database

LOOK_SECONDS = 30.0


class Survey:
    """Looks until it is stopped.

    Args:
        database: Open before :meth:`start`.
        slots: The extensions in use.
        reactor: Its clock and timer.

    Attributes:
        stored: What was found last.
    """

    log = Logger()

    def __init__(self, database: Database, slots: SlotMap, reactor: IReactorTime) -> None:
        self.stored = Stored()
        self._database = database
        self._slots = slots
        self._reactor = reactor
        self._timer: IDelayedCall | None = None
        self._stopped = False

    async def start(self) -> None:
        """Look now, and again from time to time until :meth:`stop`."""
        try:
            self.stored = await self._database.read(self._look)
        except StoreError as error:
            told = "what is open could not be counted: {why}"
            self.log.warn(told, event="survey.not_read", why=str(error))
        finally:
            if not self._stopped:
                self._timer = self._reactor.callLater(LOOK_SECONDS, self._again)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _again(self) -> None:
        Deferred.fromCoroutine(self.start()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("counting what is open", failure, event="survey.failed")

    def _look(self, connection: Connection) -> Stored:
        octets, octets_free = self._database.backend.size(connection)
        pools = [
            Pool(one["access_number"], "/".join(one["plans"]), one["extensions"], one["most"])
            for one in self._slots.ranges(connection)
        ]
        return Stored(
            survey.requests_open(connection),
            survey.unknown_segments(connection),
            pools,
            octets,
            octets_free,
        )

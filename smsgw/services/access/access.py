"""Who may use the HTTP API, and for what: all of it together."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from smsgw.services.access.book import Tokens
from smsgw.services.access.callers import Caller, Callers, Configured
from smsgw.services.access.usage import Usage
from smsgw.store.database import Database
from smsgw.transport.gate import GateObserver


class Access:
    """Tells who makes a request, and keeps the tokens.

    Args:
        store: The database; open when the first request comes.
        clock: Its time, and timers.
        configured: The tokens of the configuration.
        accounts: Departments that exist without a token.
        observer: Told of requests refused since their address tried too many tokens.

    Attributes:
        tokens: Makes, shows, changes and revokes them.
    """

    def __init__(
        self,
        store: Database,
        clock: IReactorTime,
        configured: Iterable[Configured] = (),
        accounts: Iterable[str] = (),
        observer: GateObserver | None = None,
    ) -> None:
        self._usage = Usage(store, clock)
        self._callers = Callers(store, clock, self._usage, configured, accounts, observer)
        self.tokens = Tokens(store, clock, self._callers.reload)

    def admit(self, token: str, host: str) -> Coroutine[Any, Any, Caller]:
        """Return whose a token is; as :meth:`smsgw.services.access.callers.Callers.admit`."""
        return self._callers.admit(token, host)

    def configure(self, configured: Iterable[Configured], accounts: Iterable[str]) -> None:
        """As :meth:`smsgw.services.access.callers.Callers.configure`."""
        self._callers.configure(configured, accounts)

    async def stop(self) -> None:
        """Write what was counted; the database is closed after that."""
        await self._usage.stop()

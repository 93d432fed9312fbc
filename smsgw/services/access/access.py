"""Who may use the HTTP API, and for what: all of it together."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from smsgw.services.access.book import Tokens
from smsgw.services.access.callers import Caller, Callers, Configured
from smsgw.services.access.usage import Store, Usage


class Access:
    """Tells who makes a request, and keeps the tokens.

    Args:
        store: The database; open when the first request comes.
        clock: Its time, and timers.
        configured: The tokens of the configuration.
        accounts: Departments that exist without a token.

    Attributes:
        tokens: Makes, shows, changes and revokes them.
    """

    def __init__(
        self,
        store: Store,
        clock: IReactorTime,
        configured: Iterable[Configured] = (),
        accounts: Iterable[str] = (),
    ) -> None:
        self._usage = Usage(store, clock)
        self._callers = Callers(store, clock, self._usage, configured, accounts)
        self.tokens = Tokens(store, clock, self._callers.reload)

    def admit(self, token: str, host: str) -> Coroutine[Any, Any, Caller]:
        """Return whose a token is; as :meth:`smsgw.services.access.callers.Callers.admit`."""
        return self._callers.admit(token, host)

    async def stop(self) -> None:
        """Write what was counted; the database is closed after that."""
        await self._usage.stop()

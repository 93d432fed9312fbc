"""What the command line needs of the daemon, handed down by it: no layer below knows the daemon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from smsgw.routing.table import RouteTable

if TYPE_CHECKING:
    from smsgw.services.submission import LinkInfo
    from smsgw.transport.link import Link
    from smsgw.transport.observer import LinkObserver


class Assembled(Protocol):
    """A whole gateway: store, links, services and HTTP."""

    @property
    def url(self) -> str:
        """Where its HTTP API listens."""
        ...

    def listener_port(self, link: str) -> int:
        """The port on which a link's gateway dials us."""
        ...

    async def start(self) -> None:
        """Open the store, listen, dial."""
        ...

    async def stop(self) -> None:
        """Finish what is in flight, unbind, close."""
        ...


class Program(Protocol):
    """The daemon, as the command line sees it."""

    def load(self, path: Path) -> Any:
        """Read a configuration; raises ConfigError."""
        ...

    def route_table(self, path: Path, phone: str) -> RouteTable:
        """Return a configuration's rules, and what its database knows of one number.

        Raises:
            ConfigError: The configuration cannot be used.
            StoreError: The database cannot be read.
        """
        ...

    def make_gateway(self, config: Any, reactor: Any) -> Assembled:
        """Wire a gateway without starting it."""
        ...


class LoneLinks(Protocol):
    """The daemon, as a test of one link sees it."""

    def load(self, path: Path) -> Any:
        """Read a configuration; raises ConfigError."""
        ...

    def holder(self, config: Any) -> str:
        """Return which process works on a configuration's database; "" when none does.

        Raises:
            StoreError: The database cannot be asked.
        """
        ...

    def lone_link(
        self, settings: Any, reactor: Any
    ) -> tuple[LinkInfo, Callable[[LinkObserver], Link]]:
        """Return what composing for a link needs, and what makes it without a gateway."""
        ...

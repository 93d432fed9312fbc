"""What the command line needs of the daemon, handed down by it: no layer below knows the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from smsgw.routing.table import RouteTable


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

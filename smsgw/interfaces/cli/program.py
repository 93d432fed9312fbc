"""What the command line needs of the daemon, handed down by it: no layer below knows the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


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

    def make_gateway(self, config: Any, reactor: Any) -> Assembled:
        """Wire a gateway without starting it."""
        ...

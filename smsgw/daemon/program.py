"""``smsgw``: the command line with the daemon behind it, imported only where a command needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Program:
    """The daemon, as :mod:`smsgw.interfaces.cli` sees it."""

    def load(self, path: Path) -> Any:
        """Read a configuration."""
        from smsgw.daemon.config import load

        return load(path)

    def effective(self, config: Any) -> dict[str, Any]:
        """Its values with the defaults filled in and the secrets masked."""
        from smsgw.daemon.config import effective

        return effective(config)

    def run(self, path: Path) -> int:
        """Run the gateway until a signal."""
        from smsgw.daemon.main import run

        return run(path)

    def make_gateway(self, config: Any, reactor: Any) -> Any:
        """Wire a gateway without starting it."""
        from smsgw.daemon.assembly import make_gateway

        return make_gateway(config, reactor)


def main() -> None:
    """The console script."""
    from smsgw.interfaces.cli.main import cli

    cli(obj=Program())

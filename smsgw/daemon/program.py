"""``smsgw``: the command line with the daemon behind it, imported only where a command needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Program:
    """The daemon, as :mod:`smsgw.interfaces.cli.program` describes it."""

    def load(self, path: Path) -> Any:
        """Read a configuration."""
        from smsgw.daemon.config import load

        return load(path)

    def make_gateway(self, config: Any, reactor: Any) -> Any:
        """Wire a gateway without starting it."""
        from smsgw.daemon.assembly import make_gateway

        return make_gateway(config, reactor)


def main() -> None:
    """The console script."""
    from smsgw.interfaces.cli.main import main as command_line

    command_line(obj=Program())

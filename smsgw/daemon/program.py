"""``smsgw``: the command line with the daemon behind it, imported only where a command needs it."""

from __future__ import annotations

import atexit
import gc
from pathlib import Path
from typing import Any


class Program:
    """The daemon, as :mod:`smsgw.interfaces.cli.program` describes it."""

    def load(self, path: Path) -> Any:
        """Read a configuration."""
        from smsgw.daemon.config import load

        return load(path)

    def route_table(self, path: Path, phone: str) -> Any:
        """Return a configuration's rules, and what its database knows of one number."""
        import time

        from smsgw.daemon.assembly import route_table
        from smsgw.daemon.config import load
        from smsgw.store import ported
        from smsgw.store.database import read_once

        config = load(path)
        table = route_table(config, time.time)
        place = config.gateway.database
        if not isinstance(place, Path) or place.exists():
            known = read_once(place, lambda c: ported.get(c, phone))
            if known is not None:
                table.ported.add(known)
        return table

    def make_gateway(self, config: Any, reactor: Any) -> Any:
        """Wire a gateway without starting it."""
        from smsgw.daemon.assembly import make_gateway

        return make_gateway(config, reactor)

    def holder(self, config: Any) -> str:
        """Return which process works on a configuration's database."""
        from smsgw.store.database import holder

        return holder(config.gateway.database)

    def lone_link(self, settings: Any, reactor: Any) -> Any:
        """Return what composing for a link needs, and what makes it without a gateway."""
        from smsgw.daemon.links import link_info, lone_link

        return link_info(settings), lambda observer: lone_link(settings, reactor, observer)


def main() -> None:
    """The console script.

    Modules are not garbage: neither while they load nor at the exit are they searched for any.
    """
    from smsgw.interfaces.cli.main import main as command_line

    gc.set_threshold(50_000, 20, 50)
    atexit.register(gc.freeze)
    command_line(obj=Program())

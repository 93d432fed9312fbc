"""Several processes of ours for gateway.py --processes: on one PostgreSQL, or with a file each.

Each has an HTTP port of its own and a connection of its own to the carrier. Customers ask whichever
process has answered the longest ago, as a balancer in front of them would.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from gateway_daemons import Smsgw, alive, poll
from gateway_load import HOST

ANSWER_SECONDS = 1.0
BINDS = re.compile(rb'smsgw_binds\{link="bench"\} ([0-9.]+)')


class Shared(Smsgw):
    """Processes with the same configuration on one PostgreSQL database.

    The link has as many connections as there are processes, which share them out.
    """

    def __init__(self, folder: Path, protocol: str, nodes: int, server: str) -> None:
        super().__init__(folder, protocol, f"binds = {nodes}\n", server)
        self.nodes = nodes
        self.beside = self.title
        self.title = f"{nodes} x {self.title}"

    def ports(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> list[int]:
        """Start them one after the other, and wait until each has one connection."""
        self.configure(port, window)
        ports = [self.launch(f"{number}.log", wait) for number in range(self.nodes)]

        def bound() -> bool:
            alive(self)
            return all(binds_of(one) == 1 for one in ports)

        poll(bound, wait, f"{self.title}: the connections are not shared out")
        return ports


class Apart(Smsgw):
    """Processes that share nothing: each has a file, and its own account at the carrier."""

    def __init__(self, folder: Path, protocol: str, nodes: int) -> None:
        super().__init__(folder, protocol)
        self.members = [Smsgw(folder / f"{n}", protocol, node=n) for n in range(nodes)]
        self.nodes = nodes
        self.beside = self.title
        self.title = f"{nodes} x {self.title}"

    def ports(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> list[int]:
        ports = []
        for one in self.members:
            try:
                ports.append(one.open(port, window, wait))
            finally:
                self.processes += one.processes
        return ports

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what all files say, one after the other."""
        return [row for one in self.members for row in one.rows(statement)]

    def octets(self) -> float:
        """Return how large the files are, by their messages."""
        return sum(one.octets() for one in self.members) / len(self.members)


def binds_of(port: int) -> int:
    """Return how many connections to the carrier a gateway says it has; -1 when it is mute."""
    connection = HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    with contextlib.suppress(OSError, HTTPException), contextlib.closing(connection):
        connection.request("GET", "/metrics")
        found = BINDS.search(connection.getresponse().read())
        if found:
            return int(float(found[1]))
    return -1

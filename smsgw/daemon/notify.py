"""Tells the service manager how the process is doing.

Spec: sd_notify(3): a datagram of lines to the Unix socket that NOTIFY_SOCKET names.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from twisted.internet.interfaces import IDelayedCall, IReactorTime

PATIENCE_SECONDS = 0.5
"""How long a manager that does not read may hold us up."""


class ServiceManager:
    """The service manager; nobody, where the environment names none.

    Args:
        environ: Where NOTIFY_SOCKET and the watchdog's time are.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        written = environ.get("WATCHDOG_USEC", "")
        self._watchdog = int(written) / 1e6 if ours and written.isdecimal() else 0.0
        self._timer: IDelayedCall | None = None

    def ready(self) -> None:
        """It works, for the first time or again."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again; :meth:`ready` follows."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1")

    def feed(self, clock: IReactorTime, alive: Callable[[], bool]) -> None:
        """Feed the watchdog from now on, twice in its time, while ``alive`` says so."""
        if self._address and self._watchdog:
            if alive():
                self._tell("WATCHDOG=1")
            self._timer = clock.callLater(self._watchdog / 2, self.feed, clock, alive)

    def stop(self) -> None:
        """Feed it no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE_SECONDS)
            sock.sendto("\n".join(lines).encode(), self._address)

"""Copies a SQLite file's log back into it beside the writer, which then need not stop for that.

The writer's own limit (``wal_autocheckpoint``) stays as the cap: when the log has so many pages it
copies what is left, which is little by then, and the log begins anew. So it does alone where this
thread cannot; what a long read still needs of the log stays in it until that read ends, for both.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread

PAUSE_SECONDS = 0.1
"""Between two checkpoints: a page that changes often is copied once for all of its changes."""


class Checkpoints:
    """A thread with a connection of its own.

    Args:
        path: The database file, in WAL mode.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = Event()
        self._stop = Event()
        self._thread = Thread(target=self._work, name="smsgw-store-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def written(self) -> None:
        """Something was committed. For any thread."""
        self._written.set()

    def stop(self) -> None:
        """End; returns when the connection is closed."""
        self._stop.set()
        self._written.set()
        self._thread.join()

    def _work(self) -> None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            while not self._stop.wait(PAUSE_SECONDS):
                self._written.wait()
                self._written.clear()
                with suppress(sqlite3.Error):  # the writer meets what is wrong, and tells
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

"""A receiver of webhooks: checks who posts, keeps each event once, and only then says yes.

Plain WSGI; in Django or Flask it is the body of one view. The secret is the one that the gateway
showed when the webhook was made:

    WEBHOOK_SECRET=whsec_… python examples/webhook_receiver.py 9000 events.db
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from wsgiref.simple_server import make_server

from smsgw.client import Event
from smsgw.client.webhooks import NotGenuine, verify

SCHEMA = "CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, kind TEXT, subject_id TEXT)"


def keep(path: str, events: Sequence[Event]) -> list[Event]:
    """Store what is new, in one transaction; return it."""
    new = []
    with sqlite3.connect(path) as database:
        database.execute(SCHEMA)
        for event in events:
            row = (event.id, event.kind, event.subject_id)
            found = database.execute("INSERT OR IGNORE INTO event VALUES (?, ?, ?)", row)
            if found.rowcount:
                new.append(event)
    database.close()
    return new


def receiver(path: str, secret: str) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        names = ("id", "timestamp", "signature")
        headers = {
            f"webhook-{name}": environ.get(f"HTTP_WEBHOOK_{name.upper()}", "") for name in names
        }
        try:
            events = verify(headers, body, secret)
        except NotGenuine as error:
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [str(error).encode()]
        for event in keep(path, events):  # what it raises is a 500, and the gateway posts again
            print(event.kind, event.subject_id, event.data.get("outcome", ""), flush=True)
        start_response("204 No Content", [])
        return []

    return application


def main(port: int, path: str) -> None:
    with make_server("127.0.0.1", port, receiver(path, os.environ["WEBHOOK_SECRET"])) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

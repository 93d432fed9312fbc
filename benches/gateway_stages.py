"""``smsgw`` as ever, and a count of what each stage of the message path costs its thread.

    python benches/gateway_stages.py FILE run -c smsgw.toml

A signal (USR1) makes it write ``{"stage": CPU seconds so far}`` to FILE. Only calls that handle
many messages are timed, each without the timed calls inside it.
"""

from __future__ import annotations

import functools
import json
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import thread_time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.http import HTTPChannel

from smsgw.daemon import program
from smsgw.delivery.dispatcher import Dispatcher
from smsgw.delivery.reports import Reports
from smsgw.delivery.sender import Sender
from smsgw.services.submission import Submission
from smsgw.store import events, messages, outbox, queue, reports
from smsgw.store.commit import Committer
from smsgw.store.writer import Writer
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.link import Link

REACTOR = (
    (HTTPChannel, "dataReceived", "HTTP"),
    (Submission, "_plans", "planning"),
    (Submission, "plan", "planning"),
    (Dispatcher, "offer", "queues"),
    (Sender, "pump", "queues"),
    (Sender, "_answered", "queues"),
    (Link, "submit_many", "link"),
    (SessionProtocol, "dataReceived", "link"),
    (SessionProtocol, "_flush_now", "link"),
    (Reports, "take", "reports"),
)
WRITER = (
    (Committer, "commit", "commit"),
    (messages.Accept, "execute", "accept"),
    (queue.Take, "execute", "take"),
    (outbox.Settle, "execute", "settle"),
    (reports.Reports, "execute", "final"),
    (events, "write_noted", "events"),
)
AFTER_COMMIT = {"accept": "HTTP", "take": "queues", "settle": "queues", "reports": "reports"}
"""Operation to the stage that goes on when it is committed."""

spent: defaultdict[str, float] = defaultdict(float)
_here = threading.local()


def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``call``, its CPU seconds counted as the stage's, not as its caller's."""

    @functools.wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        outside, _here.inside = getattr(_here, "inside", 0.0), 0.0
        started = thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            seconds = thread_time() - started
            spent[stage] += seconds - _here.inside
            _here.inside = outside + seconds

    return run


def follow_commits(batch: Callable[..., Deferred[Any]]) -> Callable[..., Deferred[Any]]:
    """Return ``Writer.batch``, timing what happens when its Deferred fires."""

    @functools.wraps(batch)
    def run(writer: Writer, operation: Any, rows: Any) -> Deferred[Any]:
        told: Deferred[Any] = Deferred()
        stage = AFTER_COMMIT.get(operation.name, operation.name)
        done = batch(writer, operation, rows)
        done.addCallbacks(timed(stage, told.callback), timed(stage, told.errback))
        return told

    return run


def main() -> None:
    path = Path(sys.argv.pop(1))
    for thread, places in (("reactor", REACTOR), ("writer", WRITER)):
        for owner, name, stage in places:
            setattr(owner, name, timed(f"{thread} {stage}", getattr(owner, name)))
    AFTER_COMMIT.update({name: f"reactor {stage}" for name, stage in AFTER_COMMIT.items()})
    Writer.batch = follow_commits(Writer.batch)  # type: ignore[method-assign]

    def write(*_: object) -> None:
        whole = path.with_suffix(".new")
        whole.write_text(json.dumps(spent))
        whole.rename(path)

    signal.signal(signal.SIGUSR1, write)
    program.main()


if __name__ == "__main__":
    main()

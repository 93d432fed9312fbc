"""What ``kill -9`` in the middle of writing leaves: everything acknowledged, and a sound file."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine

from smsgw.store.database import upgrade
from smsgw.store.ids import IdSource
from smsgw.store.queue import Interrupted, settle_interrupted
from smsgw.store.statements import give_ids

WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from twisted.internet import reactor
from smsgw.model import MessageStatus
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT
from smsgw.store.outbox import SETTLE
from smsgw.store.queue import PUT_BACK, TAKE, Handful
from tests.support.store import accepted, message_row, queued_segments, settlement

database = Database(Path(sys.argv[1]), reactor)
batch = database.writer.batch
done = []

def accept():
    made = [message_row(database.ids, parts=1 + n % 2) for n in range(20)]
    batch(ACCEPT, [accepted(message) for message in made]).addCallback(acknowledge, made)

def acknowledge(ids, made):
    print(*ids, sep="\\n", flush=True)
    forgotten, done[:] = list(done), []
    handfuls = [items_of(made[start : start + 5]) for start in (0, 5, 10)]
    rows = [[("interactive", 0, *item.key, 1) for item in items] for items in handfuls]
    batch(TAKE, [Handful("cmcc", row, forgotten) for row in rows]).addCallback(submit, made)
    accept()

def submit(taken, made):
    # One handful is answered, one goes back, of one nothing is ever heard.
    sent = [settled(message, item) for message in made[:5] for item in items_of([message])]
    batch(SETTLE, sent).addCallback(lambda _: done.append(taken[0].id))
    back = [item.queue_row(0, 1) for item in items_of(made[5:10])]
    batch(PUT_BACK, back).addCallback(lambda _: done.append(taken[1].id))

def items_of(messages):
    return [item for message in messages for item in queued_segments(message)]

def settled(message, item):
    return settlement(message, MessageStatus.SENT, item.part, first=item.total == 1)

def start():
    database.open()
    for _ in range(5):
        accept()

reactor.callWhenRunning(start)
reactor.callLater(120, reactor.stop)
reactor.run()
"""

Key = tuple[int, int]


def acknowledged_until_killed(path: Path, count: int) -> set[int]:
    """Kill the writing process once it has acknowledged so many messages; return those."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout as output:
        acknowledged = [int(output.readline()) for _ in range(count)]
        child.send_signal(signal.SIGKILL)
        rest = output.read()
    assert child.returncode == -signal.SIGKILL
    lines = rest.splitlines(keepends=True)
    return {*acknowledged, *(int(line) for line in lines if line.endswith("\n"))}


class Places:
    """Where every segment of a file stands."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            query = connection.execute
            self.sound = query("PRAGMA integrity_check").fetchall() == [("ok",)]
            self.parts = dict(query("SELECT id, parts FROM message").fetchall())
            self.queued: set[Key] = set(query("SELECT message_id, part FROM queue"))
            found = query("SELECT message_id, part, state FROM segment").fetchall()
            self.states: dict[Key, str] = {row[:2]: row[2] for row in found}
            handfuls = [json.loads(row[0]) for row in query("SELECT segments FROM sending")]
        self.taken: set[Key] = {(name[0], name[1]) for names in handfuls for name in names}

    @property
    def all(self) -> set[Key]:
        return {(key, part) for key, parts in self.parts.items() for part in range(1, parts + 1)}


def started_again(path: Path) -> Interrupted:
    """Do what a start does about segments of unknown outcome."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        give_ids(connection, IdSource(0, time.time))
        found = settle_interrupted(connection, 0, 1, {"interactive": 2})
    engine.dispose()
    return found


def test_nothing_acknowledged_is_lost_and_every_doubt_is_known(path: Path) -> None:
    acknowledged = acknowledged_until_killed(path, 1000)

    upgrade(path)
    left = Places(path)
    assert left.sound
    assert acknowledged <= set(left.parts)
    assert left.queued | left.taken | set(left.states) == left.all
    assert not left.queued & set(left.states)
    doubtful = left.taken - left.queued - set(left.states)
    assert doubtful
    assert set(left.states.values()) == {"sent"}

    assert started_again(path).count == len(doubtful)
    now = Places(path)
    assert (now.queued, now.taken) == (left.queued, set())
    assert now.states == {**left.states, **dict.fromkeys(doubtful, "unknown")}

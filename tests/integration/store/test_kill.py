"""What ``kill -9`` in the middle of writing leaves: everything acknowledged, and a sound file."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from smsgw.store.database import upgrade

WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from twisted.internet import reactor
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT
from tests.support.store import message_row, segment_row

database = Database(Path(sys.argv[1]), reactor)

def accept(_=None):
    rows = []
    for _ in range(20):
        message = message_row(database.ids, parts=2)
        segments = [segment_row(database.ids, message, part=part) for part in (1, 2)]
        rows.append((message, segments, []))
    database.writer.batch(ACCEPT, rows).addCallback(acknowledge)

def acknowledge(ids):
    print(*ids, sep="\\n", flush=True)
    accept()

def start():
    database.open()
    for _ in range(5):
        accept()

reactor.callWhenRunning(start)
reactor.callLater(20, reactor.stop)
reactor.run()
"""


def test_nothing_acknowledged_is_lost(path: Path) -> None:
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(path)],
        stdout=subprocess.PIPE,
        cwd=root,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout as output:
        acknowledged = [int(output.readline()) for _ in range(2000)]
        child.send_signal(signal.SIGKILL)
        rest = output.read()
    acknowledged += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    assert child.returncode == -signal.SIGKILL

    upgrade(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stored = {row[0] for row in connection.execute("SELECT id FROM message")}
        lonely = connection.execute(
            "SELECT count(*) FROM message m WHERE 2 <>"
            " (SELECT count(*) FROM segment s WHERE s.message_id = m.id)"
        ).fetchone()
    assert set(acknowledged) <= stored
    assert lonely == (0,)

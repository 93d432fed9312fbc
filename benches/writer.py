"""What a message costs the writer, by statement, on databases with a past: CPU, octets of disk.

    python benches/writer.py [--stored 10000,10000000] [--messages 60000] [--group 500]
                             [--folder .] [--pragma "cache_size = -262144"]

The writer's operations alone on one thread, in groups: each commit accepts a group, takes the one
before, answers the one before that, and ends one by its reports. There is no reactor beside it and
nothing waits for a disk, so CPU a message hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway_load import recipients
from gateway_machine import environment
from gateway_stored import fill, past_row, room_for
from sqlalchemy import Connection, event

from smsgw.model import MessageStatus
from smsgw.store import events
from smsgw.store.ids import IdSource
from smsgw.store.messages import ACCEPT, MessageRow, QueueRow
from smsgw.store.outbox import SETTLE, Settlement
from smsgw.store.queue import TAKE, Handful
from smsgw.store.reports import REPORTS, ReportRow
from smsgw.store.sqlite import File
from smsgw.store.statements import give_ids

PHONES = 40_000
WARM_UP = 20
SHOWN = 12
WIDTH = 80
DISK = ("rchar", "wchar", "write_bytes")
"""Of ``/proc/self/io``: octets read from files, written to them, and sent on to the disk."""


class Writer:
    """The writer's side of a gateway, with messages at every stage.

    Attributes:
        spent: CPU seconds of each statement, and of commits.
        messages: How many were accepted.
    """

    def __init__(self, path: Path, group: int, pragmas: Sequence[str]) -> None:
        backend = File(path)
        self.connection = backend.connect()
        backend.settle_in(self.connection)
        driver: Any = self.connection.connection.driver_connection
        for pragma in pragmas:
            driver.execute(f"PRAGMA {pragma}")
        self.ids = IdSource(0, time.time)
        give_ids(self.connection, self.ids)
        self.group = group
        self.people = recipients(PHONES)
        self.messages = 0
        self.handfuls: list[int] = []
        self.stages: deque[list[MessageRow]] = deque([[], [], []], 3)
        self.spent: Counter[str] = Counter()
        self.began = 0.0
        event.listen(self.connection, "before_cursor_execute", self._before)
        event.listen(self.connection, "after_cursor_execute", self._after)

    def turn(self) -> None:
        """Commit one group of everything."""
        now = int(time.time() * 1000)
        accepted = [self.message(one, now) for one in self.ids.take(self.group)]
        transaction = self.connection.begin()
        write(self.connection, accepted, self.stages, self.handfuls, now)
        began = time.thread_time()
        transaction.commit()
        self.spent["COMMIT"] += time.thread_time() - began
        self.stages.appendleft(accepted)

    def message(self, message_id: int, now: int) -> MessageRow:
        recipient, text = self.people[self.messages % PHONES]
        self.messages += 1
        return past_row(message_id, recipient, text, now)

    def _before(self, *_: object) -> None:
        self.began = time.thread_time()

    def _after(self, connection: Connection, cursor: object, statement: str, *_: object) -> None:
        self.spent[name_of(statement)] += time.thread_time() - self.began


def write(
    connection: Connection,
    accepted: list[MessageRow],
    stages: Sequence[list[MessageRow]],
    handfuls: list[int],
    now: int,
) -> None:
    """Do what one commit of a busy gateway does."""
    taken, sent, reported = stages
    parts = [QueueRow(0, "bench", "notice", 0, one.id, 1, one.valid_until) for one in accepted]
    ACCEPT.execute(connection, [(one, [part]) for one, part in zip(accepted, parts, strict=True)])
    done = handfuls[:-2]
    del handfuls[:-2]
    named = [("notice", 0, one.id, 1, 1) for one in taken]
    handfuls += [one.id for one in TAKE.execute(connection, [Handful("bench", named, done)])]
    answers = [
        Settlement(
            one.id, 1, "bench", "bench", MessageStatus.SENT, now, f"{one.id:016x}", attempts=1,
            first=True,
        )
        for one in sent
    ]  # fmt: skip
    SETTLE.execute(connection, answers)
    end = (MessageStatus.DELIVERED, "DELIVRD", "", now)
    reports = [ReportRow("bench", f"{one.id:016x}", one.recipient, *end) for one in reported]
    assert all(one.fate == "matched" for one in REPORTS.execute(connection, reports))
    events.write_noted(connection)


def name_of(statement: str) -> str:
    """Return the statement without what differs from one size of it to the next."""
    head = statement.partition("VALUES")[0] if statement.startswith("INSERT") else statement
    return " ".join(head.split())[:WIDTH]


def io() -> dict[str, int]:
    lines = Path("/proc/self/io").read_text().splitlines()
    return {name: int(count) for name, _, count in (one.partition(": ") for one in lines)}


def measure(path: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return CPU µs of each statement a message, and all of them under ""."""
    writer = Writer(path, options.group, options.pragma)
    for _ in range(WARM_UP):
        writer.turn()
    gc.collect()
    gc.freeze()
    writer.spent.clear()
    before, began, cpu, counted = io(), time.perf_counter(), time.thread_time(), writer.messages
    while writer.messages - counted < options.messages:
        writer.turn()
    cpu, wall, after = time.thread_time() - cpu, time.perf_counter() - began, io()
    count = writer.messages - counted
    writer.connection.close()
    disk = ", ".join(f"{name} {(after[name] - before[name]) / count:,.0f}" for name in DISK)
    print(f"  {cpu / count * 1e6:.1f} µs CPU a message, {wall / count * 1e6:.1f} in all; {disk}")
    return {"": cpu / count * 1e6} | {
        name: seconds / count * 1e6 for name, seconds in writer.spent.items()
    }


def table(counts: Sequence[int], found: Sequence[dict[str, float]]) -> None:
    """Print each statement's cost on each database, the dearest first."""
    last = found[-1]
    print("".join(f"{count:>12,}" for count in counts) + "  messages stored; CPU µs a message")
    for name in sorted(last, key=lambda one: -last[one])[: SHOWN + 1]:
        print("".join(f"{one.get(name, 0.0):12.1f}" for one in found) + f"  {name or 'all'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", default="10000,10000000", help="finished messages before")
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--group", type=int, default=500, help="of each kind in a commit")
    parser.add_argument("--pragma", action="append", default=[], help="of SQLite, to try")
    parser.add_argument("--folder", default=None, help="where the databases go; names the disk")
    options = parser.parse_args()
    counts = [int(one) for one in options.stored.split(",")]
    found = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(f"{environment(folder)}; groups of {options.group}")
        for count in counts:
            room_for(count, folder, False)
            path = folder / f"{count}.db"
            fill(path, count)
            print(f"{count:,} messages stored", flush=True)
            found.append(measure(path, options))
            path.unlink()
    table(counts, found)


if __name__ == "__main__":
    sys.exit(main())

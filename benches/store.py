"""Durable message lifecycles per second: group commit against a commit per write, in one run.

A lifecycle is three durable writes: insert on accept, update on the carrier's answer, update on the
report. Each is acknowledged only after its commit, and the next is asked for only then. Both sides
run the same operations on the same schema with ``synchronous=FULL``.

    python benches/store.py [--messages 60000] [--in-flight 1000] [--folder .]
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sqlite3
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from smsgw.model import Event, MessageStatus
from smsgw.store.database import Database, _connect
from smsgw.store.messages import ACCEPT, AcceptedMessage, MessageRow, SegmentRow
from smsgw.store.outbox import REPORTS, SETTLE, ReportRow, Settlement
from smsgw.store.statements import give_ids
from smsgw.store.writer import Operation

TEXT = "您有一条新的审批请求，请回复同意或不同意并说明理由。" * 2

Batch = Callable[[Operation[Any, Any], Sequence[Any]], Deferred[list[Any]]]


class Load:
    """Keeps ``in_flight`` lifecycles going until ``messages`` are done."""

    def __init__(self, batch: Batch, database: Database, messages: int, in_flight: int) -> None:
        self.batch = batch
        self.ids = database.ids
        self.left = messages
        self.unfinished = messages
        self.in_flight = in_flight
        self.done: Deferred[None] = Deferred()
        self.waits: list[float] = []

    def start(self) -> Deferred[None]:
        # Two halves in turn: while one is being written, the reactor works on the other.
        self.accept(self.in_flight - self.in_flight // 2)
        reactor.callLater(0.002, self.accept, self.in_flight // 2)
        return self.done

    def accept(self, count: int) -> None:
        count = min(count, self.left)
        if not count:
            return
        self.left -= count
        rows = [self.message() for _ in range(count)]
        asked = time.perf_counter()
        answer = self.batch(ACCEPT, rows)
        answer.addCallback(self.accepted, rows, asked).addErrback(self.done.errback)

    def accepted(self, _ids: object, rows: list[AcceptedMessage], asked: float) -> None:
        self.waits.append(time.perf_counter() - asked)
        now = int(time.time() * 1000)
        settled = [
            Settlement(segments[0].id, message.id, MessageStatus.SENT, now, f"{message.id:016x}")
            for message, segments, _ in rows
        ]
        self.batch(SETTLE, settled).addCallback(self.sent, rows).addErrback(self.done.errback)

    def sent(self, results: list[Any], rows: list[AcceptedMessage]) -> None:
        assert all(result.applied for result in results)
        now = int(time.time() * 1000)
        reports = [
            ReportRow(
                "cmcc",
                f"{message.id:016x}",
                message.recipient,
                MessageStatus.DELIVERED,
                "DELIVRD",
                "000",
                now,
            )
            for message, _, _ in rows
        ]
        self.batch(REPORTS, reports).addCallback(self.delivered).addErrback(self.done.errback)

    def delivered(self, results: list[Any]) -> None:
        assert all(result.fate == "matched" for result in results)
        self.unfinished -= len(results)
        if not self.unfinished:
            self.done.callback(None)
        else:
            self.accept(len(results))

    def message(self) -> AcceptedMessage:
        message_id, segment_id = self.ids.take(2)
        now = int(time.time() * 1000)
        phone = f"138{message_id % 10**8:08d}"
        message = MessageRow(
            id=message_id,
            account="newsroom",
            reference="",
            recipient=phone,
            text=TEXT,
            message_class="interactive",
            status="queued",
            reason="",
            expects_reply=True,
            operator="mobile",
            link="cmcc",
            access_number="10690001",
            extension="001",
            coding=8,
            parts=1,
            created_at=now,
            valid_until=now + 86_400_000,
        )
        content = TEXT.encode("utf-16-be")
        segment = SegmentRow(
            segment_id, message_id, "cmcc", 1, 1, phone, "10690001001", 8, False, content, "queued"
        )
        return message, [segment], [Event("message.queued", message_id, "newsroom")]


async def group_commit(folder: Path, messages: int, in_flight: int) -> dict[str, float]:
    """Run through the writer thread."""
    database = Database(folder / "group.db", reactor)
    database.open()
    load = Load(database.writer.batch, database, messages, in_flight)
    started = time.perf_counter()
    await load.start()
    seconds = time.perf_counter() - started
    commits = database.writer.commits
    await database.close()
    return result(messages, seconds, commits, load.waits)


async def commit_each(folder: Path, messages: int, in_flight: int) -> dict[str, float]:
    """Run the same operations one row and one commit at a time on a pool thread."""
    database = Database(folder / "each.db", reactor)
    database.open()
    await database.close()
    connection = _connect(database.path)
    give_ids(connection, database.ids)
    pool = ThreadPool(1, 1)
    pool.start()
    commits = 0

    def write(operation: Operation[Any, Any], row: Any) -> Any:
        nonlocal commits
        with connection.begin():
            answer = operation.execute(connection, [row])
        commits += 1
        return answer

    def batch(operation: Operation[Any, Any], rows: Sequence[Any]) -> Deferred[list[Any]]:
        (row,) = rows
        return deferToThreadPool(reactor, pool, write, operation, row)

    load = Load(batch, database, messages, 1)
    started = time.perf_counter()
    for _ in range(min(in_flight, messages) - 1):
        load.accept(1)
    await load.start()
    seconds = time.perf_counter() - started
    pool.stop()
    connection.close()
    return result(messages, seconds, commits, load.waits)


def result(messages: int, seconds: float, commits: int, waits: list[float]) -> dict[str, float]:
    return {
        "rate": messages / seconds,
        "commits": commits / seconds,
        "rows": 3 * messages / commits,
        "p50": statistics.median(waits) * 1000,
    }


def fsync_ms(folder: Path) -> float:
    """Return the median time of writing 4 KiB and syncing it."""
    times = []
    descriptor = os.open(folder / "sync", os.O_RDWR | os.O_CREAT)
    for place in range(200):
        started = time.perf_counter()
        os.pwrite(descriptor, b"x" * 4096, place * 4096)
        os.fdatasync(descriptor)
        times.append(time.perf_counter() - started)
    os.close(descriptor)
    return statistics.median(times) * 1000


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--in-flight", type=int, default=1_000)
    parser.add_argument("--folder", default=None, help="where the databases go; names the disk")
    options = parser.parse_args()
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    sys.setswitchinterval(1e-4)  # as the daemon does
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(
            f"CPython {platform.python_version()} ({'optimised' if optimised else 'plain'} build),"
            f" SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL,"
            f" 4 KiB write + fdatasync {fsync_ms(folder):.2f} ms"
        )
        each = await commit_each(folder, max(200, options.messages // 100), options.in_flight)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)  # as the daemon does
        group = await group_commit(folder, options.messages, options.in_flight)
    print(
        f"{options.in_flight} in flight          lifecycles/s  commits/s rows/commit accept p50 ms"
    )
    for title, figures in (("commit per write", each), ("group commit", group)):
        print(
            f"{title:<24}{figures['rate']:>12,.0f}{figures['commits']:>11,.0f}"
            f"{figures['rows']:>12,.1f}{figures['p50']:>14,.2f}"
        )
    print(f"ratio                   {group['rate'] / each['rate']:>12,.1f}")


def start() -> None:
    def failed(failure: Any) -> None:
        failure.printTraceback()
        exits.append(1)

    exits: list[int] = []
    reactor.callWhenRunning(
        lambda: Deferred.fromCoroutine(main()).addErrback(failed).addBoth(lambda _: reactor.stop())
    )
    reactor.run()
    sys.exit(bool(exits))


if __name__ == "__main__":
    start()

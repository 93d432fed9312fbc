"""Durable message lifecycles per second: group commit against a commit per write, in one run.

A lifecycle is four durable writes: accepted, taken to be sent, settled with the carrier's answer,
ended by its report. Each is acknowledged only after its commit, and the next is asked for only
then. Both sides run the same operations on the same schema; what is committed is on the disk.

    python benches/store.py [--messages 60000] [--in-flight 1000] [--folder .] [--database URL]

``--database`` names a PostgreSQL database to measure beside SQLite: all it holds is deleted.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway_machine import environment
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from smsgw.model import MessageStatus
from smsgw.store import events
from smsgw.store.address import Where, where
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT, AcceptedMessage, MessageRow, QueueRow, encode_contents
from smsgw.store.outbox import SETTLE, Settlement
from smsgw.store.queue import TAKE, Handful
from smsgw.store.reports import REPORTS, ReportRow
from smsgw.store.schema import metadata
from smsgw.store.writer import Operation

TEXT = "您有一条新的审批请求，请回复同意或不同意并说明理由。" * 2
CONTENTS = encode_contents([TEXT.encode("utf-16-be")])
WRITES = 4

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
        self.handfuls: list[int] = []

    def start(self) -> Deferred[None]:
        # Two halves in turn: while one is being written, the reactor works on the other.
        self.accept(self.in_flight - self.in_flight // 2)
        reactor.callLater(0.002, self.accept, self.in_flight // 2)
        return self.done

    def write(
        self, operation: Operation[Any, Any], rows: Sequence[Any], then: Any, *a: Any
    ) -> None:
        self.batch(operation, rows).addCallback(then, *a).addErrback(self.done.errback)

    def accept(self, count: int) -> None:
        count = min(count, self.left)
        if not count:
            return
        self.left -= count
        rows = [self.message() for _ in range(count)]
        self.write(ACCEPT, rows, self.accepted, rows, time.perf_counter())

    def accepted(self, _ids: object, rows: list[AcceptedMessage], asked: float) -> None:
        self.waits.append(time.perf_counter() - asked)
        named = [("interactive", 0, message.id, 1, 1) for message, _ in rows]
        done, self.handfuls = self.handfuls, []
        self.write(TAKE, [Handful("cmcc", named, done)], self.taken, rows)

    def taken(self, taken: list[Any], rows: list[AcceptedMessage]) -> None:
        assert not taken[0].missing
        self.handfuls.append(taken[0].id)
        now = int(time.time() * 1000)
        sent = MessageStatus.SENT
        settled = [
            Settlement(m.id, 1, "cmcc", m.account, sent, now, f"{m.id:x}", attempts=1, first=True)
            for m, _ in rows
        ]
        self.write(SETTLE, settled, self.sent, rows)

    def sent(self, results: list[Any], rows: list[AcceptedMessage]) -> None:
        assert all(result.applied for result in results)
        now = int(time.time() * 1000)
        end = (MessageStatus.DELIVERED, "DELIVRD", "000", now)
        reports = [ReportRow("cmcc", f"{m.id:x}", m.recipient, *end) for m, _ in rows]
        self.write(REPORTS, reports, self.delivered)

    def delivered(self, results: list[Any]) -> None:
        assert all(result.fate == "matched" for result in results)
        self.unfinished -= len(results)
        if not self.unfinished:
            self.done.callback(None)
        else:
            self.accept(len(results))

    def message(self) -> AcceptedMessage:
        message_id = self.ids.next()
        now = int(time.time() * 1000)
        until = now + 86_400_000
        message = MessageRow(
            id=message_id,
            account="newsroom",
            reference="",
            recipient=f"138{message_id % 10**8:08d}",
            text=TEXT,
            message_class="interactive",
            status="queued",
            reason="",
            expects_reply=True,
            want_report=True,
            operator="mobile",
            link="cmcc",
            access_number="10690001",
            extension="001",
            coding=8,
            parts=1,
            contents=CONTENTS,
            created_at=now,
            valid_until=until,
        )
        return message, [QueueRow(0, "cmcc", "interactive", 0, message_id, 1, until)]


async def group_commit(place: Where, messages: int, in_flight: int) -> dict[str, float]:
    """Run through the writer thread."""
    database = Database(place, reactor)
    database.open()
    load = Load(database.writer.batch, database, messages, in_flight)
    started = time.perf_counter()
    await load.start()
    seconds = time.perf_counter() - started
    commits, busy = database.writer.commits, database.writer.seconds
    await database.close()
    return {**result(messages, seconds, commits, load.waits), "busy": busy / seconds}


async def commit_each(place: Where, messages: int, in_flight: int) -> dict[str, float]:
    """Run the same operations one row and one commit at a time on a pool thread."""
    database = Database(place, reactor)
    database.open()
    await database.close()
    connection = database._connect()
    pool = ThreadPool(1, 1)
    pool.start()
    commits = 0

    def write(operation: Operation[Any, Any], row: Any) -> Any:
        nonlocal commits
        with connection.begin():
            answer = operation.execute(connection, [row])
            events.write_noted(connection)
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
    return {**result(messages, seconds, commits, load.waits), "busy": 1.0}


def emptied(place: Where) -> Where:
    """Return a PostgreSQL database with nothing left of an earlier run."""
    database = Database(place, reactor)
    connection = database.backend.connect()
    with connection.begin():
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    connection.close()
    return place


def result(messages: int, seconds: float, commits: int, waits: list[float]) -> dict[str, float]:
    return {
        "rate": messages / seconds,
        "commits": commits / seconds,
        "rows": WRITES * messages / commits,
        "p50": statistics.median(waits) * 1000,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--in-flight", type=int, default=1_000)
    parser.add_argument("--folder", default=None, help="where the databases go; names the disk")
    parser.add_argument("--database", default="", help="a PostgreSQL database to empty and fill")
    options = parser.parse_args()
    server = where(options.database) if options.database else None
    sys.setswitchinterval(1e-4)  # as the daemon does
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(environment(folder, options.database))
        few = max(200, options.messages // 100)
        places: dict[str, Callable[[str], Where]] = {"SQLite": lambda run: folder / f"{run}.db"}
        if server is not None:
            places["PostgreSQL"] = lambda _: emptied(server)
        each = {
            title: await commit_each(place("each"), few, options.in_flight)
            for title, place in places.items()
        }
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)  # as the daemon does
        group = {
            title: await group_commit(place("group"), options.messages, options.in_flight)
            for title, place in places.items()
        }
    print(
        f"{options.in_flight} in flight                 "
        " lifecycles/s  commits/s rows/commit accept p50 ms  writer busy"
    )
    for title in places:
        for way, figures in (("commit per write", each[title]), ("group commit", group[title])):
            print(
                f"{f'{title}, {way}':<32}{figures['rate']:>11,.0f}{figures['commits']:>11,.0f}"
                f"{figures['rows']:>12,.1f}{figures['p50']:>14,.2f}{figures['busy']:>13.0%}"
            )
        print(f"{'ratio':<32}{group[title]['rate'] / each[title]['rate']:>11,.1f}")
    if server is not None:
        ratio = group["PostgreSQL"]["rate"] / group["SQLite"]["rate"]
        print(f"{'PostgreSQL / SQLite':<32}{ratio:>11,.2f}")


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

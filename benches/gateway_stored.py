"""A gateway of ours with a past, for gateway.py --stored: its database holds finished messages.

The first ten thousand are stored by the store's own operations: accepted, taken, answered,
reported. The rest are copies of all their rows, made by the database itself, each time for other
phones and somewhat later, over a month. So every row and every index is what the same traffic would
have left.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gateway_daemons import Missing, Smsgw
from gateway_load import PREFIXES, recipients
from sqlalchemy import Connection, Table, func, insert, literal, select

from smsgw.model import MessageStatus
from smsgw.store import events
from smsgw.store.address import Server, where
from smsgw.store.database import upgrade
from smsgw.store.ids import NODE_BITS, SEQUENCE_BITS, IdSource
from smsgw.store.messages import ACCEPT, MessageRow, QueueRow, encode_contents
from smsgw.store.outbox import SETTLE, Settlement
from smsgw.store.queue import TAKE, Handful
from smsgw.store.reports import REPORTS, ReportRow
from smsgw.store.schema import event, message, segment
from smsgw.store.sqlite import File
from smsgw.store.statements import give_ids

FIRST = 10_000
PERIOD_MS = 30 * 86_400_000
VALID_MS = 86_400_000
COPIES_A_COMMIT = 20
OCTETS_EACH = {"sqlite": 1_000, "postgresql": 2_500}
"""What a message takes at most, rounded up: so much must be free on the disk."""

IDS = ("id", "message_id", "subject_id")
TIMES = ("at", "created_at", "valid_until", "sent_at", "final_at")
SPEED_UP = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA cache_size = -1000000",
)
"""Only while it is filled: a file that a crash leaves half full is thrown away."""


def stored(protocol: str, counts: Sequence[int], server: str) -> list[Callable[[Path], Stored]]:
    """Return how to make a gateway with each of the pasts, each to compare with the first."""
    return [
        partial(Stored, protocol=protocol, messages=one, server=server, first=counts[0])
        for one in counts
    ]


class Stored(Smsgw):
    """Ours, started on a database with so many finished messages in it.

    Args:
        messages: How many; above ten thousand it is rounded down to a multiple of that.
        first: How many the one has that it is to be compared with.
    """

    def __init__(
        self, folder: Path, protocol: str, messages: int, server: str = "", first: int = 0
    ) -> None:
        super().__init__(folder, protocol, server=server)
        self.messages = messages
        self.title = title(messages, server)
        self.beside = title(first, server) if first != messages else ""

    def open(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> int:
        place = where(self.database) if self.server else self.folder / "bench.db"
        room_for(self.messages, self.folder, bool(self.server))
        began = time.perf_counter()
        self.stored_until = fill(place, self.messages)
        filled = time.perf_counter()
        http = super().open(port, window, wait)
        print(
            f"  {self.messages:,} messages stored in {filled - began:.0f} s,"
            f" {self.octets():,.0f} octets each;"
            f" the gateway listened after {time.perf_counter() - filled:.1f} s",
            flush=True,
        )
        return http


def title(messages: int, server: str) -> str:
    return f"{messages:,} stored{' pg' if server else ''}"


def room_for(messages: int, folder: Path, on_server: bool) -> None:
    """Refuse what would fill the disk; a server's is taken to be the same one."""
    needed = messages * OCTETS_EACH["postgresql" if on_server else "sqlite"]
    free = shutil.disk_usage(folder).free
    if needed > free // 2:
        raise Missing(
            f"{messages:,} messages need {needed / 2**30:.0f} GiB, and half of what is free on the"
            f" disk of {folder} is {free / 2**31:.0f}; ask for fewer, or name another --folder"
        )


def fill(place: Path | Server, messages: int) -> int:
    """Make a database with finished messages in it; return the greatest id of a message."""
    upgrade(place)
    copies = max(1, messages // FIRST)
    step = PERIOD_MS // copies
    began = int(time.time() * 1000) - VALID_MS - PERIOD_MS
    connection = opened(place)
    with connection.begin():
        last = first_ones(connection, min(messages, FIRST), began)
    for first in range(1, copies, COPIES_A_COMMIT):
        with connection.begin():
            for number in range(first, min(first + COPIES_A_COMMIT, copies)):
                copy(connection, number, number * step, last)
    with connection.begin():
        greatest: int = connection.execute(select(func.max(message.c.id))).scalar_one()
    settled(connection, place)
    return greatest


def opened(place: Path | Server) -> Connection:
    """Return a connection that writes; of a file, quickly."""
    if isinstance(place, Path):
        connection = File(place).connect()
        driver: Any = connection.connection.driver_connection
        for pragma in SPEED_UP:
            driver.execute(pragma)
        return connection
    from smsgw.store.postgresql import Cluster

    return Cluster(place).connect()


def settled(connection: Connection, place: Path | Server) -> None:
    """Leave nothing to do later that the run would pay for."""
    if isinstance(place, Path):
        connection.close()
        descriptor = os.open(place, os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)
        return
    driver: Any = connection.connection.driver_connection
    driver.autocommit = True
    driver.execute("VACUUM ANALYZE")
    driver.execute("CHECKPOINT")
    connection.close()


def first_ones(connection: Connection, count: int, at: int) -> int:
    """Send messages through the store's operations; return an id after all of theirs."""
    ids = IdSource(0, lambda: at / 1000)
    give_ids(connection, ids)
    rows = [
        past_row(one, *to, at) for one, to in zip(ids.take(count), recipients(count), strict=True)
    ]
    queued = [QueueRow(0, "bench", "notice", 0, one.id, 1, one.valid_until) for one in rows]
    ACCEPT.execute(connection, [(one, [part]) for one, part in zip(rows, queued, strict=True)])
    handful = Handful("bench", [("notice", 0, one.id, 1, 1) for one in rows], [])
    (taken,) = TAKE.execute(connection, [handful])
    names = [f"{1:08x}{number:08x}" for number in range(count)]
    answers = [
        Settlement(
            one.id, 1, "bench", one.account, MessageStatus.SENT, at, name, attempts=1, first=True
        )
        for one, name in zip(rows, names, strict=True)
    ]
    SETTLE.execute(connection, answers)
    TAKE.execute(connection, [Handful("bench", [], [taken.id])])
    end = (MessageStatus.DELIVERED, "DELIVRD", "", at)
    reports = [
        ReportRow("bench", name, one.recipient, *end) for one, name in zip(rows, names, strict=True)
    ]
    REPORTS.execute(connection, reports)
    events.write_noted(connection)
    return ids.next()


def past_row(message_id: int, recipient: str, text: str, at: int) -> MessageRow:
    """Return a message as the gateway of these benches accepts it."""
    return MessageRow(
        id=message_id,
        account="bench",
        reference="",
        recipient=recipient,
        text=text,
        message_class="notice",
        status="queued",
        reason="",
        expects_reply=False,
        want_report=True,
        operator="mobile",
        link="bench",
        access_number="10690001",
        extension="",
        coding=8,
        parts=1,
        contents=encode_contents([text.encode("utf-16-be")]),
        created_at=at,
        valid_until=at + VALID_MS,
    )


def copy(connection: Connection, number: int, later: int, last: int) -> None:
    """Store the first ones again, ``later`` by so many milliseconds, for other phones."""
    ids = later << (NODE_BITS + SEQUENCE_BITS)
    prefix = str(PREFIXES[number % len(PREFIXES)])
    moved: dict[str, Any] = {
        "recipient": lambda column: literal(prefix).op("||")(func.substr(column, 4)),
        "carrier_message_id": lambda column: literal(f"{number + 1:08x}").op("||")(
            func.substr(column, 9)
        ),
    }
    moved |= dict.fromkeys(IDS, lambda column: column + ids)
    moved |= dict.fromkeys(TIMES, lambda column: column + later)
    for table in (message, segment, event):
        copy_rows(connection, table, moved, last)


def copy_rows(connection: Connection, table: Table, moved: dict[str, Any], last: int) -> None:
    key = table.c[table.primary_key.columns.keys()[0]]
    values = [moved[one.name](one) if one.name in moved else one for one in table.columns]
    source = select(*values).where(key < last)
    connection.execute(insert(table).from_select(list(table.columns), source))

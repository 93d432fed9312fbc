"""What purging and erasing are tested with: a clock that stands, all that a database holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select, update
from twisted.internet import reactor

from smsgw.services.audit import Finding, Walk
from smsgw.store import schema
from smsgw.store.database import Database
from smsgw.store.schema import metadata
from tests.support.store import NOW

DAY_MS = 86_400_000


class StandingClock:
    """A time that stands where it is put; pauses are over at once."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def seconds(self) -> float:
        return self.now / 1000

    def callLater(self, delay: float, call: Callable[..., Any], *args: object) -> Any:
        return reactor.callLater(0, call, *args)  # type: ignore[attr-defined]


def everything(connection: Connection) -> str:
    """Every value of every row, a line each in a fixed order; octets as hexadecimal."""
    return "\n".join(
        sorted(
            f"{table.name}: "
            + "\t".join(one.hex() if isinstance(one, bytes) else str(one) for one in row)
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
        )
    )


def forms(phone: str, *texts: str) -> list[str]:
    """How a phone and texts stand in what :func:`everything` returns."""
    found = [phone, phone.encode().hex(), phone.encode("utf-16-be").hex(), *texts]
    for text in texts:
        found += [text.encode(coding).hex() for coding in ("utf-8", "utf-16-be", "gb18030")]
    return found


def finish(connection: Connection, at: int = NOW) -> None:
    """Let every message have come to an end."""
    connection.execute(update(schema.message).values(status="delivered", final_at=at))


async def verified(database: Database) -> list[Finding]:
    """What verifying the audit chains finds."""
    return await database.read(lambda connection: list(Walk(connection).findings()))

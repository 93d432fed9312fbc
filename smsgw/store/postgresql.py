"""PostgreSQL: how its server is reached, and how it says what :mod:`smsgw.store.statements` asks.

Several processes may write to one database. A writer locks the messages it changes, and the present
end of the events, until its commit; what else two of them may do at once, unique constraints and
version numbers settle. Reading connections are read-only and see one moment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import psycopg
from sqlalchemy import URL, Connection, Engine, Table, create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from smsgw.errors import Conflict, StoreError
from smsgw.store.address import Server
from smsgw.store.nodes import LeaseLost, lease_of
from smsgw.store.statements import insert_values

T = TypeVar("T")

POSTGRESQL_NEEDED = 13
"""``pg_current_xact_id`` and ``pg_xact_status``."""

CONNECT_SECONDS = 5
LOCK_SECONDS = 5
"""How long a statement waits for what another session has locked."""

IDLE_SECONDS = 30.0
"""How long a transaction may do nothing, unless a lease is shorter: of a process that was stopped
it ends then, and lets go of what it had locked."""

LOOK_UP = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""Everything is looked up by key or read in the order of one: never the whole of a table, whatever
is believed of its size before the first statistics of it."""

SCHEMA_LOCK = 0x736D7301
"""An advisory lock: one process at a time looks after the schema. (``sms``, and a number.)"""

COPY_ROWS = 4
"""From so many rows on, COPY is faster than VALUES."""

UNIQUE_VIOLATION = "23505"
DEADLOCKS = frozenset(("40001", "40P01", "55P03"))
"""A serialization failure, a deadlock, a lock that was waited for too long."""

INVALID_PARAMETER = "22023"
READ_ONLY = "25006"

_STILL_OURS = """SELECT pg_current_xact_id()::text FROM node WHERE id = %s AND epoch = %s
 FOR KEY SHARE"""

_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


class Cluster:
    """One database of a server (:class:`smsgw.store.commit.Backend`).

    Attributes:
        idle_seconds: How long a transaction of a writing connection may do nothing.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.idle_seconds = IDLE_SECONDS

    def __str__(self) -> str:
        return str(self.server)

    def connect(self) -> Connection:
        """Open a writing connection."""
        engine = self._engine(
            {"poolclass": NullPool},
            lock_timeout=LOCK_SECONDS * 1000,
            idle_in_transaction_session_timeout=int(self.idle_seconds * 1000),
        )
        connection = engine.connect()
        try:
            with connection.begin():
                version = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
                if int(version) < POSTGRESQL_NEEDED * 10_000:
                    found = int(version) // 10_000
                    raise StoreError(f"PostgreSQL is {found}, needed {POSTGRESQL_NEEDED} or newer")
                durable = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
                if durable == "off":  # nothing is acknowledged that a crash could take back
                    connection.exec_driver_sql("SET synchronous_commit = on")
        except BaseException:
            connection.close()
            raise
        return connection

    def listen(self, patience: float) -> Connection:
        """Open a connection that holds locks of its session and hears notifications.

        Args:
            patience: Seconds after which the server may give up a process it does not hear.
        """
        every = max(1, int(patience / 3))
        engine = self._engine(
            {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"},
            statement_timeout=int(patience * 1000),
            tcp_keepalives_idle=max(1, int(patience)),
            tcp_keepalives_interval=every,
            tcp_keepalives_count=3,
        )
        return engine.connect()

    def settle_in(self, connection: Connection) -> None:
        """Nothing is left to do once the schema is there."""

    def lock_schema(self, connection: Connection) -> None:
        """Keep other processes from looking after the schema until this transaction ends."""
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))

    def readers(self, count: int) -> Engine:
        """Return what connects the readers, ``count`` at most; 0 keeps none open."""
        pool: dict[str, Any] = {"poolclass": NullPool}
        if count:
            size = {"pool_size": count, "max_overflow": 0, "pool_pre_ping": True}
            pool = {"poolclass": QueuePool, **size}
        pool["isolation_level"] = "REPEATABLE READ"
        return self._engine(pool, default_transaction_read_only="on")

    def size(self, connection: Connection) -> tuple[int, None]:
        """Return the octets of the database; how many are left, its server knows."""
        counted = connection.exec_driver_sql("SELECT pg_database_size(current_database())")
        return int(counted.scalar_one()), None

    def check(self, connection: Connection) -> None:
        """A transaction that failed refuses the next statement by itself."""

    def before_commit(self, connection: Connection) -> str:
        """Return the name of the transaction that is to be committed, "" when it wrote nothing.

        It fails when the transaction failed: a commit would silently be a rollback. It also fails
        when our lease is lost, and keeps whoever wants our node waiting until the commit.
        """
        lease = lease_of(connection)
        if lease is None:
            query = "SELECT pg_current_xact_id_if_assigned()::text"
            return connection.exec_driver_sql(query).scalar() or ""
        name = connection.exec_driver_sql(_STILL_OURS, (lease.node, lease.epoch)).scalar()
        if name is None:
            lease.lost()
            raise LeaseLost("another process has taken over what this one had; it must not go on")
        return str(name)

    def committed(self) -> None:
        """The server looks after its log itself."""

    def was_committed(self, connection: Connection, transaction: str) -> bool | None:
        """Tell whether a transaction was kept; None while the server is still at it."""
        try:
            with connection.begin():
                query = "SELECT pg_xact_status(%s::xid8)"
                status = connection.exec_driver_sql(query, (transaction,)).scalar()
        except DBAPIError as error:
            if _sqlstate(error) == INVALID_PARAMETER:
                return False  # this server never came so far: another took its place
            raise
        return None if status == "in progress" else status == "committed"

    def is_lost(self, connection: Connection) -> bool:
        """Tell whether a connection is of no use any more."""
        if connection.invalidated or connection.closed:
            return True
        return bool(getattr(connection.connection.driver_connection, "closed", True))

    def is_read_only(self, error: BaseException) -> bool:
        """Tell whether the session was begun while the server, or this one, took no changes."""
        return _sqlstate(error) == READ_ONLY

    def is_race(self, error: BaseException) -> bool:
        """Tell whether another process was faster, and one has to look again."""
        if isinstance(error, Conflict):
            return True
        return _sqlstate(error.__cause__) == UNIQUE_VIOLATION

    def is_deadlock(self, error: BaseException) -> bool:
        """Tell whether we and others waited for each other: all is to be done again."""
        return _sqlstate(error) in DEADLOCKS

    def _engine(self, pool: dict[str, Any], **settings: object) -> Engine:
        server = self.server
        url = URL.create(
            "postgresql+psycopg",
            server.user,
            server.password or None,
            server.host or None,
            server.port,
            server.name,
            dict(server.options),
        )
        arguments: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "smsgw",
            "client_encoding": "utf8",
            "options": " ".join(
                f"-c {name}={value}" for name, value in {**LOOK_UP, **settings}.items()
            ),
            "tcp_user_timeout": 20_000,
            **_KEEPALIVE,
        }
        return create_engine(url, connect_args=arguments, hide_parameters=True, **pool)


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


# ---- statements --------------------------------------------------------------------------

_WORDS = re.compile(r"\b(NOT )?IN (IDS|TEXTS)\((\?|:\w+)\)|\bROWS\(([^()]*)\)|\?")


@functools.cache
def spelled(text: str) -> str:
    """Return a statement of ours as PostgreSQL reads it.

    An array made beforehand is looked up in an index whatever the planner believes of its length;
    what is not to be among many is looked up in a hash.
    """

    def word(found: re.Match[str]) -> str:
        if found[4]:
            return found[4]
        if not found[3]:
            return "%s"
        given = "%s" if found[3] == "?" else found[3]
        members = f"SELECT jsonb_array_elements_text(CAST({given} AS jsonb))"
        members += "::bigint" if found[2] == "IDS" else ""
        return f"NOT IN ({members})" if found[1] else f"= ANY(ARRAY({members}))"

    return _WORDS.sub(word, text)


def fetch(
    connection: Connection,
    decoder: msgspec.json.Decoder[list[T]],
    text: str,
    parameters: tuple[Any, ...],
) -> list[T]:
    """Return the rows of a query; all of them come with one answer."""
    result = connection.exec_driver_sql(spelled(text), parameters)
    found = result.cursor.fetchall() if result.cursor is not None else []
    result.close()
    kind: type[list[T]] = decoder.type
    return msgspec.convert(found, kind)


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows: by COPY, unless they are few."""
    rows = _without_nul(rows)
    if len(rows) >= COPY_ROWS:
        _copy(connection, table, rows)
    else:
        insert_values(connection, table, rows)


def update_rows(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Set ``columns`` of rows found by ``keys``."""
    values = tuple(map(list, zip(*_without_nul(rows), strict=True)))
    connection.exec_driver_sql(_update_text(table, keys, columns), values)


def _copy(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.cursor()
    text = _copy_text(table)
    try:
        with driver.copy(text) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(
            text, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
    finally:
        driver.close()


def _without_nul(rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """Return rows with U+FFFD for each NUL in their texts: PostgreSQL's texts cannot hold one."""
    if b"\\u0000" not in _encode(rows):
        return rows
    return [
        tuple(one.replace("\0", "\ufffd") if isinstance(one, str) else one for one in row)
        for row in rows
    ]


_encode = msgspec.json.Encoder().encode


@functools.cache
def _copy_text(table: Table) -> str:
    return f"COPY {table.name} ({', '.join(column.name for column in table.columns)}) FROM STDIN"


_dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@functools.cache
def _update_text(table: Table, keys: tuple[str, ...], columns: tuple[str, ...]) -> str:
    kinds = [table.columns[name].type.compile(_dialect) for name in (*keys, *columns)]
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    names = ", ".join((*keys, *columns))
    changes = ", ".join(f"{name} = v.{name}" for name in columns)
    found = " AND ".join(f"{table.name}.{name} = v.{name}" for name in keys)
    return f"UPDATE {table.name} SET {changes} FROM unnest({arrays}) AS v({names}) WHERE {found}"

"""A few large statements instead of many small ones: what a writer beside a busy reactor needs.

The driver gives up the interpreter lock at every row it steps over, or for every answer it waits
for, and a busy reactor thread takes a switch interval to give it back. So rows go in and come out
many at a time. Statement texts are built once; the driver keeps them prepared.

Texts are written once for both databases, with three words of our own: ``ROWS(a, b)`` is what
:func:`fetch_json` fetches, ``IN IDS(?)`` and ``IN TEXTS(?)`` are the members of a JSON array of
integers or texts. How they are spelled is in :mod:`smsgw.store.sqlite` and
:mod:`smsgw.store.postgresql`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, CursorResult, Table

from smsgw.store.ids import IdSource

T = TypeVar("T")

CHUNKS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows per statement: few sizes, so that few statements stay prepared. 512 rows of our widest table
are 10,752 parameters; SQLite allows 32,766."""

_IDS = "smsgw.ids"


class Dialect(Protocol):
    """How a database says it: what the modules of both have in common."""

    def spelled(self, text: str) -> str:
        """Return a statement of ours as the database reads it."""
        ...

    def fetch(
        self,
        connection: Connection,
        decoder: msgspec.json.Decoder[list[T]],
        text: str,
        parameters: tuple[Any, ...],
    ) -> list[T]:
        """Return the rows of a query."""
        ...

    def insert_rows(
        self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert whole rows."""
        ...

    def update_rows(
        self,
        connection: Connection,
        table: Table,
        keys: tuple[str, ...],
        columns: tuple[str, ...],
        rows: Sequence[tuple[Any, ...]],
    ) -> None:
        """Set ``columns`` of rows found by ``keys``."""
        ...


def ids_of(connection: Connection) -> IdSource:
    """Return the id source of the database that opened this connection for writing."""
    source: IdSource = connection.info[_IDS]
    return source


def give_ids(connection: Connection, ids: IdSource) -> None:
    """Make :func:`ids_of` answer with ``ids`` on this connection."""
    connection.info[_IDS] = ids


def shared(connection: Connection) -> bool:
    """Whether other processes may be writing to the same rows: then they are locked first."""
    return connection.dialect.name == "postgresql"


def spelled(connection: Connection, text: str) -> str:
    """Return a statement of ours as this connection's database reads it."""
    return _dialect(connection.dialect.name).spelled(text)


def run(connection: Connection, text: str, *parameters: Any) -> CursorResult[*tuple[Any, ...]]:
    """Run a statement of ours, ``?`` standing for each parameter."""
    return connection.exec_driver_sql(spelled(connection, text), parameters)


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows, each a tuple in the order of the table's columns."""
    if rows:
        _dialect(connection.dialect.name).insert_rows(connection, table, rows)


def insert_new(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert those rows that collide with none that is there; return how many."""
    return insert_values(connection, table, rows, " ON CONFLICT DO NOTHING")


def update_rows(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Set ``columns`` of rows found by ``keys``; each row is the values of both, keys first."""
    if rows:
        _dialect(connection.dialect.name).update_rows(connection, table, keys, columns, rows)


def fetch_json(
    connection: Connection, decoder: msgspec.json.Decoder[list[T]], text: str, *parameters: Any
) -> list[T]:
    """Run a query of ``ROWS(…)`` and return them, as ``decoder`` reads them from JSON."""
    return _dialect(connection.dialect.name).fetch(connection, decoder, text, parameters)


def json_array(values: Sequence[Any]) -> str:
    """Return what ``IDS(?)`` and ``TEXTS(?)`` in a statement take."""
    return msgspec.json.encode(values).decode()


@functools.cache
def _dialect(name: str) -> Dialect:
    if name == "postgresql":
        from smsgw.store import postgresql  # only who uses it waits for its driver to load

        return postgresql
    from smsgw.store import sqlite

    return sqlite


# ---- for the two databases' own modules --------------------------------------------------


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut rows into as many as one statement takes."""
    start, left = 0, len(rows)
    for size in CHUNKS:
        while left >= size:
            yield rows[start : start + size]
            start += size
            left -= size


def insert_values(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], ending: str = ""
) -> int:
    """Insert whole rows by ``VALUES``, with ``ending`` after them; return how many."""
    inserted = 0
    for chunk in chunks(rows):
        text = _insert_text(table, len(chunk), ending)
        inserted += run(connection, text, *chain.from_iterable(chunk)).rowcount
    return inserted


@functools.cache
def _insert_text(table: Table, count: int, ending: str) -> str:
    columns = ", ".join(column.name for column in table.columns)
    values = values_text(len(table.columns), count)
    return f"INSERT INTO {table.name} ({columns}) VALUES {values}{ending}"


def values_text(width: int, count: int) -> str:
    """Return ``count`` rows of ``width`` parameters."""
    row = f"({', '.join('?' * width)})"
    return ", ".join([row] * count)

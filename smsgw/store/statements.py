"""A few large statements instead of many small ones: what a writer beside a busy reactor needs.

The driver gives up the interpreter lock at every row it steps over, and a busy reactor thread takes
a switch interval to give it back. So rows go in through multi-row ``VALUES`` (one step per chunk)
and come out as one JSON text (one step per query). Statement texts are built once per table and
chunk size; the driver keeps them prepared.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Table

from smsgw.store.ids import IdSource

T = TypeVar("T")

CHUNKS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows per statement: few sizes, so that few statements stay prepared. 512 rows of our widest table
are 9,728 parameters; SQLite allows 32,766."""

_IDS = "smsgw.ids"


def ids_of(connection: Connection) -> IdSource:
    """Return the id source of the database that opened this connection for writing."""
    source: IdSource = connection.info[_IDS]
    return source


def give_ids(connection: Connection, ids: IdSource) -> None:
    """Make :func:`ids_of` answer with ``ids`` on this connection."""
    connection.info[_IDS] = ids


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows, each a tuple in the order of the table's columns."""
    for chunk in _chunks(rows):
        text = _insert_text(table, len(chunk))
        connection.exec_driver_sql(text, tuple(chain.from_iterable(chunk)))


def update_rows(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Set ``columns`` of rows by their id; each row is ``(id, value of each column)``."""
    for chunk in _chunks(rows):
        text = _update_text(table, columns, len(chunk))
        connection.exec_driver_sql(text, tuple(chain.from_iterable(chunk)))


def set_same(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    values: tuple[Any, ...],
    rows: list[int] | dict[int, Any],
    own: str | None = None,
) -> None:
    """Give many rows the same values in one statement: a quarter to half of :func:`update_rows`.

    Args:
        connection: The writer's.
        table: Has an ``id``.
        columns: Which get the same.
        values: One for each of ``columns``.
        rows: Ids; or, by id, the value of the column ``own``.
        own: A further column, in which each row gets its own value.
    """
    text = _same_text(table, columns, own)
    encoded = msgspec.json.encode(rows).decode()
    connection.exec_driver_sql(text, (*values, encoded))


def fetch_json(
    connection: Connection, decoder: msgspec.json.Decoder[list[T]], text: str, *parameters: Any
) -> list[T]:
    """Run a query whose one column of one row is a JSON array, and decode that."""
    return decoder.decode(connection.exec_driver_sql(text, parameters).scalar_one())


def json_array(values: Sequence[Any]) -> str:
    """Return what a ``json_each(?)`` in a statement takes."""
    return msgspec.json.encode(values).decode()


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    start, left = 0, len(rows)
    for size in CHUNKS:
        while left >= size:
            yield rows[start : start + size]
            start += size
            left -= size


@functools.cache
def _insert_text(table: Table, count: int) -> str:
    columns = ", ".join(column.name for column in table.columns)
    return f"INSERT INTO {table.name} ({columns}) VALUES {_values(len(table.columns), count)}"


@functools.cache
def _update_text(table: Table, columns: tuple[str, ...], count: int) -> str:
    changes = ", ".join(
        f"{table.columns[name].name} = v.column{place}" for place, name in enumerate(columns, 2)
    )
    return (
        f"UPDATE {table.name} SET {changes} FROM (VALUES {_values(len(columns) + 1, count)}) AS v"
        f" WHERE {table.name}.id = v.column1"
    )


@functools.cache
def _same_text(table: Table, columns: tuple[str, ...], own: str | None) -> str:
    changes = ", ".join(f"{table.columns[name].name} = ?" for name in columns)
    if own is None:
        ids = "SELECT value FROM json_each(?)"
        return f"UPDATE {table.name} SET {changes} WHERE id IN ({ids})"
    return (
        f"UPDATE {table.name} SET {changes}, {table.columns[own].name} = v.value"
        f" FROM json_each(?) AS v WHERE {table.name}.id = CAST(v.key AS INTEGER)"
    )


def _values(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return ", ".join([row] * count)

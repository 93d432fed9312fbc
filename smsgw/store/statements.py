"""A few large statements instead of many small ones: what a writer beside a busy reactor needs.

The driver gives up the interpreter lock at every row it steps over, and a busy reactor thread takes
a switch interval to give it back. So rows go in through multi-row ``VALUES`` (one step per chunk)
and come out as one JSON text (one step per query). Statement texts are built once per table and
chunk size; the driver keeps them prepared.

Texts are written once, with three words of our own that :func:`run` replaces: ``ROWS(a, b)`` is the
found rows as one JSON array of arrays, ``IDS(?)`` and ``TEXTS(?)`` are the members of a JSON array
of integers or texts, for use after ``IN``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, CursorResult, Table

from smsgw.store.ids import IdSource

T = TypeVar("T")

CHUNKS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows per statement: few sizes, so that few statements stay prepared. 512 rows of our widest table
are 10,752 parameters; SQLite allows 32,766."""

_IDS = "smsgw.ids"


def ids_of(connection: Connection) -> IdSource:
    """Return the id source of the database that opened this connection for writing."""
    source: IdSource = connection.info[_IDS]
    return source


def give_ids(connection: Connection, ids: IdSource) -> None:
    """Make :func:`ids_of` answer with ``ids`` on this connection."""
    connection.info[_IDS] = ids


def run(connection: Connection, text: str, *parameters: Any) -> CursorResult[*tuple[Any, ...]]:
    """Run a statement of ours, ``?`` standing for each parameter."""
    return connection.exec_driver_sql(_spelled(text), parameters)


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows, each a tuple in the order of the table's columns."""
    for chunk in _chunks(rows):
        text = _insert_text(table, len(chunk))
        connection.exec_driver_sql(text, tuple(chain.from_iterable(chunk)))


def update_rows(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Set ``columns`` of rows found by ``keys``; each row is the values of both, keys first."""
    for chunk in _chunks(rows):
        text = _update_text(table, keys, columns, len(chunk))
        connection.exec_driver_sql(text, tuple(chain.from_iterable(chunk)))


def fetch_json(
    connection: Connection, decoder: msgspec.json.Decoder[list[T]], text: str, *parameters: Any
) -> list[T]:
    """Run a query whose one column of one row is ``ROWS(…)``, and decode that."""
    return decoder.decode(run(connection, text, *parameters).scalar_one())


def json_array(values: Sequence[Any]) -> str:
    """Return what ``IDS(?)`` and ``TEXTS(?)`` in a statement take."""
    return msgspec.json.encode(values).decode()


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    start, left = 0, len(rows)
    for size in CHUNKS:
        while left >= size:
            yield rows[start : start + size]
            start += size
            left -= size


_WORDS = re.compile(r"\b(?:IDS|TEXTS)\(\?\)|\bROWS\(")
_SPELLINGS = {
    "IDS(?)": "(SELECT value FROM json_each(?))",
    "TEXTS(?)": "(SELECT value FROM json_each(?))",
    "ROWS(": "json_group_array(json_array(",
}


@functools.cache
def _spelled(text: str) -> str:
    """Return a text as the database's own dialect writes it."""
    found = _WORDS.sub(lambda word: _SPELLINGS[word[0]], text)
    return found.replace(" FROM", ") FROM", 1) if "ROWS(" in text else found


@functools.cache
def _insert_text(table: Table, count: int) -> str:
    columns = ", ".join(column.name for column in table.columns)
    return f"INSERT INTO {table.name} ({columns}) VALUES {_values(len(table.columns), count)}"


@functools.cache
def _update_text(table: Table, keys: tuple[str, ...], columns: tuple[str, ...], count: int) -> str:
    names = [table.columns[name].name for name in (*keys, *columns)]
    places = [f"v.column{place}" for place in range(1, len(names) + 1)]
    found = " AND ".join(
        f"{table.name}.{name} = {place}" for name, place in zip(keys, places, strict=False)
    )
    changes = ", ".join(
        f"{name} = {place}"
        for name, place in zip(names[len(keys) :], places[len(keys) :], strict=True)
    )
    rows = _values(len(names), count)
    return f"UPDATE {table.name} SET {changes} FROM (VALUES {rows}) AS v WHERE {found}"


def _values(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return ", ".join([row] * count)

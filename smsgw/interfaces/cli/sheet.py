"""A CSV file of recipients -> texts to send; everything wrong with it is found before anything is.

Rules: UTF-8, else GB18030 (what Excel writes on a Chinese Windows); comma, semicolon or tab; the
first line names the columns. ``{column}`` in a template is that cell, ``{{`` and ``}}`` are braces.
A row is known by the line of the file it begins on.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from smsgw.errors import ValidationError
from smsgw.routing.numbers import normalise
from smsgw.text.charset import choose
from smsgw.text.segmentation import plan
from smsgw.text.template import Template

PHONE_COLUMNS = (
    "to",
    "phone",
    "mobile",
    "手机",
    "手机号",
    "手机号码",
    "电话",
    "电话号码",
    "号码",
)
"""What the recipients' column is called, when nobody says which it is."""

_DELIMITERS = ",\t;"


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """One row that can be sent.

    Attributes:
        line: Where it begins in the file, from 1.
        to: Its normalised number.
        text: The template with this row's cells.
        parts: Into how many parts the text is split.
    """

    line: int
    to: str
    text: str
    parts: int


class BadRow(NamedTuple):
    """One row that cannot be sent, and why."""

    line: int
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


class Sheet(NamedTuple):
    """A whole file.

    Attributes:
        encoding: ``utf-8`` or ``gb18030``.
        columns: As the first line names them.
        to_column: The one with the numbers.
        rows: What can be sent, in the order of the file.
        bad: What cannot.
    """

    encoding: str
    columns: Sequence[str]
    to_column: str
    rows: Sequence[Recipient]
    bad: Sequence[BadRow]


def read_sheet(octets: bytes, template: Template, to_column: str | None = None) -> Sheet:
    """Return what a file asks to send.

    Args:
        octets: The file.
        template: The text.
        to_column: Whose cells are the numbers; None for one of :data:`PHONE_COLUMNS`.

    Raises:
        ValidationError: No row of it can be read.
    """
    text, encoding = _decoded(octets)
    records = _records(text)
    line, columns = next(records, (1, []))
    columns = [name.strip() for name in columns]
    if not any(columns):
        raise ValidationError("--file", "has no line with the names of its columns")
    _check_columns(line, columns, template)
    to_column = _to_column(columns, to_column)
    rows: list[Recipient] = []
    bad: list[BadRow] = []
    seen: dict[tuple[str, str], int] = {}
    for line, cells in records:
        try:
            row = _recipient(line, columns, cells, to_column, template)
        except ValidationError as error:
            bad.append(BadRow(line, f"{error.field}: {error.problem}"))
            continue
        first = seen.setdefault((row.to, row.text), line)
        if first == line:
            rows.append(row)
        else:
            bad.append(BadRow(line, f"{to_column}: the same number and text as line {first}"))
    return Sheet(encoding, columns, to_column, rows, bad)


def _decoded(octets: bytes) -> tuple[str, str]:
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValidationError("--file", "is UTF-16; save it as CSV in UTF-8")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = octets.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text, encoding.removesuffix("-sig")
    raise ValidationError("--file", "is no text in UTF-8 or GB18030; save it as CSV in UTF-8")


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the lines that are not empty, with their numbers."""
    head = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValidationError("--file", f"is no CSV from line {line} on: {error}") from None


def _check_columns(line: int, columns: Sequence[str], template: Template) -> None:
    for name in columns:
        if _is_phone(name):
            problem = f"line {line} has a phone number; the first line must name the columns"
            raise ValidationError("--file", problem)
        if name and columns.count(name) > 1:
            raise ValidationError("--file", f"two columns are called {name}; rename one")
    known = ", ".join(filter(None, columns))
    for name in template.names:
        if name not in columns:
            raise ValidationError("--template", f"{{{name}}} is no column; there are {known}")


def _to_column(columns: Sequence[str], wanted: str | None) -> str:
    known = ", ".join(filter(None, columns))
    if wanted is not None:
        if wanted not in columns:
            raise ValidationError("--to-column", f"{wanted!r} is no column; there are {known}")
        return wanted
    found = [name for name in columns if name.lower() in PHONE_COLUMNS]
    if len(found) != 1:
        raise ValidationError("--to-column", f"say which column has the numbers, of {known}")
    return found[0]


def _recipient(
    line: int, columns: Sequence[str], cells: Sequence[str], to_column: str, template: Template
) -> Recipient:
    if len(cells) > len(columns):
        problem = f"has {len(cells)} cells for {len(columns)} columns; quote a cell with a comma"
        raise ValidationError("row", problem)
    values = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    to = normalise(values.get(to_column, ""), to_column)
    for name in template.names:
        if not values.get(name):
            raise ValidationError(name, "is empty")
    text = template.fill(values)
    return Recipient(line, to, text, len(plan(text, choose(text)).parts))


def _is_phone(cell: str) -> bool:
    try:
        normalise(cell)
    except ValidationError:
        return False
    return True

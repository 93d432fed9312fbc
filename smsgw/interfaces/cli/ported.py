"""``smsgw ported``: numbers that another operator serves than their prefix says (携号转网)."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import BinaryIO, TextIO

import click

from smsgw.errors import ValidationError
from smsgw.interfaces.cli.client import Api, Failed, Invalid, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table
from smsgw.routing.ported import COLUMNS, entry_of

AT_A_TIME = 500
"""Numbers in one call."""

BAD_ROWS_SHOWN = 20


@click.group(epilog=EPILOG)
def ported() -> None:
    """Look after numbers that changed operator (携号转网)."""


@ported.command("list", epilog=EPILOG)
@page_options
@api_options
def list_(api: Api, limit: int, cursor: str | None, as_json: bool) -> None:
    """List the numbers that are known, in their order."""
    page = api.get("/v1/ported", {"limit": limit, "cursor": cursor})
    if as_json:
        show_json(page)
        return
    show_table(COLUMNS, [[one[key] for key in COLUMNS] for one in page["numbers"]])
    show_next(page)


@ported.command("export", epilog=EPILOG)
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@api_options
def export(api: Api, file: TextIO, as_json: bool) -> None:
    """Write every number that is known to FILE, or to standard output, as CSV."""
    numbers = list(_all(api))  # before the file is touched
    if as_json:
        show_json({"numbers": numbers})
        return
    table = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(numbers)


@ported.command("import", epilog=EPILOG)
@click.argument("file", type=click.File("rb"))
@api_options
def import_(api: Api, file: BinaryIO, as_json: bool) -> None:
    """Record the numbers of a CSV FILE; "-" is standard input.

    Columns are phone and operator, and where known source, learned_at and expires_at. When a row
    is wrong, nothing is imported.
    """
    rows = _read(file.read())
    done = {"imported": 0, "skipped": 0}
    for start in range(0, len(rows), AT_A_TIME):
        try:
            answer = api.post("/v1/ported", {"numbers": rows[start : start + AT_A_TIME]})
        except Failed:
            if start:
                click.echo(f"smsgw: stopped after {start} rows; import the file again", err=True)
            raise
        for key in done:
            done[key] += answer[key]
    if as_json:
        show_json(done)
        return
    why = " (over, or known from later)" if done["skipped"] else ""
    click.echo(f"{done['imported']} imported, {done['skipped']} skipped{why}")


@ported.command("forget", epilog=EPILOG)
@click.argument("phones", metavar="PHONE...", nargs=-1, required=True)
@api_options
def forget(api: Api, phones: tuple[str, ...], as_json: bool) -> None:
    """Go by the prefix again for each PHONE, until it proves otherwise."""
    answer = api.post("/v1/ported/forget", {"phones": list(phones)})
    if as_json:
        show_json(answer)
        return
    click.echo(f"{answer['forgotten']} of {len(phones)} forgotten")


def _all(api: Api) -> Iterator[Json]:
    cursor: str | None = None
    while True:
        page = api.get("/v1/ported", {"limit": AT_A_TIME, "cursor": cursor})
        yield from page["numbers"]
        cursor = page["next"]
        if cursor is None:
            return


def _read(octets: bytes) -> list[Json]:
    """Return the rows of a file, each checked; ends the command with a line for each bad one."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"not UTF-8 text: octet {error.start}; save the file as UTF-8") from None
    table = csv.DictReader(StringIO(text, newline=""), strict=True)
    rows: list[Json] = []
    bad: list[str] = []
    seen: dict[str, int] = {}
    now = int(time.time() * 1000)
    try:
        _check_header(table.fieldnames or ())
        for row in table:
            line = table.line_num
            try:
                if None in row or None in row.values():
                    count = len(table.fieldnames or ())
                    raise ValidationError("", f"not {count} columns, as the first line has")
                phone = entry_of(row, now).phone
                if seen.setdefault(phone, line) != line:
                    raise ValidationError("phone", f"{phone} stands in line {seen[phone]} already")
            except ValidationError as error:
                bad.append(f"line {line}: {error}")
            rows.append(dict(row))
    except (csv.Error, ValidationError) as error:
        bad.append(f"line {max(1, table.reader.line_num)}: {error}")
    if bad:
        more = len(bad) - BAD_ROWS_SHOWN
        rest = [f"and {more} bad rows more"] if more > 0 else []
        raise Invalid("\n".join([*bad[:BAD_ROWS_SHOWN], *rest, "nothing was imported"]))
    return rows


def _check_header(columns: Sequence[str]) -> None:
    known = ", ".join(COLUMNS)
    for column in columns:
        if column not in COLUMNS or columns.count(column) > 1:
            raise ValidationError(
                "",
                f"column {column[:40]!r} is unknown or twice; known, with a comma between: {known}",
            )
    for column in COLUMNS[:2]:
        if column not in columns:
            raise ValidationError("", f"no column {column}; the first line names them: {known}")

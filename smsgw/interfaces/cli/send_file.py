"""The options of ``smsgw send --file``, what it prints, and its journal's place."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from smsgw.errors import Conflict, ValidationError
from smsgw.interfaces.cli.bulk import Bar, Bulk, Clock, Lines, batches
from smsgw.interfaces.cli.client import Api, Failed, Invalid, Json
from smsgw.interfaces.cli.journal import Journal
from smsgw.interfaces.cli.sheet import BadRow, Sheet, read_sheet
from smsgw.interfaces.cli.show import show_json
from smsgw.text.template import Template

F = TypeVar("F", bound=Callable[..., Any])

BAD_ROWS_SHOWN = 100


class FileOptions(NamedTuple):
    """What the options say."""

    path: Path
    template: str
    to_column: str | None
    skip_bad: bool
    dry_run: bool


def file_options(command: F) -> F:
    """Decorate a command with ``--file`` and what goes with it: it gets file, or None."""

    @click.option(
        "--file",
        "path",
        type=click.Path(path_type=Path),
        metavar="CSV",
        help="Send to everybody in this file (UTF-8 or GB18030).",
    )
    @click.option("--template", metavar="TEXT", help="What to send them, such as 您好 {name}.")
    @click.option(
        "--to-column",
        metavar="COLUMN",
        help="The column with the numbers.  [default: to, phone, mobile, 手机号…]",
    )
    @click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be sent.")
    @click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
    @wraps(command)
    def with_file(
        *args: Any,
        path: Path | None,
        template: str | None,
        to_column: str | None,
        skip_bad: bool,
        dry_run: bool,
        **kwargs: Any,
    ) -> Any:
        if path is None and (template or to_column or skip_bad or dry_run):
            raise click.UsageError("--template, --to-column, --skip-bad, --dry-run need --file")
        if path is not None and template is None:
            raise click.UsageError("--file needs --template")
        file = None
        if path is not None and template is not None:
            file = FileOptions(path, template, to_column, skip_bad, dry_run)
        return command(*args, file=file, **kwargs)

    return with_file  # type: ignore[return-value]


def send_file(
    api: Api, file: FileOptions, common: Json, as_json: bool, clock: Clock | None = None
) -> None:
    """Send the template to everybody in the file, or show what that would be."""
    try:
        octets = file.path.read_bytes()
        sheet = read_sheet(octets, Template(file.template, "--template"), file.to_column)
    except OSError as error:
        raise Invalid(f"--file {file.path}: {error.strerror}") from None
    except ValidationError as error:
        raise Invalid(f"{error.field}: {error.problem}") from None
    _show_bad(sheet.bad, file.skip_bad)
    if file.dry_run:
        _show_plan(file, sheet, as_json)
    if sheet.bad and not file.skip_bad:
        number, total = len(sheet.bad), len(sheet.bad) + len(sheet.rows)
        raise Invalid(
            f"{number} of {total} rows cannot be sent; mend them, or leave them out (--skip-bad)"
        )
    if file.dry_run:
        return
    if not sheet.rows:
        raise Invalid(f"--file {file.path}: has nobody to send to")
    job = {
        "file": hashlib.sha256(octets).hexdigest(),
        "template": file.template,
        "column": sheet.to_column,
        "url": api.url,
        **common,
    }
    try:
        with Journal(file.path.with_name(file.path.name + ".smsgw"), job) as journal:
            _send(api, file, sheet, common, journal, as_json, clock)
    except Conflict as error:
        raise Invalid(str(error)) from None
    except OSError as error:
        raise Failed(f"{file.path}.smsgw: {error.strerror}; it keeps who was sent to") from None


def _send(
    api: Api,
    file: FileOptions,
    sheet: Sheet,
    common: Json,
    journal: Journal,
    as_json: bool,
    clock: Clock | None,
) -> None:
    total, before = len(sheet.rows), len(journal.accepted)
    refused: list[BadRow] = []
    progress = Bar if sys.stderr.isatty() else Lines
    try:
        with progress(total, before) as shown:
            bulk = Bulk(api, journal, common, shown, file.skip_bad, clock)
            refused = bulk.refused
            bulk.run(sheet.rows)
    except (Failed, KeyboardInterrupt) as error:
        done = f"{len(journal.accepted)} of {total} rows accepted; the same command goes on"
        if isinstance(error, KeyboardInterrupt):
            raise Failed(f"interrupted: {done}") from None
        click.echo(f"smsgw: {done}", err=True)
        raise
    left_out = [*sheet.bad, *refused]
    accepted = len(journal.accepted)
    if as_json:
        show_json(
            {
                "rows": total + len(sheet.bad),
                "accepted": accepted,
                "accepted_now": accepted - before,
                "left_out": [{"line": one.line, "problem": one.problem} for one in left_out],
                "journal": str(journal.path),
            }
        )
        return
    now = f" ({accepted - before} of them now)" if before else ""
    out = f", {len(left_out)} left out" if left_out else ""
    click.echo(f"{accepted} accepted{now}{out}; their ids are in {journal.path}")


def _show_bad(bad: Sequence[BadRow], left_out: bool) -> None:
    for one in bad[:BAD_ROWS_SHOWN]:
        click.echo(f"smsgw: {one}" + ("; left out" if left_out else ""), err=True)
    if len(bad) > BAD_ROWS_SHOWN:
        click.echo(f"smsgw: … and {len(bad) - BAD_ROWS_SHOWN} more", err=True)


def _show_plan(file: FileOptions, sheet: Sheet, as_json: bool) -> None:
    """Print what would be sent."""
    parts = Counter(row.parts for row in sheet.rows)
    sample = sheet.rows[0] if sheet.rows else None
    plan = {
        "file": str(file.path),
        "encoding": sheet.encoding,
        "to_column": sheet.to_column,
        "rows": len(sheet.rows) + len(sheet.bad),
        "can_be_sent": len(sheet.rows),
        "batches": sum(1 for _ in batches(sheet.rows)),
        "parts": sum(row.parts for row in sheet.rows),
        "rows_by_parts": {str(number): parts[number] for number in sorted(parts)},
        "sample": None if sample is None else {"to": sample.to, "text": sample.text},
    }
    if as_json:
        show_json(plan)
        return
    split = ", ".join(f"{parts[number]} of {number}" for number in sorted(parts))
    click.echo(f"{file.path}: {sheet.encoding}, numbers in {sheet.to_column}")
    click.echo(f"rows: {plan['rows']}, of which {plan['can_be_sent']} can be sent")
    click.echo(f"parts: {plan['parts']} ({split or 'none'}), in {plan['batches']} calls")
    if sample is not None:
        click.echo(f"to {sample.to}:\n{sample.text}")

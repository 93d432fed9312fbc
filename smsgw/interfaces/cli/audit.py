"""``smsgw audit``, and ``smsgw requests evidence``: what was recorded, and whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click
from click.core import ParameterSource

from smsgw.errors import ConfigError, StoreError, ValidationError
from smsgw.interfaces.cli.client import Api, Failed, Invalid, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.options import config_option
from smsgw.interfaces.cli.program import Program
from smsgw.interfaces.cli.show import show_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from smsgw.services.audit import Finding
    from smsgw.services.requests.evidence_check import Document
    from smsgw.store.audit import Head

FINDINGS_IN_JSON = 1000
"""So many are listed in the JSON; all are counted."""


def _heads(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> list[Head]:
    """Read heads as verify prints them."""
    from smsgw.store.audit import BEGINNING, Head

    heads = []
    for value in values:
        try:
            chain, sequence, written = value.split(":")
            head = Head(int(chain), int(sequence), bytes.fromhex(written))
        except ValueError:
            head = None
        if head is None or len(head.hash) != len(BEGINNING) or head.sequence < 1:
            problem = f"{value!r}: write CHAIN:SEQUENCE:HASH, as verify prints it"
            raise click.BadParameter(problem, context, parameter)
        heads.append(head)
    return heads


@click.group(epilog=EPILOG)
def audit() -> None:
    """Check that what was recorded is still whole."""


@audit.command(epilog=EPILOG)
@config_option("The configuration file whose database is checked.")
@click.option("--database", help="The file, or a server's address, instead of a configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--evidence",
    "file",
    type=click.File("rb"),
    help="Check this document alone; with -c or --database its entries in the chain too.",
)
@click.option(
    "--head",
    "kept",
    metavar="CHAIN:SEQUENCE:HASH",
    callback=_heads,
    multiple=True,
    help="A head that verify printed before and that was kept elsewhere; repeatable.",
)
@click.pass_context
def verify(
    context: click.Context,
    path: Path,
    database: str | None,
    as_json: bool,
    file: BinaryIO | None,
    kept: Sequence[Head],
) -> None:
    """Check every chain: rows that were changed, removed or put in, and what they vouch for.

    Prints a line for each finding, then the heads of the chains. Keep those elsewhere: only a head
    that nobody here can change shows that the last rows were removed. Exit code 1 when something is
    not as it was recorded; what was erased is named, and no fault.
    """
    from smsgw.services.audit import Walk

    shown = _Shown(as_json)
    document = None if file is None else _document(file)
    if document is not None:
        shown.findings(document.findings())
        kept = [*kept, *document.heads]
    no_config = context.get_parameter_source("path") is ParameterSource.DEFAULT
    if document is not None and no_config and database is None:
        shown.end(document.entries, [])
    else:

        def walk(connection: Connection) -> None:
            walked = Walk(connection, kept)
            shown.findings(walked.findings())
            shown.end(walked.rows, walked.heads)

        _read(context.obj, path, database, walk)
    if shown.wrong:
        context.exit(1)


@click.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@click.option(
    "--output",
    "file",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    help="A file instead of standard output.",
)
@api_options
def evidence(api: Api, request_id: str, file: TextIO, as_json: bool) -> None:
    """Write the evidence of a request as one JSON document."""
    document = api.get(f"/v1/requests/{request_id}/evidence")  # before the file is touched
    file.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


class _Shown:
    """Prints findings as they come, or keeps some of them for the JSON."""

    def __init__(self, as_json: bool) -> None:
        self.wrong = self.noted = 0
        self._as_json = as_json
        self._kept: list[Finding] = []

    def findings(self, found: Iterable[Finding]) -> None:
        for one in found:
            self.wrong += one.wrong
            self.noted += not one.wrong
            if not self._as_json:
                click.echo(str(one) if one.wrong else f"note: {one}")
            elif len(self._kept) < FINDINGS_IN_JSON:
                self._kept.append(one)

    def end(self, entries: int, heads: Sequence[Head]) -> None:
        if self._as_json:
            show_json(
                {
                    "whole": not self.wrong,
                    "entries": entries,
                    "wrong": self.wrong,
                    "notes": self.noted,
                    "findings": [dict(_members(one)) for one in self._kept],
                    "heads": [str(head) for head in heads],
                }
            )
            return
        for head in heads:
            click.echo(f"head {head}")
        result = f"{self.wrong} findings" if self.wrong else "whole"
        click.echo(f"{entries} entries: {result}")


def _members(one: Finding) -> Iterator[tuple[str, Any]]:
    for name in ("chain", "sequence", "problem", "wrong"):
        yield name, getattr(one, name)


def _document(file: BinaryIO) -> Document:
    from smsgw.services.requests.evidence_check import Document

    try:
        return Document(file.read())
    except ValidationError as error:
        raise Invalid(f"{file.name}: {error}") from None


def _read(
    program: Program, path: Path, database: str | None, fn: Callable[[Connection], None]
) -> None:
    """Call ``fn`` with a reading connection to a database, or to a configuration's."""
    from smsgw.store.address import where
    from smsgw.store.database import read_once

    try:
        place = program.load(path).gateway.database if database is None else where(database)
    except ConfigError as error:
        raise Invalid(str(error)) from None
    if isinstance(place, Path) and not place.exists():
        raise Failed(f"{place}: there is no database; `smsgw run` makes it")
    try:
        read_once(place, fn)
    except StoreError as error:
        raise Failed(str(error)) from None

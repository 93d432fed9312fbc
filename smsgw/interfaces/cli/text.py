"""``smsgw text``: how a text is coded and split, before anything is sent."""

from __future__ import annotations

import sys
from typing import Literal

import click

from smsgw.errors import ValidationError
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table
from smsgw.model import Coding
from smsgw.text.charset import choose
from smsgw.text.segmentation import plan as plan_split
from smsgw.text.segmentation import plan_as_dict

CODINGS = {"ascii": Coding.ASCII, "ucs2": Coding.UCS2, "gbk": Coding.GBK}
WIDTHS: dict[str, Literal[8, 16]] = {"8": 8, "16": 16}


@click.group(epilog=EPILOG)
def text() -> None:
    """See how a text is coded and split."""


@text.command(epilog=EPILOG)
@click.argument("text_to_send", metavar="TEXT")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--coding",
    type=click.Choice(["auto", *CODINGS]),
    default="auto",
    show_default=True,
    help="How characters become octets; auto is what a message would get.",
)
@click.option(
    "--reference",
    type=click.Choice(list(WIDTHS)),
    default="8",
    show_default=True,
    help="Bits of the number that the parts of a long message share.",
)
def plan(text_to_send: str, as_json: bool, coding: str, reference: str) -> None:
    """Show the coding, the parts and their octets.

    "-" reads TEXT from standard input, without its last line end.
    """
    try:
        if text_to_send == "-":
            text_to_send = _standard_input()
        code = choose(text_to_send) if coding == "auto" else CODINGS[coding]
        found = plan_as_dict(plan_split(text_to_send, code, reference_width=WIDTHS[reference]))
    except ValidationError as error:
        click.echo(f"smsgw: {error}", err=True)
        raise click.exceptions.Exit(2) from None
    if as_json:
        show_json(found)
        return
    click.echo(
        f"{found['coding']} (coding {found['coding_code']}), {found['characters']} characters,"
        f" {found['units_octets']} octets, parts: {found['parts']}, reference: {found['reference']}"
    )
    show_table(
        ["part", "octets with header", "text"],
        [
            [number, octets, body]
            for number, (octets, body) in enumerate(
                zip(found["part_octets_including_udh"], found["part_texts"], strict=True), 1
            )
        ],
    )


def _standard_input() -> str:
    try:
        read = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise ValidationError("TEXT", f"no UTF-8 at octet {error.start}") from None
    return read.removesuffix("\n").removesuffix("\r")

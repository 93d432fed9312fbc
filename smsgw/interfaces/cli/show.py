"""What commands print: JSON, a table on a terminal, lines with tabs anywhere else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

Row = Sequence[object]


def show_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Row], title: str = "") -> None:
    """Print rows under their columns; without a terminal as lines that ``cut`` understands."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in [list(columns), *texts]:
            click.echo("\t".join(" ".join(cell.split()) for cell in line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title or None)
    for line in texts:
        table.add_row(*map(Text, line))
    Console().print(table)


def show_next(page: dict[str, Any]) -> None:
    """Say how to see the next page, when there is one; on standard error."""
    if page.get("next"):
        click.echo(f"more: --cursor {page['next']}", err=True)

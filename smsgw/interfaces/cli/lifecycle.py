"""``smsgw reload``, ``smsgw drain``: change what a gateway that runs goes by, and what it takes."""

from __future__ import annotations

import json

import click

from smsgw.interfaces.cli.client import Api, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json

APPLIED_WITHIN = 90.0
"""Seconds until a reload must be answered: links that change finish what is in flight first."""


@click.command(epilog=EPILOG)
@click.option("--dry-run", is_flag=True, help="Only show what it would change.")
@api_options
def reload(api: Api, as_json: bool, dry_run: bool) -> None:
    """Have the gateway read its configuration again.

    All of a good file is applied, or nothing: one with a mistake, or with a change that needs a
    restart, changes nothing and says why.
    """
    told = api.post("/v1/reload", {"dry_run": dry_run}, seconds=APPLIED_WITHIN)
    if as_json:
        show_json(told)
        return
    for one in told["changes"]:
        before, after = (json.dumps(one[key], ensure_ascii=False) for key in ("before", "after"))
        click.echo(f"{one['path']}: {before} -> {after}")
    for path in told["needs_restart"]:
        click.echo(f"{path}: needs a restart", err=True)
    for warning in told["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    if not told["changes"]:
        click.echo("nothing changed")
    elif told["applied"]:
        click.echo(f"applied: {len(told['changes'])} values")


@click.command(epilog=EPILOG)
@click.option("--undo", is_flag=True, help="Take new work again.")
@api_options
def drain(api: Api, as_json: bool, undo: bool) -> None:
    """Have the gateway take no new work, and say that it is not ready.

    What it accepted is sent, and replies are read. It lasts until --undo, or the next start.
    """
    told = api.post("/v1/drain", {"undo": undo})
    if as_json:
        show_json(told)
        return
    more = ", and more in the store" if told["more_in_store"] else ""
    state = "draining" if told["draining"] else "taking new work"
    click.echo(f"{state}; {told['queued']} parts wait{more}, {told['sending']} are being sent")

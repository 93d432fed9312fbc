"""``smsgw export``, ``smsgw erase`` and ``smsgw hold``: what is known of a phone, everywhere."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from smsgw.interfaces.cli.client import Api, Failed, Json, TimedOut, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table
from smsgw.interfaces.cli.times import moment

PATIENCE_SECONDS = 3600.0
"""Everything is looked through, however much there is."""

TRY_SECONDS = 5.0
CONFLICT = 409


@click.command(epilog=EPILOG)
@click.argument("phone")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@api_options
def export(api: Api, phone: str, file: Path | None, as_json: bool) -> None:
    """Write everything that is held of PHONE to FILE, a line of JSON for each row.

    Without FILE it is printed. FILE is written whole or not at all, and only its owner may read it.
    With --json a line is an answer of the API instead: some rows, by table. It is recorded in the
    audit chain that this was done.
    """
    lines = _exported(api.patient(PATIENCE_SECONDS), phone, as_json)
    if file is None:
        for line in lines:
            click.echo(line)
        return
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, delete=False
        ) as to:
            try:
                count = sum(to.write(line + "\n") > 0 for line in lines)
                to.close()
                os.replace(to.name, file)
            finally:
                Path(to.name).unlink(missing_ok=True)
    except OSError as error:
        raise Failed(f"{file}: {error.strerror}") from None
    click.echo(f"{count} lines in {file}", err=True)


def _exported(api: Api, phone: str, as_json: bool) -> Iterator[str]:
    """Ask for some rows after the other, and yield a line for each, or for each answer."""
    cursor = None
    while True:
        given = api.post("/v1/exports", {"phone": phone, "cursor": cursor})
        rows = [{"table": table, **row} for table, some in given["rows"].items() for row in some]
        for one in [given] if as_json else rows:
            yield json.dumps(one, ensure_ascii=False)
        cursor = given["next"]
        if cursor is None:
            return


@click.command(epilog=EPILOG)
@click.argument("phone")
@click.option("--yes", is_flag=True, help="Do it; without this only say what there is.")
@click.option(
    "--when-finished",
    "wait",
    is_flag=True,
    help="Wait until nothing of the phone is under way or on hold.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    help="Seconds that --when-finished waits.",
)
@api_options
def erase(api: Api, phone: str, yes: bool, wait: bool, timeout: float, as_json: bool) -> None:
    """Take PHONE, its texts and its names out of everything that is stored.

    A pseudonym takes its place. Nothing is erased while something of the phone is under way or on
    hold. It cannot be taken back.
    """
    body: Json = {"phone": phone, "dry_run": not yes}
    until = time.monotonic() + (timeout if wait else 0.0)
    api = api.patient(PATIENCE_SECONDS)
    while True:
        try:
            done = api.post("/v1/erasures", body)
            break
        except Failed as error:
            if error.status != CONFLICT or not wait:
                raise
            if time.monotonic() + TRY_SECONDS > until:
                raise TimedOut(error.message) from None
            time.sleep(TRY_SECONDS)
    if as_json:
        show_json(done)
        return
    show_table(["table", "rows"], sorted(done["rows"].items()))
    if done["erased"]:
        click.echo(f"erased; {done['phone']} stands for it")
    else:
        click.echo("nothing was changed; --yes erases it", err=True)


@click.group(epilog=EPILOG)
def hold() -> None:
    """Say what may be neither purged nor erased (legal hold)."""


@hold.command("add", epilog=EPILOG)
@click.argument("kind", type=click.Choice(["phone", "account", "request"]))
@click.argument("value")
@click.option("--reason", required=True, help="Why, for the record.")
@click.option("--until", callback=moment, help="When it ends; without it somebody must end it.")
@api_options
def add(api: Api, kind: str, value: str, reason: str, until: str | None, as_json: bool) -> None:
    """Keep what is of a phone, of an account and all below it, or of a request and its people."""
    made = api.post("/v1/holds", {"kind": kind, "value": value, "reason": reason, "until": until})
    if as_json:
        show_json(made)
        return
    click.echo(f"{made['id']}: {kind} {made['value']} is on hold")


@hold.command("list", epilog=EPILOG)
@click.option("--ended", is_flag=True, help="Those that are over, too.")
@page_options
@api_options
def list_(api: Api, ended: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what is on hold, newest first."""
    asked = {"limit": limit, "cursor": cursor, "ended": "true" if ended else None}
    page = api.get("/v1/holds", asked)
    if as_json:
        show_json(page)
        return
    columns = ["id", "kind", "value", "state", "until", "created_by", "reason"]
    show_table(columns, [[one[key] for key in columns] for one in page["holds"]])
    show_next(page)


@hold.command("remove", epilog=EPILOG)
@click.argument("hold_id", metavar="ID")
@api_options
def remove(api: Api, hold_id: str, as_json: bool) -> None:
    """End a hold; what it kept is purged at the next look."""
    ended = api.post(f"/v1/holds/{hold_id}/remove", {})
    if as_json:
        show_json(ended)
        return
    click.echo(f"{ended['kind']} {ended['value']} is not on hold any more")

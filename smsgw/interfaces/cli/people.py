"""``smsgw export``, ``smsgw erase`` and ``smsgw hold``: what is known of a phone, everywhere."""

from __future__ import annotations

import json
import time

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
@api_options
def export(api: Api, phone: str, as_json: bool) -> None:
    """Print everything that is held of PHONE, a line of JSON for each row.

    It is recorded in the audit chain that this was done.
    """
    given = api.patient(PATIENCE_SECONDS).post("/v1/exports", {"phone": phone})
    if as_json:
        show_json(given)
        return
    for table, rows in given["rows"].items():
        for row in rows:
            click.echo(json.dumps({"table": table, **row}, ensure_ascii=False))


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

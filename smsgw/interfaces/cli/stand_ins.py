"""``smsgw stand-ins``: who answers for whom."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table
from smsgw.interfaces.cli.times import moment

_KEYS = ("id", "kind", "phone", "other_phone", "name", "start", "until", "ended_at")


@click.group("stand-ins", epilog=EPILOG)
def stand_ins() -> None:
    """Say who answers for whom: substitutes for a time, and people's second numbers."""


@stand_ins.command(epilog=EPILOG)
@click.argument("phone")
@click.argument("other_phone", metavar="OTHER")
@click.option(
    "--second", is_flag=True, help="OTHER is the same person's other number, and may answer too."
)
@click.option("--name", default="", help="The substitute's name.")
@click.option(
    "--from", "start", callback=moment, metavar="TIME", help="From when on.  [default: now]"
)
@click.option(
    "--until", callback=moment, metavar="TIME", help="Until when, such as 2026-12-01T08:00+08:00."
)
@api_options
def add(
    api: Api,
    phone: str,
    other_phone: str,
    second: bool,
    name: str,
    start: str | None,
    until: str | None,
    as_json: bool,
) -> None:
    """Have OTHER asked instead of PHONE, or with --second answer too; prints the stand-in's id."""
    body: Json = {
        "phone": phone,
        "other_phone": other_phone,
        "kind": "second" if second else "substitute",
        "name": name,
        "start": start,
        "until": until,
    }
    answer = api.post("/v1/stand-ins", body)
    if as_json:
        show_json(answer)
    else:
        click.echo(answer["id"])


@stand_ins.command("list", epilog=EPILOG)
@click.option("--phone", help="Only who stands in for this phone.")
@click.option("--ended", is_flag=True, help="Also those that ended.")
@page_options
@api_options
def list_(
    api: Api, phone: str | None, ended: bool, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List who stands in for whom, newest first."""
    asked = {"phone": phone, "ended": "true" if ended else None, "limit": limit, "cursor": cursor}
    page = api.get("/v1/stand-ins", asked)
    if as_json:
        show_json(page)
        return
    show_table(_KEYS, [[one.get(key) for key in _KEYS] for one in page["stand_ins"]])
    show_next(page)


@stand_ins.command(epilog=EPILOG)
@click.argument("stand_in_id", metavar="ID")
@api_options
def end(api: Api, stand_in_id: str, as_json: bool) -> None:
    """End a stand-in; the row stays as history."""
    answer = api.post(f"/v1/stand-ins/{stand_in_id}/end", {})
    if as_json:
        show_json(answer)
    else:
        click.echo(f"{answer['id']} ended")

"""``smsgw opt-outs``: phones that want no bulk and no notices."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

COLUMNS = ("phone", "account", "source", "since")


@click.group("opt-outs", epilog=EPILOG)
def opt_outs() -> None:
    """Look after phones that want no bulk and no notices (退订)."""


@opt_outs.command("list", epilog=EPILOG)
@click.option("--phone", help="Only of this phone.")
@click.option("--account", help='Only of messages of this account; "" is everybody\'s.')
@page_options
@api_options
def list_(
    api: Api, phone: str | None, account: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List who opted out, the newest first; without an account it is of everybody's messages."""
    asked = {"limit": limit, "cursor": cursor, "phone": phone, "of": account}
    page = api.get("/v1/opt-outs", asked)
    if as_json:
        show_json(page)
        return
    show_table(COLUMNS, [[one[key] for key in COLUMNS] for one in page["opt_outs"]])
    show_next(page)


@opt_outs.command("add", epilog=EPILOG)
@click.argument("phones", metavar="PHONE...", nargs=-1, required=True)
@click.option("--account", default="", help="Only of messages of this account.")
@api_options
def add(api: Api, phones: tuple[str, ...], account: str, as_json: bool) -> None:
    """Send no bulk and no notices to each PHONE any more."""
    answer = api.post("/v1/opt-outs", {"phones": list(phones), "account": account})
    if as_json:
        show_json(answer)
        return
    click.echo(f"{answer['added']} of {len(phones)} added")


@opt_outs.command("remove", epilog=EPILOG)
@click.argument("phones", metavar="PHONE...", nargs=-1, required=True)
@click.option("--account", default="", help="Of messages of this account.")
@api_options
def remove(api: Api, phones: tuple[str, ...], account: str, as_json: bool) -> None:
    """Send them to each PHONE again."""
    answer = api.post("/v1/opt-outs/remove", {"phones": list(phones), "account": account})
    if as_json:
        show_json(answer)
        return
    click.echo(f"{answer['removed']} of {len(phones)} removed")

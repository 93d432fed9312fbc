"""``smsgw reports``: what carriers reported."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

COLUMNS = ("received_at", "link", "carrier_message_id", "to", "stat", "error")


@click.group(epilog=EPILOG)
def reports() -> None:
    """Look at the carriers' status reports."""


@reports.command("unmatched", epilog=EPILOG)
@click.option("--link", help="Only this link's.")
@page_options
@api_options
def unmatched(api: Api, link: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List reports that name no message of ours, or none yet, newest first.

    They wait for the answer that gives their id to a message, three days at most.
    """
    page = api.get("/v1/reports/unmatched", {"link": link, "limit": limit, "cursor": cursor})
    if as_json:
        show_json(page)
        return
    show_table(COLUMNS, [[one[key] for key in COLUMNS] for one in page["reports"]])
    show_next(page)

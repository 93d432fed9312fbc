"""``smsgw slots``: which extension stands for what now, what is left, and who has the most."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table


@click.command(epilog=EPILOG)
@click.option("--phone", help="Only this recipient's.")
@click.option("--access-number", metavar="NUMBER", help="Only under this access number.")
@page_options
@api_options
def slots(
    api: Api,
    phone: str | None,
    access_number: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """Show which extensions are in use, what is left of them, and the busiest recipients.

    A slot is live, or cooling: then late replies still find it. "most" is what the recipient with
    the most has in use of a range, "left" what is left to that one.
    """
    asked = {"phone": phone, "access_number": access_number, "limit": limit, "cursor": cursor}
    page = api.get("/v1/slots", asked)
    full = api.get("/v1/slots/capacity")
    if as_json:
        show_json(page | full)
        return
    keys = ("phone", "sender_number", "state", "plan", "reference", "expires_at", "cools_until")
    rows = [[*(one.get(key) for key in keys), _stands_for(one)] for one in page["slots"]]
    show_table([*keys, "stands for"], rows, "slots")
    show_next(page)
    ranges = ("access_number", "extensions", "live", "cooling", "most", "left")
    show_table(
        ["plans", "pattern", *ranges],
        [
            [", ".join(one["plans"]), _pattern(one), *(one[key] for key in ranges)]
            for one in full["capacity"]
        ],
        "capacity of each recipient",
    )
    busiest = ("phone", "access_number", "live", "cooling")
    rows = [[one[key] for key in busiest] for one in full["busiest"]]
    show_table(busiest, rows, "busiest recipients")


def _pattern(one: Json) -> str:
    return f"{one['prefix']}{'·' * one['digits']}"


def _stands_for(one: Json) -> str:
    if one.get("conversation_id"):
        return f"conversation {one['conversation_id']}"
    return f"request {one.get('request_id')}"

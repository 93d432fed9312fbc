"""``smsgw batches``: texts to many that a program asked for, how far they are, canceling."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

_LISTED = ("id", "ref", "class", "messages", "created_at", "send_at", "canceled_at", "text")
_SHOWN = (
    "id",
    "ref",
    "class",
    "text",
    "messages",
    "finished",
    "counted_at",
    "created_at",
    "send_at",
    "canceled_at",
    "first_final_at",
    "last_final_at",
    "finished_at",
)


@click.group(epilog=EPILOG)
def batches() -> None:
    """See how far batches are, and cancel what of them is not sent."""


@batches.command("list", epilog=EPILOG)
@page_options
@api_options
def list_(api: Api, limit: int, cursor: str | None, as_json: bool) -> None:
    """List batches, newest first."""
    page = api.get("/v1/batches", {"limit": limit, "cursor": cursor})
    if as_json:
        show_json(page)
        return
    show_table(_LISTED, [[one.get(key) for key in _LISTED] for one in page["batches"]])
    show_next(page)


@batches.command(epilog=EPILOG)
@click.argument("batch_id", metavar="ID")
@api_options
def show(api: Api, batch_id: str, as_json: bool) -> None:
    """Show a batch, and how many of its messages came to what."""
    _show(api.get(f"/v1/batches/{batch_id}"), as_json)


@batches.command(epilog=EPILOG)
@click.argument("batch_id", metavar="ID")
@api_options
def cancel(api: Api, batch_id: str, as_json: bool) -> None:
    """Cancel what of a batch was not handed to a link yet; prints how many messages that were."""
    canceled, more = 0, True
    while more:
        answer = api.post(f"/v1/batches/{batch_id}/cancel", {})
        canceled, more = canceled + answer["canceled"], answer["more"]
        if more:
            click.echo(f"{canceled} canceled so far", err=True)
    answer["canceled"] = canceled
    if as_json:
        show_json(answer)
        return
    click.echo(f"{canceled} canceled, {answer['messages'] - answer['finished']} on their way")


def _show(answer: Json, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    show_table(["field", "value"], [[key, answer.get(key)] for key in _SHOWN])
    counts = [[status, count] for status, count in answer["counts"].items() if count]
    show_table(["status", "messages"], counts, "messages")

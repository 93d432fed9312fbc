"""``smsgw conversations``: a number to answer to, for an application's own use."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

_KEYS = ("id", "to", "sender_number", "reference", "state", "created_at", "expires_at", "ended_at")


@click.group(epilog=EPILOG)
def conversations() -> None:
    """Open a number to answer to, and see what was answered."""


@conversations.command("open", epilog=EPILOG)
@click.argument("to", metavar="PHONE")
@click.option("--ref", required=True, help="Your own reference; every reply carries it.")
@click.option("--text", help="Send this at once.")
@click.option("--valid-for", type=float, metavar="SECONDS", help="How long it lives.")
@api_options
def open_(
    api: Api, to: str, ref: str, text: str | None, valid_for: float | None, as_json: bool
) -> None:
    """Give PHONE a number to answer to; prints the conversation's id and the number."""
    given: Json = {"text": text, "valid_for": valid_for}
    body = {"to": to, "reference": ref, **{k: v for k, v in given.items() if v is not None}}
    answer = api.post("/v1/conversations", body)
    if as_json:
        show_json(answer)
    else:
        click.echo(f"{answer['id']} {answer['sender_number']}")


@conversations.command(epilog=EPILOG)
@click.argument("conversation_id", metavar="ID")
@click.argument("text")
@api_options
def send(api: Api, conversation_id: str, text: str, as_json: bool) -> None:
    """Send another TEXT from a conversation's number; prints the message's id."""
    answer = api.post(f"/v1/conversations/{conversation_id}/messages", {"text": text})
    if as_json:
        show_json(answer)
    else:
        click.echo(answer["message_id"])


@conversations.command(epilog=EPILOG)
@click.argument("conversation_id", metavar="ID")
@api_options
def show(api: Api, conversation_id: str, as_json: bool) -> None:
    """Show a conversation and its newest replies."""
    answer = api.get(f"/v1/conversations/{conversation_id}")
    if as_json:
        show_json(answer)
        return
    show_table(["field", "value"], [[key, answer.get(key)] for key in _KEYS])
    keys = ("id", "received_at", "text")
    rows = [
        [*(one[key] for key in keys), "late" if one["late"] else ""] for one in answer["replies"]
    ]
    show_table([*keys, "note"], rows, "replies")


@conversations.command("list", epilog=EPILOG)
@click.option("--ref", help="Only with this reference.")
@click.option("--to", metavar="PHONE", help="Only with this recipient.")
@page_options
@api_options
def list_(
    api: Api, ref: str | None, to: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List conversations, newest first."""
    asked = {"reference": ref, "to": to, "limit": limit, "cursor": cursor}
    page = api.get("/v1/conversations", asked)
    if as_json:
        show_json(page)
        return
    show_table(_KEYS, [[one.get(key) for key in _KEYS] for one in page["conversations"]])
    show_next(page)


@conversations.command(epilog=EPILOG)
@click.argument("conversation_id", metavar="ID")
@api_options
def end(api: Api, conversation_id: str, as_json: bool) -> None:
    """End a conversation; late replies still find it while its number cools."""
    answer = api.post(f"/v1/conversations/{conversation_id}/end", {})
    if as_json:
        show_json(answer)
    else:
        click.echo(f"{answer['id']} {answer['state']}")

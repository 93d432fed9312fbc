"""``smsgw send``, ``outbox``, ``msg``, ``inbox``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from smsgw.interfaces.cli.client import Api, Failed, Json, TimedOut, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.send_file import FileOptions, file_options, send_file
from smsgw.interfaces.cli.show import show_json, show_next, show_table
from smsgw.interfaces.cli.trace import trace
from smsgw.model import FINAL_RANK, STATUS_RANK, MessageClass, MessageStatus

GOALS: dict[str, frozenset[str]] = {
    "sent": frozenset({MessageStatus.SENT, MessageStatus.DELIVERED}),
    "delivered": frozenset({MessageStatus.DELIVERED}),
}
"""What ``--wait`` waits for; any other final status is a failure."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


@click.command(epilog=EPILOG)
@click.argument("to", required=False)
@click.argument("text", required=False)
@file_options
@click.option(
    "--wait",
    type=click.Choice(["accepted", "sent", "delivered"]),
    default="accepted",
    show_default=True,
    help="How far the message must get before the command ends.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for that.",
)
@click.option(
    "--class",
    "message_class",
    type=click.Choice([str(one) for one in MessageClass]),
    default=str(MessageClass.NOTICE),
    show_default=True,
    help="How urgent it is.",
)
@click.option("--ref", default="", help="Your own reference.")
@click.option(
    "--expect-reply", is_flag=True, help="Send only through the recipient's own operator."
)
@click.option(
    "--at", "--send-at", metavar="TIME", help="When to send it, such as 2026-11-22T09:00+08:00."
)
@click.option("--zone", default="", help="Whose clocks --at is about, such as Asia/Shanghai.")
@click.option(
    "--valid-for",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="After how long it is not sent any more.  [default: a day]",
)
@api_options
def send(
    api: Api,
    to: str | None,
    text: str | None,
    file: FileOptions | None,
    wait: str,
    timeout: float,
    message_class: str,
    ref: str,
    expect_reply: bool,
    at: str | None,
    zone: str,
    valid_for: float | None,
    as_json: bool,
) -> None:
    """Send TEXT to the phone TO; prints the message's id and status.

    With --file, send the template to everybody in a CSV file. Its first line names the columns;
    {COLUMN} in the template is a row's cell. A journal beside the file (FILE.smsgw) keeps which row
    became which message: broken off, the same command goes on and sends nobody a text twice.
    """
    common: Json = {
        "class": message_class,
        "expect_reply": expect_reply,
        "send_at": at,
        "zone": zone,
        "valid_for": valid_for,
    }
    if file is not None:
        if to is not None or text is not None or ref or wait != "accepted":
            raise click.UsageError("--file takes no TO, TEXT, --ref or --wait")
        send_file(api, file, common, as_json)
        return
    if to is None or text is None:
        raise click.UsageError("give TO and TEXT, or --file and --template")
    body: Json = {"to": to, "text": text, "ref": ref, **common}
    message: Json = {"id": api.post("/v1/messages", body)["id"], "status": "accepted"}
    if wait in GOALS:
        message = wait_for(api, message["id"], GOALS[wait], timeout)
    if as_json:
        show_json(message)
    else:
        click.echo(f"{message['id']} {message['status']}")
    if wait in GOALS and message["status"] not in GOALS[wait]:
        if STATUS_RANK[MessageStatus(message["status"])] < FINAL_RANK:
            status = f"still {message['status']} after {timeout:g} s"
            raise TimedOut(f"message {message['id']}: {status}")
        reason = f" ({message['reason']})" if message.get("reason") else ""
        raise Failed(f"message {message['id']}: {message['status']}{reason}")


def wait_for(
    api: Api,
    message_id: str,
    goal: frozenset[str],
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Json:
    """Return the message once its status is in ``goal`` or final, or when time is up."""
    deadline = clock() + timeout
    pause = FIRST_PAUSE
    while True:
        message = api.get(f"/v1/messages/{message_id}")
        status = message["status"]
        if status in goal or STATUS_RANK[MessageStatus(status)] == FINAL_RANK:
            return message
        left = deadline - clock()
        if left <= 0:
            return message
        sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a list command with ``--limit`` and ``--cursor``."""
    limit = click.option(
        "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many."
    )
    cursor = click.option("--cursor", help="Where the page before ended.")
    return limit(cursor(command))


@click.command(epilog=EPILOG)
@click.option("--status", type=click.Choice([str(one) for one in MessageStatus]))
@click.option("--to", help="Only to this phone.")
@page_options
@api_options
def outbox(
    api: Api, status: str | None, to: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List sent messages, newest first."""
    asked = {"status": status, "to": to, "limit": limit, "cursor": cursor}
    page = api.get("/v1/messages", asked)
    if as_json:
        show_json(page)
        return
    show_table(
        ["id", "to", "status", "link", "created", "text"],
        [
            [one.get(key) for key in ("id", "to", "status", "link", "created_at", "text")]
            for one in page["messages"]
        ],
    )
    show_next(page)


class _ShowFirst(click.Group):
    """A group whose command ``show`` need not be named."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_ShowFirst, epilog=EPILOG)
def msg() -> None:
    """Show, trace or cancel one message; `msg ID` shows it."""


@msg.command(epilog=EPILOG)
@click.argument("message_id", metavar="ID")
@api_options
def show(api: Api, message_id: str, as_json: bool) -> None:
    """Show one message and its segments."""
    message = api.get(f"/v1/messages/{message_id}")
    if as_json:
        show_json(message)
        return
    segments = message.pop("segments", [])
    show_table(["field", "value"], message.items())
    keys = segment_columns(segments)
    show_table(keys, [[one.get(key) for key in keys] for one in segments], "segments")


def segment_columns(segments: list[Json]) -> list[str]:
    """Return what is shown of segments; that one may come twice only where one may."""
    doubt = ["possible_duplicate"] if any(one.get("possible_duplicate") for one in segments) else []
    return ["part", "total", "state", "link", "carrier_message_id", "stat", "error", *doubt]


@msg.command(epilog=EPILOG)
@click.argument("message_id", metavar="ID")
@api_options
def cancel(api: Api, message_id: str, as_json: bool) -> None:
    """Cancel a message nothing of which was handed to a link yet."""
    message = api.post(f"/v1/messages/{message_id}/cancel", {})
    if as_json:
        show_json(message)
    else:
        click.echo(f"{message['id']} {message['status']}")


msg.add_command(trace)


@click.command(epilog=EPILOG)
@click.option("--unread", is_flag=True, help="Only what was not read before.")
@click.option("--mark-read", is_flag=True, help="Note that what is listed was read.")
@page_options
@api_options
def inbox(
    api: Api, unread: bool, mark_read: bool, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List what phones sent, newest first."""
    asked = {"limit": limit, "cursor": cursor, "unread": "true" if unread else None}
    page = api.get("/v1/inbound", asked)
    if as_json:
        show_json(page)
    else:
        keys = ("id", "from", "to", "received_at", "outcome", "request_id", "text")
        rows = [[*(one.get(key) for key in keys), _new(one)] for one in page["inbound"]]
        show_table([*keys, "note"], rows)
        show_next(page)
    ids = [one["id"] for one in page["inbound"] if one.get("unread")]
    if mark_read and ids:
        api.post("/v1/inbound/read", {"ids": ids})


def _new(message: Json) -> str:
    return "unread" if message.get("unread") else ""

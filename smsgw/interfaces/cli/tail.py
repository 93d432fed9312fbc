"""``smsgw tail``: what happens, while it happens, one line each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime

import click

from smsgw.interfaces.cli.client import Api, Failed, Json, Unreachable, api_options
from smsgw.interfaces.cli.main import EPILOG

WAIT_SECONDS = 20
"""How long one call waits for events: less than a client waits for an answer."""

PAGE = 500
PAUSES = (0.5, 1.0, 2.0, 5.0)
"""Seconds between tries to reach a gateway that is away; the last one for all further."""

AWAY_STATUSES = frozenset({429, 502, 503, 504})
TEXT_CHARACTERS = 60


@click.command(epilog=EPILOG)
@click.option("--kind", help="Only these, such as message.delivered,request.*")
@click.option("--phone", help="Only what names this phone.")
@click.option("--message", metavar="ID", help="Only what is about this message.")
@click.option("--request", metavar="ID", help="Only what is about this request.")
@click.option("--after", metavar="ID", default="now", help="Begin after this event.")
@api_options
def tail(
    api: Api,
    kind: str | None,
    phone: str | None,
    message: str | None,
    request: str | None,
    after: str,
    as_json: bool,
) -> None:
    """Show events as they happen, one line each, until Ctrl-C.

    A gateway that goes away and comes back is waited for, and nothing is left out.
    """
    try:
        for event in _events(api, kind, after):
            if _is_wanted(event, phone, message, request):
                click.echo(json.dumps(event, ensure_ascii=False) if as_json else _line(event))
    except KeyboardInterrupt:
        pass


def _events(api: Api, kind: str | None, after: str) -> Iterator[Json]:
    """Yield events for ever."""
    page = api.get("/v1/events", {"after": after, "kind": kind, "limit": PAGE})
    tries = 0
    while True:
        yield from page["events"]
        wait = None if tries else WAIT_SECONDS  # once it is back, that is told at once
        wanted = {"after": page["next"], "kind": kind, "limit": PAGE, "wait": wait}
        try:
            page = api.get("/v1/events", wanted)
        except Failed as error:
            if not isinstance(error, Unreachable) and error.status not in AWAY_STATUSES:
                raise
            if not tries:
                click.echo(f"smsgw: {error.message}; trying again", err=True)
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1
            page = {"events": [], "next": wanted["after"]}
        else:
            if tries:
                click.echo("smsgw: the gateway is back", err=True)
            tries = 0


def _is_wanted(event: Json, phone: str | None, message: str | None, request: str | None) -> bool:
    data = event["data"]
    subject = {event["kind"].partition(".")[0]: event["subject_id"]}
    if phone is not None and phone not in data.values():
        return False
    for noun, wanted in (("message", message), ("request", request)):
        about = (subject.get(noun), str(data.get(f"{noun}_id", "")))
        if wanted is not None and wanted not in about:
            return False
    return True


def _line(event: Json) -> str:
    at = datetime.fromisoformat(event["at"]).astimezone()
    data = event["data"].items()
    told = "  ".join(f"{key}={_shown(value)}" for key, value in data if value not in ("", None))
    return f"{at:%H:%M:%S} {event['kind']:<22} {event['subject_id']}  {told}".rstrip()


def _shown(value: object) -> str:
    """Return a value in one line of a few characters, without what a terminal would obey."""
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    written = "".join(one if one.isprintable() else " " for one in written)
    short = len(written) <= TEXT_CHARACTERS
    return written if short else written[: TEXT_CHARACTERS - 1] + "…"

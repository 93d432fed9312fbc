"""``smsgw links trace``: what goes over a link's connections, while it does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from urllib.parse import quote

import click

from smsgw.errors import PduError
from smsgw.interfaces.cli.client import Api, Failed, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.pdu import content_meaning
from smsgw.protocols.registry import CARRIERS

WAIT_SECONDS = 20
PAGE = 500
UNITS = {"s": 1, "m": 60, "h": 3600}

TOLD = frozenset({"command", "command_id", "total_length"})
"""Fields that the first line has."""


def _seconds(
    ctx: click.Context | None, param: click.Parameter | None, written: str
) -> int:  # an option's callback
    found = re.fullmatch("([0-9]{1,6})([smh])", written)
    if found is None:
        problem = f"{written!r} is no duration; write such as 30s, 10m or 2h"
        raise click.BadParameter(problem, ctx=ctx, param=param)
    return int(found[1]) * UNITS[found[2]]


@click.command(epilog=EPILOG)
@click.argument("name")
@click.option("--phone", default="", help="Only what names this phone, and the answers to that.")
@click.option(
    "--for",
    "seconds",
    default="10m",
    show_default=True,
    callback=_seconds,
    help="For how long; 24h at most.",
)
@api_options
def trace(api: Api, name: str, phone: str, seconds: int, as_json: bool) -> None:
    """Show each PDU of the link NAME as it is sent or received, decoded and in hex.

    It shows texts and phones: it needs the scope links:trace, and the audit chain tells of it.
    It ends by itself, and with Ctrl-C. Passwords and login digests are masked.
    """
    path = f"/v1/links/{quote(name, safe='')}/traces"
    begun = api.post(path, {"seconds": seconds, "phone": phone})
    at = f"/v1/traces/{begun['id']}"
    try:
        for page in _pages(api, at):
            if page["missed"]:
                click.echo(f"smsgw: {page['missed']} PDUs were too many to keep", err=True)
            for one in page["seen"]:
                if as_json:
                    click.echo(json.dumps(one, ensure_ascii=False))
                else:
                    click.echo("\n".join(_lines(one, page["protocol"])))
    except KeyboardInterrupt:
        pass
    finally:
        with suppress(Failed):
            api.post(f"{at}/stop", {})


def _pages(api: Api, at: str) -> Iterator[Json]:
    """Yield what was seen, until it is over."""
    after = "0"
    while True:
        page = api.get(at, {"after": after, "wait": WAIT_SECONDS, "limit": PAGE})
        yield page
        after = page["next"]
        if page["ended"] and not page["seen"]:
            return


def _lines(one: Json, protocol: str) -> Iterator[str]:
    """One PDU for people: what it is, its fields, its text, its octets."""
    at = datetime.fromisoformat(one["at"]).astimezone().isoformat(" ", "milliseconds")[11:23]
    arrow = "->" if one["direction"] == "sent" else "<-"
    yield f"{at} {arrow} bind {one['bind']}  {one['command']}  {one['octets']} octets"
    fields = one["fields"] or {}
    told = [f"{key}={_shown(value)}" for key, value in fields.items() if key not in TOLD]
    if told:
        yield "    " + "  ".join(told)
    if text := _text(one, protocol):
        yield f"    text {_printable(text)}"
    if one["problem"]:
        yield f"    cannot be read: {_printable(one['problem'])}"
    more = f" and {one['withheld']} octets that may have a secret" if one["withheld"] else ""
    yield f"    hex {one['hex']}{more}"


def _text(one: Json, protocol: str) -> str:
    """The words in a PDU that has some."""
    if one["fields"] is None or "*" in one["hex"]:
        return ""
    codec = CARRIERS[protocol].codec
    try:
        return content_meaning(codec.decode(bytes.fromhex(one["hex"]), one["version"]))
    except PduError:
        return ""


def _shown(value: object) -> str:
    return _printable(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _printable(written: str) -> str:
    """Return a text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in written)

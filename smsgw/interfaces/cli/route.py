"""``smsgw route``: which links a message to a phone would take, and why."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from smsgw.errors import ConfigError, StoreError, ValidationError
from smsgw.interfaces.cli.client import Api, Failed, Invalid, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.program import Program
from smsgw.interfaces.cli.show import show_json
from smsgw.model import MessageClass
from smsgw.routing.numbers import normalise


@click.group(epilog=EPILOG)
def route() -> None:
    """See which links a message would take, and why."""


@route.command(epilog=EPILOG)
@click.argument("phone")
@click.option(
    "--class",
    "message_class",
    type=click.Choice([str(one) for one in MessageClass]),
    default=str(MessageClass.NOTICE),
    show_default=True,
    help="How urgent the message is.",
)
@click.option("--expect-reply", is_flag=True, help="Its reply must find the way back.")
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="Ask this configuration and its database instead of a gateway that runs.",
)
@click.option("--account", help="With -c: whose message it is; else the token says so.")
@api_options
@click.pass_obj
def explain(
    program: Program,
    api: Api,
    phone: str,
    message_class: str,
    expect_reply: bool,
    path: Path | None,
    account: str | None,
    as_json: bool,
) -> None:
    """Show PHONE's operator, each rule that was tried, and the links, best first."""
    if path is not None:
        found = _offline(program, path, phone, message_class, account or "", expect_reply)
    elif account is not None:
        raise click.UsageError("--account goes with -c; without it the token says whose it is")
    else:
        asked = {"to": phone, "class": message_class, "expect_reply": str(expect_reply).lower()}
        found = api.get("/v1/routes/explain", asked)
    if as_json:
        show_json(found)
        return
    for line in (found["why"], *found["rules"]):
        click.echo(line)
    if found["refused"]:
        click.echo(f"refused: {found['refused']}")
    else:
        click.echo(f"route: {', then '.join(map(_link, found['links']))}")


def _link(link: Json) -> str:
    """A link's name, and whether it is up where that is known."""
    if "up" not in link:
        return str(link["name"])
    return f"{link['name']} ({'up' if link['up'] else 'down'})"


def _offline(
    program: Program,
    path: Path,
    phone: str,
    message_class: str,
    account: str,
    expects_reply: bool,
) -> Json:
    try:
        number = normalise(phone)
        table = program.route_table(path, number)
    except (ConfigError, ValidationError) as error:
        raise Invalid(str(error)) from None
    except StoreError as error:
        raise Failed(str(error)) from None
    found = table.explain(
        number,
        message_class=MessageClass(message_class),
        account=account,
        expects_reply=expects_reply,
    )
    shown: Json = msgspec.to_builtins(found)
    return {"to": number, **shown, "links": [{"name": name} for name in found.links]}

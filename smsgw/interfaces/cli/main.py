"""The ``smsgw`` command: names every subcommand and loads one only when it is asked for.

So ``smsgw pdu`` starts without twisted, sqlalchemy or rich. The subcommands that need the daemon's
own modules are named by their path as well, since nothing here may import the daemon.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

import smsgw

EPILOG = """\b
Exit codes:
  0  done
  1  it failed, or the carrier refused it
  2  wrong usage, a configuration error, or a request the gateway cannot accept as written
  3  the gateway cannot be reached
  4  timed out waiting
"""


class Place(NamedTuple):
    """Where a subcommand is defined, and what the overview says about it."""

    module: str
    attribute: str
    summary: str


_CLI = "smsgw.interfaces.cli"
_DAEMON = "smsgw.daemon.commands"

PLACES: dict[str, Place] = {
    "init": Place(
        "smsgw.daemon.init", "init", "Write a first smsgw.toml, from the carrier's sheet."
    ),
    "demo": Place(f"{_CLI}.demo", "demo", "Three simulated carriers, one approval, three replies."),
    "check": Place(_DAEMON, "check", "Check a configuration and print its effective values."),
    "run": Place(_DAEMON, "run", "Run the gateway."),
    "send": Place(f"{_CLI}.messages", "send", "Send one message, or one to everybody in a file."),
    "outbox": Place(f"{_CLI}.messages", "outbox", "List sent messages, newest first."),
    "msg": Place(f"{_CLI}.messages", "msg", "Show, trace or cancel one message."),
    "batches": Place(f"{_CLI}.batches", "batches", "See how far texts to many are, cancel them."),
    "inbox": Place(f"{_CLI}.messages", "inbox", "List what phones sent, newest first."),
    "requests": Place(f"{_CLI}.requests", "requests", "Ask people, and see what they answered."),
    "request-types": Place(
        f"{_CLI}.request_types", "request_types", "Save flows by name for requests to use."
    ),
    "stand-ins": Place(f"{_CLI}.stand_ins", "stand_ins", "Say who answers for whom."),
    "conversations": Place(
        f"{_CLI}.conversations", "conversations", "Open numbers to answer to, see the answers."
    ),
    "stats": Place(f"{_CLI}.stats", "stats", "Count messages, replies and requests."),
    "slots": Place(f"{_CLI}.slots", "slots", "See which extensions are in use, and what is left."),
    "links": Place(f"{_CLI}.links", "links", "Show the carriers; stop and start them."),
    "top": Place(f"{_CLI}.top", "top", "Watch links, lanes and rates live."),
    "reload": Place(
        f"{_CLI}.lifecycle", "reload", "Have the gateway read its configuration again."
    ),
    "drain": Place(f"{_CLI}.lifecycle", "drain", "Have the gateway take no new work."),
    "customers": Place(f"{_CLI}.customers", "customers", "Show who binds to us, what waits."),
    "webhooks": Place(
        f"{_CLI}.webhooks", "webhooks", "Have events posted to a URL, see whether they arrive."
    ),
    "tail": Place(f"{_CLI}.tail", "tail", "Show what happens, while it happens."),
    "token": Place(f"{_CLI}.tokens", "token", "Say who may use the HTTP API, and for what."),
    "reports": Place(f"{_CLI}.reports", "reports", "List status reports that match no message."),
    "route": Place(f"{_CLI}.route", "route", "See which links a message would take, and why."),
    "ported": Place(f"{_CLI}.ported", "ported", "Look after numbers that changed operator."),
    "pdu": Place(f"{_CLI}.pdu", "pdu", "Decode and encode PDUs."),
    "text": Place(f"{_CLI}.text", "text", "See how a text is coded and split."),
    "simulate": Place(f"{_CLI}.simulate", "simulate", "Run one simulated carrier."),
    "opt-outs": Place(
        f"{_CLI}.opt_outs", "opt_outs", "Look after phones that want no bulk and no notices."
    ),
    "export": Place(f"{_CLI}.people", "export", "Print everything that is held of a phone."),
    "erase": Place(f"{_CLI}.people", "erase", "Erase a phone and its texts everywhere."),
    "hold": Place(f"{_CLI}.people", "hold", "Say what may be neither purged nor erased."),
    "bench": Place(f"{_CLI}.bench", "bench", "Measure what this machine can do."),
    "audit": Place(f"{_CLI}.audit", "audit", "Check that what was recorded is still whole."),
    "doctor": Place(
        "smsgw.daemon.doctor", "doctor", "See what is wrong with an installation, and what to do."
    ),
    "bundle": Place(
        "smsgw.daemon.bundle", "bundle", "Collect what helps to find a fault, without secrets."
    ),
    "db": Place("smsgw.daemon.database", "db", "Look after the database."),
    "completion": Place(f"{_CLI}.completion", "completion", "Complete commands in your shell."),
}
"""Every subcommand, in the order of the overview."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = PLACES.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(importlib.import_module(place.module), place.attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in PLACES if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=PLACES[name].summary) for name in names]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in PLACES.items()])


@click.group(
    "smsgw",
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(smsgw.__version__, prog_name="smsgw")
def main() -> None:
    """SMS gateway for CMPP, SMGP, SGIP and SMPP: replies find the request they answer."""

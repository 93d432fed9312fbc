"""``smsgw simulate``: one carrier's gateway with fake phones, alone, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import react

from smsgw.errors import ConfigError
from smsgw.interfaces.cli.main import EPILOG
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.faults import MEANINGS, Faults
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.simulator.script import always, silent
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint


@click.command(epilog=EPILOG)
@click.option("--protocol", type=click.Choice(sorted(CARRIERS)), default="cmpp", show_default=True)
@click.option("--version", "version", default=None, help="Highest protocol version it speaks.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=None, help="Default: the protocol's."
)
@click.option("--login", default="901234", show_default=True, help="The login it accepts.")
@click.option("--secret", default="s3cret", show_default=True, help="Its shared secret.")
@click.option("--reply", "replies", multiple=True, help="What every phone answers; repeatable.")
@click.option("--answer-after", type=float, default=0.0, show_default=True, help="Seconds.")
@click.option("--report-after", type=float, default=0.1, show_default=True, help="Seconds.")
@click.option("--result", type=int, default=0, show_default=True, help="Result of every submit.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[.OF]=[SECONDS@]SHARE",
    help="What goes wrong, repeatable: see below.",
)
@click.option("--fault-seed", type=int, default=0, show_default=True, help="Other accidents.")
@click.option("--dial", default=None, help="HOST:PORT of the customer's listener (SGIP).")
@click.option("--dial-login", default="smg", show_default=True)
@click.option("--dial-secret", default="s3cret", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def simulate(**options: Any) -> None:
    """Run a simulated gateway of one carrier until Ctrl-C.

    It takes binds, answers every submit, sends a status report for it, and lets each phone answer
    with --reply. Point a link of smsgw.toml at it.

    A --fault befalls a share of what the gateway sends: 10%, 1/20 (every 20th), once or all. OF is
    answer, report, mo or login; without it all but logins, or answers alone where nothing else
    makes sense. Examples: delay=0.5, delay.answer=2@10%, loss=10%, throttle=5%,
    disconnect.login=once, stall=5@1%. What befalls the PDU:

    \b
    {meanings}
    """
    with contextlib.suppress(KeyboardInterrupt):
        react(lambda reactor: Deferred.fromCoroutine(_run(reactor, **options)))


assert simulate.help is not None
simulate.help = simulate.help.replace(
    "{meanings}", "\n    ".join(f"{kind:<11} {text}" for kind, text in MEANINGS.items())
)


async def _run(reactor: Any, **o: Any) -> None:
    carrier = CARRIERS[o["protocol"]]
    kinds: dict[str, Any] = {"name": o["login"], "secret": o["secret"]}
    version = o["version"] or carrier.codec.default_version
    if version not in carrier.codec.tables:
        spoken = ", ".join(sorted(carrier.codec.tables))
        click.echo(f"smsgw: --version: {version!r} is none of {spoken}", err=True)
        sys.exit(2)
    account = carrier.account(**kinds, version=version)
    try:
        faults = Faults.of(*o["faults"], seed=o["fault_seed"])
    except ConfigError as error:
        click.echo(f"smsgw: --fault: {error.problem}", err=True)
        sys.exit(2)
    port = carrier.port if o["port"] is None else o["port"]
    ismg = Ismg(
        carrier,
        account,
        listen_endpoint(reactor, o["host"], port),
        reactor,
        behaviour=Behaviour(o["answer_after"], o["report_after"], o["result"]),
        activity=_tell_json if o["as_json"] else _tell,
        script=always(*o["replies"]) if o["replies"] else silent,
        faults=faults,
    )
    if o["dial"] is not None:
        host, _, number = o["dial"].rpartition(":")
        if not host or not number.isdigit():
            click.echo(f"smsgw: --dial: {o['dial']!r} is no HOST:PORT", err=True)
            sys.exit(2)
        login = carrier.account(name=o["dial_login"], secret=o["dial_secret"], version=version)
        ismg.dials(dial_endpoint(reactor, host, int(number)), login)
    try:
        port = await ismg.start()
    except CannotListenError as error:
        why = f"cannot listen on {o['host']}:{port}: {error.socketError}"
        click.echo(f"smsgw: {why}; give another --port, 0 takes any free one", err=True)
        sys.exit(1)
    click.echo(f"{carrier.title} {version} on {o['host']}:{port}; Ctrl-C ends it", err=True)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(ismg.stop()))
    await Deferred()


def _tell(what: str, pdu: str, details: dict[str, Any]) -> None:
    click.echo(" ".join(filter(None, (what, pdu, _words(details)))))


def _tell_json(what: str, pdu: str, details: dict[str, Any]) -> None:
    plain = {key: value for key, value in details.items() if isinstance(value, str | int)}
    if "what" in plain:  # what was acknowledged
        plain["of"] = plain.pop("what")
    click.echo(json.dumps({"what": what, "pdu": pdu, **plain}, ensure_ascii=False))


def _words(details: dict[str, Any]) -> str:
    shown = []
    for key, value in details.items():
        if isinstance(value, str | int):
            shown.append(f"{key}={value}")
        elif key == "segment":
            shown.append(f"to={value.to} from={value.source} part={value.part}/{value.total}")
        elif key == "mo":
            shown.append(f"from={value.sender} to={value.destination}")
        elif key == "event":
            shown.append(str(value))
    return " ".join(shown)

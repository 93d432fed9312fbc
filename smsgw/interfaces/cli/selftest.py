"""``smsgw links selftest``: try a carrier account step by step, and write its acceptance sheet.

A gateway that runs has the account's connections, and often there are no more: then everything goes
through its API, over its own connections. Otherwise we log in ourselves.
"""

from __future__ import annotations

import dataclasses
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from smsgw.errors import ConfigError, ValidationError
from smsgw.interfaces.cli import acceptance
from smsgw.interfaces.cli.client import Api, Failed, Invalid, Unreachable
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.options import config_option
from smsgw.interfaces.cli.program import LoneLinks
from smsgw.interfaces.cli.running import RunningTest
from smsgw.interfaces.cli.show import show_json
from smsgw.routing.numbers import normalise
from smsgw.services.selftest import FAILED, PASSED, Order, SelfTest, Step

MARKS = {PASSED: "ok  ", FAILED: "FAIL"}


@click.command(epilog=EPILOG)
@click.argument("name", metavar="LINK")
@config_option("The configuration file that has the link.")
@click.option("--phone", help="Send a message to this phone, and wait for its report.")
@click.option("--long", "long_too", is_flag=True, help="Send one of several parts too.")
@click.option("--reply", is_flag=True, help="Wait for a reply of the phone's owner too.")
@click.option(
    "--wait",
    "patience",
    type=click.FloatRange(0.1, 3600),
    default=Order().wait,
    show_default=True,
    help="Seconds for each report, call-back and reply.",
)
@click.option("--api", "url", help="Where the gateway's API is, when it runs; else http.listen.")
@click.option("--token", envvar="SMSGW_TOKEN", default="", help="Its bearer token (SMSGW_TOKEN).")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the sheet into this new file, as Markdown.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def selftest(
    program: LoneLinks,
    name: str,
    path: Path,
    phone: str | None,
    long_too: bool,
    reply: bool,
    patience: float,
    url: str | None,
    token: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Try LINK: login, heartbeat, a message, its report, a reply; print the acceptance sheet.

    While the gateway runs, its own connections are used, over its API. Otherwise this logs in
    itself, so no second connection disturbs the first; what the carrier brings that is not the
    test's is not acknowledged, and comes again. Exit code 1 when a step failed.
    """
    link = _link(program, path, name)
    if out is not None and out.exists():
        raise Invalid(f"--out {out}: is there already; name a new file")
    order = Order(phone=_phone(phone), reply=reply, long=long_too, wait=patience)
    if reply and not order.phone:
        raise click.UsageError("--reply needs --phone: who replies?")
    told = _tell if not as_json else _tell_people
    at = datetime.now().astimezone()
    holder = _holder(program, link)
    if holder:
        steps = _through(_api(link, url, token, holder), name, order, told)
    else:
        steps = _alone(program, link, order, told)
    version = next((s.details["version"] for s in steps if "version" in s.details), "")
    agreed = acceptance.facts(link.settings, _own_address(link.settings), at, version, order.phone)
    written = acceptance.sheet(agreed, steps)
    if out is not None:
        _write(out, written)
    if as_json:
        through = f"gateway {holder}" if holder else "own connection"
        shown = {"link": name, "passed": _passed(steps), "through": through, "agreed": agreed}
        show_json({**shown, "steps": msgspec.to_builtins(steps)})
    elif out is None:
        click.echo(f"\n{written}")
    sys.exit(0 if _passed(steps) else 1)


def _write(out: Path, written: str) -> None:
    try:
        with open(out, "x", encoding="utf-8") as file:
            file.write(written)
    except OSError as error:
        raise Failed(f"--out {out}: cannot be written: {error.strerror}") from None


@dataclasses.dataclass
class _Link:
    """A link's settings, and the configuration that they are of."""

    config: Any
    settings: Any


def _link(program: LoneLinks, path: Path, name: str) -> _Link:
    try:
        config = program.load(path)
    except ConfigError as error:
        raise Invalid(str(error)) from None
    if name not in config.links:
        raise Invalid(f"no link {name!r} in {path}; links are: {', '.join(config.links)}")
    return _Link(config, config.links[name])


def _phone(written: str | None) -> str:
    try:
        return normalise(written, "phone") if written else ""
    except ValidationError as error:
        raise Invalid(f"--{error}") from None


def _holder(program: LoneLinks, link: _Link) -> str:
    try:
        return program.holder(link.config)
    except Exception as error:
        raise Failed(f"cannot see whether a gateway runs: {error}") from None


def _api(link: _Link, url: str | None, token: str, holder: str) -> Api:
    """Return the API of the gateway that has the link."""
    http = link.config.http
    if not token:
        raise Failed(
            f"a gateway runs ({holder}) and has the link's connections; give its token (--token or"
            " SMSGW_TOKEN) to test over them, or stop it first"
        )
    if url is None:
        if not http.listen.port:
            raise Failed("http.listen has port 0; say with --api where the gateway listens")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.listen.host, http.listen.host)
        url = f"{'http' if http.tls is None else 'https'}://"
        url += f"[{host}]:{http.listen.port}" if ":" in host else f"{host}:{http.listen.port}"
    return Api(url, token)


def _through(api: Api, name: str, order: Order, told: Any) -> list[Step]:
    try:
        return RunningTest(api, name, order, told).run()
    except Unreachable as error:
        raise Failed(f"a gateway runs, but {error.message}") from None


def _alone(program: LoneLinks, link: _Link, order: Order, told: Any) -> list[Step]:
    """Log in ourselves; runs the reactor, once in this process."""
    from smsgw.interfaces.cli.in_reactor import done

    async def run(reactor: Any) -> list[Step]:
        info, make_link = program.lone_link(link.settings, reactor)
        return await SelfTest(make_link, info, order, reactor, told).run()

    steps = done(run)
    if steps is None:  # Ctrl-C
        raise click.Abort
    return steps


def _passed(steps: list[Step]) -> bool:
    return all(step.outcome != FAILED for step in steps)


def _tell(step: Step | str) -> None:
    """Show a step as it is done."""
    if isinstance(step, str):
        click.echo(f"  >>  {step}", err=True)
        return
    seconds = "" if step.seconds is None else f" ({step.seconds:.3f} s)"
    click.echo(f"{MARKS.get(step.outcome, '-   ')}  {step.name}: {step.said}{seconds}", err=True)


def _tell_people(step: Step | str) -> None:
    """Show only what people are asked to do."""
    if isinstance(step, str):
        click.echo(step, err=True)


def _own_address(link: Any) -> str:
    """Return the address of ours that leads to the carrier; asks the routing table alone."""
    host, port = (link.proxy.host, link.proxy.port) if link.proxy else (link.host, link.port)
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sock:
            sock.connect(address)
            return str(sock.getsockname()[0])
    except OSError:
        return ""

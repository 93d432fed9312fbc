"""``smsgw doctor``: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from smsgw.daemon import machine, reach
from smsgw.daemon.commands import CONFIG_ERROR
from smsgw.daemon.config import load
from smsgw.daemon.findings import Finding
from smsgw.daemon.settings import Config
from smsgw.errors import ConfigError, StoreError
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.options import config_option
from smsgw.store.database import holder


@click.command(epilog=EPILOG)
@config_option()
@click.option("--no-network", is_flag=True, help="Do not connect to the carriers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(path: Path, no_network: bool, as_json: bool) -> None:
    """Look for what is wrong: one line for each thing, with what to do.

    Configuration, versions, database, disk, clock, limits, ports, secrets' files, certificates,
    each carrier (connected, not logged in), and the gateway when it runs. Changes nothing. Exit
    code 1 when something cannot work, 2 when the configuration is wrong.
    """
    findings, config = configuration(path)
    if config is not None:
        findings += examine(config)
        if not no_network:
            findings += _reached(config)
    if as_json:
        shown = [dataclasses.asdict(one) for one in findings]
        click.echo(json.dumps({"findings": shown}, ensure_ascii=False, indent=2))
    else:
        for one in findings:
            click.echo(one.line())
    if config is None:
        sys.exit(CONFIG_ERROR)
    sys.exit(1 if any(one.level == "fail" for one in findings) else 0)


def configuration(path: Path) -> tuple[list[Finding], Config | None]:
    """Return what is to be said of a configuration, and the configuration when it can be used."""
    try:
        config = load(path)
    except ConfigError as error:
        lines = str(error).splitlines()
        return [Finding("fail", "config", line) for line in lines], None
    found = [Finding("warn", "config", warning) for warning in config.warnings]
    said = f"{path} is good: {len(config.links)} links"
    return [*found, Finding("ok", "config", said)], config


def examine(config: Config) -> list[Finding]:
    """Return everything that can be seen without the carriers; blocks for seconds at most."""
    now = datetime.now(UTC)
    try:
        working = holder(config.gateway.database)
    except StoreError:
        working = ""  # said when the database is looked at
    return [
        *machine.versions(),
        *machine.user(),
        *machine.clock(now),
        *reach.database(config, time.time()),
        *machine.ids(config, now),
        *machine.limits(config),
        *machine.secrets(config),
        *machine.certificates(config, now),
        *reach.ports(config, working),
        *reach.api(config, working),
    ]


def _reached(config: Config) -> list[Finding]:
    from smsgw.interfaces.cli.in_reactor import done

    found = done(partial(reach.links, config))
    if found is None:  # Ctrl-C
        raise click.Abort
    return found

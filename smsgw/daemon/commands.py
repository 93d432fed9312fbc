"""The subcommands of ``smsgw`` that read the configuration file: run, check, db.

They live here because the command line may not import the daemon; it finds them by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from smsgw.daemon.config import Config, effective, load
from smsgw.errors import ConfigError, StoreError
from smsgw.interfaces.cli.main import EPILOG

CONFIG_ERROR = 2

_config_option: Callable[..., Any] = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default="smsgw.toml",
    show_default=True,
    help="The configuration file.",
)


def _load(path: Path) -> Config:
    """Return the configuration, or end the command with a line for each problem."""
    try:
        config = load(path)
    except ConfigError as error:
        for line in str(error).splitlines():
            click.echo(f"smsgw: {line}", err=True)
        sys.exit(CONFIG_ERROR)
    return config


@click.command(epilog=EPILOG)
@_config_option
def run(path: Path) -> None:
    """Run the gateway until SIGTERM or SIGINT."""
    from smsgw.daemon import main

    sys.exit(main.run(path))


@click.command(epilog=EPILOG)
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(path: Path, as_json: bool) -> None:
    """Check a configuration and print its effective values; secrets are masked."""
    config = _load(path)
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)
    values = effective(config)
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
        return
    for key, value in _flat(values):
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")


@click.group(epilog=EPILOG)
def db() -> None:
    """Look after the database."""


@db.command(epilog=EPILOG)
@_config_option
@click.option("--database", help="The file, or a server's address, instead of a configuration.")
def upgrade(path: Path, database: str | None) -> None:
    """Bring the database to the newest schema; a missing one is made."""
    from smsgw.store.address import where
    from smsgw.store.database import upgrade as upgrade_database

    try:
        place = _load(path).gateway.database if database is None else where(database)
        before, after = upgrade_database(place)
    except (ConfigError, StoreError) as error:
        click.echo(f"smsgw: {error}", err=True)
        sys.exit(1)
    if before == after:
        click.echo(f"{place}: already at {after}")
    else:
        click.echo(f"{place}: {before or 'empty'} -> {after}")


def _flat(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield path + key, value

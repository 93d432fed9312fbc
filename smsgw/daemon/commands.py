"""The subcommands of ``smsgw`` that read the configuration file: run, check.

They live here because the command line may not import the daemon; it finds them by name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from smsgw.daemon.config import Config, effective, keys, load
from smsgw.errors import ConfigError
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.options import config_option

CONFIG_ERROR = 2


def loaded(path: Path) -> Config:
    """Return a configuration, or end the command with a line for each problem."""
    try:
        config = load(path)
    except ConfigError as error:
        for line in str(error).splitlines():
            click.echo(f"smsgw: {line}", err=True)
        sys.exit(CONFIG_ERROR)
    return config


@click.command(epilog=EPILOG)
@config_option()
def run(path: Path) -> None:
    """Run the gateway until SIGTERM or SIGINT."""
    from smsgw.daemon import main

    sys.exit(main.run(path))


@click.command(epilog=EPILOG)
@config_option()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(path: Path, as_json: bool) -> None:
    """Check a configuration and print its effective values; secrets are masked."""
    config = loaded(path)
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(effective(config), ensure_ascii=False, indent=2))
        return
    for key, value in keys(config):
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")

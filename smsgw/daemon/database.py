"""``smsgw db``: the schema, backups, and putting one back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from smsgw.daemon.commands import loaded
from smsgw.errors import SmsgwError, StoreError
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.options import config_option
from smsgw.store.address import Server, Where, where

F = TypeVar("F", bound=Callable[..., object])


def _database_option(command: F) -> F:
    text = "The file, or a server's address, instead of a configuration."
    return click.option("--database", help=text)(command)


@click.group(epilog=EPILOG)
def db() -> None:
    """Look after the database."""


@db.command(epilog=EPILOG)
@config_option()
@_database_option
def upgrade(path: Path, database: str | None) -> None:
    """Bring the database to the newest schema; a missing one is made.

    It is refused while a gateway works on the database.
    """
    from smsgw.store.database import upgrade as upgrade_database

    with _one_line():
        place = _place(path, database)
        before, after = upgrade_database(place)
    if before == after:
        click.echo(f"{place}: already at {after}")
    else:
        click.echo(f"{place}: {before or 'empty'} -> {after}")


@db.command(epilog=EPILOG)
@config_option()
@_database_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("file", type=click.Path(path_type=Path))
def backup(path: Path, database: str | None, as_json: bool, file: Path) -> None:
    """Copy the database into the new FILE, also while the gateway runs, and check the copy.

    A PostgreSQL server has its own tools; then this names the command.
    """
    from smsgw.store.backup import back_up

    with _one_line():
        place = _place(path, database)
        if isinstance(place, Server):
            raise StoreError(f"a server's database is copied by: {_pg_dump(place, file)}")
        with _progress("copying") as told:
            made = back_up(place, file, told)
    if as_json:
        shown = {"file": str(file), "waiting": made.waiting}
        click.echo(json.dumps({**shown, "revision": made.revision, "octets": made.octets}))
        return
    click.echo(
        f"{file}: {made.octets} octets, schema {made.revision}, "
        f"{made.waiting} segments wait in it to be sent; checked, whole"
    )


@db.command(epilog=EPILOG)
@config_option()
@_database_option
@click.option(
    "--nothing-sent-since",
    is_flag=True,
    help="No gateway ran since the backup was made: send what waits in it as if nothing was.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("file", type=click.Path(path_type=Path))
def restore(
    path: Path, database: str | None, nothing_sent_since: bool, as_json: bool, file: Path
) -> None:
    """Put a backup in the place of the database; what was there is kept beside it.

    What waited in the backup to be sent may have been sent since, so it is of unknown outcome at
    the next start: after unknown_wait it is sent again, marked as a possible duplicate, or given
    up, as [delivery] on_unknown says. What is scheduled for later stays so.
    """
    from smsgw.store.backup import restore as put_back

    with _one_line():
        place = _place(path, database)
        if isinstance(place, Server):
            raise StoreError(f"a server's database is put back by: {_pg_restore(place, file)}")
        with _progress("checking and copying") as told:
            done = put_back(file, place, sent_since=not nothing_sent_since, told=told)
    if as_json:
        replaced = None if done.replaced is None else str(done.replaced)
        shown = {"database": str(place), "replaced": replaced, "doubtful": done.doubtful}
        click.echo(json.dumps({**shown, "waiting": done.copy.waiting - done.doubtful}))
        return
    click.echo(f"{place}: is {file} now, schema {done.copy.revision}")
    if done.replaced is not None:
        click.echo(f"what was there is {done.replaced}")
    click.echo(
        f"{done.doubtful} segments may have been sent since and are of unknown outcome, "
        f"{done.copy.waiting - done.doubtful} wait to be sent"
    )


# ---- inside ------------------------------------------------------------------------------


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except SmsgwError as error:
        click.echo(f"smsgw: {error}", err=True)
        sys.exit(1)


def _place(path: Path, database: str | None) -> Where:
    return loaded(path).gateway.database if database is None else where(database)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how far a copy is."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label=what, file=sys.stderr) as bar:

        def told(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield told


def _pg_dump(server: Server, file: Path) -> str:
    return f"pg_dump -Fc -f {file} '{server}'"


def _pg_restore(server: Server, file: Path) -> str:
    return (
        "stopping every gateway, making the database anew and empty, then "
        f"pg_restore --exit-on-error -d '{server}' {file}"
    )

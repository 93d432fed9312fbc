"""Which schema a database has, which one this version needs, and the way there, by alembic."""

from __future__ import annotations

import functools

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from smsgw.errors import StoreError

LOCATION = "smsgw.store:migrations"
"""Where the steps are, as alembic names a package's folder."""


def head() -> str:
    """Return the newest revision this version knows."""
    revision = _steps(LOCATION).get_current_head()
    if revision is None:
        raise AssertionError(f"{LOCATION} has no revision")
    return revision


def current(connection: Connection) -> str:
    """Return the revision of a database, or "" when it is empty.

    Raises:
        StoreError: There are tables, but none that says which revision: not one of our databases.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None and set(inspect(connection).get_table_names()) - {"alembic_version"}:
        raise StoreError("holds tables of something else; name another database")
    return revision or ""


def is_older(revision: str) -> bool:
    """Tell whether this version knows the way from ``revision`` to :func:`head`."""
    known = [step.revision for step in _steps(LOCATION).walk_revisions()]
    return revision in known and revision != known[0]


def upgrade(connection: Connection) -> None:
    """Apply every missing step inside the transaction the connection is in."""
    config = _config(LOCATION)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@functools.cache
def _steps(location: str) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(location))


def _config(location: str) -> Config:
    config = Config()
    config.set_main_option("script_location", location)
    return config

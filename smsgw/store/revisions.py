"""Which schema a database has, which one this version needs, and the way there, by alembic."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from smsgw.errors import StoreError

if TYPE_CHECKING:  # only who changes a schema waits for alembic to load
    from alembic.config import Config
    from alembic.script import ScriptDirectory

LOCATION = Path(__file__).parent / "migrations"
"""Where the steps are; the file of each is named after its revision, and those count up."""


def head() -> str:
    """Return the newest revision this version knows."""
    return max(step.stem for step in LOCATION.glob("versions/[0-9]*.py")).partition("_")[0]


def current(connection: Connection) -> str:
    """Return the revision of a database, or "" when it is empty.

    Raises:
        StoreError: There are tables, but none that says which revision: not one of our databases.
    """
    tables = set(inspect(connection).get_table_names())
    kept = "alembic_version" in tables
    found = connection.scalar(text("SELECT version_num FROM alembic_version")) if kept else None
    if found is None and tables - {"alembic_version"}:
        raise StoreError("holds tables of something else; name another database")
    return found or ""


def is_older(revision: str) -> bool:
    """Tell whether this version knows the way from ``revision`` to :func:`head`."""
    known = [step.revision for step in _steps(LOCATION).walk_revisions()]
    return revision in known and revision != head()


def upgrade(connection: Connection) -> None:
    """Apply every missing step inside the transaction the connection is in."""
    from alembic import command

    config = _config(LOCATION)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@functools.cache
def _steps(location: Path) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config(location))


def _config(location: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(location))
    return config

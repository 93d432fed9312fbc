"""A schema is changed only when nobody works with the older one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet import reactor

from smsgw.errors import StoreError
from smsgw.store import migrations, revisions
from smsgw.store.database import Database, _backend, upgrade
from tests.support.reactor import reactor_test
from tests.support.stores import Place

NEXT = """\
from alembic import op
revision, down_revision = "9999", "0001"
def upgrade():
    op.execute("CREATE TABLE next (id INTEGER PRIMARY KEY)")
"""


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Returns what makes this the version after the present one: it has one more step."""

    def install() -> None:
        steps = tmp_path / "migrations"
        shutil.copytree(Path(next(iter(migrations.__path__))), steps)
        (steps / "versions" / "9999_next.py").write_text(NEXT)
        monkeypatch.setattr(revisions, "LOCATION", steps)

    return install


def older_daemon(place: Place) -> Database:
    """A gateway at work, as this version is."""
    database = Database(place, reactor, lease=0.0 if isinstance(place, Path) else 15.0)
    database.open()
    return database


def refused(place: Place) -> str:
    with pytest.raises(StoreError) as caught:
        upgrade(place)
    line = str(caught.value)
    assert "\n" not in line
    return line.removeprefix(f"{place}: ")


@reactor_test
async def test_an_upgrade_under_a_running_gateway_is_refused_and_names_it(
    bare_place: Place, next_version: Callable[[], None]
) -> None:
    running = older_daemon(bare_place)
    next_version()
    line = refused(bare_place)
    assert str(os.getpid()) in line
    assert "stop it" in line
    await running.close()
    assert upgrade(bare_place) == ("0001", "9999")


@reactor_test
async def test_a_gateway_of_the_next_version_refuses_the_older_schema_and_this_one_the_newer(
    bare_place: Place, next_version: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(bare_place)
    next_version()
    with pytest.raises(StoreError, match=r"is at 0001, this version needs 9999; run: smsgw db up"):
        older_daemon(bare_place)
    upgrade(bare_place)
    monkeypatch.setattr(revisions, "LOCATION", Path(next(iter(migrations.__path__))))
    with pytest.raises(StoreError, match="is at 9999, newer than this version knows"):
        older_daemon(bare_place)


@reactor_test
async def test_a_process_that_is_gone_does_not_hold_up_an_upgrade(
    bare_place: Place, next_version: Callable[[], None]
) -> None:
    if isinstance(bare_place, Path):
        pytest.skip("a file's lock ends with its process")
    running = older_daemon(bare_place)
    await running.close()
    with _backend(bare_place).connect() as connection, connection.begin():
        connection.exec_driver_sql(  # a crash leaves its row, and no connection
            "INSERT INTO node (epoch, name, lease_until, id)"
            " VALUES (1, %s, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + 9000, 7)",
            (f"{os.uname().nodename}/1",),
        )
    next_version()
    assert upgrade(bare_place) == ("0001", "9999")


@reactor_test
async def test_a_process_of_another_host_holds_it_up_until_its_lease_is_over(
    bare_place: Place, next_version: Callable[[], None]
) -> None:
    if isinstance(bare_place, Path):
        pytest.skip("a file is on one host")
    upgrade(bare_place)
    with _backend(bare_place).connect() as connection, connection.begin():
        connection.exec_driver_sql(
            "INSERT INTO node (epoch, name, lease_until, id)"
            " VALUES (1, 'elsewhere/1', (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
            " + 9000, 7)"
        )
    next_version()
    assert refused(bare_place).startswith(
        "an older gateway works on it: node 7 (elsewhere/1), 9 s left; stop it with SIGTERM"
    )

"""The keys about the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smsgw.daemon.config import ConfigErrors, effective, load
from smsgw.daemon.program import Program
from smsgw.interfaces.cli.main import main
from smsgw.store.address import Server

LINK = """
[tokens.oa]
token = "env:TOKEN"

[links.cmcc]
protocol = "cmpp"
host = "gateway.example"
login = "900001"
secret = "env:TOKEN"
access_number = "10690001"
"""
ENVIRON = {"TOKEN": "a-token-of-22-letters!", "DB_PASSWORD": "open sesame"}
ADDRESS = "postgresql://smsgw@db.example/smsgw"
SHOWN = "postgresql://smsgw@db.example:5432/smsgw"


def loaded(folder: Path, keys: str) -> Any:
    path = folder / "smsgw.toml"
    path.write_text("[gateway]\n" + keys + LINK, encoding="utf-8")
    return load(path, ENVIRON)


def test_a_servers_database_with_its_password_from_elsewhere(tmp_path: Path) -> None:
    keys = f'database = "{ADDRESS}"\ndatabase_password = "env:DB_PASSWORD"\n'
    config = loaded(tmp_path, keys)
    assert config.gateway.database == Server(
        host="db.example", port=5432, name="smsgw", user="smsgw", password="open sesame"
    )
    assert config.warnings == ()
    shown = effective(config)["gateway"]
    assert shown == {"lease": 15.0, "database": SHOWN, "database_password": "***"}
    assert "sesame" not in repr(config)


def test_a_server_that_needs_no_password(tmp_path: Path) -> None:
    config = loaded(tmp_path, f'database = "{ADDRESS}"\n')
    assert effective(config)["gateway"] == {"lease": 15.0, "database": SHOWN}
    assert config.warnings == ()


def test_how_long_a_process_on_a_server_may_be_silent(tmp_path: Path) -> None:
    config = loaded(tmp_path, f'database = "{ADDRESS}"\nlease = "5s"\n')
    assert config.gateway.lease == 5.0
    assert loaded(tmp_path, "").gateway.lease == 0.0


def test_a_password_in_the_address_works_and_warns(tmp_path: Path) -> None:
    config = loaded(tmp_path, 'database = "postgresql://smsgw:sesame@db.example/smsgw"\n')
    assert config.gateway.database.password == "sesame"
    (warning,) = config.warnings
    assert warning == (
        'gateway.database: has a password in it; write database_password = "env:VARIABLE"'
    )
    assert "sesame" not in json.dumps(effective(config))


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ('database = "postgresql://db"\n', "gateway.database: is no address of a database; write"),
        (
            'database_password = "env:DB_PASSWORD"\n',
            "gateway.database_password: is for a database of a PostgreSQL server",
        ),
        ('database = ""\n', "gateway.database: is empty"),
        ("lease = 5\n", "gateway.lease: is for a database of a PostgreSQL server"),
        (f'database = "{ADDRESS}"\nnode = 3\n', "gateway.node: is for a file: processes on a"),
        (f'database = "{ADDRESS}"\nlease = 0.5\n', "gateway.lease: "),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, keys: str, problem: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, keys)
    (told,) = str(caught.value).splitlines()
    assert told.startswith(problem)


@pytest.mark.parametrize(
    "address", ["postgresql://u:sesame@127.0.0.1:1/m", "postgresql://u:sesame@db"]
)
def test_db_upgrade_of_a_server_that_cannot_be_used_is_one_line(address: str) -> None:
    result = CliRunner().invoke(main, ["db", "upgrade", "--database", address], obj=Program())
    assert result.exit_code == 1
    assert result.stderr.startswith("smsgw: ")
    assert result.stderr.count("\n") == 1
    assert "sesame" not in result.stderr

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smsgw.interfaces.cli.main import main

GOOD = """
[links.cmcc]
protocol = "cmpp"
host = "127.0.0.1"
login = "900001"
secret = "inline"
access_number = "10690001"
[tokens.oa]
token = "env:OA_TOKEN"
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "smsgw.toml"
    path.write_text(GOOD)
    return path


def invoke(*args: object) -> Result:
    environ = {"OA_TOKEN": "a-token-of-22-letters!"}
    return CliRunner(env=environ).invoke(main, [str(one) for one in args])


def test_check_prints_every_value_in_force_and_warns(good: Path) -> None:
    result = invoke("check", "-c", good)
    assert result.exit_code == 0
    assert 'links.cmcc.service_id = ""' in result.stdout
    assert "links.cmcc.heartbeat_interval = 180.0" in result.stdout
    assert 'links.cmcc.secret = "***"' in result.stdout
    assert "inline" not in result.stdout
    assert result.stderr.startswith("warning: links.cmcc.secret: written in the file itself")


def test_check_prints_json(good: Path) -> None:
    result = invoke("check", "--json", "-c", good)
    assert json.loads(result.stdout)["links"]["cmcc"]["port"] == 7890


def test_check_says_everything_that_is_wrong_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "smsgw.toml"
    path.write_text(GOOD.replace("inline", "env:NOPE") + "[gateway]\nnode = -1\n[x]\n")
    result = invoke("check", "-c", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == [
        "gateway.node",
        "links.cmcc.secret",
        "x",
    ]


def test_run_with_a_bad_configuration_starts_nothing_and_exits_2(tmp_path: Path) -> None:
    result = invoke("run", "-c", tmp_path / "nope.toml")
    assert result.exit_code == 2
    assert "cannot read" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_db_upgrade_makes_the_database_of_the_configuration(good: Path) -> None:
    result = invoke("db", "upgrade", "-c", good)
    assert result.exit_code == 0
    assert (good.parent / "smsgw.db").exists()
    assert "empty -> " in result.output
    assert "already at " in invoke("db", "upgrade", "-c", good).output


def test_db_upgrade_of_something_else_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(b"no database at all" * 100)
    result = invoke("db", "upgrade", "--database", path)
    assert result.exit_code == 1
    assert result.stderr.startswith("smsgw: ")
    assert result.stderr.count("\n") == 1

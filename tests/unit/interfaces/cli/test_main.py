from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import smsgw
from smsgw.interfaces.cli.main import PLACES, main


def test_the_overview_names_every_command_and_exit_code() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name, place in PLACES.items():
        assert f"  {name} " in result.output
        assert place.summary in result.output
    for code in ("0  done", "3  the gateway cannot be reached", "4  timed out waiting"):
        assert code in result.output


def test_the_overview_loads_nothing_heavy() -> None:
    code = "\n".join(
        [
            "import sys",
            "from smsgw.interfaces.cli.main import main",
            "main(['-h'], standalone_mode=False)",
            "heavy = {'twisted', 'sqlalchemy', 'rich', 'klein'} & set(sys.modules)",
            "sys.exit(str(heavy) if heavy else 0)",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list(PLACES))
def test_every_command_can_be_loaded_and_explains_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage: smsgw" in result.output


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert smsgw.__version__ in result.output


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["sned"])
    assert result.exit_code == 2
    assert "No such command 'sned'" in result.output

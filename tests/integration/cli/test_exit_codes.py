"""The exit codes of docs/cli.md, for every command there is; and completion."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from smsgw.interfaces.cli.main import PLACES, main

DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"
ROW = re.compile(r"\| (`[^|]*`) \| ([0-9 ]+) \|")
NOWHERE = "http://127.0.0.1:1"
PHONE = "13800001001"

ARGUMENTS = {
    "send": [PHONE, "x"],
    "requests new": ["--subject", "x", "--ask", f"a:{PHONE}"],
    "requests decide": ["1", "1", "yes"],
    "requests delegate": ["1", "1", f"a:{PHONE}"],
    "requests digest": [PHONE],
    "conversations open": [PHONE, "--ref", "x"],
    "conversations send": ["1", "x"],
    "route explain": [PHONE],
    "ported forget": [PHONE],
    "hold add": ["phone", PHONE, "--reason", "x"],
}
"""What a command needs; the others are given 1 for each argument, and for a file of theirs one."""

FILES = {
    "ported import": "phone,operator\n13800001001,unicom\n",
    "request-types save": "{}",
}


def leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    if command.invoke_without_command:
        yield " ".join(path), command
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*path, name))


COMMANDS = dict(leaves(main))
OF_THE_API = [
    name for name, one in COMMANDS.items() if any("--url" in option.opts for option in one.params)
]


def documented() -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if row := ROW.match(line):
            for name in re.findall("`([^`]+)`", row[1]):
                assert name not in found, name
                found[name] = set(map(int, row[2].split()))
    return found


def invoke(*args: str, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(main, list(args))


def test_every_command_is_in_the_table_and_no_other() -> None:
    assert set(documented()) == set(COMMANDS)


def test_only_commands_of_the_api_can_fail_to_reach_it_and_only_those_that_wait_time_out() -> None:
    found = documented()
    assert {name for name in found if 3 in found[name]} == set(OF_THE_API)
    waits = {
        name
        for name, one in COMMANDS.items()
        if any(param.name in ("wait", "no_wait") for param in one.params)
    }
    assert {name for name in found if 4 in found[name]} == waits
    assert all({0, 2} <= codes <= {0, 1, 2, 3, 4} for codes in found.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_of_any_command_exits_2(command: str) -> None:
    result = invoke(*command.split(), "--no-such-option")
    assert (result.exit_code, "No such option" in result.stderr) == (2, True)
    assert 2 in documented()[command]


@pytest.mark.parametrize("command", OF_THE_API)
def test_a_gateway_that_cannot_be_reached_exits_3(command: str, tmp_path: Path) -> None:
    words = ARGUMENTS.get(command)
    if words is None:
        params = COMMANDS[command].params
        required = [one for one in params if isinstance(one, click.Argument) and one.required]
        words = ["1"] * len(required)
        if command in FILES:
            file = tmp_path / "file"
            file.write_text(FILES[command])
            words[-1] = str(file)
    result = invoke(*command.split(), *words, SMSGW_URL=NOWHERE)
    assert result.exit_code == 3, result.output
    assert "cannot be reached" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_any_command_says_its_exit_codes(command: str) -> None:
    result = invoke(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Exit codes:" in result.stdout


def test_a_shell_gets_what_it_needs_to_complete() -> None:
    for shell in ("bash", "zsh", "fish"):
        result = invoke("completion", shell)
        assert (result.exit_code, f"_SMSGW_COMPLETE={shell}_complete" in result.stdout) == (0, True)
    assert invoke("completion", "csh").exit_code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("re", {f"plain,{name.split()[0]}" for name in COMMANDS if name.startswith("re")}),
        ("msg tr", {"plain,trace"}),
        ("send --temp", {"plain,--template"}),
        ("completion z", {"plain,zsh"}),
    ],
)
def test_commands_options_and_choices_are_completed(words: str, expected: set[str]) -> None:
    environ = {"COMP_WORDS": f"smsgw {words}", "COMP_CWORD": str(len(words.split()))}
    result = CliRunner(env={**environ, "_SMSGW_COMPLETE": "bash_complete"}).invoke(
        main, prog_name="smsgw"
    )
    assert set(result.stdout.split()) == expected


def test_completing_a_command_loads_none() -> None:
    code = (
        "import sys; from smsgw.interfaces.cli.main import main; import click;"
        "print(len(main.shell_complete(click.Context(main), ''))); "
        "print([name for name in ('twisted', 'sqlalchemy', 'rich') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    number, loaded = ran.stdout.splitlines()
    assert (int(number) >= len(PLACES), loaded) == (True, "[]")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_accepts_the_script() -> None:
    script = invoke("completion", "bash").stdout
    ran = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")

"""``smsgw token``, over the API and on the database itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smsgw.daemon.program import Program
from smsgw.interfaces.cli.main import main
from tests.integration.cli.test_commands import smsgw
from tests.support.api import ApiServer
from tests.support.reactor import reactor_test

CONFIG = """
[gateway]
database = "gateway.db"
[links.cmcc]
protocol = "cmpp"
host = "127.0.0.1"
login = "900001"
secret = "env:PATH"
access_number = "10690001"
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "smsgw.toml"
    file.write_text(CONFIG)
    return str(file)


def console(config: str, command: str, *args: str) -> Result:
    words = ["token", command, "-c", config, *args]
    return CliRunner().invoke(main, words, obj=Program())


def test_the_first_token_is_made_on_the_database(config: str) -> None:
    made = console(config, "create", "first", "--account", "tv", "--role", "admin")
    assert made.exit_code == 0, made.output
    token_id, token = made.output.split()
    assert token.startswith("sgw_")
    listed = console(config, "list").output.splitlines()
    assert [line.split("\t")[:6] for line in listed[1:]] == [
        [token_id, token[:10], "first", "tv", "admin", "active"]
    ]
    shown = console(config, "show", token_id, "--json")
    assert json.loads(shown.output)["created_by"] == "console"
    changed = console(config, "change", token_id, "--role", "viewer", "--expires", "2d", "--json")
    assert json.loads(changed.output)["expires_at"] is not None
    changed = console(config, "change", token_id, "--never-expires", "--json")
    after = json.loads(changed.output)
    assert (after["roles"], after["expires_at"], after["version"]) == (["viewer"], None, 3)
    assert console(config, "revoke", token_id).output == f"{token_id} revoked\n"
    assert console(config, "list").output.count("\n") == 1
    assert json.loads(console(config, "list", "--revoked", "--json").output)["next"] is None
    whole = CliRunner().invoke(main, ["audit", "verify", "-c", config], obj=Program())
    assert "4 entries: whole" in whole.output


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["create", "n", "--role", "viewer"], 2, "account: '' is no department"),
        (["create", "n", "--account", "tv"], 2, "roles: is empty"),
        (["create", "n", "--account", "tv", "--role", "boss"], 2, "'boss' is none of"),
        (["create", "n", "--account", "tv", "--rate", "-1"], 2, "rate"),
        (["create", "n", "--account", "tv", "--expires", "soon"], 2, "write 90d, 12h"),
        (["create", "n", "--account", "tv", "--expires", "2027-01-01"], 2, "with its offset"),
        (["show", "17"], 1, "token 17: not recorded"),
        (["revoke", "17"], 1, "token 17: not recorded"),
        (["change", "17", "--rate", "1"], 1, "token 17: not recorded"),
        (["show", "x"], 2, "'x' is no id"),
        (["list", "--cursor", "x"], 2, "'x' is no id"),
    ],
)
def test_what_is_wrong_is_one_line(config: str, words: list[str], code: int, problem: str) -> None:
    result = console(config, words[0], *words[1:])
    assert result.exit_code == code, result.output
    assert problem in result.stderr
    assert result.stderr.startswith("smsgw: ")
    assert result.stderr.count("\n") == 1


def test_without_a_configuration_it_says_so(tmp_path: Path) -> None:
    result = console(str(tmp_path / "none.toml"), "list")
    assert (result.exit_code, result.stderr[:20]) == (2, "smsgw: cannot read /"[:20])


@reactor_test
async def test_over_the_api_the_same() -> None:
    async with ApiServer() as api:
        words = (
            "create",
            "desk",
            "--account",
            "oa/news",
            "--role",
            "sender",
            "--from",
            "127.0.0.1",
        )
        made = await smsgw(api.url, "token", *words, "--daily", "5", "--expires", "90d")
        assert made.exit_code == 0, made.output
        token_id, token = made.output.split()
        listed = await smsgw(api.url, "token", "list", token=token)
        assert "has not the scope tokens:read" in listed.stderr
        listed = await smsgw(api.url, "token", "list", "--account", "oa/news", "--json")
        assert [one["id"] for one in json.loads(listed.output)["tokens"]] == [token_id]
        shown = await smsgw(api.url, "token", "show", token_id, "--json")
        assert json.loads(shown.output)["networks"] == ["127.0.0.1/32"]
        changed = await smsgw(api.url, "token", "change", token_id, "--anywhere", "--json")
        assert json.loads(changed.output)["networks"] == []
        revoked = await smsgw(api.url, "token", "revoke", token_id)
        assert revoked.output == f"{token_id} revoked\n"
        refused = await smsgw(api.url, "links", token=token)
        assert (refused.exit_code, refused.stderr) == (1, "smsgw: the token was revoked\n")
        listed = await smsgw(api.url, "token", "list", "--revoked")
        assert token_id in listed.output

"""``smsgw init``: what it asks, what it refuses, what it writes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smsgw.daemon.first_file import Link, value_of
from smsgw.daemon.sheets import SHEETS
from smsgw.interfaces.cli.main import main
from smsgw.protocols.registry import CARRIERS

ANSWERS = {
    "cmpp": {
        "host": "192.0.2.1",
        "login": "901234",
        "secret": "s3cret",
        "access_number": "10690001",
        "service_id": "HELP",
        "rate": "100",
    },
    "smgp": {
        "host": "smgw.example",
        "login": "smgpuser",
        "secret": "s3cret",
        "access_number": "10690002",
        "msg_src": "900002",
    },
    "sgip": {
        "host": "192.0.2.3",
        "login": "smsgw",
        "secret": "s3cret",
        "access_number": "10690003",
        "node": "3010090003",
        "corp_id": "90003",
        "listener.allow": "192.0.2.3，192.0.2.4",
        "listener.login": "unicom",
        "listener.secret": "t0psecret",
    },
    "smpp": {
        "host": "192.0.2.4",
        "login": "esme",
        "secret": "s3cret",
        "access_number": "10690004",
        "operator": "other",
    },
}


def invoke(folder: Path, *args: str, typed: str | None = None, **environ: str) -> Result:
    file = str(folder / "smsgw.toml")
    return CliRunner(env=environ).invoke(main, [*args, "-c", file], input=typed)


def options(protocol: str, **other: str) -> list[str]:
    answers = {**ANSWERS[protocol], **other}
    name = SHEETS[protocol].name
    words = [word for key in answers for word in ("--set", f"{name}.{key}={answers[key]}")]
    return ["init", "--no-input", "--link", protocol, *words]


def checked(folder: Path, **environ: str) -> dict[str, dict[str, dict[str, object]]]:
    result = invoke(folder, "check", "--json", **environ)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""  # no warning either
    shown: dict[str, dict[str, dict[str, object]]] = json.loads(result.stdout)
    return shown


def test_every_protocol_has_a_sheet() -> None:
    assert set(SHEETS) == set(CARRIERS)


@pytest.mark.parametrize("protocol", SHEETS)
def test_the_file_for_each_protocol_passes_smsgw_check(tmp_path: Path, protocol: str) -> None:
    result = invoke(tmp_path, *options(protocol))
    assert result.exit_code == 0, result.stderr
    name = SHEETS[protocol].name
    link = checked(tmp_path)["links"][name]
    assert (link["protocol"], link["host"]) == (protocol, ANSWERS[protocol]["host"])
    assert link["access_number"] == ANSWERS[protocol]["access_number"]
    written = (tmp_path / "smsgw.toml").read_text(encoding="utf-8")
    assert "接入号" in written
    assert "s3cret" not in written
    for file, content in ((f"{name}.secret", "s3cret"), ("api.token", "sgw_")):
        assert (tmp_path / file).read_text().startswith(content)
        assert stat.S_IMODE(os.stat(tmp_path / file).st_mode) == 0o600
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_all_four_carriers_fit_into_one_file(tmp_path: Path) -> None:
    words = [word for protocol in SHEETS for word in options(protocol)[2:]]
    assert invoke(tmp_path, "init", "--no-input", *words).exit_code == 0
    shown = checked(tmp_path)
    assert list(shown["links"]) == ["cmcc", "ctcc", "cucc", "smpp"]
    listener = shown["links"]["cucc"]["listener"]
    assert isinstance(listener, dict)
    assert listener["allow"] == ["192.0.2.3/32", "192.0.2.4/32"]


def test_two_links_of_one_protocol_have_names_of_their_own(tmp_path: Path) -> None:
    words = ["init", "--no-input", "--link", "north=cmpp", "--link", "south=cmpp"]
    for name in ("north", "south"):
        for key, value in ANSWERS["cmpp"].items():
            words += ["--set", f"{name}.{key}={value}"]
    assert invoke(tmp_path, *words).exit_code == 0
    assert list(checked(tmp_path)["links"]) == ["north", "south"]
    result = invoke(tmp_path, "init", "--link", "cmpp", "--link", "cmpp", "--force")
    assert (result.exit_code, "there is a link cmcc already" in result.stderr) == (2, True)


def test_a_reference_stays_one_and_the_next_steps_name_its_variable(tmp_path: Path) -> None:
    result = invoke(tmp_path, *options("cmpp", secret="env:CMCC_SECRET"))
    assert result.exit_code == 0, result.stderr
    assert "  set CMCC_SECRET in the environment\n" in result.stdout
    assert f"  smsgw run -c {tmp_path / 'smsgw.toml'} " in result.stdout
    assert not (tmp_path / "cmcc.secret").exists()
    assert 'secret = "env:CMCC_SECRET"' in (tmp_path / "smsgw.toml").read_text(encoding="utf-8")
    checked(tmp_path, CMCC_SECRET="s3cret")


def test_nothing_that_is_there_is_replaced_without_force(tmp_path: Path) -> None:
    (tmp_path / "smsgw.toml").write_text("mine")
    result = invoke(tmp_path, *options("cmpp"))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "smsgw.toml: is there already; --force replaces it" in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["smsgw.toml"]
    (tmp_path / "smsgw.toml").unlink()
    (tmp_path / "cmcc.secret").write_text("mine")
    result = invoke(tmp_path, *options("cmpp"))
    assert (result.exit_code, "cmcc.secret: is there already" in result.stderr) == (2, True)
    assert (tmp_path / "cmcc.secret").read_text() == "mine"
    assert invoke(tmp_path, *options("cmpp"), "--force").exit_code == 0
    assert (tmp_path / "cmcc.secret").read_text() == "s3cret\n"
    checked(tmp_path)


def test_everything_missing_or_wrong_among_the_options_is_said_in_one_run(tmp_path: Path) -> None:
    words = ["--set", "cmcc.port=99999", "--set", "cmcc.access_number=1069x", "--set", "cmcc.host="]
    result = invoke(tmp_path, "init", "--no-input", "--link", "cmpp", *words)
    assert result.exit_code == 2
    assert [line.removeprefix("smsgw: ") for line in result.stderr.splitlines()] == [
        "--set cmcc.host: is empty",
        "--set cmcc.port: 99999 is impossible; write 1 to 65535",
        "--set cmcc.login=…: is missing; 企业代码 (SP_Id): login, 6 characters",
        "--set cmcc.secret=…: is missing; 共享密钥: shared secret",
        "--set cmcc.access_number: '1069x' has other characters than digits",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--no-input"], "--link: is missing; write one of cmpp, smgp, sgip, smpp"),
        (["--link", "cmp"], "--link cmp: 'cmp' is none of cmpp"),
        (["--link", "cmpp", "--set", "host=x"], "--set host: there is no such item; there are"),
        (["--link", "cmpp", "--set", "cmcc.host"], "--set cmcc.host: write NAME.KEY=VALUE"),
        (["--link", "cmpp", "--account", "a b"], "tokens.a b: a name has 1 to 64 letters"),
        (["--link", "a b=cmpp"], "links.a b: a name has 1 to 64 letters"),
    ],
)
def test_options_that_mean_nothing_exit_2(tmp_path: Path, words: list[str], problem: str) -> None:
    result = invoke(tmp_path, "init", *words)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_each_answer_is_checked_when_it_is_given_and_asked_for_again(tmp_path: Path) -> None:
    typed = [
        "cmpp",
        "4.0",  # no such version
        "",  # 3.0
        "not a host!",
        "192.0.2.1",
        "",  # 7890
        "901234567",  # the login PDU has no room
        "901234",
        "密钥",
        "s3cret",
        "10690001",
        "TOO LONG A SERVICE",
        "HELP",
        "",
        "9",  # no room for an extension
        "",
        *[""] * 3,
    ]
    result = invoke(tmp_path, "init", typed="\n".join(typed) + "\n")
    assert result.exit_code == 0, result.output
    said = [line.strip() for line in result.stderr.splitlines() if line.startswith("  ")]
    found = "\n".join(said)
    for problem in (
        "'4.0' is none of",
        "'not a host!' is no host name and no address",
        "does not fit the login PDU",
        "has characters that are not ASCII",
        "a submit cannot be encoded: service_id: 18 octets, limit 10",
        "access number 10690001 (8 digits) with an extension of 3 has 11 digits, limit 9",
    ):
        assert problem in found, found
    assert "密钥" not in result.output.replace("共享密钥", "")
    link = checked(tmp_path)["links"]["cmcc"]
    assert (link["login"], link["service_id"], link["number_digits_max"]) == ("901234", "HELP", 20)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = invoke(tmp_path / "missing", *options("cmpp"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "No such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("port", " 7890 ", 7890),
        ("port", "x", "x"),
        ("rate", "0.5", 0.5),
        ("host", " 7890 ", "7890"),
    ],
)
def test_numbers_are_numbers_and_texts_are_texts(key: str, written: str, value: object) -> None:
    (item,) = (one for one in Link("cmcc", "cmpp").sheet.items if one.key == key)
    assert value_of(item, written) == value

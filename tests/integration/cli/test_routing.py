"""``smsgw route`` and ``smsgw ported``, against the HTTP API and against files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from twisted.internet.threads import deferToThread

from smsgw.daemon.program import Program
from smsgw.interfaces.cli import ported as command
from smsgw.interfaces.cli.main import main
from smsgw.model import Operator, PortedNumber
from smsgw.store import ported
from smsgw.store.idempotency import Once
from tests.support.api import TOKEN, ApiServer
from tests.support.delivery import opened
from tests.support.gateways import one_link
from tests.support.reactor import reactor_test

PHONE = "13800001001"


async def smsgw(url: str, *args: object, stdin: bytes | None = None) -> Result:
    """Run a command in a thread, since it blocks and the API answers from this reactor."""
    environ = {"SMSGW_URL": url, "SMSGW_TOKEN": TOKEN}
    runner = CliRunner(env=environ)
    words = [str(one) for one in args]
    return await deferToThread(runner.invoke, main, words, input=stdin, obj=Program())


@reactor_test
async def test_explain_shows_the_operator_each_rule_and_the_links() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "route", "explain", PHONE, "--expect-reply")
        assert (result.exit_code, result.stdout.splitlines()) == (
            0,
            [
                "138****1001: operator mobile, by prefix 138, for oa",
                "rule notice: taken, reply True",
                "route: cmcc (up), then cmcc-b (down)",
            ],
        )
        result = await smsgw(api.url, "route", "explain", PHONE, "--class", "bulk")
        assert result.stdout.splitlines()[-1] == "refused: no route"
        result = await smsgw(api.url, "route", "explain", PHONE, "--json")
        assert json.loads(result.stdout)["operator"] == "mobile"
        result = await smsgw(api.url, "route", "explain", PHONE, "--account", "oa")
        assert result.exit_code == 2
        assert "--account goes with -c" in result.stderr


@reactor_test
async def test_explain_works_without_a_gateway_from_its_files(tmp_path: Path) -> None:
    path = tmp_path / "smsgw.toml"
    path.write_text(one_link("cmpp", 1))
    ask = ("route", "explain", PHONE, "-c", path)
    result = await smsgw("", *ask, "--expect-reply")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "route: one"
    assert not (tmp_path / "smsgw.db").exists()
    async with opened(tmp_path) as database:
        learned = PortedNumber(PHONE, Operator.UNICOM, "MO on link cucc", 0, 2**42)
        await database.writer.run(lambda c: ported.put(c, [learned]))
        result = await smsgw("", *ask, "--json")
        shown = json.loads(result.stdout)
        assert (shown["operator"], shown["links"]) == ("unicom", [])
        assert "MO on link cucc" in shown["why"]
        assert shown["refused"].startswith("no route for 138****1001 (operator unicom)")


@pytest.mark.parametrize(
    ("phone", "config", "database", "code", "line"),
    [
        ("12", one_link("cmpp", 1), b"", 2, "smsgw: to: '12' is not a mainland mobile"),
        (PHONE, "[x]", b"", 2, "smsgw: x: unknown key"),
        (PHONE, one_link("cmpp", 1), b"garbage" * 200, 1, "cannot be used as a database"),
    ],
)
@reactor_test
async def test_explain_says_in_a_line_which_file_cannot_be_used(
    tmp_path: Path, phone: str, config: str, database: bytes, code: int, line: str
) -> None:
    path = tmp_path / "smsgw.toml"
    path.write_text(config)
    (tmp_path / "smsgw.db").write_bytes(database)
    result = await smsgw("", "route", "explain", phone, "-c", path)
    assert (result.exit_code, result.stdout) == (code, "")
    assert line in result.stderr
    assert "Traceback" not in result.stderr


@reactor_test
async def test_what_is_imported_is_listed_exported_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "AT_A_TIME", 2)
    rows = [f"1380000100{last},unicom,2099-01-01" for last in range(5)]
    file = tmp_path / "ported.csv"
    file.write_text("\ufeffphone,operator,expires_at\r\n" + "\r\n".join(rows))
    async with ApiServer() as api:
        result = await smsgw(api.url, "ported", "import", file)
        assert (result.exit_code, result.output) == (0, "5 imported, 0 skipped\n")
        result = await smsgw(api.url, "ported", "list", "--limit", "1")
        assert result.stdout.splitlines()[1].startswith("13800001000\tunicom\timport\t")
        assert result.stderr == "more: --cursor 13800001000\n"
        exported = await smsgw(api.url, "ported", "export")
        lines = exported.stdout.splitlines()
        assert lines[0] == "phone,operator,source,learned_at,expires_at"
        assert len(lines) == 6
        result = await smsgw(api.url, "ported", "export", tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_text() == exported.stdout
        result = await smsgw(api.url, "ported", "forget", "13800001000", "13900001001")
        assert result.output == "1 of 2 forgotten\n"
        again = await smsgw(api.url, "ported", "import", "-", stdin=exported.stdout_bytes)
        assert again.output == "1 imported, 4 skipped (over, or known from later)\n"


@pytest.mark.parametrize("words", ["list", "export", "forget 13800001001", "import -"])
@reactor_test
async def test_every_command_prints_json(words: str) -> None:
    async with ApiServer() as api:
        csv = f"phone,operator\n{PHONE},unicom\n".encode()
        result = await smsgw(api.url, "ported", *words.split(), "--json", stdin=csv)
        assert result.exit_code == 0, result.output
        assert isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ("13800001001,moon", ["line 2: operator: 'moon' is none of mobile, unicom, telecom, b"]),
        ("13800001001", ["line 2: not 2 columns"]),
        ("13800001001,unicom,x", ["line 2: not 2 columns"]),
        (
            "13800001001,unicom\n+86 13800001001,unicom\n1,unicom",
            ["line 3: phone: 13800001001 stands in line 2 already", "line 4: phone: '1' is not"],
        ),
        ('"13800001001,unicom', ["line 2: unexpected end of data"]),
    ],
)
@reactor_test
async def test_a_bad_row_is_named_by_its_line_and_nothing_is_imported(
    rows: str, lines: list[str]
) -> None:
    async with ApiServer() as api:
        csv = f"phone,operator\n{rows}\n".encode()
        result = await smsgw(api.url, "ported", "import", "-", stdin=csv)
        assert result.exit_code == 2
        said = result.stderr.splitlines()
        assert said[-1] == "smsgw: nothing was imported"
        assert len(said) == len(lines) + 1
        for line, expected in zip(said, lines, strict=False):
            assert line.startswith(f"smsgw: {expected}")
        assert api.front.ported.known == {}


@pytest.mark.parametrize(
    ("octets", "line"),
    [
        (b"", "line 1: no column phone; the first line names them: phone, operator, source, le"),
        (b"phone\n1\n", "line 1: no column operator"),
        (b"phone,operator,colour\n", "line 1: column 'colour' is unknown or twice; known, with a"),
        (b"phone,operator,phone\n", "line 1: column 'phone' is unknown or twice"),
        ("号码".encode("gbk"), "not UTF-8 text: octet 0; save the file as UTF-8"),
    ],
)
@reactor_test
async def test_a_file_that_is_no_such_table_says_what_it_lacks(octets: bytes, line: str) -> None:
    result = await smsgw("http://127.0.0.1:1", "ported", "import", "-", stdin=octets)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"smsgw: {line}")


@reactor_test
async def test_many_bad_rows_are_counted() -> None:
    csv = b"phone,operator\n" + b"1,unicom\n" * 25
    result = await smsgw("http://127.0.0.1:1", "ported", "import", "-", stdin=csv)
    assert result.stderr.splitlines()[-2:] == [
        "smsgw: and 5 bad rows more",
        "smsgw: nothing was imported",
    ]


@reactor_test
async def test_an_import_that_is_cut_off_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "AT_A_TIME", 1)
    async with ApiServer() as api:
        put = api.front.ported.put

        async def first(numbers: list[PortedNumber], once: Once[int]) -> int:
            api.front.ported.put = fails  # type: ignore[method-assign,assignment]
            return await put(numbers, once)

        async def fails(numbers: list[PortedNumber], once: Once[int]) -> int:
            raise ValueError

        api.front.ported.put = first  # type: ignore[method-assign,assignment]
        csv = b"phone,operator\n13800001001,unicom\n13800001002,unicom\n"
        result = await smsgw(api.url, "ported", "import", "-", stdin=csv)
        assert result.exit_code == 1
        assert result.stderr.startswith("smsgw: stopped after 1 rows; import the file again\n")

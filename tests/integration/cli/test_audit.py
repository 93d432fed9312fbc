"""``smsgw audit verify`` and ``smsgw requests evidence``, as an auditor uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, delete, update
from twisted.internet.threads import deferToThread

from smsgw.daemon.program import Program
from smsgw.interfaces.cli.audit import FINDINGS_IN_JSON
from smsgw.interfaces.cli.main import main
from smsgw.services.requests.evidence import document
from smsgw.store import audit, schema
from smsgw.store.audit import Entry
from smsgw.store.database import Database
from tests.support.api import TOKEN, ApiServer
from tests.support.delivery import empty_database
from tests.support.evidence import Case
from tests.support.gateways import one_link
from tests.support.reactor import reactor_test
from tests.support.store import NOW
from tests.support.stores import Place, opened


def verify(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["audit", "verify", *map(str, args)], obj=Program())


class Office:
    """A database, and a request's evidence in a file."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.evidence = folder / "evidence.json"

    async def fill(self) -> None:
        async with opened(self.place) as database:
            case = await database.writer.run(lambda c: Case(c, database.ids).whole())
            made = await database.read(lambda c: document(c, case.request_id, NOW))
            await something_else(database)
        self.evidence.write_bytes(msgspec.json.encode(made))

    async def tamper(self, *statements: Any) -> None:
        def execute(connection: Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        async with opened(self.place) as database:
            await database.writer.run(execute)

    def verify(self, *args: str | Path) -> Result:
        return verify("--database", str(self.place), *args)


async def something_else(database: Database) -> None:
    """An entry that is about no request."""
    entry = Entry("console", "token.made", "", 1, {})
    await database.writer.run(lambda c: audit.append(c, NOW, [entry]))


@pytest.fixture
def office(place: Place, tmp_path: Path) -> Office:
    return Office(place, tmp_path)


@reactor_test
async def test_a_database_is_verified_while_a_gateway_has_it_open(office: Office) -> None:
    await office.fill()
    async with opened(office.place) as database:
        result = await deferToThread(office.verify)
        assert result.exit_code == 0, result.output
        head, last = result.stdout.splitlines()
        assert head.startswith("head 0:10:")
        assert last == "10 entries: whole"
        await something_else(database)
        kept = head.removeprefix("head ")
        assert (await deferToThread(office.verify, "--head", kept)).exit_code == 0
        shown = json.loads((await deferToThread(office.verify, "--json")).stdout)
        assert (shown["whole"], shown["entries"], shown["findings"]) == (True, 11, [])
        assert shown["heads"][0].startswith("0:11:")


@reactor_test
async def test_what_was_tampered_with_is_named_and_the_exit_code_is_1(office: Office) -> None:
    await office.fill()
    head = office.verify().stdout.splitlines()[0].removeprefix("head ")
    sequence = schema.audit.c.sequence
    await office.tamper(
        update(schema.audit).where(sequence == 2).values(actor="nobody"),
        delete(schema.audit).where(sequence == 10),
        update(schema.inbound).values(text=""),
    )
    result = office.verify("--head", head)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("chain 0, sequence 2: was changed")
    assert lines[1].startswith("note: chain 0, sequence 5: text of inbound")
    assert lines[2].startswith("chain 0, sequence 10: is missing")
    assert lines[3].startswith("head 0:9:")
    assert lines[4] == "9 entries: 2 findings"
    result = office.verify("--json")
    assert result.exit_code == 1
    shown = json.loads(result.stdout)
    assert (shown["whole"], shown["wrong"], shown["notes"]) == (False, 1, 1)
    first = {"chain": 0, "sequence": 2, "wrong": True}
    assert shown["findings"][0].items() > first.items()


@reactor_test
async def test_a_document_is_verified_alone_or_against_its_database(office: Office) -> None:
    await office.fill()
    alone = verify("--evidence", office.evidence)
    assert (alone.exit_code, alone.output) == (0, "9 entries: whole\n")
    both = office.verify("--evidence", office.evidence)
    assert both.exit_code == 0
    assert both.stdout.splitlines()[-1] == "10 entries: whole"
    await office.tamper(delete(schema.audit).where(schema.audit.c.sequence == 10))
    assert office.verify("--evidence", office.evidence).exit_code == 0
    await office.tamper(delete(schema.audit).where(schema.audit.c.sequence == 9))
    cut = office.verify("--evidence", office.evidence)
    assert cut.exit_code == 1
    assert cut.stdout.startswith("chain 0, sequence 9: is missing; a head")
    text = office.evidence.read_text(encoding="utf-8")
    office.evidence.write_text(text.replace("没有意见", "不好"), encoding="utf-8")
    alone = verify("--evidence", office.evidence)
    assert alone.exit_code == 1
    assert "reason of answer" in alone.stdout


class TestWrongUse:
    def test_there_is_no_database_or_no_configuration(self, tmp_path: Path) -> None:
        office = Office(tmp_path / "smsgw.db", tmp_path)
        result = office.verify()
        problem = f"smsgw: {tmp_path / 'smsgw.db'}: there is no database; `smsgw run` makes it\n"
        assert (result.exit_code, result.stderr) == (1, problem)
        assert not (tmp_path / "smsgw.db").exists()
        (tmp_path / "smsgw.db").write_bytes(b"")
        result = office.verify()
        assert result.exit_code == 1
        assert "no such table" in result.stderr
        assert verify("--database", "mysql://x").exit_code == 2
        result = verify("-c", tmp_path / "none.toml")
        assert result.exit_code == 2
        assert "none.toml" in result.stderr

    def test_a_configuration_names_the_database(self, tmp_path: Path) -> None:
        config = tmp_path / "smsgw.toml"
        config.write_text(one_link("cmpp", 1), encoding="utf-8")
        (tmp_path / "smsgw.db").write_bytes(empty_database())
        result = verify("-c", config)
        assert (result.exit_code, result.output) == (0, "0 entries: whole\n")

    @pytest.mark.parametrize("head", ["0:1", "0:1:abc", "a:1:" + "00" * 32, "0:0:" + "00" * 32])
    def test_a_head_that_is_none_is_refused(self, head: str) -> None:
        result = verify("--head", head)
        assert result.exit_code == 2
        assert "write CHAIN:SEQUENCE:HASH" in result.stderr

    def test_a_file_that_is_no_evidence_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "evidence.json"
        file.write_text("{}", encoding="utf-8")
        result = verify("--evidence", file)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"smsgw: {file}: format: is no evidence document")
        assert verify("--evidence", tmp_path / "none").exit_code == 2


@reactor_test
async def test_so_many_findings_are_listed_in_json_and_all_are_counted(tmp_path: Path) -> None:
    office = Office(tmp_path / "smsgw.db", tmp_path)
    count = FINDINGS_IN_JSON + 1
    async with opened(office.place) as database:
        made = [Entry("console", "token.made", "", 1, {})] * count
        await database.writer.run(lambda c: audit.append(c, NOW, made))
    await office.tamper(update(schema.audit).values(at=NOW + 1))
    shown = json.loads(office.verify("--json").stdout)
    assert (shown["wrong"], len(shown["findings"])) == (count, FINDINGS_IN_JSON)


@reactor_test
async def test_the_evidence_goes_to_standard_output_or_to_a_file(tmp_path: Path) -> None:
    async with ApiServer() as api:

        async def smsgw(*args: str | Path) -> Result:
            environ = {"SMSGW_URL": api.url, "SMSGW_TOKEN": TOKEN}
            given = ["requests", "evidence", *map(str, args)]
            return await deferToThread(CliRunner(env=environ).invoke, main, given)

        printed = await smsgw("9000")
        assert json.loads(printed.stdout)["request"]["subject"] == "采购"
        file = tmp_path / "evidence.json"
        written = await smsgw("9000", "--output", file)
        assert (written.exit_code, written.output) == (0, "")
        assert file.read_text(encoding="utf-8") == printed.stdout
        file.unlink()
        missing = await smsgw("9001", "--output", file)
        assert (missing.exit_code, file.exists()) == (1, False)
        nowhere = await smsgw("9000", "--output", tmp_path / "none" / "evidence.json")
        assert nowhere.exit_code == 1
        assert "No such file or directory" in nowhere.output

"""Backups of a file that is written to, and what a gateway makes of one that was put back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from smsgw.errors import StoreError
from smsgw.interfaces.cli.main import main
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.store.backup import Restored, back_up, restore
from smsgw.store.database import Database, upgrade
from smsgw.transport.endpoints import listen_endpoint
from tests.support.gateways import ACCOUNT, Inside, message, one_link
from tests.support.ports import free_port
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS, make_account

PHONE = NUMBERS["cmpp"]
DELIVERY = """
[delivery]
unknown_wait = "10m"
on_unknown = "{policy}"
"""


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def problem(call: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(StoreError) as caught:
        call(*args, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


class OneCarrier(Inside):
    """A gateway and one simulated carrier, which may be away."""

    def __init__(self, folder: Path, policy: str = "resend") -> None:
        self.database = folder / "smsgw.db"
        self.config = folder / "smsgw.toml"
        self._policy = policy

    async def start_carrier(self) -> None:
        carrier = CARRIERS["cmpp"]
        endpoint = listen_endpoint(reactor, "127.0.0.1", free_port())
        account = make_account(carrier)
        self.ismg = Ismg(carrier, account, endpoint, reactor, behaviour=Behaviour(report_after=0.0))
        port = await self.ismg.start()
        text = one_link("cmpp", port) + DELIVERY.format(policy=self._policy)
        self.config.write_text(text)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.open(self.config)
        try:
            await until(lambda: self.gateway.links()[0]["up"])
            yield
        finally:
            await self.close()

    async def made_a_backup_with_two_waiting(self, copy: Path) -> list[int]:
        """Two that wait and one for tomorrow are in the copy; then all that wait are sent."""
        await self.start_carrier()
        await self.ismg.stop()  # so that what is accepted waits
        await self.open(self.config)
        soon = [message(PHONE, "一"), message(PHONE, "二")]
        ids = list(await self.gateway.send(ACCOUNT, soon))
        ids += await self.gateway.send(ACCOUNT, [message(PHONE, "三", send_at=tomorrow())])
        await deferToThread(back_up, self.database, copy)
        await self.close()
        await self.start_carrier()
        return ids

    async def found_unknown(self, *ids: int) -> None:
        """Run until the start has found these, nothing sent; and let their wait be over."""
        before = len(self.ismg.submits)
        async with self.running():
            for message_id in ids:
                assert (await self.gateway.records.message(ACCOUNT, message_id))[
                    "status"
                ] == "unknown"
        assert len(self.ismg.submits) == before
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("UPDATE segment SET next_attempt_at = 1 WHERE state = 'unknown'")

    def restored(self, copy: Path, **options: Any) -> Restored:
        return restore(copy, self.database, **options)


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


class TestBackup:
    @reactor_test
    async def test_one_made_under_load_is_whole_and_has_every_message_in_one_place(
        self, tmp_path: Path
    ) -> None:
        town, copy = OneCarrier(tmp_path), tmp_path / "copy.db"
        await town.start_carrier()
        async with town.running():
            sent = [await town.gateway.send(ACCOUNT, [message(PHONE)] * 50) for _ in range(4)]
            made = deferToThread(back_up, town.database, copy)
            while not made.called:
                sent.append(await town.gateway.send(ACCOUNT, [message(PHONE)] * 50))
            await made
            for messages in sent:
                await town.become(messages[-1], "delivered")
        await town.ismg.stop()
        assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
        (count,) = rows(copy, "SELECT count(*) FROM message")[0]
        assert 200 <= count <= 50 * len(sent)
        named = rows(copy, "SELECT segments FROM sending")
        lost = [
            row[0]
            for row in rows(
                copy,
                "SELECT id FROM message WHERE final_at IS NULL"
                " AND id NOT IN (SELECT message_id FROM queue)"
                " AND id NOT IN (SELECT message_id FROM segment)",
            )
            if not any(str(row[0]) in segments for (segments,) in named)
        ]
        assert lost == []
        assert oct(os.stat(copy).st_mode & 0o777) == "0o600"

    def test_it_never_replaces_a_file_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
        database, copy = tmp_path / "smsgw.db", tmp_path / "copy.db"
        assert problem(back_up, database, copy) == f"{database}: there is no such database"
        upgrade(database)
        copy.write_text("precious")
        assert problem(back_up, database, copy) == f"{copy}: is there already; name a new file"
        assert copy.read_text() == "precious"
        assert "does not exist" in problem(back_up, database, tmp_path / "nowhere" / "copy.db")

    def test_what_is_damaged_or_somebody_elses_gives_no_backup(self, tmp_path: Path) -> None:
        database, copy = tmp_path / "smsgw.db", tmp_path / "copy.db"
        database.write_bytes(b"no database at all" * 100)
        assert "cannot be read as a database" in problem(back_up, database, copy)
        other = tmp_path / "photos.db"
        with closing(sqlite3.connect(other)) as connection:
            connection.execute("CREATE TABLE photos (id INTEGER)")
        assert problem(back_up, other, copy) == f"{other}: is no database of smsgw"
        database.unlink()
        upgrade(database)
        with open(database, "r+b") as file:  # a page of an index or table, garbled
            file.seek(4096 * 3)
            file.write(b"\xff" * 4096)
        assert problem(back_up, database, copy).startswith(f"{database}: is damaged: ")
        assert sorted(path.name for path in tmp_path.glob("*copy*")) == []


class TestRestore:
    @reactor_test
    async def test_what_waited_is_sent_again_only_after_the_wait_and_marked(
        self, tmp_path: Path
    ) -> None:
        town, copy = OneCarrier(tmp_path), tmp_path / "copy.db"
        first, second, tomorrow = await town.made_a_backup_with_two_waiting(copy)
        async with town.running():  # sends them, which the backup does not know
            await town.become(first, "delivered")
            await town.become(second, "delivered")
        done = town.restored(copy)
        assert (done.doubtful, done.copy.waiting) == (2, 3)
        assert rows(done.replaced or copy, "SELECT status FROM message ORDER BY id") == [
            ("delivered",),
            ("delivered",),
            ("scheduled",),
        ]
        await town.found_unknown(first, second)
        async with town.running():
            for message_id in (first, second):
                shown = await town.become(message_id, "delivered")
                assert shown["segments"][0]["possible_duplicate"]
            assert (await town.gateway.records.message(ACCOUNT, tomorrow))["status"] == "scheduled"
        await town.ismg.stop()

    @reactor_test
    async def test_on_unknown_fail_sends_nothing_of_it_again(self, tmp_path: Path) -> None:
        town, copy = OneCarrier(tmp_path, "fail"), tmp_path / "copy.db"
        first, second, _ = await town.made_a_backup_with_two_waiting(copy)
        town.restored(copy)
        await town.found_unknown(first, second)
        async with town.running():
            for message_id in (first, second):
                shown = await town.become(message_id, "undelivered", "expired", "rejected")
                assert "may have reached the phone" in shown["reason"]
        assert town.ismg.submits == []
        await town.ismg.stop()

    @reactor_test
    async def test_where_nothing_was_sent_since_it_is_simply_sent(self, tmp_path: Path) -> None:
        town, copy = OneCarrier(tmp_path), tmp_path / "copy.db"
        first, second, _ = await town.made_a_backup_with_two_waiting(copy)
        assert town.restored(copy, sent_since=False).doubtful == 0
        async with town.running():
            for message_id in (first, second):
                shown = await town.become(message_id, "delivered")
                assert not shown["segments"][0]["possible_duplicate"]
        assert len(town.ismg.submits) == 2
        await town.ismg.stop()

    @reactor_test
    async def test_under_a_running_gateway_it_is_refused(self, tmp_path: Path) -> None:
        place, copy = tmp_path / "smsgw.db", tmp_path / "copy.db"
        upgrade(place)
        back_up(place, copy)
        running = Database(place, reactor)
        running.open()
        assert problem(restore, copy, place) == (
            f"{place}: process {os.getpid()} writes to this file; stop it, or name another file"
            " for this one"
        )
        await running.close()
        assert restore(copy, place).doubtful == 0

    def test_only_a_whole_copy_of_this_schema_is_taken(self, tmp_path: Path) -> None:
        place, copy = tmp_path / "smsgw.db", tmp_path / "copy.db"
        upgrade(place)
        back_up(place, copy)
        before = place.read_bytes()
        assert problem(restore, place, place) == (
            f"{place}: is the database itself; name a backup of it"
        )
        assert problem(restore, tmp_path / "no.db", place).endswith("there is no such file")
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        assert "newer than this version knows" in problem(restore, copy, place)
        assert place.read_bytes() == before
        assert [path for path in tmp_path.iterdir() if "replaced" in path.name] == []


class TestCommands:
    def invoke(self, *args: object) -> Result:
        return CliRunner().invoke(main, ["db", *map(str, args)])

    def test_a_backup_and_back(self, tmp_path: Path) -> None:
        place, copy = tmp_path / "smsgw.db", tmp_path / "copy.db"
        upgrade(place)
        result = self.invoke("backup", "--database", place, copy)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "0 segments wait in it to be sent; checked, whole" in result.stdout
        again = self.invoke("backup", "--database", place, copy)
        assert (again.exit_code, again.stdout) == (1, "")
        assert again.stderr == f"smsgw: {copy}: is there already; name a new file\n"
        result = self.invoke("restore", "--database", place, "--json", copy)
        assert result.exit_code == 0
        assert '"doubtful": 0' in result.stdout

    def test_for_a_server_it_names_the_servers_own_tools(self, tmp_path: Path) -> None:
        server = "postgresql://smsgw:s3cret-word@127.0.0.1:5432/smsgw"
        for command, tool in (("backup", "pg_dump -Fc"), ("restore", "pg_restore")):
            result = self.invoke(command, "--database", server, tmp_path / "copy.dump")
            assert (result.exit_code, result.stdout) == (1, "")
            assert tool in result.stderr
            assert "s3cret-word" not in result.stderr

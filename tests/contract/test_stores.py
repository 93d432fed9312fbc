"""One contract for both databases: their schema, and rows in and out."""

from __future__ import annotations

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select
from twisted.internet import reactor

from smsgw.errors import StoreError
from smsgw.model import MessageStatus
from smsgw.store import (
    messages,
    revisions,
    schema,
)
from smsgw.store.database import Database, _backend, read_once, upgrade
from smsgw.store.messages import ACCEPT, SegmentRow
from smsgw.store.statements import insert_rows, update_rows
from tests.support.reactor import reactor_test
from tests.support.store import (
    NOW,
    StoredMessages,
    accepted,
    message_row,
)
from tests.support.stores import Place, kinds, opened, within

S = MessageStatus


class TestSchema:
    def test_the_migrations_make_exactly_the_tables_of_the_schema(self, bare_place: Place) -> None:
        assert upgrade(bare_place) == ("", revisions.head())
        assert upgrade(bare_place) == (revisions.head(), revisions.head())
        read_once(bare_place, self._compare)

    def _compare(self, connection: Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        found = inspect(connection)
        for table in schema.metadata.sorted_tables:
            names = {index["name"] for index in found.get_indexes(table.name)}
            names |= {unique["name"] for unique in found.get_unique_constraints(table.name)}
            names |= {key["name"] for key in found.get_foreign_keys(table.name)}
            names.add(found.get_pk_constraint(table.name)["name"])
            wanted = {str(index.name) for index in table.indexes}
            wanted |= {str(rule.name) for rule in table.constraints}
            assert names == wanted

    def test_the_newest_step_is_the_one_that_alembic_finds(self) -> None:
        assert revisions._steps(revisions.LOCATION).get_current_head() == revisions.head()

    def test_the_first_step_can_be_undone(self, bare_place: Place) -> None:
        upgrade(bare_place)
        connection = _backend(bare_place).connect()
        with connection.begin():
            config = revisions._config(revisions.LOCATION)
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
            assert inspect(connection).get_table_names() == ["alembic_version"]
        connection.close()
        assert upgrade(bare_place) == ("", revisions.head())

    @reactor_test
    async def test_an_empty_database_gets_the_newest_schema(self, bare_place: Place) -> None:
        async with opened(bare_place) as database:
            assert await kinds(database) == []

    def test_a_newer_schema_and_somebody_elses_tables_are_refused(self, bare_place: Place) -> None:
        def execute(statement: str) -> None:
            with _backend(bare_place).connect() as connection, connection.begin():
                connection.exec_driver_sql(statement)

        execute("CREATE TABLE photos (id INTEGER)")
        with pytest.raises(StoreError) as caught:
            Database(bare_place, reactor).open()
        problem = "holds tables of something else; name another database"
        assert str(caught.value) == f"{bare_place}: {problem}"
        execute("DROP TABLE photos")
        upgrade(bare_place)
        execute("UPDATE alembic_version SET version_num = '9999'")
        for use in (Database(bare_place, reactor).open, lambda: upgrade(bare_place)):
            with pytest.raises(StoreError, match="newer than this version knows"):
                use()


class TestRows:
    @reactor_test
    async def test_any_number_of_rows_goes_in_comes_out_and_is_updated(self, place: Place) -> None:
        def all_kinds(store: StoredMessages) -> None:
            for count in (0, 1, 3, 4, 513):
                made = [
                    SegmentRow(store.ids.next(), part, "cmcc", "sent", None, part, None, NOW)
                    for part in range(1, count + 1)
                ]
                rows = [msgspec.structs.astuple(row) for row in made]
                insert_rows(store.connection, schema.segment, rows)
                for row in made:
                    row.carrier_message_id, row.final_at = f"{row.message_id:x}", NOW + row.part
                    row.sent_at, row.possible_duplicate = None, row.part % 2
                columns = ("carrier_message_id", "final_at", "sent_at", "possible_duplicate")
                update_rows(
                    store.connection,
                    schema.segment,
                    ("message_id", "part"),
                    columns,
                    [(r.message_id, r.part, *(getattr(r, n) for n in columns)) for r in made],
                )
                table = schema.segment
                found = store.connection.execute(select(table).order_by(table.c.message_id))
                assert [SegmentRow(*row) for row in found][-count or 513 :] == made

        async with opened(place) as database:
            await within(database, all_kinds)

    @reactor_test
    async def test_what_a_peer_or_a_customer_says_can_always_be_stored(self, place: Place) -> None:
        text = 'NUL: \0, tab: \t, "quotes", 引号, backslash: \\N \\., 😀\r\n'
        fields = {"text": text, "reference": "r" * 300, "contents": bytes(range(256))}
        async with opened(place) as database:
            rows = [message_row(database.ids, **fields) for _ in range(5)]
            await database.writer.batch(ACCEPT, [accepted(row) for row in rows[:1]])
            await database.writer.batch(ACCEPT, [accepted(row) for row in rows[1:]])
            for row in rows:
                found = await database.read(lambda c, key=row.id: messages.get(c, key))
                assert found is not None
                assert found.text in (text, text.replace("\0", "\ufffd"))
                assert (found.reference, found.contents) == (row.reference, row.contents)
                assert (found.expects_reply, found.final_at) == (True, None)

    @reactor_test
    async def test_a_poison_row_fails_alone_and_its_error_holds_no_texts(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            message = message_row(database.ids, text="secret")
            await database.writer.batch(ACCEPT, [accepted(message)])
            for count in (0, 5):  # alone, and among many
                rows = [message_row(database.ids) for _ in range(count)]
                again = database.writer.batch(ACCEPT, [accepted(r) for r in (*rows, message)])
                fresh = database.writer.batch(ACCEPT, [accepted(message_row(database.ids))])
                with pytest.raises(StoreError, match=r"^accept: [^\n]*$") as caught:
                    await again
                assert "secret" not in str(caught.value)
                assert str(message.id) not in str(caught.value)
                assert len(await fresh) == 1
            assert await kinds(database) == ["message.queued"] * 3

    @reactor_test
    async def test_a_read_cannot_write_and_one_that_fails_spoils_no_other(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            for _ in range(5):
                with pytest.raises(StoreError, match=r"^read: [^\n]*read-?only"):
                    await database.read(lambda c: c.exec_driver_sql("DELETE FROM event"))
                with pytest.raises(StoreError, match=r"^read: "):
                    await database.read(lambda c: c.exec_driver_sql("SELECT nothing"))
            assert await kinds(database) == []

    @reactor_test
    async def test_ids_go_on_after_what_is_stored_whatever_the_clock_says(
        self, place: Place
    ) -> None:
        later = 2**62
        async with opened(place) as database:
            row = (later, NOW, "message.sent", 1, "", "")
            await within(database, lambda s: insert_rows(s.connection, schema.event, [row]))
        async with opened(place) as database:
            assert database.ids.next() > later

"""The audit chain on both databases: whole as written, and every way to tamper with it is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, select, update
from twisted.internet.defer import gatherResults

from smsgw.model import Event
from smsgw.services import audit as services_audit
from smsgw.services.audit import PAGE, Finding, Walk
from smsgw.store import audit, schema
from smsgw.store.address import Server
from smsgw.store.audit import BEGINNING, AuditRow, Entry, Head, hash_of
from smsgw.store.database import Database
from smsgw.store.schema import audit as table
from tests.support.evidence import ANN, SECRETS, Case
from tests.support.reactor import reactor_test
from tests.support.store import NOW
from tests.support.stores import Place, opened

CHANGED = "was changed, or the row before it was: its hash does not follow"


def entries(count: int) -> list[Entry]:
    return [
        Entry("console", "token.made", "office", number, {"name": f"n{number}"})
        for number in range(count)
    ]


async def walked(database: Database, *kept: Head) -> tuple[list[str], Walk]:
    def walk(connection: Connection) -> tuple[list[str], Walk]:
        one = Walk(connection, kept)
        return [str(finding) for finding in one.findings()], one

    return await database.read(walk)


async def findings(database: Database, *kept: Head) -> list[str]:
    return (await walked(database, *kept))[0]


async def heads(database: Database) -> list[Head]:
    return await database.read(audit.heads)


async def tamper(database: Database, *statements: Any) -> None:
    def execute(connection: Connection) -> None:
        for statement in statements:
            assert connection.execute(statement).rowcount

    await database.writer.run(execute)


async def written(database: Database, count: int = 5) -> None:
    await database.writer.run(lambda c: audit.append(c, NOW, entries(count)))


def at(sequence: int) -> Any:
    return table.c.sequence == sequence


class TestChain:
    @reactor_test
    async def test_what_was_appended_is_whole_however_many_pages_it_has(self, place: Place) -> None:
        async with opened(place) as database:
            assert await findings(database) == []
            for _ in range(4):
                await written(database, PAGE // 2)
            await written(database, 1)
            found, walk = await walked(database, *await heads(database))
            assert found == []
            assert walk.rows == 2 * PAGE + 1
            assert walk.heads == await heads(database)

    @reactor_test
    async def test_a_change_of_any_column_of_a_row_is_found(self, place: Place) -> None:
        changes: dict[str, Any] = {
            "at": NOW + 1,
            "actor": "somebody",
            "action": "token.gone",
            "account": "office ",
            "subject_id": 99,
            "detail": '{"name":"n3"}',
            "seal": bytes(16),
            "hash": bytes(32),
        }
        assert {*changes, "chain", "sequence"} == {column.name for column in table.columns}
        async with opened(place) as database:
            await written(database)
            for name, value in changes.items():
                row = (await database.read(lambda c: audit.page(c, after=(0, 2))))[0]
                await tamper(database, update(table).where(at(3)).values({name: value}))
                found = await findings(database)
                assert found[0] == f"chain 0, sequence 3: {CHANGED}"
                assert len(found) == (2 if name == "hash" else 1)
                await tamper(
                    database, update(table).values({name: getattr(row, name)}).where(at(3))
                )
                assert await findings(database) == []

    @reactor_test
    async def test_a_row_moved_to_another_place_or_chain_is_found(self, place: Place) -> None:
        async with opened(place) as database:
            await written(database)
            await tamper(database, update(table).where(at(3)).values(sequence=9))
            assert await findings(database) == [
                "chain 0, sequence 3: is missing",
                "chain 0, sequence 6: is missing to 8",
            ]
            await tamper(database, update(table).where(at(9)).values(sequence=3))
            await tamper(database, update(table).where(at(3)).values(chain=1))
            assert await findings(database) == [
                "chain 0, sequence 3: is missing",
                "chain 1, sequence 1: is missing to 2",
            ]

    @reactor_test
    async def test_a_row_removed_from_the_middle_is_found(self, place: Place) -> None:
        async with opened(place) as database:
            await written(database)
            await tamper(database, delete(table).where(at(2)))
            assert await findings(database) == ["chain 0, sequence 2: is missing"]
            # and closing the gap only moves it
            moved = [update(table).where(at(n)).values(sequence=n - 1) for n in (3, 4, 5)]
            await tamper(database, *moved)
            found = await findings(database)
            assert found == [f"chain 0, sequence {n}: {CHANGED}" for n in (2, 3, 4)]

    @reactor_test
    async def test_the_first_row_removed_and_one_put_before_it_are_found(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            await written(database)
            await tamper(database, delete(table).where(at(1)))
            assert await findings(database) == ["chain 0, sequence 1: is missing"]
            await tamper(database, update(table).where(at(2)).values(sequence=-1))
            assert await findings(database) == [
                "chain 0, sequence -1: stands before the first row",
                "chain 0, sequence 0: is missing to 2",
            ]

    @reactor_test
    async def test_the_last_rows_removed_are_found_by_a_head_that_was_kept(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            await written(database)
            (kept,) = await heads(database)
            await tamper(database, delete(table).where(at(5)))
            assert await findings(database) == []
            missing = "is missing; a head that was kept elsewhere names it"
            assert await findings(database, kept) == [f"chain 0, sequence 5: {missing}"]
            await written(database, 1)  # the chain goes on, with another row in its place
            other = "has another hash than the head that was kept elsewhere"
            assert await findings(database, kept) == [f"chain 0, sequence 5: {other}"]
            await tamper(database, delete(table))
            assert await findings(database, kept) == [f"chain 0, sequence 5: {missing}"]

    @reactor_test
    async def test_two_rows_that_changed_places_are_found(self, place: Place) -> None:
        async with opened(place) as database:
            await written(database)
            await tamper(
                database,
                update(table).where(at(2)).values(sequence=100),
                update(table).where(at(3)).values(sequence=2),
                update(table).where(at(100)).values(sequence=3),
            )
            found = await findings(database)
            assert found == [f"chain 0, sequence {n}: {CHANGED}" for n in (2, 3, 4)]

    @reactor_test
    async def test_a_row_put_in_is_found_even_with_a_hash_that_follows(self, place: Place) -> None:
        async with opened(place) as database:
            await written(database)
            rows = await database.read(audit.page)
            moved = [update(table).where(at(n)).values(sequence=n + 1) for n in (5, 4, 3)]
            await tamper(database, *moved)
            forged = AuditRow(0, 3, NOW, "console", "token.made", "office", 7, "{}", bytes(16), b"")
            forged.hash = hash_of(rows[1].hash, forged)
            await tamper(database, table.insert().values(msgspec.structs.asdict(forged)))
            found = await findings(database)
            assert found == [f"chain 0, sequence {n}: {CHANGED}" for n in (4, 5, 6)]

    @reactor_test
    async def test_a_chain_written_anew_needs_a_head_that_was_kept(self, place: Place) -> None:
        async with opened(place) as database:
            await written(database)
            (kept,) = await heads(database)

            def rewrite(connection: Connection) -> None:
                previous = BEGINNING
                for row in audit.page(connection):
                    row.actor = "somebody"
                    row.hash = previous = hash_of(previous, row)
                    values = {"actor": row.actor, "hash": row.hash}
                    connection.execute(update(table).where(at(row.sequence)).values(values))

            await database.writer.run(rewrite)
            assert await findings(database) == []
            assert len(await findings(database, kept)) == 1

    @reactor_test
    async def test_what_cannot_be_read_is_a_finding_and_ends_nothing(self, place: Place) -> None:
        async with opened(place) as database:
            await written(database)
            await tamper(
                database,
                update(table).where(at(2)).values(detail="{"),
                update(table).where(at(3)).values(detail='{"sha256":[7]}'),
                update(table).where(at(4)).values(hash=b"short"),
            )
            unread = "its detail cannot be read"
            assert await findings(database) == [
                f"chain 0, sequence 2: {CHANGED}",
                f"chain 0, sequence 3: {CHANGED}",
                "chain 0, sequence 4: its hash is not one of 32 octets",
                f"chain 0, sequence 2: {unread}",
                f"chain 0, sequence 3: {unread}",
            ]

    @reactor_test
    async def test_two_processes_write_to_two_chains_at_once(self, server: Server) -> None:
        async with opened(server, 3) as one, opened(server, 5) as other:
            writes = [
                database.writer.run(lambda c: audit.append(c, NOW, entries(2)))
                for _ in range(50)
                for database in (one, other)
            ]
            await gatherResults(writes)
            found, walk = await walked(one)
            assert found == []
            assert [(head.chain, head.sequence) for head in walk.heads] == [(3, 100), (5, 100)]

    @reactor_test
    async def test_what_a_transaction_takes_back_leaves_no_gap(self, place: Place) -> None:
        def fail(connection: Connection) -> None:
            audit.append(connection, NOW, entries(3))
            raise ValueError("undone")

        async with opened(place) as database:
            await written(database)
            undone = database.writer.run(fail)
            await written(database)  # in the same group
            with pytest.raises(ValueError, match="undone"):
                await undone
            assert await findings(database) == []
            assert (await heads(database))[0].sequence == 10


class TestRecords:
    @reactor_test
    async def test_a_requests_chain_vouches_for_it_without_a_word_of_it(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(lambda c: Case(c, database.ids).whole())
            assert await findings(database) == []
            rows = await database.read(audit.page)
            assert [(row.actor, row.action) for row in rows] == [
                ("console", "request.created"),
                ("console", "request.step_opened"),
                ("console", "text.sent"),
                ("console", "text.sent"),
                (ANN, "request.answered"),
                (ANN, "text.sent"),
                ("console", "request.answered"),
                ("gateway", "request.closed"),
                ("gateway", "text.sent"),
            ]
            written = " ".join(row.detail for row in rows)
            assert not any(secret in written for secret in SECRETS)
            vouched = [sorted(json.loads(row.detail).get("sha256", {})) for row in rows]
            assert vouched[0] == ["request:body", "request:subject"]
            assert vouched[2] == ["message:recipient", "message:text"]
            inbound = ["inbound:sender", "inbound:text", "inbound_part:pdu"]
            assert vouched[4] == ["answer", "answer:reason", *inbound]
            assert vouched[7] == ["assignment", "assignment:phone", "request"]
            assert len(json.loads(rows[4].detail)["sha256"]["inbound_part:pdu"]) == 2
            assert "reason_sha256" in json.loads(rows[4].detail)

    @reactor_test
    async def test_only_requests_and_conversations_are_entries(self, place: Place) -> None:
        kinds = ("message.sent", "conversations.opened", "conversation.opened", "reply.answered")

        def record(connection: Connection) -> None:
            told = [Event(kind, 7, "office", {"inbound_id": "12"}) for kind in kinds]
            services_audit.record(connection, NOW, told, "console")

        async with opened(place) as database:
            await database.writer.run(record)
            rows = await database.read(audit.page)
            told = [(row.action, row.detail) for row in rows]
            assert told == [("conversation.opened", '{"inbound_id":"12"}')]

    @reactor_test
    async def test_whatever_is_changed_of_what_was_vouched_for_is_found(self, place: Place) -> None:
        changes: Sequence[tuple[Any, dict[str, Any], str]] = [
            (schema.message, {"text": "请批准"}, "text of message"),
            (schema.message, {"recipient": "18900001234"}, "recipient of message"),
            (schema.inbound, {"text": "不同意"}, "text of inbound"),
            (schema.inbound, {"sender": "18900001234"}, "sender of inbound"),
            (schema.inbound_part, {"pdu": b"\0"}, "pdu of inbound_part"),
            (schema.request, {"subject": "采购"}, "subject of request"),
            (schema.request, {"body": "共 2 元"}, "body of request"),
            (schema.request, {"outcome": "rejected"}, "request"),
            (schema.request, {"state": "withdrawn"}, "request"),
            (schema.assignment, {"decision": "no"}, "assignment"),
            (schema.assignment, {"phone": "18900001234"}, "phone of assignment"),
            (schema.answer, {"decision": "no"}, "answer"),
            (schema.answer, {"rule": "slot:word"}, "answer"),
            (schema.answer, {"counted": False}, "answer"),
            (schema.answer, {"anomaly": "other link"}, "answer"),
            (schema.answer, {"reason": "没钱"}, "reason of answer"),
        ]
        async with opened(place) as database:
            case = await database.writer.run(lambda c: Case(c, database.ids).whole())
            for changed, values, what in changes:
                (name,) = values
                row = await database.read(_newest(changed, name))
                one = changed.c.id == row[0]
                await tamper(database, update(changed).where(one).values(values))
                found = await findings(database)
                assert found, values
                assert all(f": {what} {row[0]} was changed" in line for line in found), found
                await tamper(database, update(changed).where(one).values({name: row[1]}))
            assert await findings(database) == []
            await tamper(database, delete(schema.answer).where(schema.answer.c.channel == "api"))
            gone = await findings(database)
            assert [line.partition(": ")[2].split()[-2:] for line in gone] == [["is", "gone"]] * 2
            assert case.request_id

    @reactor_test
    async def test_an_erased_text_is_told_of_and_no_fault(self, place: Place) -> None:
        async with opened(place) as database:
            case = await database.writer.run(lambda c: Case(c, database.ids).whole())
            await tamper(
                database,
                update(schema.inbound).values(text="", sender=""),
                update(schema.inbound_part).values(pdu=b""),
                update(schema.answer).values(reason=""),
            )

            def walk(connection: Connection) -> list[Finding]:
                return list(Walk(connection).findings())

            found = await database.read(walk)
            assert {one.wrong for one in found} == {False}
            assert f"text of inbound {case.inbound_id} was erased" in [f.problem for f in found]
            assert len(found) == 6  # text, sender, two PDUs, two reasons


def _newest(changed: Any, name: str) -> Callable[[Connection], Any]:
    query = select(changed.c.id, changed.c[name]).order_by(changed.c.id.desc()).limit(1)
    return lambda connection: tuple(connection.execute(query).one())

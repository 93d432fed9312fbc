"""A phone is given out and erased, wherever it stands, on both databases; the chain still holds."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Table, delete, func, select, update

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.model import Event, MessageStatus, MoMessage, StatusReport
from smsgw.services import queries
from smsgw.services.audit import Finding
from smsgw.services.people import People
from smsgw.services.requests import evidence
from smsgw.services.requests.evidence_check import Document
from smsgw.store import audit, erasure, events, holds, messages, opt_outs, people, purge, schema
from smsgw.store.audit import AuditRow
from smsgw.store.database import Database
from smsgw.store.erasure import Erasure
from smsgw.store.evidence import PSEUDONYM
from smsgw.store.messages import MessageRow
from smsgw.store.statements import insert_rows
from tests.support.evidence import ANN, APPLICANT, BOB, Case
from tests.support.keeping import StandingClock, everything, finish, forms, verified
from tests.support.reactor import reactor_test
from tests.support.store import NOW, StoredMessages, inbound_row, part_row
from tests.support.stores import Place, long_on_postgresql, opened, within

OWN_TEXTS = ("同意，预算内", "预算内", "验证码 4711")
THEIRS = f"请联系 {ANN} 或 +86{ANN}"
NAME = "安小姐"


def cursor(began: object, table: str, *key: object) -> str:
    return urlsafe_b64encode(json.dumps([began, table, key]).encode()).decode()


def put(connection: Connection, table: Table, *rows: tuple[Any, ...]) -> None:
    insert_rows(connection, table, list(rows))


def everywhere(connection: Connection, database: Database) -> Case:
    """Ann's number and texts, wherever they can be."""
    ids = database.ids
    case = Case(connection, ids).whole()
    store = StoredMessages(connection, ids)
    store.message(MessageStatus.DELIVERED, recipient=ANN, text="验证码 4711")
    store.message(MessageStatus.DELIVERED, recipient=BOB, text=THEIRS, reference=f"to-{ANN}")
    part = part_row(ids, sender=BOB, content=THEIRS.encode("utf-16-be"))
    part.pdu = b"\0\1" + part.content
    came = inbound_row(ids, sender=BOB, text=THEIRS, handled_at=NOW)
    part.inbound_id = came.id
    put(connection, schema.inbound, msgspec.structs.astuple(came))
    put(connection, schema.inbound_part, msgspec.structs.astuple(part))
    told = Event("inbound.received", case.inbound_id, "office", {"text": "同意，预算内"})
    events.append(connection, NOW, [told, Event("number.ported", 5, "", {"phone": ANN})])
    over = (NOW - 2, NOW - 1)
    put(connection, schema.parked_report, (ids.next(), "l", "1", ANN, "d", "", "", NOW))
    put(connection, schema.listed, (ANN, "1069", 1, 5, NOW), (BOB, "1069", 1, 5, NOW))
    row = (ids.next(), ANN, "1069", "1", 0, "p", "assignment", 5, *over, NOW - 1, NOW - 1)
    put(connection, schema.slot, row)
    row = (ids.next(), "office", "r", ANN, "1069", "1", 5, *over, NOW - 1)
    put(connection, schema.conversation, row)
    row = (ids.next(), "office", "second", BOB, ANN, NAME, *over, NOW - 2, NOW - 1)
    put(connection, schema.stand_in, row)
    put(connection, schema.ballot, (7, ANN, "yes", 1, NOW), (7, BOB, "no", 2, NOW))
    row = (ids.next(), ANN, "unicom", "import", NOW, NOW + 1)
    put(connection, schema.ported_number, row)
    report = StatusReport("1", ANN, MessageStatus.DELIVERED, "DELIVRD", "0")
    mo = MoMessage(ANN, "1069", 8, "同意，预算内".encode("utf-16-be"))
    for kind, one in (("report", report), ("mo", mo)):
        content = msgspec.msgpack.encode(one)
        put(connection, schema.customer_delivery, (ids.next(), "acme", kind, 0, content, NOW))
    answer = json.dumps({"assignees": [{"phone": ANN}]}).encode()
    put(connection, schema.idempotency_key, ("office", "k", b"", 201, "{}", answer, NOW))
    opt_outs.add(connection, [ANN], "", "sms", NOW)
    hers = schema.assignment.c.id == case.ann
    connection.execute(update(schema.assignment).where(hers).values(name=NAME))
    finish(connection)
    return case


def planted(database: Database) -> Callable[[Connection], Case]:
    return lambda connection: everywhere(connection, database)


def service(database: Database, forgotten: list[str] | None = None) -> People:
    async def forget(phones: Any) -> None:
        (forgotten if forgotten is not None else []).extend(phones)

    return People(database, StandingClock(NOW + 600_000).seconds, forget)


async def counts(database: Database) -> dict[str, int]:
    def count(connection: Connection) -> dict[str, int]:
        tables = people.metadata.sorted_tables
        query = select(func.count())
        found = {
            table.name: connection.execute(query.select_from(table)).scalar_one()
            for table in tables
        }
        return {name: found[name] for name in found if found[name]}

    return await database.read(count)


def wrong(found: list[Finding]) -> list[str]:
    return [str(one) for one in found if one.wrong]


class TestErasing:
    @reactor_test
    async def test_nothing_of_the_phone_is_left_and_the_chain_still_holds(
        self, place: Place
    ) -> None:
        forgotten: list[str] = []
        async with opened(place) as database:
            case = await database.writer.run(planted(database))
            before = await counts(database)
            held = await database.read(everything)
            assert [one for one in forms(ANN, *OWN_TEXTS)[:2] if one not in held] == []
            assert wrong(await verified(database)) == []
            kept = await database.read(audit.heads)

            done = await service(database, forgotten).erase(f"+86 {ANN}", "root", dry_run=False)

            held = await database.read(everything)
            wanted = [*forms(ANN, *OWN_TEXTS), NAME]
            assert [form for form in wanted if form in held] == []
            assert ANN.encode("utf-16-be").hex() not in held
            found = await verified(database)
            assert wrong(found) == []
            problems = {one.problem for one in found}
            assert "a person was erased from it" in problems
            assert any(one.startswith("says that a phone was erased from") for one in problems)
            heads = {(row.chain, row.sequence): row.hash for row in await chain(database)}
            assert all(heads[head.chain, head.sequence] == head.hash for head in kept)
            assert done["erased"]
            assert done["phone"].startswith(PSEUDONYM)
            assert set(forgotten) == {ANN}
            after = await counts(database)
            gone = {name for name in before if before[name] > after.get(name, 0)}
            assert gone == erasure.DROPPED | {"customer_delivery"}
            document = await database.read(
                lambda c: evidence.document(c, case.request_id, NOW + 1, "office")
            )
            assert ANN not in json.dumps(document)
            checked = list(Document(msgspec.json.encode(document)).findings())
            assert wrong(checked) == []
            assert "a person was erased from it" in {one.problem for one in checked}
            assert BOB in held
            assert case.request_id
            assert "请联系" in held  # what others wrote stays, without the number
            again = await service(database).erase(ANN, "root", dry_run=False)
            assert again["rows"] == {}
        if isinstance(place, Path):
            octets = place.read_bytes()
            texts = [text.encode() for text in OWN_TEXTS]
            assert [one for one in [ANN.encode(), *texts] if one in octets] == []

    @long_on_postgresql
    @reactor_test
    async def test_a_dry_run_says_what_there_is_and_changes_nothing(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            before = await database.read(everything)
            said = await service(database).erase(ANN, "root", dry_run=True)
            assert not said["erased"]
            assert said["rows"]["message"] == 4
            assert said["rows"]["slot"] == 1
            assert await database.read(everything) == before

    @long_on_postgresql
    @reactor_test
    async def test_whoever_changes_an_erased_row_is_found(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            await service(database).erase(ANN, "root", dry_run=False)
            erased = next(row for row in await chain(database) if row.erased)
            row = schema.audit.c
            here = (row.chain == erased.chain) & (row.sequence == erased.sequence)
            change = update(schema.audit).where(here).values(actor="somebody")
            await database.writer.run(lambda c: c.execute(change).rowcount)
            problem = "was changed: no entry vouches for what it holds now"
            place_ = f"chain {erased.chain}, sequence {erased.sequence}"
            assert wrong(await verified(database)) == [f"{place_}: {problem}"]

    @long_on_postgresql
    @reactor_test
    async def test_a_row_that_only_claims_to_be_erased_is_found(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            (first, *_) = await chain(database)
            row = schema.audit.c
            forged = {"actor": "somebody", "seal": audit.content_of(first)}
            change = update(schema.audit).where(row.sequence == first.sequence).values(forged)
            await database.writer.run(lambda c: c.execute(change).rowcount)
            assert len(wrong(await verified(database))) == 1

    @long_on_postgresql
    @reactor_test
    async def test_an_erased_phone_still_opts_out(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            await service(database).erase(ANN, "root", dry_run=False)
            (row,) = await database.read(opt_outs.changed)
            key = await database.writer.run(opt_outs.key)
            assert row.phone == opt_outs.hashed(ANN, key)
            again = await database.writer.run(lambda c: opt_outs.add(c, [ANN], "", "api", NOW))
            assert again == 0

    @long_on_postgresql
    @reactor_test
    async def test_what_is_under_way_or_on_hold_is_never_erased(self, place: Place) -> None:
        async with opened(place) as database:
            case = await database.writer.run(planted(database))
            before = await database.read(everything)
            one = service(database)
            for table, values, problem in (
                (schema.message, {"final_at": None}, "3 messages to it that have not ended"),
                (schema.inbound, {"handled_at": None}, "1 messages from it that were not read"),
                (schema.request, {"state": "open"}, "1 open requests"),
                (schema.stand_in, {"ended_at": None, "until_at": None}, "1 stand-ins in force"),
                (
                    schema.conversation,
                    {"ended_at": None, "expires_at": NOW + 10**9},
                    "1 open conversations",
                ),
            ):
                rows = await database.read(lambda c, t=table: c.execute(select(t)).all())
                await database.writer.run(
                    lambda c, t=table, v=values: c.execute(update(t).values(v)).rowcount
                )
                with pytest.raises(Conflict, match=problem):
                    await one.erase(ANN, "root", dry_run=False)
                for row in rows:
                    again = update(table).where(table.c.id == row.id).values(row._asdict())
                    await database.writer.run(lambda c, s=again: c.execute(s).rowcount)
            assert await database.read(everything) == before
            for kind, value in (
                ("phone", ANN),
                ("account", "office"),
                ("request", str(case.request_id)),
            ):
                held = await one.hold(kind, value, "a case", None, "root")
                with pytest.raises(Conflict, match="a hold"):
                    await one.erase(ANN, "root", dry_run=False)
                ended = await one.end_hold(int(held["id"]), "root")
                assert (ended["state"], ended["ended_by"]) == ("ended", "root")
            flow = ("office", "leave", json.dumps({"phone": ANN}), 1, NOW)
            await database.writer.run(lambda c: put(c, schema.request_type, flow))
            with pytest.raises(Conflict, match="the saved flow 'leave', which names it"):
                await one.erase(ANN, "root", dry_run=True)

    @long_on_postgresql
    @reactor_test
    async def test_a_number_inside_a_longer_one_is_somebody_elses(self, place: Place) -> None:
        longer = f"1069{ANN}7"
        async with opened(place) as database:

            def write(connection: Connection) -> None:
                StoredMessages(connection, database.ids).message(
                    MessageStatus.DELIVERED, recipient=BOB, text=f"号码 {longer}"
                )
                finish(connection)

            await database.writer.run(write)
            before = await database.read(everything)
            done = await service(database).erase(ANN, "root", dry_run=False)
            assert done["rows"] == {}
            after = await database.read(everything)
            assert [one for one in after.splitlines() if one.startswith("message: ")] == [
                one for one in before.splitlines() if one.startswith("message: ")
            ]


class TestWhatIsSomebodyElses:
    """Others' messages that mention the number: nothing of theirs is lost."""

    @long_on_postgresql
    @reactor_test
    async def test_what_mentions_it_and_has_not_ended_is_waited_for(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            before = await database.read(everything)
            asks = (
                (schema.message, {"final_at": None}, "1 messages to others that name it"),
                (schema.inbound, {"handled_at": None}, "1 messages from others that name it"),
            )
            for table, values, problem in asks:
                theirs = table.c.text == THEIRS
                (row,) = await database.read(
                    lambda c, t=table, w=theirs: c.execute(select(t).where(w)).all()
                )
                for changed in (values, row._asdict()):
                    change = update(table).where(table.c.id == row.id).values(changed)
                    await database.writer.run(lambda c, s=change: c.execute(s).rowcount)
                    if changed is values:
                        with pytest.raises(Conflict, match=problem):
                            await service(database).erase(ANN, "root", dry_run=False)
            step = update(schema.step).values(settings=json.dumps({"escalation": [{"phone": ANN}]}))
            opened_again = update(schema.request).values(state="open")
            other = update(schema.assignment).where(schema.assignment.c.phone == ANN)
            statements = (step, opened_again, other.values(phone="18600001009"))
            await database.writer.run(lambda c: sum(c.execute(one).rowcount for one in statements))
            with pytest.raises(Conflict, match="1 open requests"):
                await service(database).erase(ANN, "root", dry_run=False)
            assert "message: " in before

    @reactor_test
    async def test_a_part_that_a_customer_was_told_is_taken_is_never_lost(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            for phones, content in ((f"{BOB} {ANN}", b""), (BOB, THEIRS.encode("utf-16-be"))):
                row = (7, "acme", "1069", phones, "8:1", 2, 1, 8, content, 0, NOW)
                await database.writer.run(lambda c, r=row: put(c, schema.submitted_part, r))
                with pytest.raises(Conflict, match="1 parts of customers' messages that wait"):
                    await service(database).erase(ANN, "root", dry_run=False)
                gone = delete(schema.submitted_part)
                await database.writer.run(lambda c, s=gone: c.execute(s).rowcount)

    @long_on_postgresql
    @reactor_test
    async def test_a_message_that_came_meanwhile_is_not_touched(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            who = await database.read(lambda c: people.person(c, ANN))
            late = await database.writer.run(
                lambda c: StoredMessages(c, database.ids).message(recipient=BOB, text=THEIRS).id
            )
            one = Erasure(who, PSEUDONYM + "0" * 16, "")
            with pytest.raises(Conflict, match=f"message {late} has not ended"):
                await database.writer.run(lambda c: one.erase(c, schema.message, [(late,)], NOW))
            row = await database.read(lambda c: messages.get(c, late))
            assert row is not None
            assert (row.text, row.contents != b"") == (THEIRS, True)

    @long_on_postgresql
    @reactor_test
    async def test_what_comes_in_the_middle_breaks_it_off_and_that_is_recorded(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            stores = StoredMessages

            async def forget(phones: Any) -> None:  # called when all was looked at
                await database.writer.run(
                    lambda c: stores(c, database.ids).message(recipient=ANN, text="late")
                )

            one = People(database, StandingClock(NOW + 600_000).seconds, forget)
            with pytest.raises(Conflict, match="has not ended; it came meanwhile: erase again"):
                await one.erase(ANN, "root", dry_run=False)
            last = (await chain(database))[-1]
            assert (last.action, last.actor) == (audit.ERASED, "root")
            assert json.loads(last.detail)["rows"]["event"] > 0
            assert wrong(await verified(database)) == []
            await database.writer.run(finish)
            await service(database).erase(ANN, "root", dry_run=False)
            assert ANN not in await database.read(everything)

    @long_on_postgresql
    @reactor_test
    async def test_a_hold_in_the_middle_breaks_it_off(self, place: Place) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))

            async def forget(phones: Any) -> None:  # called when all was looked at
                await one.hold("phone", ANN, "a case", None, "court")

            one = People(database, StandingClock(NOW + 600_000).seconds, forget)
            before = await database.read(everything)
            with pytest.raises(Conflict, match="broken off: a hold on it"):
                await one.erase(ANN, "root", dry_run=False)
            kept = (await database.read(everything)).splitlines()
            assert {*before.splitlines()} <= {*kept}

    @long_on_postgresql
    @reactor_test
    async def test_what_others_wrote_is_purged_in_its_time_and_until_then_shown(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            await service(database).erase(ANN, "root", dry_run=False)
            query = select(schema.message).where(schema.message.c.text.contains("请联系"))
            (row,) = await database.read(lambda c: c.execute(query).all())
            assert not queries.message_json(MessageRow(*row))["purged"]
            assert ANN.encode("utf-16-be") not in row.contents
            due = purge.Messages(row.message_class).is_due(NOW)
            one = select(schema.message.c.id).where(schema.message.c.id == row.id, due)
            assert await database.read(lambda c: c.execute(one).scalar()) == row.id

    @reactor_test
    async def test_others_deliveries_and_keys_stay_without_the_number(self, place: Place) -> None:
        mo = MoMessage(BOB, "1069", 8, THEIRS.encode("utf-16-be"))
        async with opened(place) as database:
            ids = database.ids

            def write(connection: Connection) -> None:
                everywhere(connection, database)
                content = msgspec.msgpack.encode(mo)
                row = (ids.next(), "acme", "mo", 0, content, NOW)
                put(connection, schema.customer_delivery, row)

            await database.writer.run(write)
            await service(database).erase(ANN, "root", dry_run=False)
            (content,) = await database.read(
                lambda c: c.execute(select(schema.customer_delivery.c.content)).scalars().all()
            )
            kept = msgspec.msgpack.decode(content, type=MoMessage)
            assert (kept.sender, len(kept.content)) == (BOB, len(mo.content))
            stars = THEIRS.replace(f"86{ANN}", "*" * 13).replace(ANN, "*" * 11)
            assert kept.content.decode("utf-16-be") == stars
            (key,) = await database.read(lambda c: c.execute(select(schema.idempotency_key)).all())
            assert (key.status, key.body) == (201, b"")  # the same again is not done again

    @long_on_postgresql
    @reactor_test
    async def test_the_chain_holds_where_a_text_that_it_vouches_for_lost_the_number(
        self, place: Place
    ) -> None:
        async with opened(place) as database:

            def write(connection: Connection) -> None:
                case = Case(connection, database.ids)
                case.ask()
                case.reply(f"同意，找 {APPLICANT}")
                case.decide()
                case.close()
                finish(connection)

            await database.writer.run(write)
            await service(database).erase(APPLICANT, "root", dry_run=False)
            assert wrong(await verified(database)) == []

    @long_on_postgresql
    @reactor_test
    async def test_a_number_written_with_spaces_or_hyphens_is_found(self, place: Place) -> None:
        texts = [f"电话 {one}。" for one in ("138 0000 1001", "138-0000-1001", "+86 138 0000 1001")]
        async with opened(place) as database:

            def write(connection: Connection) -> None:
                for text in texts:
                    StoredMessages(connection, database.ids).message(
                        MessageStatus.DELIVERED, recipient=BOB, text=text
                    )
                    part = part_row(database.ids, sender=BOB, content=text.encode("utf-16-be"))
                    part.pdu, part.inbound_id = text.encode("gb18030"), 5
                    put(connection, schema.inbound_part, msgspec.structs.astuple(part))
                finish(connection)

            await database.writer.run(write)
            done = await service(database).erase(ANN, "root", dry_run=False)
            assert done["rows"] == {"message": 3, "inbound_part": 3}
            held = await database.read(everything)
            wanted = [spelling for text in texts for spelling in forms(text[3:-1])]
            assert [one for one in wanted if one in held] == []


class TestGivingOut:
    @long_on_postgresql
    @reactor_test
    async def test_every_row_of_the_phone_is_given_out_and_none_of_others(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            given = await service(database).export(ANN, "root")
            rows = given["rows"]
            assert given["phone"] == ANN
            assert {row["recipient"] for row in rows["message"]} == {ANN}
            assert [row["text"] for row in rows["inbound"]] == ["同意，预算内"]
            assert len(rows["inbound_part"]) == 2
            assert {"assignment", "answer", "ballot", "slot", "conversation", "opt_out"} <= {*rows}
            assert THEIRS not in json.dumps(given, ensure_ascii=False)
            assert isinstance(rows["message"][0]["id"], str)
            assert rows["message"][0]["created_at"].endswith("+00:00")
            last = (await chain(database))[-1]
            assert (last.action, last.actor) == ("phone.exported", "root")
            assert json.loads(last.detail)["phone"] == ANN

    @long_on_postgresql
    @reactor_test
    async def test_they_are_given_out_a_few_at_a_time(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened(place) as database:
            await database.writer.run(planted(database))
            people = service(database)
            whole = await people.export(ANN, "root")
            assert whole["next"] is None
            before = len(await chain(database))
            monkeypatch.setattr("smsgw.store.people.GIVEN_ROWS", 2)
            monkeypatch.setattr("smsgw.store.people.READ_ROWS", 1)
            pages = [await people.export(ANN, "root")]
            while pages[-1]["next"] is not None:
                pages.append(await people.export(ANN, "root", pages[-1]["next"]))
            assert {one["exported_at"] for one in pages} == {whole["exported_at"]}
            sizes = [sum(map(len, one["rows"].values())) for one in pages]
            assert set(sizes[:-1]) == {2}
            found: dict[str, list[Any]] = {}
            for page in pages:
                for table, rows in page["rows"].items():
                    found.setdefault(table, []).extend(rows)
            assert found == whole["rows"]
            assert list(found) == list(whole["rows"])
            assert len(await chain(database)) == before + len(pages)

    @reactor_test
    async def test_long_rows_are_fewer(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        async with opened(place) as database:
            await within(database, lambda store: [store.message(recipient=ANN) for _ in range(3)])
            monkeypatch.setattr("smsgw.store.people.GIVEN_CHARACTERS", 1)
            people = service(database)
            first = await people.export(ANN, "root")
            assert len(first["rows"]["message"]) == 1
            second = await people.export(ANN, "root", first["next"])
            assert second["rows"]["message"][0]["id"] > first["rows"]["message"][0]["id"]

    @pytest.mark.parametrize(
        "written",
        [
            *("", "x", "AAAA", cursor(1, "message"), cursor(1, "message", "7")),
            *(cursor(1, "node", 7), cursor(1, "audit", 7), cursor("1", "message", 7)),
            *(cursor(1, "message", 2**63), cursor(10**15, "message", 7), cursor(-1, "message", 7)),
        ],
    )
    @reactor_test
    async def test_what_is_no_cursor_is_refused(self, tmp_path: Path, written: str) -> None:
        async with opened(tmp_path / "smsgw.db") as database:
            with pytest.raises(ValidationError, match="`next` from the answer before"):
                await service(database).export(ANN, "root", written)

    @long_on_postgresql
    @reactor_test
    async def test_what_is_no_phone_is_refused(self, place: Place) -> None:
        async with opened(place) as database:
            for call in (
                service(database).export("12", "root"),
                service(database).erase("12", "root", dry_run=False),
            ):
                with pytest.raises(ValidationError) as caught:
                    await call
                assert caught.value.field == "phone"


class TestHolds:
    @long_on_postgresql
    @reactor_test
    async def test_holds_are_listed_and_end_by_time_or_by_somebody(self, place: Place) -> None:
        async with opened(place) as database:
            one = service(database)
            held = await one.hold("phone", ANN, "a case", None, "root")
            (shown,) = await one.holds(ended=False, before=None, limit=9)
            assert shown == held
            await one.end_hold(int(held["id"]), "root")
            assert await one.holds(ended=False, before=None, limit=9) == []
            assert len(await one.holds(ended=True, before=None, limit=9)) == 1
            with pytest.raises(Conflict, match="over already"):
                await one.end_hold(int(held["id"]), "root")
            with pytest.raises(NotFound):
                await one.end_hold(5, "root")
            actions = [(row.action, row.actor) for row in await chain(database)]
            assert actions == [("hold.added", "root"), ("hold.ended", "root")]
            assert not await database.read(lambda c: holds.held(c, NOW))

    @long_on_postgresql
    @reactor_test
    async def test_what_cannot_be_held_is_refused_by_its_field(self, place: Place) -> None:
        async with opened(place) as database:
            one = service(database)
            for field, kind, value, reason in (
                ("kind", "house", "1", "x"),
                ("value", "phone", "12", "x"),
                ("value", "account", " ", "x"),
                ("value", "account", "tv/ news", "x"),
                ("value", "account", "tv/", "x"),
                ("reason", "account", "tv", ""),
                ("reason", "account", "tv", "x" * 257),
            ):
                with pytest.raises(ValidationError) as caught:
                    await one.hold(kind, value, reason, None, "root")
                assert caught.value.field == field
            with pytest.raises(NotFound, match="request 5"):
                await one.hold("request", "5", "a case", None, "root")


def test_every_table_is_looked_through_or_known_to_hold_nobody() -> None:
    looked = {table.name for table in people.tables()}
    assert looked | people.NOBODYS == {table.name for table in people.metadata.sorted_tables}
    assert not looked & people.NOBODYS
    assert looked >= erasure.DROPPED
    assert {*erasure.OWN} <= looked


async def chain(database: Database) -> list[AuditRow]:
    return await database.read(lambda connection: audit.page(connection, limit=500))

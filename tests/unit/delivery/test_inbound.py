from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from smsgw.delivery.inbound import InboundMessages, dedupe_key
from smsgw.delivery.reassembly import Reassembly
from smsgw.model import MessageStatus, MoMessage, StatusReport
from smsgw.routing.inbound import InboundTable
from smsgw.store import inbox
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow
from smsgw.store.schema import inbound_part
from smsgw.text.udh import Concatenation, build_concatenation
from tests.support.delivery import opened, quiet, started_clock, told
from tests.support.links import FakeLink
from tests.support.reactor import reactor_test

AGREE = "同意".encode("utf-16-be")


def mo(content: bytes = AGREE, udhi: bool = False, mid: str = "0d" * 8) -> MoMessage:
    return MoMessage("8613800001001", "10690001001", 8, content, udhi, mid)


def long(sequence: int, total: int = 2, mid: str = "") -> MoMessage:
    header = build_concatenation(Concatenation(17, 8, total, sequence))
    return mo(header + f"第{sequence}段".encode("utf-16-be"), True, mid or f"{sequence:016x}")


class Scene:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.link = FakeLink()
        self.clock = started_clock()
        self.read: list[InboundRow] = []
        table = InboundTable([("cmcc", "10690001")], {"10690001": "newsroom"})
        self.reassembly = Reassembly(database, self.clock, table, self.read.append)
        self.messages = InboundMessages(database, self.clock, self.reassembly)
        self.link.on_inbound = partial(self.messages.take, "cmcc")

    async def rename(self, old: str, new: str) -> None:
        statement = f"ALTER TABLE {old} RENAME TO {new}"
        await self.database.writer.run(lambda c: c.exec_driver_sql(statement))


@asynccontextmanager
async def scene(path: Path) -> AsyncIterator[Scene]:
    async with opened(path) as database:
        made = Scene(database)
        yield made
        made.reassembly.stop()
        assert made.clock.getDelayedCalls() == []


@reactor_test
async def test_a_message_is_stored_answered_and_handed_on_in_one_commit(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        before = s.database.writer.commits
        s.link.bring(mo())
        assert s.link.acknowledged == []
        await s.database.writer.run(lambda connection: None)
        assert s.database.writer.commits - before == 1
        assert s.link.acknowledged == [0]
        await quiet(s.database)
        (row,) = s.read
        assert (row.sender, row.text, row.parts, row.missing) == ("13800001001", "同意", 1, "")
        assert (row.access_number, row.extension, row.account) == ("10690001", "001", "newsroom")
        query = select(inbound_part).where(inbound_part.c.inbound_id == row.id)
        (part,) = await s.database.read(lambda c: c.execute(query).all())
        assert (part.content, part.pdu, part.total) == (AGREE, b"\x00\x2a", 1)


@reactor_test
async def test_who_wrote_over_which_link_is_learned_in_the_commit_of_the_message(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        order: list[str] = []

        def learn(link: str, phones: Iterable[str]) -> None:
            written = s.database.writer.run(lambda connection: None)
            written.addCallback(lambda _: order.append(f"learned {link} {[*phones]}"))

        s.link.on_inbound = partial(
            InboundMessages(s.database, s.clock, s.reassembly, learn).take, "cmcc"
        )
        s.reassembly._deliver = lambda row: order.append("handed on")
        before = s.database.writer.commits
        s.link.bring(mo())
        await s.database.writer.run(lambda connection: None)
        assert s.database.writer.commits - before == 1
        await quiet(s.database)
        assert order == ["learned cmcc ['13800001001']", "handed on"]


@reactor_test
async def test_a_repeat_is_answered_and_dropped(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(mo(), mo())
        await quiet(s.database)
        s.link.bring(mo())
        await quiet(s.database)
        assert s.link.acknowledged == [0, 0, 0]
        assert len(s.read) == 1
        assert await s.database.read(inbox.waiting_parts) == []


@reactor_test
async def test_parts_that_share_the_carriers_id_are_joined(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(long(2, mid="0e" * 8))
        await quiet(s.database)
        assert s.link.acknowledged == [0]
        assert s.read == []
        s.link.bring(long(1, mid="0e" * 8))
        await quiet(s.database)
        assert [(row.text, row.parts) for row in s.read] == [("第1段第2段", 2)]


@reactor_test
async def test_a_report_among_messages_is_left_to_others(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(mo(), StatusReport("0f" * 8, MessageStatus.DELIVERED, "DELIVRD"))
        await quiet(s.database)
        assert s.link.acknowledged == [0]
        assert len(s.read) == 1


@reactor_test
async def test_a_header_that_lies_is_text(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(mo("好".encode("utf-16-be"), udhi=True))
        await quiet(s.database)
        assert [row.text for row in s.read] == ["好"]


@reactor_test
async def test_a_header_without_concatenation_is_taken_off(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(mo(b"\x06\x05\x04\x0b\x84\x23\xf0" + AGREE, udhi=True))
        await quiet(s.database)
        assert [(row.text, row.parts) for row in s.read] == [("同意", 1)]


@reactor_test
async def test_a_long_message_of_one_part_is_whole(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(long(1, total=1))
        await quiet(s.database)
        assert [(row.text, row.missing) for row in s.read] == [("第1段", "")]


@reactor_test
async def test_what_the_store_refused_is_not_answered_and_comes_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.rename("inbound_part", "hidden")
        s.link.bring(mo())
        await quiet(s.database)
        assert s.link.acknowledged == []
        await s.rename("hidden", "inbound_part")
        s.link.bring(mo())
        await quiet(s.database)
        assert s.link.acknowledged == [0]
        assert len(s.read) == 1


@reactor_test
async def test_a_part_stored_without_its_message_gets_it_soon(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.rename("inbound", "hidden")
        s.link.bring(mo())
        await quiet(s.database)
        assert s.link.acknowledged == [0]
        assert s.read == []
        await s.rename("hidden", "inbound")
        s.clock.advance(1.0)
        await quiet(s.database)
        assert len(s.read) == 1


def test_the_dedupe_key_shows_the_carriers_id_and_fits_its_column() -> None:
    assert dedupe_key(mo(), 1).startswith("0d" * 8 + ":")
    assert len(dedupe_key(mo(mid="9" * 65), 1)) <= 64


def test_the_same_id_with_other_content_is_another_message() -> None:
    assert dedupe_key(mo(), 1) != dedupe_key(mo(b"\x00\x31"), 1)


@pytest.mark.parametrize("field", ["sender", "destination", "coding"])
def test_everything_that_tells_messages_apart_is_in_the_key(field: str) -> None:
    other = msgspec.structs.replace(mo(), **{field: 3 if field == "coding" else "1"})
    assert dedupe_key(mo(), 1) != dedupe_key(other, 1)


@reactor_test
async def test_without_an_id_the_same_content_is_a_repeat_for_ten_minutes(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(mo(mid=""), mo(mid="0" * 16))
        await quiet(s.database)
        s.clock.advance(599.0)
        s.link.bring(mo(mid=""))
        await quiet(s.database)
        assert s.link.acknowledged == [0, 0, 0]
        assert len(s.read) == 1
        s.clock.advance(2.0)
        s.link.bring(mo(mid=""))
        await quiet(s.database)
        assert len(s.read) == 2


@reactor_test
async def test_a_repeat_under_a_new_id_is_told_and_handed_to_nobody(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(mo())
        await quiet(s.database)
        s.link.bring(mo(mid="0e" * 8))
        await quiet(s.database)
        assert len(s.read) == 1
        assert len(await s.database.read(inbox.page)) == 1
        assert await s.database.read(inbox.waiting_parts) == []
        assert await told(s.database) == ["inbound.received", "inbound.repeated"]


def test_without_an_id_the_carriers_receive_time_tells_messages_apart() -> None:
    first = msgspec.structs.replace(mo(mid=""), received="20260101120000")
    second = msgspec.structs.replace(first, received="20260101120001")
    assert dedupe_key(first, 1) == dedupe_key(first, 2)
    assert dedupe_key(first, 1) != dedupe_key(second, 1)


@pytest.mark.parametrize("mid", ["", "0" * 16])
def test_without_an_id_and_a_time_no_delivery_is_another(mid: str) -> None:
    assert dedupe_key(mo(mid=mid), 1) != dedupe_key(mo(mid=mid), 2)

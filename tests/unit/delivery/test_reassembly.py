from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from smsgw.delivery import reassembly
from smsgw.delivery.reassembly import Reassembly, missing_text
from smsgw.routing.inbound import InboundTable
from smsgw.store import inbox
from smsgw.store.database import Database
from smsgw.store.inbox import RECEIVE, InboundRow, PartRow
from smsgw.store.schema import inbound_part
from tests.support.delivery import opened, quiet, started_clock, stored, told
from tests.support.reactor import reactor_test
from tests.support.store import NOW, inbound_row, part_row

TABLE = InboundTable([("cmcc", "10690001"), ("ctcc", "10690002")], {"10690001": "newsroom"})


class Scene:
    def __init__(self, database: Database, **options: Any) -> None:
        self.database = database
        self.clock = started_clock()
        self.read: list[InboundRow] = []
        self.reassembly = Reassembly(database, self.clock, TABLE, self.read.append, **options)

    async def store(self, sequence: int, total: int = 3, **fields: Any) -> PartRow:
        """Store a part as InboundMessages does; its text is its sequence as a word."""
        text = fields.pop("text", f"<{sequence}>")
        values = {
            "reference": "8:17",
            "content": text.encode("utf-16-be"),
            "received_at": int(self.clock.seconds() * 1000),
        }
        row = part_row(self.database.ids, sequence=sequence, total=total, **{**values, **fields})
        await self.database.writer.batch(RECEIVE, [row])
        return row

    async def add(self, *sequences: int, **fields: Any) -> None:
        for sequence in sequences:
            self.reassembly.add(await self.store(sequence, **fields))
        await quiet(self.database)

    async def add_whole(self, *sequences: int, **fields: Any) -> None:
        """Add parts after which none waits: also who was asked about a repeat has answered."""
        await self.add(*sequences, **fields)
        while self.reassembly.waiting:
            await self.database.read(lambda connection: None)
        await quiet(self.database)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await quiet(self.database)

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(row.text, row.missing) for row in self.read]

    async def rename(self, old: str, new: str) -> None:
        statement = f"ALTER TABLE {old} RENAME TO {new}"
        await self.database.writer.run(lambda c: c.exec_driver_sql(statement))


@asynccontextmanager
async def scene(path: Path, **options: Any) -> AsyncIterator[Scene]:
    async with opened(path) as database:
        made = Scene(database, **options)
        yield made
        made.reassembly.stop()
        assert made.clock.getDelayedCalls() == []


@reactor_test
async def test_parts_in_any_order_become_one_message(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.add(3, 1)
        assert s.read == []
        assert s.reassembly.waiting == 2
        await s.add(2)
        assert s.texts == [("<1><2><3>", "")]
        assert s.read[0].parts == 3
        assert s.reassembly.waiting == 0
        assert await s.database.read(inbox.waiting_parts) == []


@reactor_test
async def test_a_character_cut_in_two_by_the_sender_is_healed(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        octets = "一😀二".encode("utf-16-be")
        await s.add(1, total=2, content=octets[:4])
        await s.add(2, total=2, content=octets[4:])
        assert s.texts == [("一😀二", "")]


@pytest.mark.parametrize(
    "other",
    [
        {"reference": "16:17"},
        {"sender": "13800001002"},
        {"destination": "10690001002"},
    ],
)
@reactor_test
async def test_parts_of_different_messages_are_not_mixed(
    tmp_path: Path, other: dict[str, str]
) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, total=2)
        await s.add(2, total=2, **other)
        assert s.read == []


@reactor_test
async def test_one_reference_with_two_totals_is_two_messages(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, total=2)
        await s.add(1, 2, total=3)
        await s.add(2, total=2)
        assert s.texts == [("<1><2>", "")]
        await s.add(3, total=3)
        assert len(s.read) == 2


@reactor_test
async def test_the_same_part_again_changes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, 1, 2, total=2)
        assert s.texts == [("<1><2>", "")]
        assert await s.database.read(inbox.waiting_parts) == []


@reactor_test
async def test_a_part_that_comes_in_while_a_start_reads_the_store_counts_once(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, 1, total=2)
        await s.reassembly.recover()
        await s.add(2, total=2)
        assert s.texts == [("<1><2>", "")]
        assert await s.database.read(inbox.waiting_parts) == []


@reactor_test
async def test_a_reference_used_again_closes_the_old_message_as_incomplete(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, total=2)
        await s.add(1, total=2, text="new")
        assert s.texts == [("<1>…", "2")]
        await s.add(2, total=2)
        assert s.texts[1:] == [("new<2>", "")]


@reactor_test
async def test_after_the_timeout_what_is_there_is_delivered_with_what_is_missing(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, timeout=300.0) as s:
        await s.add(2, 4, total=5)
        await s.pass_time(200.0)
        await s.add(1, total=2, reference="8:18")
        await s.pass_time(99.0)
        assert s.read == []
        await s.pass_time(1.1)
        assert s.texts == [("…<2>…<4>…", "1,3,5")]
        await s.pass_time(200.0)
        assert s.texts[1:] == [("<1>…", "2")]
        assert s.reassembly.incomplete == {"expired": 2, "evicted": 0}


@reactor_test
async def test_a_late_part_is_delivered_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, total=2)
        await s.pass_time(301.0)
        await s.add(2, total=2)
        await s.pass_time(301.0)
        assert s.texts == [("<1>…", "2"), ("…<2>", "1")]


@reactor_test
async def test_a_part_repeated_under_a_new_id_after_the_join_is_kept_with_its_message(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        await s.add_whole(1, 2, total=2)
        await s.add_whole(2, total=2)
        assert len(s.read) == 1
        (row,) = await s.database.read(inbox.page)
        query = select(inbound_part.c.sequence).where(inbound_part.c.inbound_id == row.id)
        found = await s.database.read(lambda c: c.execute(query).scalars().all())
        assert sorted(found) == [1, 2, 2]
        assert await s.database.read(inbox.waiting_parts) == []


@reactor_test
async def test_a_joined_message_is_remembered_only_for_a_while(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, 2, total=2)
        await s.pass_time(601.0)
        await s.add(1, 2, total=2)
        assert len(s.read) == 2


@reactor_test
async def test_a_whole_message_again_under_its_reference_is_a_repeat_and_under_another_is_none(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        await s.add_whole(1, 2, total=2)
        await s.add_whole(2, total=2)
        await s.add_whole(1, total=2)
        assert len(s.read) == 1
        await s.add_whole(1, 2, total=2, reference="8:18")
        assert len(s.read) == 2
        assert await told(s.database) == [
            *["inbound.part"] * 2,
            "inbound.received",
            *["inbound.part", "inbound.repeated"] * 2,
            *["inbound.part"] * 2,
            "inbound.received",
        ]


@reactor_test
async def test_a_message_of_one_part_again_under_a_new_id_is_a_repeat_for_ten_minutes(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        single = {"total": 1, "reference": ""}
        await s.add(1, **single)
        await s.pass_time(590.0)
        await s.add(1, **single)
        await s.add(1, **single, link="ctcc")
        await s.add(1, **single, destination="10690001002")
        await s.add(1, **single, text="other")
        assert [row.text for row in s.read] == ["<1>", "<1>", "other"]
        await s.pass_time(20.0)
        await s.add(1, **single)
        assert len(s.read) == 4


@pytest.mark.parametrize(("expects_reply", "read"), [(True, 2), (False, 1)])
@reactor_test
async def test_the_same_words_after_a_question_of_ours_are_its_answer(
    tmp_path: Path, expects_reply: bool, read: int
) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, total=1)
        await stored(s.database, expects_reply=expects_reply)
        await s.add(1, total=1)
        assert len(s.read) == read


@reactor_test
async def test_a_part_repeated_after_a_start_is_known(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, 2, total=2)
        started = Reassembly(s.database, s.clock, TABLE, s.read.append)
        await started.recover()
        started.add(await s.store(2, total=2))
        await quiet(s.database)
        started.stop()
        assert len(s.read) == 1
        assert await s.database.read(inbox.waiting_parts) == []


@reactor_test
async def test_parts_that_came_to_several_processes_over_several_links_are_joined(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        other = Reassembly(s.database, s.clock, TABLE, s.read.append)
        await s.add(1)
        other.add(await s.store(2, link="ctcc"))
        await quiet(s.database)
        await s.add(3)
        assert s.texts == [("<1><2><3>", "")]
        await s.pass_time(301.0)
        assert len(s.read) == 1
        other.stop()


@reactor_test
async def test_what_another_process_joined_is_given_up_and_the_rest_is_kept(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.add(1, 2)
        first = (await s.database.read(inbox.waiting_parts))[0]
        await s.database.writer.run(
            lambda c: inbox.insert_inbound(c, inbound_row(s.database.ids), [first.id])
        )
        await s.pass_time(301.0)
        await s.pass_time(0.0)
        assert s.texts == [("…<2>…", "1,3")]
        assert await s.database.read(inbox.waiting_parts) == []


@reactor_test
async def test_above_the_cap_the_oldest_is_delivered_incomplete(tmp_path: Path) -> None:
    async with scene(tmp_path, parts_max=2) as s:
        await s.add(1, 2)
        await s.add(1, sender="13800001002")
        assert s.texts == [("<1><2>…", "3")]
        assert s.reassembly.waiting == 1


@reactor_test
async def test_one_phone_cannot_take_all_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reassembly, "GROUPS_PER_SENDER", 2)
    async with scene(tmp_path) as s:
        await s.add(1, sender="13800001002")
        for reference in ("8:1", "8:2", "8:3"):
            await s.add(1, reference=reference)
        assert [row.sender for row in s.read] == ["13800001001"]


@reactor_test
async def test_the_number_written_to_says_whose_it_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        for link, destination in (
            ("cmcc", "10690001007"),
            ("cmcc", "106900023"),
            ("cmcc", "10086"),
        ):
            await s.add(1, total=1, link=link, destination=destination)
        assert [(x.access_number, x.extension, x.account) for x in s.read] == [
            ("10690001", "007", "newsroom"),
            ("10690002", "3", ""),
            ("", "", ""),
        ]


@reactor_test
async def test_the_links_family_reads_the_coding(tmp_path: Path) -> None:
    async with scene(tmp_path, families={"world": "smpp"}) as s:
        await s.add(1, total=1, coding=0, content=b"\x00", link="world")
        assert [row.text for row in s.read] == ["@"]


@reactor_test
async def test_a_start_joins_what_the_last_run_left(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        for sequence in (1, 2):
            await s.store(sequence, total=2)
        await s.store(1, total=1, reference="", text="single")
        await s.store(1, total=2, reference="8:18", received_at=NOW - 290_000)
        await s.store(1, total=2, reference="8:19", received_at=NOW - 400_000)
        await s.reassembly.recover()
        await s.pass_time(0.0)
        assert sorted(s.texts) == [("<1><2>", ""), ("<1>…", "2"), ("single", "")]
        await s.pass_time(11.0)
        assert len(s.read) == 4


@reactor_test
async def test_a_start_reads_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, read = inbox.waiting_parts, []

    def counted(*args: Any, **fields: Any) -> list[PartRow]:
        found = real(*args, **fields)
        read.append(len(found))
        return found

    monkeypatch.setattr(inbox, "waiting_parts", counted)
    monkeypatch.setattr(reassembly, "PAGE", 2)
    async with scene(tmp_path) as s:
        for sequence in (1, 2, 3):
            await s.store(sequence)
        await s.store(1, total=1, reference="", text="single")
        await s.store(1, total=2, reference="8:18")
        await s.reassembly.recover()
        await s.pass_time(0.0)
        assert sorted(s.texts) == [("<1><2><3>", ""), ("single", "")]
        assert read == [2, 2, 1]
        assert s.reassembly.waiting == 1


@reactor_test
async def test_a_part_that_belongs_to_a_message_already_makes_no_other(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        part = await s.store(1, total=1)
        await s.database.writer.run(
            lambda c: inbox.insert_inbound(c, inbound_row(s.database.ids), [part.id])
        )
        s.reassembly.add(part)
        await quiet(s.database)
        assert s.read == []


@reactor_test
async def test_while_the_store_is_in_trouble_a_message_waits(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.rename("inbound", "hidden")
        await s.add(1, 2, total=2)
        assert s.read == []
        await s.pass_time(1.0)
        await s.rename("hidden", "inbound")
        await s.pass_time(1.0)
        assert s.texts == [("<1><2>", "")]


@reactor_test
async def test_a_message_the_store_never_took_waits_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reassembly, "STORE_TRIES", 2)
    async with scene(tmp_path) as s:
        await s.rename("inbound", "hidden")
        await s.add(1, total=1)
        for _ in range(2):
            await s.pass_time(1.0)
        await s.rename("hidden", "inbound")
        await s.pass_time(60.0)
        assert s.read == []
        assert len(await s.database.read(inbox.waiting_parts)) == 1


@reactor_test
async def test_after_a_stop_nothing_is_taken_and_a_waiting_store_is_left(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.rename("inbound", "hidden")
        await s.add(1, total=1)
        s.reassembly.stop()
        await s.add(1, total=2)
        assert s.reassembly.waiting == 0


@reactor_test
async def test_what_is_being_stored_at_a_stop_is_handed_over_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        s.reassembly.add(await s.store(1, total=1))
        s.reassembly.stop()
        await quiet(s.database)
        assert s.read == []
        assert [row.text for row in await s.database.read(inbox.unhandled)] == ["<1>"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([2], "2"),
        ([2, 3], "2-3"),
        ([1, 3, 4, 5, 9], "1,3-5,9"),
        (list(range(2, 256)), "2-255"),
    ],
)
def test_missing_parts_are_named_as_people_read_them(numbers: list[int], text: str) -> None:
    assert missing_text(numbers) == text


def test_very_many_missing_parts_are_cut_with_a_mark() -> None:
    text = missing_text(list(range(101, 255, 2)))
    assert text.startswith("101,103,")
    assert text.endswith(",… (77)")
    assert len(text) <= 64

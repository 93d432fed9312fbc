from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event as ThreadEvent
from typing import Any

import pytest
from msgspec.structs import asdict
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from smsgw.delivery.dispatcher import Dispatcher
from smsgw.errors import Conflict, NotFound, Overloaded, ValidationError
from smsgw.model import Coding, MessageClass, Operator
from smsgw.routing.rules import Rule
from smsgw.routing.table import RouteTable
from smsgw.services import submission
from smsgw.services.requests.changes import Composer, Inserted
from smsgw.services.requests.changes import Outgoing as Composed
from smsgw.services.submission import WRITER_ROWS_MAX, LinkInfo, Outgoing, Submission
from smsgw.store import events, messages, queue
from smsgw.store.database import Database
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.text.segmentation import join
from smsgw.text.udh import split_header
from tests.support.delivery import opened, quiet, started_clock, states
from tests.support.links import FakeLink
from tests.support.reactor import reactor_test
from tests.support.store import NOW

CMCC = LinkInfo(name="cmcc", access_number="10690001", operator=Operator.MOBILE)
SPARE = LinkInfo(name="spare", access_number="10690009", operator=Operator.MOBILE)
CTCC = LinkInfo(name="ctcc", access_number="10690002", operator=Operator.TELECOM)
LINKS = {link.name: link for link in (CMCC, SPARE, CTCC)}

MOBILE, TELECOM, UNICOM = "13800001001", "13300001001", "13000001001"


class Kept(list[QueuedSegment]):
    """A dispatcher that keeps what it is offered."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[StatusChange] = []

    def offer(self, segments: Sequence[QueuedSegment]) -> None:
        self.extend(segments)

    def follow(self, changes: Sequence[StatusChange]) -> None:
        self.ended.extend(changes)


class Scene:
    def __init__(self, database: Database, **changed: Any) -> None:
        self.database = database
        self.kept = Kept()
        self.down: set[str] = set()
        self.full: set[tuple[str, MessageClass]] = set()
        links = {
            name: LinkInfo(
                **{f: getattr(link, f) for f in LinkInfo.__slots__} | changed  # type: ignore[attr-defined]
            )
            for name, link in LINKS.items()
        }
        operators = {name: link.operator for name, link in links.items()}
        everything = Rule("all", (tuple(links),))
        self.routes = RouteTable(
            operators,
            [
                Rule("own", (("cmcc",), ("spare",)), operators=frozenset((Operator.MOBILE,))),
                Rule("own", (("ctcc",),), operators=frozenset((Operator.TELECOM,))),
                Rule("bulk", everything.groups, classes=frozenset((MessageClass.BULK,))),
            ],
        )
        self.submission = Submission(
            self.routes,
            links,
            database,
            self.kept,
            started_clock().seconds,
            up=lambda name: name not in self.down,
            full=lambda *lane: lane in self.full,
        )

    async def count(self) -> int:
        return len(await self.database.read(messages.page))


@asynccontextmanager
async def scene(path: Path, **changed: Any) -> AsyncIterator[Scene]:
    async with opened(path) as database:
        yield Scene(database, **changed)


def outgoing(**fields: Any) -> Outgoing:
    return Outgoing(**{"account": "newsroom", "to": MOBILE, "text": "您好", **fields})


async def refused(attempt: Deferred[Any]) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        await attempt
    return caught.value


@reactor_test
async def test_an_accepted_message_is_stored_before_it_is_offered(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        accepting = s.submission.send(
            outgoing(to=" +86 138-0000-1001", reference="order-1", extension="007")
        )
        assert s.kept == []
        message_id = await accepting
        message = await s.database.read(partial(messages.get, message_id=message_id))
        assert message is not None
        assert (message.recipient, message.text, message.status) == (MOBILE, "您好", "queued")
        assert (message.link, message.access_number, message.extension) == (
            "cmcc",
            "10690001",
            "007",
        )
        assert (message.operator, message.coding, message.parts) == ("mobile", 8, 1)
        assert (message.created_at, message.valid_until) == (NOW, NOW + 86_400_000)
        (item,) = s.kept
        assert (item.source, item.content) == ("10690001007", "您好".encode("utf-16-be"))
        assert not item.segment().udhi
        assert (item.message_class, item.valid_until, item.want_report) == (
            MessageClass.NOTICE,
            message.valid_until,
            True,
        )
        (event,) = await s.database.read(events.list_after)
        assert (event.kind, event.subject_id, event.account) == (
            "message.queued",
            message_id,
            "newsroom",
        )
        assert event.data == {"to": MOBILE, "reference": "order-1"}


@reactor_test
async def test_a_long_text_is_split_and_each_part_says_which_it_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        text = "关于本台晚间新闻片头更换的请示" * 10
        await s.submission.send(outgoing(text=text, want_report=False))
        assert [(item.part, item.total, item.segment().udhi) for item in s.kept] == [
            (1, 3, True),
            (2, 3, True),
            (3, 3, True),
        ]
        split = [split_header(item.content) for item in s.kept]
        assert join([(8, body) for _, body, _ in split]) == text
        references = {header.concatenation.reference for header, _, _ in split}  # type: ignore[union-attr]
        assert len(references) == 1
        assert not any(item.want_report for item in s.kept)
        await s.submission.send(outgoing(text=text))
        header, _, _ = split_header(s.kept[3].content)
        assert header is not None
        assert header.concatenation is not None
        assert header.concatenation.reference not in references


@reactor_test
async def test_a_links_own_rules_shape_the_text(tmp_path: Path) -> None:
    async with scene(
        tmp_path,
        codings=(Coding.GBK,),
        reference_width=16,
        content_octets_max=100,
        signature="【电视台】",
    ) as s:
        plan = s.submission.plan(outgoing(text="好" * 60))
        assert plan.message.text == "【电视台】" + "好" * 60
        assert (plan.message.coding, plan.message.parts) == (15, 2)
        assert [len(row.content) for row in plan.segments] == [7 + 92, 7 + 38]
        assert s.submission.plan(outgoing(text="【别的】好")).message.text == "【别的】好"


@reactor_test
async def test_plain_ascii_goes_out_as_ascii(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        assert s.submission.plan(outgoing(text="hello")).message.coding == 0


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"to": "12345"}, "to", "not a mainland mobile number"),
        ({"to": UNICOM}, "to", "no route"),
        ({"to": "15400001001"}, "to", "no route"),
        ({"to": UNICOM, "expects_reply": True}, "to", "unicom"),
        ({"text": ""}, "text", "empty"),
        ({"text": " \n　"}, "text", "empty"),
        ({"text": "好" * 20_000}, "text", "more than 255 parts"),
        ({"extension": "12a"}, "extension", "digits"),
        (
            {"extension": "1234567890123"},
            "extension",
            "access number 10690001 (8 digits) and extension (13 digits) are 21 digits, limit 20",
        ),
        ({"reference": "x" * 129}, "reference", "limit 128"),
        ({"valid_for": 0}, "valid_for", "0 seconds"),
        ({"valid_for": 1e9}, "valid_for", "allowed 1 to"),
        ({"link": "nope"}, "link", "links are: cmcc, spare, ctcc"),
        ({"link": "ctcc", "expects_reply": True}, "link", "may not leave its operator"),
        ({"link": "ctcc", "access_number": "10690001"}, "access_number", "10690002"),
        ({"access_number": "10690003"}, "access_number", "10690001, 10690002, 10690009"),
    ],
)
@reactor_test
async def test_what_cannot_be_sent_is_refused_by_field_and_nothing_stored(
    tmp_path: Path, fields: dict[str, Any], field: str, problem: str
) -> None:
    async with scene(tmp_path) as s:
        error = await refused(s.submission.send(outgoing(**fields)))
        assert error.field == field
        assert problem in error.problem
        assert await s.count() == 0
        assert s.kept == []


@reactor_test
async def test_a_text_no_allowed_coding_carries_is_refused(tmp_path: Path) -> None:
    async with scene(tmp_path, codings=(Coding.ASCII,)) as s:
        assert (await refused(s.submission.send(outgoing()))).field == "text"


@reactor_test
async def test_several_messages_are_accepted_together_in_order(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        ids = await s.submission.accept([outgoing(text=f"第{n}条") for n in range(5)])
        assert ids == sorted(ids)
        assert [item.message_id for item in s.kept] == ids


@reactor_test
async def test_messages_accepted_together_take_each_its_own_link(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        asked = [{}, {"to": TELECOM}, {"link": "spare"}, {"access_number": "10690009"}, {}]
        await s.submission.accept([outgoing(**fields) for fields in asked])
        assert [item.link for item in s.kept] == ["cmcc", "ctcc", "spare", "spare", "cmcc"]


@reactor_test
async def test_one_bad_message_refuses_all_and_is_named(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        many = [outgoing(), outgoing(), outgoing(), outgoing(to="1")]
        assert (await refused(s.submission.accept(many))).field == "messages[3].to"
        assert await s.count() == 0


@reactor_test
async def test_how_many_parts_at_a_time_is_limited(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(submission, "PARTS_MAX", 3)
            error = await refused(s.submission.accept([outgoing(text="长" * 100)] * 2))
            assert (error.field, await s.count()) == ("messages", 0)
            assert "more than 3 parts of messages together" in error.problem
            await s.submission.accept([outgoing(text="长" * 100), outgoing()])


@pytest.mark.parametrize("count", [0, 10_001])
@reactor_test
async def test_how_many_at_a_time_is_limited(tmp_path: Path, count: int) -> None:
    async with scene(tmp_path) as s:
        assert (await refused(s.submission.accept([outgoing()] * count))).field == "messages"


@reactor_test
async def test_among_a_routes_links_one_that_is_up_is_taken(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.down = {"cmcc"}
        assert s.submission.plan(outgoing()).message.link == "spare"
        assert s.submission.sender_for(MOBILE) == "10690009"
        s.down = {"cmcc", "spare"}
        assert s.submission.plan(outgoing()).message.link == "cmcc"


@reactor_test
async def test_a_named_link_or_number_is_used(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        assert s.submission.plan(outgoing(link="spare")).message.link == "spare"
        assert s.submission.plan(outgoing(link="ctcc")).message.link == "ctcc"
        assert s.submission.plan(outgoing(access_number="10690009")).message.link == "spare"


@reactor_test
async def test_who_wrote_to_a_number_is_answered_from_it_whatever_the_prefix_says(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        plan = s.submission.plan(outgoing(to=UNICOM, access_number="10690002", expects_reply=True))
        assert (plan.message.link, plan.message.operator) == ("ctcc", "unicom")


@reactor_test
async def test_the_sender_of_a_phone_is_its_own_operators_number(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        assert s.submission.sender_for(TELECOM) == "10690002"
        with pytest.raises(ValidationError):
            s.submission.sender_for(UNICOM)


def composed(**fields: Any) -> Composed:
    values = {
        "account": "newsroom",
        "to": MOBILE,
        "text": "请审批",
        "access_number": "10690001",
        "extension": "001",
        "expects_reply": True,
        "request_id": 77,
    }
    return Composed(**{**values, **fields})


@reactor_test
async def test_a_requests_message_is_written_in_its_transaction_and_sent_after_it(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        composer: Composer = s.submission
        inserted = await s.database.writer.run(
            lambda connection: composer.insert(connection, composed())
        )
        assert s.kept == []
        composer.dispatch([inserted], [])
        (item,) = s.kept
        assert (item.source, item.message_class) == ("10690001001", MessageClass.INTERACTIVE)
        assert item.message_id == inserted.message_id
        (event,) = await s.database.read(events.list_after)
        assert event.data["request_id"] == "77"
        composer.dispatch([Inserted(1, None)], [])
        assert len(s.kept) == 1


@reactor_test
async def test_what_a_request_cannot_send_writes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:

        def work(connection: Connection) -> str:
            try:
                s.submission.insert(connection, composed(text="好" * 20_000, request_id=None))
            except ValidationError as error:
                return error.field
            return ""

        assert await s.database.writer.run(work) == "text"
        await s.database.writer.run(
            lambda connection: s.submission.insert(connection, composed(request_id=None))
        )
        assert await s.count() == 1
        (event,) = await s.database.read(events.list_after)
        assert "request_id" not in event.data


@reactor_test
async def test_what_is_accepted_leaves_by_its_link(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        link, clock = FakeLink(), started_clock()
        dispatcher = Dispatcher([link], s.database, clock)
        submission = Submission(s.routes, LINKS, s.database, dispatcher, clock.seconds)
        await submission.send(outgoing())
        await quiet(s.database)
        assert [segment.to for segment in link.sent] == [MOBILE]
        link.accept_all()
        await dispatcher.stop()
        rows = await s.database.read(messages.page)
        assert [row.status for row in rows] == ["sent"]


@reactor_test
async def test_a_start_finds_the_segments_as_they_were_offered(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.submission.send(outgoing(text="长" * 100, extension="007", want_report=False))
        find = partial(
            queue.waiting,
            node=s.database.ids.node,
            link="cmcc",
            message_class="notice",
            now_ms=NOW,
            horizon_ms=NOW,
            limit=9,
            held=(),
        )
        found = await s.database.read(find)
        assert [asdict(item) for item in found] == [asdict(item) for item in s.kept]
        assert await states(s.database, s.kept) == ["queued", "queued"]


# ---- a time of its own -----------------------------------------------------------------------

START = datetime.fromtimestamp(NOW / 1000, UTC)


@reactor_test
async def test_a_scheduled_message_waits_for_its_time_and_is_valid_from_then_on(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        at = NOW + 7_200_000
        message_id = await s.submission.send(
            outgoing(text="长" * 100, send_at=START + timedelta(hours=2), valid_for=60)
        )
        message = await s.database.read(partial(messages.get, message_id=message_id))
        assert message is not None
        assert (message.status, message.send_at, message.valid_until) == (
            "scheduled",
            at,
            at + 60_000,
        )
        assert message.created_at == NOW
        assert [item.due_at for item in s.kept] == [at, at]
        (event,) = await s.database.read(events.list_after)
        assert event.kind == "message.scheduled"


@reactor_test
async def test_a_time_that_is_just_over_means_now(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        plan = s.submission.plan(outgoing(send_at=START - timedelta(seconds=200), valid_for=60))
        assert (plan.message.status, plan.message.valid_until) == ("queued", NOW + 60_000)
        assert plan.message.send_at == NOW - 200_000
        assert [item.due_at for item in plan.segments] == [0]


@reactor_test
async def test_a_time_too_far_away_refuses_all_and_is_named(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        many = [outgoing(), outgoing(send_at=START + timedelta(days=91))]
        error = await refused(s.submission.accept(many))
        assert (error.field, await s.count()) == ("messages[1].send_at", 0)


@reactor_test
async def test_a_scheduled_message_leaves_at_its_time_and_what_came_due_meanwhile_at_the_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        soon, late, gone = await s.submission.accept(
            [
                outgoing(text="later", send_at=START + timedelta(hours=1)),
                outgoing(text="late", send_at=START + timedelta(minutes=10)),
                outgoing(text="gone", send_at=START + timedelta(minutes=10), valid_for=60),
            ]
        )
        link, clock = FakeLink(), started_clock()
        clock.advance(1200.0)  # nothing ran for twenty minutes
        dispatcher = Dispatcher([link], s.database, clock)
        await dispatcher.recover()
        await quiet(s.database)
        assert [segment.content for segment in link.sent] == [b"late"]
        for _ in range(80):
            clock.advance(30.0)
            await quiet(s.database)
        assert [segment.content for segment in link.sent] == [b"late", b"later"]
        link.accept_all()
        await dispatcher.stop()
        rows = {row.id: row.status for row in await s.database.read(messages.page)}
        assert rows == {soon: "sent", late: "sent", gone: "expired"}


# ---- canceled --------------------------------------------------------------------------------


@reactor_test
async def test_a_message_that_waits_is_canceled_and_its_sender_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        message_id = await s.submission.send(outgoing(send_at=START + timedelta(hours=2)))
        change, shown = await s.submission.cancel("newsroom", message_id)
        assert (change.message_id, change.status) == (message_id, "canceled")
        assert (shown["id"], shown["status"]) == (str(message_id), "canceled")
        assert s.kept.ended == [change]
        kinds = [event.kind for event in await s.database.read(events.list_after)]
        assert kinds == ["message.scheduled", "message.canceled"]
        with pytest.raises(Conflict):
            await s.submission.cancel("newsroom", message_id)
        with pytest.raises(NotFound):
            await s.submission.cancel("crm", message_id)


@reactor_test
async def test_a_refused_cancel_changes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        message_id = await s.submission.send(outgoing(text="长" * 100))
        await s.database.writer.run(
            lambda c: c.exec_driver_sql("DELETE FROM queue WHERE part = 2")  # it was taken
        )
        with pytest.raises(Conflict, match="is being sent"):
            await s.submission.cancel("newsroom", message_id)
        left = await s.database.read(lambda c: c.exec_driver_sql("SELECT part FROM queue").all())
        assert [row.part for row in left] == [1]
        assert s.kept.ended == []


@reactor_test
async def test_a_question_that_is_being_sent_is_not_taken_back_in_part(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        message_id = await s.submission.send(outgoing(text="长" * 100))
        await s.database.writer.run(
            lambda c: c.exec_driver_sql("DELETE FROM queue WHERE part = 2")  # it was taken
        )
        assert await s.database.writer.run(lambda c: s.submission.revoke(c, message_id)) is None
        left = await s.database.read(lambda c: c.exec_driver_sql("SELECT part FROM queue").all())
        assert [row.part for row in left] == [1]


# ---- more than can be taken ------------------------------------------------------------------


async def overloaded(attempt: Deferred[Any]) -> Overloaded:
    with pytest.raises(Overloaded) as caught:
        await attempt
    return caught.value


@reactor_test
async def test_while_the_database_is_behind_nothing_is_planned(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.database.writer.queued += WRITER_ROWS_MAX
        for attempt in (s.submission.send, lambda one: s.submission.accept([one])):
            error = await overloaded(attempt(outgoing(to="no number")))
            assert str(error).startswith("100000 rows wait for the database, limit 100000; try")
            assert error.retry_after == 1
        s.database.writer.queued -= WRITER_ROWS_MAX
        await s.submission.send(outgoing())


@reactor_test
async def test_while_the_database_does_not_answer_nothing_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as s:
        go_on = ThreadEvent()
        done = s.database.writer.run(lambda connection: go_on.wait(5))
        waits = s.submission.send(outgoing())
        await deferLater(reactor, 0.01)
        monkeypatch.setattr(submission, "STUCK_SECONDS", 0.005)
        error = await overloaded(s.submission.send(outgoing()))
        assert str(error).startswith("the database has not answered for 0 s; try again in")
        go_on.set()
        await done
        monkeypatch.undo()
        await waits
        await s.submission.send(outgoing())
        assert len(s.kept) == 2


@reactor_test
async def test_a_link_that_is_full_takes_other_classes_and_what_requests_ask(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        s.full = {("cmcc", MessageClass.BULK), ("cmcc", MessageClass.INTERACTIVE)}
        bulk = outgoing(message_class=MessageClass.BULK)
        error = await overloaded(s.submission.accept([outgoing(), bulk]))
        assert str(error) == "link cmcc: too many bulk messages wait for it; try again in 30 s"
        assert await s.count() == 0
        await s.submission.accept([outgoing(), outgoing(to=TELECOM)])
        await s.database.writer.run(lambda c: s.submission.insert(c, composed()))
        assert await s.count() == 3

"""Votes of anyone, on both databases: counted together, by one process or two."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from smsgw.services.ledger import SlotPlans
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.drafts import AnswerDraft, RequestDraft, StepDraft
from smsgw.services.requests.engine import RequestEngine
from smsgw.services.requests.settings import Audience, Counts, VoteSettings
from smsgw.store import ballots, events, inbox
from smsgw.store.address import Server
from smsgw.store.arrivals import TAKE_IN, Arrival
from smsgw.store.ballots import BallotRow, NumberRow
from smsgw.store.database import Database
from smsgw.store.inbox import RECEIVE, InboundRow
from tests.support.memory import ACCESS, ANN, BOB
from tests.support.reactor import reactor_test
from tests.support.requests import RecordingComposer
from tests.support.store import NOW, inbound_row, part_row
from tests.support.stores import Place, kinds, opened

DRAFT = RequestDraft(
    subject="今晚的歌王",
    preset="vote",
    steps=[StepDraft(answers=[AnswerDraft("甲"), AnswerDraft("乙")])],
)


def engine(database: Database, *, shared: bool = False) -> RequestEngine:
    plans = SlotPlans(digits_max={ACCESS: 20})
    tools = Tools(database.ids, RecordingComposer(database.ids), plans)
    return RequestEngine(database, tools, reactor, shared=shared)


def vote(counts: Counts = Counts.FIRST) -> RequestDraft:
    settings = VoteSettings(audience=Audience.ANYONE, extension="88", counts=counts)
    return RequestDraft(subject=DRAFT.subject, preset="vote", steps=DRAFT.steps, vote=settings)


async def stored(database: Database, votes: list[tuple[str, str]]) -> list[InboundRow]:
    """Messages as they are taken in: the parts and what is made of them in one commit."""
    number = {"access_number": ACCESS, "extension": "88", "destination": ACCESS + "88"}
    found: list[Arrival] = []
    for phone, text in votes:
        part = part_row(
            database.ids,
            sender=phone,
            destination=ACCESS + "88",
            content=f"{text}{database.ids.next()}".encode(),  # no two are repeats
        )
        row = inbound_row(database.ids, sender=phone, text=text, **number)
        found.append(Arrival(part, row))
    received = database.writer.batch(RECEIVE, [one.part for one in found])
    taken = database.writer.batch(TAKE_IN, found)
    await received
    assert await taken == [True] * len(found)
    return [one.row for one in found]


@reactor_test
async def test_many_votes_are_counted_together_and_late_ones_told_apart(place: Place) -> None:
    async with opened(place) as database:
        asks = engine(database)
        request = await asks.create("show", vote())
        lots = random.Random(1)
        cast = [(f"138000{n % 400:05}", lots.choice(["1", "2", "?"])) for n in range(600)]
        rows = await stored(database, cast)
        before = database.writer.commits
        outcomes = await gatherResults([asks.reply(row) for row in rows])
        assert database.writer.commits - before <= 3
        wanted: dict[str, str] = {}
        for phone, text in cast:
            if text != "?":
                wanted.setdefault(phone, text)
        unclear = sum(text == "?" for _, text in cast)
        assert Counter(outcomes) == {
            "decided": len(wanted),
            "unclear": unclear,
            "repeated": 600 - unclear - len(wanted),
        }
        await asks.close(request)
        (late,) = await stored(database, [(ANN, "1")])
        assert await asks.reply(late) == "late"
        shown = await asks.show(request)
        tally = Counter(wanted.values())
        assert [one["count"] for one in shown["steps"][0]["answers"]] == [tally["1"], tally["2"]]
        found = [shown["vote"][key] for key in ("votes", "unclear", "late")]
        assert found == [len(wanted), unclear, 1]
        assert await database.read(inbox.unhandled) == []
        counted = await database.read(
            lambda c: ballots.of_phones(c, request, [phone for phone, _ in cast])
        )
        assert {phone: row.choice for phone, row in counted.items()} == wanted


@reactor_test
async def test_a_last_vote_takes_the_place_of_the_one_before(place: Place) -> None:
    async with opened(place) as database:
        asks = engine(database)
        request = await asks.create("show", vote(Counts.LAST))
        first = await stored(database, [(ANN, "1"), (BOB, "1"), (ANN, "2")])
        assert await gatherResults([asks.reply(row) for row in first]) == ["decided"] * 3
        (again,) = await stored(database, [(BOB, "2")])
        assert await asks.reply(again) == "decided"
        shown = await asks.show(request)
        assert [one["count"] for one in shown["steps"][0]["answers"]] == [0, 2]
        assert (await kinds(database)).count("vote.counted") == 4


@reactor_test
async def test_two_processes_that_count_at_the_same_time_count_each_phone_once(
    server: Server,
) -> None:
    async with opened(server, 1) as one, opened(server, 2) as two:
        asks, also = engine(one), engine(two, shared=True)
        request = await asks.create("show", vote(Counts.LAST))
        await also.votes.start()
        phones = [f"138000{n:05}" for n in range(60)]
        rows = []
        for text in ("1", "2"):
            for database in (one, two):
                rows += await stored(database, [(phone, text) for phone in phones])
        random.Random(2).shuffle(rows)
        reading = [
            (asks, also)[(place + again) % 2].reply(row)
            for again in range(2)
            for place, row in enumerate(rows)
        ]
        closing = asks.close(request)
        await gatherResults([*reading, closing], consumeErrors=True)
        also.votes.stop()
        shown = await asks.show(request)
        assert [one["count"] for one in shown["steps"][0]["answers"]] == [0, 60]
        assert (shown["vote"]["late"], await one.read(inbox.unhandled)) == (0, [])
        told = await one.read(lambda c: events.list_after(c, limit=5000))
        handled = [
            one.subject_id for one in told if one.kind in ("vote.counted", "inbound.handled")
        ]
        assert len(handled) == len(set(handled)) == len(rows)


@reactor_test
async def test_a_number_is_one_open_votes_at_a_time(place: Place) -> None:
    async with opened(place) as database:

        def work(connection: Connection) -> None:
            one, two = (NumberRow(ACCESS, "88", request, "show") for request in (1, 2))
            assert ballots.claim(connection, one)
            assert not ballots.claim(connection, two)
            assert ballots.numbers_of(connection, 2) == []
            assert ballots.close(connection, 1, NOW) == [one]
            assert [row.closed_at for row in ballots.numbers(connection, NOW)] == [NOW]
            assert ballots.numbers(connection, NOW + 1) == []
            assert ballots.claim(connection, two)
            assert ballots.locked(connection, [(ACCESS, "88"), (ACCESS, "9")]) == {
                (ACCESS, "88"): two
            }

        await database.writer.run(work)


@reactor_test
async def test_the_digest_is_of_all_ballots_and_changes_with_each(place: Place) -> None:
    async with opened(place) as database:

        def work(connection: Connection) -> None:
            rows = [BallotRow(7, phone, "1", 100 + n, NOW) for n, phone in enumerate([BOB, ANN])]
            ballots.put(connection, rows, [])
            told = "".join(
                f"{len(one)}:{one},"
                for one in (BOB, "1", "100", str(NOW), ANN, "1", "101", str(NOW))
            )
            before = ballots.digest(connection, 7)
            assert before == hashlib.sha256(told.encode()).hexdigest()
            rows[0].choice = "2"
            ballots.put(connection, [], rows[:1])
            assert ballots.digest(connection, 7) != before

        await database.writer.run(work)

"""Requests on both databases, and two processes that change the same ones."""

from __future__ import annotations

from threading import Event as ThreadEvent

from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from smsgw.services.requests import due
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.drafts import RequestDraft
from smsgw.services.requests.engine import RequestEngine
from smsgw.store import listed, timers
from smsgw.store import requests as rows_of
from smsgw.store.address import Server
from smsgw.store.database import Database
from tests.support.memory import ACCESS, ANN
from tests.support.reactor import reactor_test
from tests.support.requests import RecordingComposer, asking
from tests.support.store import NOW
from tests.support.stores import Place, opened


def engine(database: Database) -> RequestEngine:
    tools = Tools(database.ids, RecordingComposer(database.ids))
    return RequestEngine(database, tools, reactor, shared=True)


@reactor_test
async def test_a_reminder_leaves_what_another_process_is_changing_to_its_own_timer(
    server: Server,
) -> None:
    async with opened(server, 1) as one, opened(server, 2) as two:
        asks = engine(one)
        step = asking(ANN, reminders=[60.0])
        draft = RequestDraft(subject="检修", preset="dispatch", steps=[step])
        mine, other = [await asks.create("office", draft) for _ in range(2)]
        (reminder,) = await one.read(lambda c: timers.of_request(c, mine))
        (left,) = await one.read(lambda c: timers.of_request(c, other))
        begun: Deferred[None] = Deferred()
        go_on = ThreadEvent()

        def receive(connection: Connection) -> None:
            rows = rows_of.get(connection, other, lock=True)
            assert rows is not None
            reactor.callFromThread(begun.callback, None)
            go_on.wait(5)
            rows.assignments[0].progress = "received"
            rows_of.save_assignment(connection, rows.assignments[0])

        changing = two.writer.run(receive)
        await begun
        await asks.commit(lambda changes: due.fire(changes, reminder))
        go_on.set()
        await changing
        assert await one.read(lambda c: timers.of_request(c, other)) == [left]
        (ann,) = (await asks.show(other))["steps"][0]["assignees"]
        assert (ann["progress"], ann["reminded"]) == ("received", 0)
        (ann,) = (await asks.show(mine))["steps"][0]["assignees"]
        assert ann["reminded"] == 1


@reactor_test
async def test_a_number_of_a_list_is_never_given_to_another_item_within_its_life(
    place: Place,
) -> None:
    async with opened(place) as database:

        def work(connection: Connection) -> None:
            show, before = (connection, ANN, ACCESS), NOW - 10
            assert listed.show(*show, {1: 71, 2: 72}, NOW, before)
            assert listed.show(*show, {1: 71, 3: 73}, NOW + 1, before)
            assert listed.numbers(*show, before) == {1: 71, 2: 72, 3: 73}
            assert listed.show(*show, {2: 74}, NOW + 2, NOW)
            assert listed.numbers(*show, before) == {1: 71, 2: 74, 3: 73}
            assert not listed.show(*show, {3: 75}, NOW + 3, NOW)

        await database.writer.run(work)

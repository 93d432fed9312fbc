"""A whole gateway between three simulated carriers, in one process."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import deferLater
from twisted.logger import Logger, formatEvent

from smsgw.daemon.assembly import make_gateway
from smsgw.daemon.config import load
from smsgw.delivery import dispatcher
from smsgw.errors import Conflict, NotFound, Overloaded, ValidationError
from smsgw.model import MoMessage
from smsgw.services import submission
from smsgw.services.gateway import Gateway
from smsgw.services.requests.drafts import RequestDraft
from smsgw.simulator.script import always
from smsgw.transport import adapter
from tests.support.daemon import LOGINS
from tests.support.gateways import ACCOUNT, InsideTown, message, one_link, prompt
from tests.support.ports import free_port
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONES = {name: NUMBERS[name] for name in LOGINS}
"""The phones of the carriers that the town has."""

NO_BACKLOG = {**(dispatcher.Dispatcher.__init__.__kwdefaults__ or {}), "backlog_max": 0}

LONG = "新闻部申请使用三号外景转播车" * 12


async def eventually(holds) -> None:
    while not await holds():
        await deferLater(reactor, 0.005)


@reactor_test
async def test_a_message_is_sent_and_delivered(tmp_path):
    async with InsideTown(tmp_path) as town:
        (message_id,) = await town.gateway.send(ACCOUNT, [message("+86 13800001001", "您好")])
        shown = await town.become(message_id, "delivered")
        assert (shown["to"], shown["link"], shown["parts"]) == (NUMBERS["cmpp"], "mobile", 1)
        assert shown["segments"][0]["carrier_message_id"]
        (received,) = town.carriers["cmpp"].phones.get(NUMBERS["cmpp"]).inbox
        assert (received.sender, received.text) == ("10690001", "您好")
        assert town.metric("smsgw_messages_accepted_total", **{"class": "notice"}) == 1
        assert town.metric("smsgw_messages_finished_total", status="delivered") == 1


@reactor_test
async def test_a_message_is_sent_at_its_time_unless_it_is_canceled(tmp_path):
    async with InsideTown(tmp_path) as town:
        now = datetime.now(UTC)
        soon = message(PHONES["cmpp"], "x", send_at=now + timedelta(seconds=0.3))
        later = message(PHONES["cmpp"], "y", send_at=now + timedelta(days=1))
        first, second = await town.gateway.send(ACCOUNT, [soon, later])
        shown = await town.gateway.records.message(ACCOUNT, second)
        assert (shown["status"], shown["segments"][0]["state"]) == ("scheduled", "scheduled")
        shown = await town.gateway.records.message(ACCOUNT, first)
        assert datetime.fromisoformat(shown["send_at"]) - now < timedelta(seconds=0.31)
        canceled = await town.gateway.cancel(ACCOUNT, second)
        assert (canceled["status"], canceled["segments"][0]["state"]) == ("canceled", "canceled")
        assert town.metric("smsgw_messages_finished_total", status="canceled") == 1
        shown = await town.become(first, "delivered")
        assert shown["segments"][0]["sent_at"] >= shown["send_at"]
        with pytest.raises(Conflict, match="is delivered"):
            await town.gateway.cancel(ACCOUNT, first)


@reactor_test
async def test_more_than_can_be_taken_is_refused_and_nothing_of_it_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(dispatcher.Dispatcher.__init__, "__kwdefaults__", NO_BACKLOG)
    async with InsideTown(tmp_path) as town:
        with pytest.raises(Overloaded, match="link mobile: too many notice messages wait"):
            await town.gateway.send(ACCOUNT, [message(PHONES["cmpp"], "x")])
        monkeypatch.setattr(submission, "WRITER_ROWS_MAX", 0)
        with pytest.raises(Overloaded, match="0 rows wait for the database"):
            await town.gateway.send(ACCOUNT, [message(PHONES["cmpp"], "x")])
        assert await town.count("message") == 0


@reactor_test
async def test_many_messages_reach_the_phones_of_three_carriers_whole(tmp_path):
    async with InsideTown(tmp_path) as town:
        outgoing = [message(phone, LONG) for phone in PHONES.values() for _ in range(10)]
        ids = await town.gateway.send(ACCOUNT, outgoing)
        assert len(set(ids)) == 30
        for message_id in ids:
            await town.become(message_id, "delivered")
        for name, phone in PHONES.items():
            inbox = town.carriers[name].phones.get(phone).inbox
            assert {received.text for received in inbox} == {LONG}
            assert len(inbox) == 10
        assert await town.count("segment", "state <> 'delivered'") == 0
        listed = await town.gateway.records.messages(
            ACCOUNT, before=None, limit=50, status="delivered", to=NUMBERS["sgip"]
        )
        assert len(listed) == 10
        find = town.gateway.records.messages
        assert await find("crm", before=None, limit=50, status=None, to=None) == []
        with pytest.raises(NotFound):
            await town.gateway.records.message("crm", ids[0])


@reactor_test
async def test_what_cannot_be_sent_as_written_names_its_field_and_stores_nothing(tmp_path):
    async with InsideTown(tmp_path) as town:
        good = message(NUMBERS["cmpp"])
        for bad, field in (
            ([good, message("12")], "messages[1].to"),
            ([message(NUMBERS["cmpp"], " ")], "messages[0].text"),
            ([message(NUMBERS["cmpp"], valid_for=-1.0)], "messages[0].valid_for"),
            ([message(NUMBERS["cmpp"], reference="x" * 129)], "messages[0].reference"),
            ([message("19200001001", expects_reply=True)], "messages[0].to"),
            ([], "messages"),
        ):
            with pytest.raises(ValidationError) as caught:
                await town.gateway.send(ACCOUNT, bad)
            assert caught.value.field == field
        draft = RequestDraft(subject="x", steps=prompt("12"))
        with pytest.raises(ValidationError, match=r"steps\[0\].assignees\[0\].phone"):
            await town.gateway.requests.create(ACCOUNT, draft)
        for table in ("message", "segment", "event", "request"):
            assert await town.count(table) == 0
        assert town.carriers["cmpp"].submits == []


@reactor_test
async def test_an_inbound_message_that_belongs_to_nothing_lands_in_the_inbox(tmp_path):
    async with InsideTown(tmp_path) as town:
        town.carriers["cmpp"].send(NUMBERS["cmpp"], "10690001", "请问几点开会")
        town.carriers["smgp"].send(NUMBERS["smgp"], "10690002999", LONG)

        async def read():
            found = await town.gateway.records.inbound(ACCOUNT, before=None, limit=9)
            return len(found) == 2 and all(one["handled_at"] for one in found)

        await eventually(read)
        found = await town.gateway.records.inbound(ACCOUNT, before=None, limit=9)
        by_number = {one["to"]: one for one in found}
        assert by_number["10690001"]["text"] == "请问几点开会"
        assert by_number["10690002999"]["text"] == LONG
        assert by_number["10690002999"]["extension"] == "999"
        assert {one["request_id"] for one in found} == {None}
        assert await town.count("inbound_part") == 1 + by_number["10690002999"]["parts"]


@reactor_test
async def test_a_reply_decides_the_request_it_answers(tmp_path):
    async with InsideTown(tmp_path) as town:
        town.carriers["smgp"].phone(NUMBERS["smgp"], always("同意", after=0.01))
        request_id = await town.ask(NUMBERS["smgp"])
        await town.person(request_id, lambda one: one["decision"] == "yes")
        shown = await town.gateway.requests.show(request_id, ACCOUNT)
        assert (shown["state"], shown["outcome"]) == ("closed", "approved")
        events = await town.gateway.records.events(ACCOUNT, after=0, limit=50)
        kinds = [one["kind"] for one in events]
        assert kinds.count("request.answered") == kinds.count("request.closed") == 1
        later = await town.gateway.records.events(ACCOUNT, after=int(events[1]["id"]), limit=50)
        assert later[: len(events) - 2] == events[2:]
        await until(lambda: town.metric("smsgw_requests_finished_total", outcome="approved") == 1)
        (assignment,) = shown["steps"][0]["assignees"]
        with pytest.raises(Conflict):
            await town.gateway.requests.decide(request_id, int(assignment["id"]), "no")


@reactor_test
async def test_a_delivery_brought_twice_is_counted_once(tmp_path):
    async with InsideTown(tmp_path) as town:
        request_id = await town.ask(NUMBERS["cmpp"])
        person = await town.person(request_id, lambda one: True)
        reply = MoMessage(NUMBERS["cmpp"], person["sender_number"], 8, "同意".encode("utf-16-be"))
        town.carriers["cmpp"].deliver(reply)
        town.carriers["cmpp"].deliver(reply)
        await until(lambda: town.brought("cmpp") == 2)
        person = await town.person(request_id, lambda one: one["decision"])
        assert [answer["counted"] for answer in person["answers"]] == [True]
        assert await town.count("inbound") == 1


@reactor_test
async def test_readiness_says_why_not(tmp_path):
    config = tmp_path / "smsgw.toml"
    config.write_text(one_link("cmpp", free_port()))
    assembly = make_gateway(load(config), reactor)
    gateway = assembly.gateway
    assert await gateway.readiness() == ["starting or stopping"]
    await gateway.start()
    assert await gateway.readiness() == ["no link is up"]
    await gateway.stop()
    assert await gateway.readiness() == ["starting or stopping"]
    async with InsideTown(tmp_path) as town:
        assert await town.gateway.readiness() == []


@reactor_test
async def test_links_show_their_state_and_what_waits_for_them(tmp_path):
    async with InsideTown(tmp_path) as town:
        links = {link["name"]: link for link in town.gateway.links()}
        assert list(links) == ["mobile", "telecom", "unicom"]
        (bind,) = links["mobile"]["binds"]
        assert (bind["phase"], bind["reason"], bind["note"]) == ("bound", "", "")
        assert (bind["version"], bind["refused"], bind["retry_in"]) == ("3.0", "", None)
        assert links["mobile"]["queue"]
        assert town.gateway.listener_port("unicom") > 0
        assert town.gateway.listener_port("mobile") == 0


@reactor_test
async def test_stop_waits_for_the_answers_of_what_is_in_flight(tmp_path):
    async with InsideTown(tmp_path) as town:
        for ismg in town.carriers.values():
            ismg.behaviour.answer_after = 1.0
            ismg.behaviour.report_after = 60
        await town.gateway.send(ACCOUNT, [message(phone) for phone in PHONES.values()])
        await until(lambda: sum(link["in_flight"] for link in town.gateway.links()) == 3)
        await town.gateway.stop()
        with sqlite3.connect(town.database) as connection:
            found = connection.execute("SELECT state FROM segment").fetchall()
        connection.close()
        assert found == [("sent",)] * 3


@reactor_test
async def test_silent_carriers_hold_up_a_stop_once_and_not_one_after_the_other(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(adapter, "CLOSE_WITHIN", 600.0)
    async with InsideTown(tmp_path) as town:
        for ismg in town.carriers.values():
            for connection in ismg._listener.connections:
                connection.transport.pauseProducing()
        stopped: Deferred[None] = Deferred.fromCoroutine(town.gateway.stop())
        await until(
            lambda: {link["binds"][0]["phase"] for link in town.gateway.links()} == {"stopped"}
        )
        assert not stopped.called
        for ismg in town.carriers.values():
            ismg.hang_up()
        await stopped


@reactor_test
async def test_a_failure_inside_is_logged_with_what_it_was(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(Gateway, "log", Logger(observer=logged.append))
    async with InsideTown(tmp_path) as town:
        town.gateway._watched("status reports", fail(RuntimeError("broken")))
    assert [formatEvent(event) for event in logged] == ["status reports failed"]


@reactor_test
async def test_stopping_right_after_a_reply_leaves_nothing_behind(tmp_path):
    async with InsideTown(tmp_path) as town:
        request_id = await town.ask(*PHONES.values())
        for name, phone in PHONES.items():
            place = list(PHONES).index(name)
            person = await town.person(request_id, lambda one: True, place)
            town.carriers[name].send(phone, person["sender_number"], "同意")
        await until(lambda: any(town.brought(name) for name in PHONES))


@reactor_test
async def test_what_waits_when_it_stops_is_sent_after_the_next_start(tmp_path):
    town = InsideTown(tmp_path)
    async with town:
        for ismg in town.carriers.values():
            ismg.hang_up()
        await until(lambda: not town.gateway.links()[0]["up"])
        (message_id,) = await town.gateway.send(ACCOUNT, [message(NUMBERS["cmpp"])])
        stopped: Deferred[None] = Deferred.fromCoroutine(town.close())
        with pytest.raises(Overloaded, match="being stopped"):
            await town.gateway.send(ACCOUNT, [message(NUMBERS["cmpp"])])
        await stopped
        assert town.carriers["cmpp"].submits == []
        await town.run()
        await town.become(message_id, "delivered")
        assert len(town.carriers["cmpp"].submits) == 1

"""Both clients against a real gateway: each test runs with the blocking one and with asyncio's."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from threading import Thread
from typing import Any

import pytest

from smsgw.client import (
    ApiError,
    AsyncClient,
    Choice,
    Client,
    Escalation,
    Flow,
    NewMessage,
    Person,
    PortedNumber,
    Recipient,
    Step,
    TimedOut,
    Unreachable,
    Vote,
)
from smsgw.testing import SimulatedGateway
from tests.support.ports import free_port

ZHANG = "13800001001"
LI = "18900001002"
WANG = "18600001003"


class Blocked:
    """An asyncio client that blocks, so that one test does for both."""

    def __init__(self, runner: asyncio.Runner, inner: Any) -> None:
        self._runner = runner
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._call(found) if callable(found) else Blocked(self._runner, found)

    def _call(self, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            made = function(*args, **kwargs)
            if inspect.isasyncgen(made):
                return self._items(made)
            return self._runner.run(made)

        return call

    def _items(self, made: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._runner.run(anext(made))
            except StopAsyncIteration:
                return


@pytest.fixture(params=["blocking", pytest.param("asyncio", marks=pytest.mark.long)])
def connect(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What makes a client of a gateway."""
    if request.param == "blocking":
        made: list[Client] = []

        def blocking(url: str, token: str, **kinds: Any) -> Any:
            made.append(Client(url, token, **kinds))
            return made[-1]

        yield blocking
        for client in made:
            client.close()
        return
    with asyncio.Runner() as runner:
        opened: list[AsyncClient] = []

        def awaiting(url: str, token: str, **kinds: Any) -> Any:
            opened.append(AsyncClient(url, token, **kinds))
            return Blocked(runner, opened[-1])

        yield awaiting
        for one in opened:
            runner.run(one.close())


@pytest.fixture
def client(connect: Any, smsgw_gateway: SimulatedGateway) -> Any:
    return connect(smsgw_gateway.url, smsgw_gateway.token)


def approval(*phones: str) -> list[Step]:
    return [Step([Person(phone) for phone in phones])]


def test_a_message_arrives_and_is_delivered(client, smsgw_gateway):
    message_id = client.send(ZHANG, "三号演播室 19:30 直播", reference="job-1")
    done = client.wait(message_id)
    assert (done.status, done.reference, done.to) == ("delivered", "job-1", ZHANG)
    assert [segment.stat for segment in done.segments] == ["DELIVRD"]
    assert done.created_at.tzinfo is not None
    assert [one.text for one in smsgw_gateway.phone(ZHANG).inbox] == ["三号演播室 19:30 直播"]


def test_several_are_listed_newest_first_over_pages(client):
    ids = client.send_many([NewMessage(to=ZHANG, text=f"{number}") for number in range(230)])
    assert len(ids) == 230
    listed = [one.id for one in client.messages()]
    assert listed == ids[::-1]
    assert [one.text for one in islice(client.messages(to=ZHANG), 2)] == ["229", "228"]
    assert list(client.messages(status="canceled")) == []


def test_a_scheduled_message_is_canceled_and_not_twice(client):
    later = datetime.now(UTC) + timedelta(hours=1)
    message_id = client.send(ZHANG, "later", send_at=later, valid_for=60)
    with pytest.raises(TimedOut, match="is scheduled"):
        client.wait(message_id, timeout=0.1)
    assert client.cancel(message_id).status == "canceled"
    with pytest.raises(ApiError) as caught:
        client.cancel(message_id)
    assert (caught.value.status, caught.value.type) == (409, "conflict")


def test_what_is_wrong_is_named_by_its_field(client):
    with pytest.raises(ApiError) as caught:
        client.send_many([NewMessage(to=ZHANG, text="a"), NewMessage(to="1", text="b")])
    assert (caught.value.status, caught.value.type) == (422, "invalid")
    assert caught.value.field == "messages[1].to"
    with pytest.raises(ApiError) as caught:
        client.message("7")
    assert (caught.value.status, caught.value.type) == (404, "not-found")


def test_a_wrong_token_is_unauthorized(connect, smsgw_gateway):
    with pytest.raises(ApiError) as caught:
        connect(smsgw_gateway.url, "not-a-token-of-the-gateway").links()
    assert (caught.value.status, caught.value.type) == (401, "unauthorized")


def test_people_are_asked_and_their_answers_come_back(client, smsgw_gateway):
    zhang, li = smsgw_gateway.phone(ZHANG), smsgw_gateway.phone(LI)
    steps = [
        Step(
            [Person(ZHANG, "张工"), Person(LI, "李工")],
            rule="all",
            name="设备部",
            deadline_after=86400,
            reminders=[3600],
            escalation=[Escalation(7200, WANG, "总工")],
        )
    ]
    request_id = client.requests.create(
        "采购三脚架", steps, body="共 5200 元", reference="oa-77", applicant=Person(WANG, "摄影部")
    )
    zhang.wait_for("待审批：采购三脚架")
    zhang.reply("同意")
    li.wait_for("待审批：采购三脚架")
    li.reply("不同意 预算不够")
    request = client.requests.wait(request_id)
    assert (request.state, request.outcome, request.reference) == ("closed", "rejected", "oa-77")
    answers = {one.name: (one.decision, one.reason) for one in request.assignees}
    assert answers == {"张工": ("yes", ""), "李工": ("no", "预算不够")}
    assert request.steps[0].escalation[0].name == "总工"
    assert [one.outcome for one in client.requests.list(reference="oa-77")] == ["rejected"]
    assert [one.outcome for one in client.inbound()] == ["decided", "decided"]
    assert "request.closed" in [event.kind for event in client.events()]


def test_a_request_lives_over_the_api(client, smsgw_gateway):
    request_id = client.requests.create("用车", approval(ZHANG, LI))
    with pytest.raises(TimedOut, match="is open"):
        client.requests.wait(request_id, timeout=0.05)
    zhang, li = client.requests.show(request_id).assignees
    client.requests.resend(request_id, zhang.id)
    assert len([smsgw_gateway.phone(ZHANG).wait_for("用车") for _ in range(2)]) == 2
    assert client.requests.digest(ZHANG) is True
    handed = client.requests.delegate(request_id, li.id, Person(WANG, "王工"))
    assert [one.name for one in handed.assignees if one.delegated_from == li.id] == ["王工"]
    decided = client.requests.decide(request_id, zhang.id, "yes", reason="可以")
    assert decided.assignees[0].decision == "yes"
    with pytest.raises(ApiError) as caught:
        client.requests.decide(request_id, zhang.id, "no", version=1)
    assert caught.value.type == "conflict"
    assert client.requests.withdraw(request_id, "不用了").outcome == "withdrawn"
    assert [one.id for one in client.requests.list(state="withdrawn")] == [request_id]


def test_a_vote_is_closed_with_its_tally(client, smsgw_gateway):
    request_id = client.requests.create(
        "今晚的歌王",
        [Step(answers=[Choice("张三"), Choice("李四", words=["小李"])], deadline_after=600)],
        preset="vote",
        vote=Vote(audience="anyone", extension="88"),
    )
    vote = client.requests.show(request_id).vote
    phone = smsgw_gateway.phone(ZHANG)
    phone.write(next(one for one in vote.numbers if one.startswith("10690001")), "小李")
    for event in client.events(follow=True):
        if event.kind == "vote.counted":
            break
    closed = client.requests.close(request_id)
    assert [(one.label, one.count) for one in closed.steps[0].answers] == [("张三", 0), ("李四", 1)]
    assert closed.vote.votes == 1


def test_flows_are_saved_used_and_forgotten(client):
    flow = Flow(body="请审批用车", steps=[Step([Person(ZHANG, "张工")], name="车队")])
    assert client.request_types.save("用车", flow) == 1
    assert client.request_types.save("用车", flow, version=1) == 2
    assert [one.name for one in client.request_types.list()] == ["用车"]
    assert client.request_types.show("用车").flow["body"] == "请审批用车"
    request_id = client.requests.create("转播车", type="用车")
    assert client.requests.show(request_id).steps[0].name == "车队"
    client.request_types.remove("用车")
    with pytest.raises(ApiError):
        client.request_types.show("用车")


def test_a_stand_in_is_asked_until_it_ends(client, smsgw_gateway):
    stand_in = client.stand_ins.add(ZHANG, LI, name="李工")
    client.requests.create("用车", approval(ZHANG))
    smsgw_gateway.phone(LI).wait_for("待审批：用车")
    assert [one.other_phone for one in client.stand_ins.list(phone=ZHANG)] == [LI]
    client.stand_ins.end(stand_in)
    assert list(client.stand_ins.list()) == []
    assert [one.id for one in client.stand_ins.list(ended=True)] == [stand_in]


def test_a_conversation_carries_its_reference(client, smsgw_gateway):
    opened = client.conversations.open(ZHANG, "job-17", text="几点到？")
    phone = smsgw_gateway.phone(ZHANG)
    assert phone.wait_for("几点到").sender == opened.sender_number
    phone.reply("下午三点")
    for event in client.events(follow=True):
        if event.kind == "conversation.reply":
            break
    assert (event.data["reference"], event.data["text"]) == ("job-17", "下午三点")
    assert [one.text for one in client.conversations.show(opened.id).replies] == ["下午三点"]
    assert client.wait(client.conversations.send(opened.id, "谢谢")).status == "delivered"
    assert client.conversations.end(opened.id).state == "ended"
    with pytest.raises(ApiError) as caught:
        client.conversations.send(opened.id, "还在吗")
    assert caught.value.status == 409
    assert [one.id for one in client.conversations.list(reference="job-17")] == [opened.id]


def test_links_and_routes_explain_themselves(client):
    assert {(link.name, link.up) for link in client.links()} == {
        ("mobile", True),
        ("telecom", True),
        ("unicom", True),
    }
    route = client.explain(LI, expect_reply=True, message_class="realtime")
    assert (route.operator, route.links[0].name, route.refused) == ("telecom", "telecom", "")


class Moody(BaseHTTPRequestHandler):
    """Hangs up on the first request, is busy at the second, and answers then."""

    keys: list[str | None]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.keys.append(self.headers["idempotency-key"])
        if len(self.keys) == 1:
            self.connection.close()
            self.close_connection = True
            return
        busy = len(self.keys) == 2
        content = {"type": "urn:smsgw:problem:busy", "detail": "busy"} if busy else {"id": "7"}
        body = json.dumps(content).encode()
        self.send_response(503 if busy else 202)
        if busy:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_a_gateway_that_hangs_up_or_is_busy_is_asked_again_with_the_same_key(connect):
    keys: list[str | None] = []
    handler = type("Handler", (Moody,), {"keys": keys})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = connect(f"http://127.0.0.1:{server.server_port}", "a-token-of-22-letters!")
        assert client.send(ZHANG, "hi") == "7"
        server.shutdown()
        thread.join()
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_where_nobody_listens_it_is_said(connect, monkeypatch):
    monkeypatch.setattr("smsgw.client.core.FIRST_PAUSE", 0.001)
    port = free_port()
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be reached"):
        connect(f"http://127.0.0.1:{port}", "a-token-of-22-letters!").links()


def test_both_clients_have_the_same_calls():
    def calls(made: Any) -> dict[str, str]:
        found = {}
        for name in ["", *(name for name in vars(made) if not name.startswith("_"))]:
            part = getattr(made, name) if name else made
            found |= {
                f"{name}.{one}": str(inspect.signature(getattr(part, one))).replace("Async", "")
                for one in dir(part)
                if not one.startswith("_") and callable(getattr(part, one))
            }
        return found

    blocking, awaiting = (one("http://gateway", "token") for one in (Client, AsyncClient))
    assert calls(blocking) == calls(awaiting)
    assert {"send", "requests.create", "webhooks.test", "tokens.revoke"} <= {
        name.removeprefix(".") for name in calls(blocking)
    }
    asyncio.run(awaiting.close())
    blocking.close()


def test_each_is_closed_by_its_with_block(smsgw_gateway):
    with Client(smsgw_gateway.url, smsgw_gateway.token) as client:
        client.links()
    with pytest.raises(RuntimeError, match="closed"):
        client.links()

    async def run() -> None:
        async with smsgw_gateway.async_client() as client:
            await client.links()
        with pytest.raises(RuntimeError, match="closed"):
            await client.links()

    asyncio.run(run())


def test_webhooks_are_made_changed_tried_and_forgotten(client):
    made = client.webhooks.create("https://oa.example/sms", ["request.*"])
    assert (made.state, made.kinds, made.secret[:6]) == ("active", ["request.*"], "whsec_")
    paused = client.webhooks.pause(made.id)
    assert (paused.state, paused.secret) == ("paused", "")
    assert client.webhooks.change(made.id, kinds=["message.*"]).kinds == ["message.*"]
    rotated = client.webhooks.rotate(made.id, overlap=60)
    assert rotated.secret not in ("", made.secret)
    assert rotated.old_secret_until > rotated.created_at
    assert not client.webhooks.test(made.id).delivered
    with pytest.raises(ApiError) as refused:
        client.webhooks.replay(made.id, after="0")
    assert refused.value.field == "after"  # nothing was delivered that could be again
    assert client.webhooks.resume(made.id).state == "active"
    assert made.id in [one.id for one in client.webhooks.list()]
    assert list(client.webhooks.dead_letters(made.id)) == []
    client.webhooks.remove(made.id)
    with pytest.raises(ApiError) as refused:
        client.webhooks.show(made.id)
    assert refused.value.status == 404


def test_a_token_that_was_made_works_and_one_that_was_revoked_does_not(
    client, connect, smsgw_gateway
):
    made = client.tokens.create("desk", account="newsroom/desk", roles=["viewer"], daily=5)
    assert (made.state, made.token.startswith(made.prefix)) == ("active", True)
    mine = connect(smsgw_gateway.url, made.token)
    assert list(mine.messages()) == []
    with pytest.raises(ApiError) as refused:
        mine.send(ZHANG, "hello")
    assert refused.value.status == 403
    ends = datetime.now(UTC) + timedelta(days=1)
    changed = client.tokens.change(made.id, roles=["sender"], expires_at=ends)
    assert (changed.roles, changed.daily, changed.token) == (["sender"], 5, "")
    assert abs(changed.expires_at - ends) < timedelta(seconds=1)
    assert client.tokens.change(made.id, expires_at="never").expires_at is None
    assert client.tokens.revoke(made.id).state == "revoked"
    assert made.id in [one.id for one in client.tokens.list(revoked=True)]
    assert client.tokens.show(made.id).revoked_at is not None


def test_a_client_may_be_about_a_department_below(client, connect, smsgw_gateway):
    client.tokens.create(
        "desk", account="newsroom/news", roles=["viewer"]
    )  # so there is such a department
    department = connect(smsgw_gateway.url, smsgw_gateway.token, account="newsroom/news")
    message_id = department.send(ZHANG, "hello")
    assert message_id in [one.id for one in client.messages()]
    with pytest.raises(ApiError) as refused:
        connect(smsgw_gateway.url, smsgw_gateway.token, account="elsewhere").send(ZHANG, "hello")
    assert refused.value.status == 403


def test_what_operators_look_after_is_read_and_changed(client):
    request_id = client.requests.create("采购", [Step([Person(ZHANG)])])
    slot = next(one for one in client.slots(phone=ZHANG) if one.request_id == request_id)
    assert slot.sender_number == slot.access_number + slot.extension
    assert slot.state == "live"
    left = client.slots_left()
    assert ZHANG in [one.phone for one in left.busiest]
    assert all(0 < one.left <= one.extensions for one in left.capacity)
    assert list(client.unmatched_reports(link="mobile")) == []
    assert client.customers() == []
    actions = [one.action for one in client.audit() if one.subject_id == request_id]
    assert actions[0] == "request.created"
    evidence = client.requests.evidence(request_id)
    assert evidence["request"]["id"] == request_id

    number = PortedNumber("18600001099", "telecom")
    assert client.record_ported([number]).imported == 1
    found = next(one for one in client.ported() if one.phone == number.phone)
    assert (found.operator, found.source) == ("telecom", "import")
    assert client.forget_ported([number.phone]) == 1


def test_a_trace_has_the_message_and_how_it_would_be_routed(client):
    message_id = client.send(ZHANG, "hello")
    client.wait(message_id)
    trace = client.trace(message_id)
    assert trace["message"]["id"] == message_id
    assert trace["route_now"]["operator"] == "mobile"


def test_a_batch_says_each_its_own_and_how_far_it_is(client, smsgw_gateway):
    batch_id = client.batches.create("{name}您好", [Recipient(ZHANG, {"name": "张工"})]).id
    more = client.batches.extend(batch_id, [Recipient(LI, {"name": "李工"})])
    assert (more.id, more.accepted, more.opted_out) == (batch_id, 1, [])
    assert smsgw_gateway.phone(ZHANG).wait_for("您好").text == "张工您好"
    assert smsgw_gateway.phone(LI).wait_for("您好").text == "李工您好"
    shown = client.batches.show(batch_id)
    assert (shown.messages, sum(shown.counts.values())) == (2, 2)
    assert len(list(client.messages(batch=batch_id))) == 2
    assert client.batches.cancel(batch_id).canceled_at is not None
    assert batch_id in [one.id for one in client.batches.list()]
    with pytest.raises(ApiError) as refused:
        client.batches.create("{name}您好", [Recipient(ZHANG)])
    assert refused.value.field == "recipients[0].variables.name"
    assert client.stats()["messages"] >= 2


def test_what_phones_wrote_is_marked_as_read(client, smsgw_gateway):
    smsgw_gateway.phone(ZHANG).write("10690001", "你好")
    while not (found := list(client.inbound(unread=True))):
        pass
    assert client.mark_read([found[0].id]) == 1
    assert client.mark_read(up_to=found[0].id) == 0
    assert list(client.inbound(unread=True)) == []


def test_operators_stop_a_link_look_at_it_and_drain(client, smsgw_gateway):
    trace = client.control.trace_link("mobile", seconds=60)
    message_id = client.control.try_link("mobile", ZHANG)
    client.wait(message_id)
    assert client.control.read_trace(trace.id, wait=1).seen
    assert trace.id in [one.id for one in client.control.link_traces()]
    assert client.control.stop_trace(trace.id).ended
    assert client.control.stop_link("mobile").state in ("stopping", "stopped")
    assert client.control.start_link("mobile").name == "mobile"
    assert client.control.drain().draining
    assert not client.control.drain(undo=True).draining


def test_a_phone_opts_out_is_held_exported_and_would_be_erased(client):
    phone = "13800001088"
    assert client.people.opt_out([phone]) == 1
    assert [one.phone for one in client.people.opt_outs(phone=phone)] == [phone]
    assert client.people.opt_in([phone]) == 1
    hold = client.people.hold("phone", phone, "case 12")
    assert hold.id in [one.id for one in client.people.holds()]
    assert client.people.end_hold(hold.id).state == "ended"
    exported = list(client.people.export(phone))
    assert {"opt_out", "hold", "audit"} <= {one.table for one in exported}
    assert [one.row["phone"] for one in exported if one.table == "opt_out"] == [phone]
    assert not client.people.erase(phone).erased

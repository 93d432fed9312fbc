"""Every endpoint has a call, which asks what the endpoint takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from smsgw.client import (
    Choice,
    Client,
    Escalation,
    Flow,
    NewMessage,
    Person,
    PortedNumber,
    Recipient,
    Step,
    Vote,
)
from smsgw.interfaces.http.contract import OPERATIONS

PHONE = "13800001001"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
WATCHED = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/openapi.json")}
"""What machines ask that watch, or write clients."""

FLOW = Flow(
    steps=[
        Step(
            [Person(PHONE, "张工")],
            rule="all",
            name="设备部",
            reject_ends=True,
            deadline_after=60,
            on_deadline="reject",
            reminders=[10],
            escalation=[Escalation(20, PHONE, "总工")],
            answers=[Choice("同意", "yes", "for", ["准"])],
        )
    ],
    body="四个",
    preset="approval",
    applicant=Person(PHONE),
    on_deadline="expire",
    confirmation="code",
    allow_change=True,
    urgent=True,
    vote=Vote(audience="anyone", counts="last", extension="9"),
)
MESSAGE = NewMessage(
    to=PHONE,
    text="hello",
    message_class="bulk",
    reference="a-1",
    send_at=NOW,
    zone="Asia/Shanghai",
    valid_for=60,
    expect_reply=True,
)

TO = Recipient(PHONE, {"name": "张三"}, "row-1")


def request_of(client: Client) -> object:
    wanted = {name: getattr(FLOW, name) for name in FLOW.__struct_fields__}
    return client.requests.create("采购", type="t", reference="r", deadline=NOW, **wanted)


def message_of(client: Client) -> object:
    wanted = {name: getattr(MESSAGE, name) for name in MESSAGE.__struct_fields__}
    return client.send(**wanted)


def batch_of(client: Client) -> object:
    wanted = {name: getattr(MESSAGE, name) for name in MESSAGE.__struct_fields__}
    return client.batches.create(wanted.pop("text"), [TO], **(wanted.pop("to") and wanted))


Calls = Mapping[tuple[str, str], list[Callable[[Client], Any]]]

CALLS: Calls = {
    ("POST", "/v1/messages"): [message_of, lambda c: c.send_many([MESSAGE])],
    ("GET", "/v1/messages"): [lambda c: c.messages(status="sent", to=PHONE, batch="7")],
    ("GET", "/v1/messages/<id>"): [lambda c: c.message("7"), lambda c: c.wait("7")],
    ("GET", "/v1/messages/<id>/trace"): [lambda c: c.trace("7")],
    ("POST", "/v1/messages/<id>/cancel"): [lambda c: c.cancel("7")],
    ("POST", "/v1/requests"): [request_of],
    ("GET", "/v1/requests"): [lambda c: c.requests.list(state="open", reference="r")],
    ("GET", "/v1/requests/<id>"): [lambda c: c.requests.show("7"), lambda c: c.requests.wait("7")],
    ("POST", "/v1/requests/<id>/decisions"): [
        lambda c: c.requests.decide("7", "8", "yes", reason="ok", version=1)
    ],
    ("POST", "/v1/requests/<id>/delegations"): [
        lambda c: c.requests.delegate("7", "8", Person(PHONE, "李工"), version=1)
    ],
    ("POST", "/v1/requests/<id>/withdraw"): [
        lambda c: c.requests.withdraw("7", "mistake", version=1)
    ],
    ("POST", "/v1/requests/<id>/close"): [lambda c: c.requests.close("7", version=1)],
    ("POST", "/v1/requests/<id>/resend"): [lambda c: c.requests.resend("7", "8")],
    ("GET", "/v1/requests/<id>/evidence"): [lambda c: c.requests.evidence("7")],
    ("POST", "/v1/digests"): [lambda c: c.requests.digest(PHONE)],
    ("POST", "/v1/request-types"): [lambda c: c.request_types.save("t", FLOW, version=1)],
    ("GET", "/v1/request-types"): [lambda c: c.request_types.list()],
    ("GET", "/v1/request-types/<id>"): [lambda c: c.request_types.show("7")],
    ("POST", "/v1/request-types/<id>/remove"): [lambda c: c.request_types.remove("7")],
    ("POST", "/v1/stand-ins"): [
        lambda c: c.stand_ins.add(
            PHONE, "13800001002", kind="substitute", name="李工", start=NOW, until=NOW
        )
    ],
    ("GET", "/v1/stand-ins"): [lambda c: c.stand_ins.list(phone=PHONE, ended=True)],
    ("POST", "/v1/stand-ins/<id>/end"): [lambda c: c.stand_ins.end("7")],
    ("POST", "/v1/conversations"): [
        lambda c: c.conversations.open(
            PHONE, "r", text="hello", message_class="notice", valid_for=60
        )
    ],
    ("GET", "/v1/conversations"): [lambda c: c.conversations.list(reference="r", to=PHONE)],
    ("GET", "/v1/conversations/<id>"): [lambda c: c.conversations.show("7")],
    ("POST", "/v1/conversations/<id>/messages"): [
        lambda c: c.conversations.send("7", "hello", message_class="notice")
    ],
    ("POST", "/v1/conversations/<id>/end"): [lambda c: c.conversations.end("7")],
    ("GET", "/v1/slots"): [lambda c: c.slots(phone=PHONE, access_number="10690001")],
    ("GET", "/v1/slots/capacity"): [lambda c: c.slots_left()],
    ("GET", "/v1/inbound"): [lambda c: c.inbound(unread=True)],
    ("GET", "/v1/events"): [lambda c: c.events("7", kinds=["message.sent"], follow=True)],
    ("GET", "/v1/audit"): [lambda c: c.audit()],
    ("GET", "/v1/reports/unmatched"): [lambda c: c.unmatched_reports(link="cmcc")],
    ("GET", "/v1/links"): [lambda c: c.links()],
    ("POST", "/v1/batches"): [batch_of],
    ("GET", "/v1/batches"): [lambda c: c.batches.list()],
    ("GET", "/v1/batches/<id>"): [lambda c: c.batches.show("7")],
    ("POST", "/v1/batches/<id>/messages"): [lambda c: c.batches.extend("7", [TO])],
    ("POST", "/v1/batches/<id>/cancel"): [lambda c: c.batches.cancel("7")],
    ("POST", "/v1/inbound/read"): [
        lambda c: c.mark_read(["7"]),
        lambda c: c.mark_read(up_to="7"),
    ],
    ("GET", "/v1/stats"): [lambda c: c.stats(since=NOW, until=NOW)],
    ("POST", "/v1/links/<id>/test"): [lambda c: c.control.try_link("7", PHONE, long=True)],
    ("POST", "/v1/links/<id>/stop"): [lambda c: c.control.stop_link("7")],
    ("POST", "/v1/links/<id>/start"): [lambda c: c.control.start_link("7")],
    ("POST", "/v1/links/<id>/traces"): [
        lambda c: c.control.trace_link("7", phone=PHONE, seconds=60)
    ],
    ("GET", "/v1/traces"): [lambda c: c.control.link_traces()],
    ("GET", "/v1/traces/<id>"): [lambda c: c.control.read_trace("7", after="3", wait=5)],
    ("POST", "/v1/traces/<id>/stop"): [lambda c: c.control.stop_trace("7")],
    ("POST", "/v1/reload"): [lambda c: c.control.reload(dry_run=True)],
    ("POST", "/v1/drain"): [lambda c: c.control.drain(undo=True)],
    ("GET", "/v1/opt-outs"): [lambda c: c.people.opt_outs(phone=PHONE, of="tv")],
    ("POST", "/v1/opt-outs"): [lambda c: c.people.opt_out([PHONE], of="tv")],
    ("POST", "/v1/opt-outs/remove"): [lambda c: c.people.opt_in([PHONE], of="tv")],
    ("POST", "/v1/exports"): [lambda c: c.people.export(PHONE)],
    ("POST", "/v1/erasures"): [lambda c: c.people.erase(PHONE, dry_run=False)],
    ("POST", "/v1/holds"): [lambda c: c.people.hold("phone", PHONE, "case", until=NOW)],
    ("GET", "/v1/holds"): [lambda c: c.people.holds(ended=True)],
    ("POST", "/v1/holds/<id>/remove"): [lambda c: c.people.end_hold("7")],
    ("GET", "/v1/customers"): [lambda c: c.customers()],
    ("GET", "/v1/routes/explain"): [
        lambda c: c.explain(PHONE, message_class="bulk", expect_reply=True)
    ],
    ("GET", "/v1/ported"): [lambda c: c.ported()],
    ("POST", "/v1/ported"): [
        lambda c: c.record_ported([PortedNumber(PHONE, "unicom", "import", NOW, NOW)])
    ],
    ("POST", "/v1/ported/forget"): [lambda c: c.forget_ported([PHONE])],
    ("POST", "/v1/webhooks"): [lambda c: c.webhooks.create("https://oa.example", ["request.*"])],
    ("GET", "/v1/webhooks"): [lambda c: c.webhooks.list()],
    ("GET", "/v1/webhooks/<id>"): [lambda c: c.webhooks.show("7")],
    ("POST", "/v1/webhooks/<id>/change"): [
        lambda c: c.webhooks.change("7", url="https://oa.example", kinds=[])
    ],
    ("POST", "/v1/webhooks/<id>/remove"): [lambda c: c.webhooks.remove("7")],
    ("POST", "/v1/webhooks/<id>/pause"): [lambda c: c.webhooks.pause("7")],
    ("POST", "/v1/webhooks/<id>/resume"): [lambda c: c.webhooks.resume("7")],
    ("POST", "/v1/webhooks/<id>/rotate"): [lambda c: c.webhooks.rotate("7", overlap=60)],
    ("POST", "/v1/webhooks/<id>/test"): [lambda c: c.webhooks.test("7")],
    ("GET", "/v1/webhooks/<id>/dead-letters"): [lambda c: c.webhooks.dead_letters("7")],
    ("POST", "/v1/webhooks/<id>/replay"): [
        lambda c: c.webhooks.replay("7", after="1", since=NOW, until="2", dead_letter="all")
    ],
    ("POST", "/v1/tokens"): [
        lambda c: c.tokens.create(
            "desk",
            account="tv/news",
            roles=["sender"],
            scopes=["events:read"],
            networks=["10.20.0.0/16"],
            rate=1,
            daily=1,
            expires_at=NOW,
        )
    ],
    ("GET", "/v1/tokens"): [lambda c: c.tokens.list(revoked=True)],
    ("GET", "/v1/tokens/<id>"): [lambda c: c.tokens.show("7")],
    ("POST", "/v1/tokens/<id>/change"): [
        lambda c: c.tokens.change(
            "7", roles=[], scopes=[], networks=[], rate=0, daily=0, expires_at=NOW, version=1
        ),
        lambda c: c.tokens.change("7", expires_at="never"),
    ],
    ("POST", "/v1/tokens/<id>/revoke"): [lambda c: c.tokens.revoke("7")],
}
"""By endpoint what calls it, with everything that may be given."""


class Asked(Exception):
    """What a call asked for."""


def asked_by(call: Callable[[Client], Any]) -> httpx.Request:
    client = Client("http://gateway.example", "a-token", account="tv/news")

    def stop(request: httpx.Request) -> httpx.Response:
        raise Asked(request)

    client._transport._http = httpx.Client(transport=httpx.MockTransport(stop))
    with client, pytest.raises(Asked) as raised:
        list(call(client))  # a list or a stream asks when it is read, all others at once
    request: httpx.Request = raised.value.args[0]
    return request


def test_every_endpoint_has_a_call():
    assert set(CALLS) == set(OPERATIONS) - WATCHED


@pytest.mark.parametrize("endpoint", CALLS, ids=" ".join)
def test_a_call_asks_what_its_endpoint_takes(endpoint):
    method, path = endpoint
    operation = OPERATIONS[endpoint]
    for call in CALLS[endpoint]:
        request = asked_by(call)
        assert (request.method, request.url.path) == (method, path.replace("<id>", "7"))
        assert request.url.params["account"] == "tv/news"
        query = set(request.url.params) - {"account", "limit"}
        assert query == set(operation.query) - {"limit", "cursor"}
        if operation.body:
            assert any(takes(type_, request.content) for type_ in operation.body)
        elif method == "POST":
            assert request.content == b"{}"


def takes(type_: type, body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError:
        return False
    return True

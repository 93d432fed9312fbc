from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import Conflict, NotFound, StoreError, ValidationError
from smsgw.model import Segment
from smsgw.protocols import events as ev
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.traffic import Traffic
from smsgw.services.access.callers import Caller
from smsgw.services.traces import KEPT_SECONDS, OCTETS_MAX, PDUS_MAX, Traces
from smsgw.store.ids import IdSource
from tests.support.session_pair import join

ANN = Caller(name="ann", account="tv")
BOB = Caller(name="bob", account="tv")
PHONE = "13800001001"
OTHER = "13800001002"
SECRET = "s3cret!!"
TEXT = "请回复".encode("utf-16-be")


class Stage:
    """One link whose connection is a pair of sessions, and its traces."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.clock = Clock()
        self.clock.advance(1_800_000_000.0)
        self.recorded: list[tuple[str, str, dict[str, Any]]] = []
        self.problem: Exception | None = None
        self.traffic = Traffic()
        self.links: Any = {"one": self.entry(self.traffic)}
        ids = IdSource(0, self.clock.seconds)
        self.traces = Traces(self.links, self.clock, ids, self.record)
        self.logged: list[Any] = []
        self.traces.log = Logger(observer=self.logged.append)
        account = carrier.account(name="901234", secret=SECRET)
        self.pair = join(carrier, account, account, secret=SECRET)
        self.pair.client.count_in(self.traffic)

    def entry(self, traffic: Traffic) -> Any:
        return SimpleNamespace(link=SimpleNamespace(carrier=self.carrier, traffic=traffic))

    async def record(self, actor: str, action: str, detail: dict[str, Any]) -> None:
        if self.problem is not None:
            raise self.problem
        self.recorded.append((actor, action, detail))

    def run(self, work: Any) -> Any:
        """What a call gives, which must be there at once."""
        (result,) = self.running(work)
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def running(self, work: Any) -> list[Any]:
        """Where what a call gives will be."""
        found: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(found.append)
        return found

    def start(self, phone: str = "", seconds: int = 600, caller: Caller = ANN) -> int:
        return int(self.run(self.traces.start("one", phone, seconds, caller))["id"])

    def read(self, id_: int, after: int = 0, limit: int = 500, caller: Caller = ANN) -> Any:
        return self.run(self.traces.read(id_, caller, after, limit, 0))

    def submit(self, phone: str = PHONE) -> None:
        """Submit something, and have it answered."""
        client, server = self.pair.client, self.pair.server
        pdu = self.carrier.to_submit(
            client.account, client.version, Segment(phone, "10690001", 8, TEXT)
        )
        client.submit(pdu, self.pair.now, "context")
        self.pair.exchange()
        (received,) = self.pair.take(server, ev.SubmitReceived)
        server.answer_submit(received.pdu, 0, "")
        self.pair.exchange()

    def bind(self) -> None:
        self.pair.bind()
        self.pair.server_events.clear()

    def seen(self, id_: int, **filters: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.read(id_, **filters)["seen"]
        return found


@pytest.fixture(params=CARRIERS.values(), ids=CARRIERS)
def stage(request: pytest.FixtureRequest) -> Stage:
    return Stage(request.param)


@pytest.fixture
def cmpp() -> Stage:
    return Stage(CARRIERS["cmpp"])


def test_both_directions_are_seen_decoded_and_in_hex_without_what_proves_a_login(
    stage: Stage,
) -> None:
    id_ = stage.start()
    stage.bind()
    stage.submit()
    seen = stage.seen(id_)
    assert [one["direction"] for one in seen] == ["sent", "received", "sent", "received"]
    assert [one["number"] for one in seen] == [1, 2, 3, 4]
    assert {one["bind"] for one in seen} == {1}
    assert all(one["at"] == "2027-01-15T08:00:00.000+00:00" for one in seen)
    login, _, submit, _ = seen
    assert "**" in login["hex"]
    assert SECRET not in str(seen)
    assert SECRET.encode().hex() not in str(seen)
    assert PHONE in str(submit["fields"])
    assert TEXT.hex() in submit["hex"]
    assert submit["octets"] == len(bytes.fromhex(submit["hex"]))


def test_of_one_phone_only_what_names_it_and_the_answers_to_that_are_seen(stage: Stage) -> None:
    stage.bind()
    id_ = stage.start(phone=f"+86 {PHONE}")
    stage.submit(OTHER)
    stage.submit(PHONE)
    stage.submit(OTHER)
    submit, answer = stage.seen(id_)
    assert PHONE in str(submit["fields"])
    assert answer["direction"] == "received"
    assert bytes.fromhex(answer["hex"])[4] == 0x80  # which the command id of every answer has
    assert stage.read(id_)["phone"] == "138****1001"


def test_nothing_is_kept_while_nobody_asks_nor_afterwards(cmpp: Stage) -> None:
    assert cmpp.traffic.tap is None
    id_ = cmpp.start()
    cmpp.bind()
    cmpp.run(cmpp.traces.stop(id_, BOB))
    assert cmpp.traffic.tap is None
    cmpp.submit()
    page = cmpp.read(id_)
    assert (page["ended"], len(page["seen"])) == ("stopped", 2)
    cmpp.clock.advance(KEPT_SECONDS)
    with pytest.raises(NotFound, match="no trace"):
        cmpp.read(id_)
    assert cmpp.clock.getDelayedCalls() == []


def test_it_ends_by_itself(cmpp: Stage) -> None:
    id_ = cmpp.start(seconds=30)
    assert cmpp.read(id_)["until"] == "2027-01-15T08:00:30.000+00:00"
    cmpp.clock.advance(29.9)
    assert cmpp.read(id_)["ended"] == ""
    cmpp.clock.advance(0.1)
    assert cmpp.read(id_)["ended"] == "time"
    assert cmpp.traffic.tap is None
    assert cmpp.recorded[-1][:2] == ("gateway", "link.trace_ended")


def test_the_audit_chain_has_who_saw_what_before_anything_is_seen(cmpp: Stage) -> None:
    cmpp.problem = StoreError("disk full")
    with pytest.raises(StoreError):
        cmpp.start(phone=PHONE)
    assert cmpp.traffic.tap is None
    assert cmpp.traces.list() == []
    cmpp.problem = None
    id_ = cmpp.start(phone=PHONE)
    cmpp.bind()
    cmpp.submit()
    cmpp.run(cmpp.traces.stop(id_, BOB))
    (who, began, what), (other, ended, seen) = cmpp.recorded
    assert (who, began, other, ended) == ("ann", "link.traced", "bob", "link.trace_ended")
    assert what == {
        "trace": str(id_),
        "link": "one",
        "phone": "138****1001",
        "until": "2027-01-15T08:10:00.000+00:00",
        "account": "tv",
    }
    assert seen == {"trace": str(id_), "link": "one", "pdus": 2}
    assert PHONE not in str(cmpp.logged)


def test_an_end_that_cannot_be_recorded_is_an_end_and_is_told(cmpp: Stage) -> None:
    id_ = cmpp.start(seconds=1)
    cmpp.problem = StoreError("disk full")
    cmpp.clock.advance(1.0)
    assert cmpp.read(id_)["ended"] == "time"
    assert cmpp.logged[-1]["event"] == "link.trace_end_not_recorded"


def test_only_who_began_it_sees_it(cmpp: Stage) -> None:
    id_ = cmpp.start()
    for other in (BOB, Caller(name="ann", account="tv/news")):
        with pytest.raises(NotFound, match="is for ann only"):
            cmpp.read(id_, caller=other)
    (listed,) = cmpp.traces.list()
    assert (listed["by"], listed["link"], listed["protocol"]) == ("ann", "one", "cmpp")
    assert "seen" not in listed


@pytest.mark.parametrize(
    ("link", "phone", "seconds", "problem"),
    [
        ("two", "", 60, "link two: not known; links are: one"),
        ("one", "12345", 60, "phone: '12345' is not a mainland mobile number"),
        ("one", "", 0, "seconds: 0 is no number of seconds from 1 to 86400"),
        ("one", "", 86401, "seconds: 86401 is no number"),
    ],
)
def test_what_cannot_be_traced_is_refused(
    cmpp: Stage, link: str, phone: str, seconds: int, problem: str
) -> None:
    with pytest.raises((NotFound, ValidationError)) as refused:
        cmpp.run(cmpp.traces.start(link, phone, seconds, ANN))
    assert str(refused.value).startswith(problem)
    assert cmpp.recorded == []


def test_a_link_has_one_trace_at_a_time(cmpp: Stage) -> None:
    first = cmpp.start()
    with pytest.raises(Conflict, match=f"by ann, until .*; POST /v1/traces/{first}/stop ends it"):
        cmpp.start(caller=BOB)
    cmpp.run(cmpp.traces.stop(first, ANN))
    assert cmpp.start(caller=BOB) > first


def test_who_waits_is_told_at_once_or_when_the_time_is_over(cmpp: Stage) -> None:
    id_ = cmpp.start()
    waits = cmpp.running(cmpp.traces.read(id_, ANN, 0, 500, 20))
    cmpp.bind()
    assert waits == []
    cmpp.clock.advance(0)
    (page,) = waits
    assert [one["number"] for one in page["seen"]] == [1, 2]
    late = cmpp.running(cmpp.traces.read(id_, ANN, 2, 500, 20))
    cmpp.clock.advance(20.0)
    cmpp.clock.advance(0)
    assert late[0]["seen"] == []
    ended = cmpp.running(cmpp.traces.read(id_, ANN, 2, 500, 20))
    cmpp.run(cmpp.traces.stop(id_, ANN))
    cmpp.clock.advance(0)
    assert ended[0]["ended"] == "stopped"


def test_it_is_read_page_by_page(cmpp: Stage) -> None:
    id_ = cmpp.start()
    cmpp.bind()
    cmpp.submit()
    page = cmpp.read(id_, limit=3)
    assert ([one["number"] for one in page["seen"]], page["next"]) == ([1, 2, 3], "3")
    page = cmpp.read(id_, after=3)
    assert ([one["number"] for one in page["seen"]], page["next"]) == ([4], "4")
    assert cmpp.read(id_, after=4)["next"] == "4"
    assert cmpp.traces.newest(id_) == 4


def test_memory_is_bounded_by_pdus_and_what_is_missed_is_told(cmpp: Stage) -> None:
    id_ = cmpp.start()
    cmpp.bind()
    for _ in range(PDUS_MAX // 2):
        cmpp.submit()
    page = cmpp.read(id_, limit=1)
    assert page["missed"] == 2
    assert page["seen"][0]["number"] == 3
    assert cmpp.read(id_, after=2)["missed"] == 0
    assert cmpp.read(id_, after=1)["missed"] == 1


def test_memory_is_bounded_by_octets(cmpp: Stage) -> None:
    id_ = cmpp.start()
    cmpp.bind()
    tap = cmpp.traffic.tap
    assert tap is not None
    large = b"\x00\x01\x00\x00\x00\x00\x00\x08" + bytes(65528)
    for _ in range(100):
        tap.sent(cmpp.pair.client, [large])
    kept = cmpp.seen(id_)
    assert 1 <= sum(one["octets"] for one in kept) <= OCTETS_MAX
    assert cmpp.read(id_)["missed"] == 102 - len(kept)


def test_of_a_phone_s_requests_that_nobody_answers_not_all_are_remembered(cmpp: Stage) -> None:
    cmpp.bind()
    id_ = cmpp.start(phone=PHONE)
    tap: Any = cmpp.traffic.tap
    for number in range(2 * PDUS_MAX):
        tap.sent(cmpp.pair.client, [bytes(8) + number.to_bytes(4, "big") + PHONE.encode()])
    assert len(tap._asked) == PDUS_MAX
    assert cmpp.read(id_)["pdus"] == 2 * PDUS_MAX


def test_a_link_that_is_there_anew_is_traced_on(cmpp: Stage) -> None:
    id_ = cmpp.start()
    cmpp.traffic = Traffic()
    cmpp.links["one"] = cmpp.entry(cmpp.traffic)
    cmpp.traces.renew("one")
    cmpp.pair.client.count_in(cmpp.traffic)
    cmpp.bind()
    assert len(cmpp.seen(id_)) == 2
    cmpp.run(cmpp.traces.stop(id_, ANN))
    cmpp.traces.renew("one")
    assert cmpp.traffic.tap is None


def test_a_stream_that_is_no_pdu_is_seen_without_what_could_be_a_secret(cmpp: Stage) -> None:
    id_ = cmpp.start()
    cmpp.pair.client.receive_data(b"GET / HTTP/1.1 s3cret!!", 0.0)
    (one,) = cmpp.seen(id_)
    assert (one["fields"], one["hex"], one["withheld"]) == (None, b"GET / HTTP/1".hex(), 11)
    assert one["problem"]


def test_the_end_of_the_gateway_ends_all(cmpp: Stage) -> None:
    id_ = cmpp.start()
    waits = cmpp.running(cmpp.traces.read(id_, ANN, 0, 500, 20))
    cmpp.traces.close()
    cmpp.clock.advance(0)
    assert waits[0]["ended"] == "the gateway stopped"
    assert cmpp.traces.list() == []
    assert cmpp.clock.getDelayedCalls() == []
    actor, action, detail = cmpp.recorded[-1]
    assert (actor, action, detail["trace"]) == ("gateway", "link.trace_ended", str(id_))


def test_what_ends_while_it_is_recorded_never_begins(cmpp: Stage) -> None:
    gate: Deferred[None] = Deferred()

    async def record(actor: str, action: str, detail: dict[str, Any]) -> None:
        await gate

    cmpp.traces._record = record
    begun = cmpp.running(cmpp.traces.start("one", "", 60, ANN))
    cmpp.traces.close()
    gate.callback(None)
    assert begun[0]["ended"] == "the gateway stopped"
    assert cmpp.traffic.tap is None
    assert cmpp.clock.getDelayedCalls() == []

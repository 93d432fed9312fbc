"""A link and its one submit, by hand: a Clock, and a Wire for a connection."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent

from smsgw.errors import Disposition
from smsgw.model import Segment, SubmitResult
from smsgw.protocols import cmpp, smgp
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.states import Ending
from smsgw.transport.adapter import CLOSE_WITHIN
from smsgw.transport.causes import Cause
from smsgw.transport.connector import Phase
from smsgw.transport.link import Link
from smsgw.transport.listener import PeerListener
from smsgw.transport.observer import Silent
from smsgw.transport.results import NOT_SENT
from tests.support.connections import Dialled, Listening

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret", window=2)
SEGMENT = Segment("13800001001", "10690001", 0, b"hi")
ACCEPTED = cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode()


class Rig:
    """A link of two binds, its connections, and what it told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.endpoint = Dialled()
        self.listening = Listening()
        self.results: list[tuple[object, SubmitResult]] = []
        self.link = Link(
            "one",
            cmpp.CARRIER,
            ACCOUNT,
            self.endpoint,
            self.clock,
            binds=2,
            listener=PeerListener(self.listening, ACCOUNT, lambda host: True),
            wall=lambda: datetime(2026, 3, 1, 9, 30, 15),
        )
        self.link.on_results = self.results.extend

    def bind(self) -> None:
        """Start, and let the gateway accept the first connection's login."""
        Deferred.fromCoroutine(self.link.listen())
        self.link.start()
        self.endpoint.wires[0].protocol.dataReceived(ACCEPTED)
        for wire in self.endpoint.wires:
            wire.clear()

    @property
    def sent(self) -> bytes:
        return self.endpoint.wires[0].value()


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    stopped = rig.link.stop()
    for wire in rig.endpoint.wires:
        wire.drop()
    assert stopped.called
    assert rig.clock.getDelayedCalls() == []


def test_a_caller_that_cancels_while_it_waits_has_nothing_sent(rig):
    given_up = rig.link.submit(SEGMENT)
    failed: list[object] = []
    given_up.addErrback(lambda failure: failed.append(failure.type))
    given_up.cancel()
    assert failed == [CancelledError]
    waits = rig.link.submit(SEGMENT)
    rig.bind()
    rig.clock.advance(0)
    assert len(cmpp.Framer().split(rig.sent)) == 1
    answer = cmpp.SubmitResp30(2, 0x11, 0).encode()
    rig.endpoint.wires[0].protocol.dataReceived(answer)
    assert waits.result.disposition is Disposition.ACCEPTED


def test_cancelling_what_was_sent_only_drops_the_answer(rig):
    rig.bind()
    given_up = rig.link.submit(SEGMENT)
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    rig.clock.advance(0)
    given_up.cancel()
    rig.endpoint.wires[0].protocol.dataReceived(cmpp.SubmitResp30(2, 0x11, 0).encode())
    assert rig.link.free == ACCOUNT.window


def test_nothing_is_taken_after_stop(rig):
    waits = rig.link.submit(SEGMENT)
    rig.link.stop()
    for result in (waits, rig.link.submit(SEGMENT)):
        failed: list[str] = []
        result.addErrback(lambda failure, failed=failed: failed.append(failure.getErrorMessage()))
        assert failed == ["link one was stopped"]


def test_a_link_that_was_stopped_may_be_started_again(rig):
    rig.link.stop()
    rig.bind()
    result = rig.link.submit(SEGMENT)
    rig.clock.advance(0)
    rig.endpoint.wires[0].protocol.dataReceived(cmpp.SubmitResp30(2, 0x11, 0).encode())
    assert result.result.disposition is Disposition.ACCEPTED


def test_a_link_that_is_held_submits_nothing_and_is_answered_what_is_in_flight(rig):
    rig.bind()
    assert rig.link.submit_many([(SEGMENT, "a")]) == 1
    told = []
    rig.link.on_free = lambda: told.append(rig.link.free)
    rig.link.hold("stopped by zhang")
    assert (rig.link.up, rig.link.free, rig.link.reason) == (False, 0, "stopped by zhang")
    assert rig.link.submit_many([(SEGMENT, "b")]) == 0
    drained, patience = rig.link.drain(60.0), rig.link.drain(1.0)
    rig.clock.advance(1.0)
    assert patience.called
    assert not drained.called
    sequence = int.from_bytes(rig.sent[8:12], "big")
    rig.endpoint.wires[0].protocol.dataReceived(cmpp.SubmitResp30(sequence, 1, 0).encode())
    assert drained.called
    assert [context for context, _ in rig.results] == ["a"]
    assert rig.link.drain(60.0).called
    told.clear()
    rig.link.start()
    assert rig.link.up
    assert told == [2]


def test_what_was_never_written_may_be_sent_again_and_what_was_is_unknown(rig):
    rig.bind()
    assert rig.link.submit_many([(SEGMENT, "written")]) == 1
    rig.clock.advance(0)
    assert rig.link.submit_many([(SEGMENT, "not written")]) == 1
    rig.endpoint.wires[0].drop()
    (written, unknown), (not_written, again) = rig.results
    assert (written, unknown.disposition) == ("written", Disposition.UNKNOWN)
    assert (not_written, again.code) == ("not written", NOT_SENT)
    assert again.disposition is Disposition.RETRY
    assert again.text == "the connection was lost before it was sent"


def test_stopping_takes_no_longer_than_one_silent_peer(rig):
    rig.bind()
    accepted = rig.listening.connect()
    stopped = rig.link.stop()
    rig.clock.advance(CLOSE_WITHIN - 0.1)
    assert not stopped.called
    rig.clock.advance(0.2)
    assert stopped.called
    assert accepted.aborted
    assert all(wire.aborted for wire in rig.endpoint.wires)


def test_a_bind_s_note_is_shown_beside_the_reason(rig):
    rig.bind()
    first, second = rig.link.state()["binds"]
    assert (first["reason"], second["note"]) == ("", "")
    assert first["note"] == "AuthenticatorISMG does not match the shared secret"


def test_a_result_means_what_the_links_own_table_says(rig):
    forbidden = Result("forbidden hours", Disposition.RETRY, ResultKind.HOURS)
    tested = Link(
        "one",
        cmpp.CARRIER,
        ACCOUNT,
        rig.endpoint,
        rig.clock,
        wall=lambda: datetime(2026, 3, 1, 9, 30, 15),
        results={13: forbidden},
    )
    tested.start()
    wire = rig.endpoint.wires[0]
    wire.protocol.dataReceived(cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode())
    answers = [tested.submit(SEGMENT) for _ in range(2)]
    rig.clock.advance(0)
    for sequence, result in ((2, 13), (3, 8)):
        wire.protocol.dataReceived(cmpp.SubmitResp30(sequence, 0, result).encode())
    assert [(one.result.disposition, one.result.kind) for one in answers] == [
        (Disposition.RETRY, ResultKind.HOURS),
        (Disposition.RETRY, ResultKind.THROTTLE),
    ]
    tested.stop()


def test_a_links_state_says_why_a_bind_was_refused_and_when_it_tries_again(rig):
    rig.link.start()
    (wire,) = rig.endpoint.wires
    wire.protocol.dataReceived(cmpp.ConnectResp30(1, 3).encode())
    wire.drop()
    first, second = rig.link.state()["binds"]
    assert (first["refused"], second["refused"]) == ("bad secret", "")
    assert 11.2 <= first["retry_in"] <= 18.8
    assert (second["reason"], second["retry_in"]) == ("waits for another bind's login", None)
    assert first["reason"] == "login refused: authentication failed (status 3)"


def test_a_user_whose_callback_raises_loses_no_result_and_no_connection(rig):
    def raises(*what: object) -> None:
        raise RuntimeError("a bug of the user's")

    rig.bind()
    waiting = [rig.link.submit(SEGMENT) for _ in range(3)]
    rig.clock.advance(0)
    logged: list[str] = []
    rig.link.log = Logger(observer=lambda event: logged.append(formatEvent(event)))
    rig.link.on_inbound = rig.link.on_results = rig.link.on_free = raises
    wire = rig.endpoint.wires[0]
    mo = cmpp.Deliver30(sequence_id=9, msg_id=1, dest_id="10690001", src_terminal_id="13800001001")
    answers = [cmpp.SubmitResp30(number, 0x11, 0).encode() for number in (2, 3)]
    wire.protocol.dataReceived(mo.encode() + b"".join(answers))
    assert [one.called for one in waiting] == [True, True, False]
    rig.clock.advance(0)
    wire.protocol.dataReceived(cmpp.SubmitResp30(4, 0x11, 0).encode())
    assert waiting[2].called
    assert rig.link.submit_many([(SEGMENT, "batch")]) == 1
    rig.clock.advance(0)
    wire.protocol.dataReceived(cmpp.SubmitResp30(5, 0x11, 0).encode())
    assert rig.link.in_flight == 0
    assert not wire.disconnecting
    names = ["on_inbound", "on_free", "on_free", "on_results", "on_free"]
    assert logged == [f"link one: {name} raised, a bug" for name in names]


def test_a_link_that_only_receives_is_not_held_up_by_its_window():
    account = smgp.SmgpAccount(name="1234567", secret="s3cret", login_mode=1)
    endpoint, clock = Dialled(), Clock()
    link = Link("in", smgp.CARRIER, account, endpoint, clock)
    link.start()
    endpoint.wires[0].protocol.dataReceived(smgp.LoginResp(1, 0, bytes(16), 0x30).encode())
    assert link.free == 0
    assert link.state()["limited_by"] == {"cause": "nothing to send", "detail": ""}
    link.stop()
    endpoint.wires[0].drop()


def test_the_description_of_the_api_has_every_field_and_word_of_a_links_state(rig):
    text = (Path(__file__).parents[3] / "docs" / "http.md").read_text()
    example = json.loads(text[text.index('{"name":"mobile"') : text.index("}}, …]}")] + "}}")
    rig.bind()
    state = rig.link.state()
    assert set(example) == {*state, "state", "stopped", "report_ids", "queue"}
    assert list(example["binds"][0]) == list(state["binds"][0])
    prose = " ".join(text.split())
    words = [*Cause, *RefusalKind, *Phase]
    assert [word for word in words if f"`{word}`" not in prose] == []


def test_a_login_that_is_refused_is_tried_by_one_bind_alone(rig):
    rig.link.start()
    for pause in (15.0 * 1.25, 30.0 * 1.25):
        (*_, wire) = rig.endpoint.wires
        wire.protocol.dataReceived(cmpp.ConnectResp30(1, 3, bytes(16), 0x30).encode())
        wire.drop()
        rig.clock.advance(pause)
    assert len(rig.endpoint.wires) == 3
    rig.endpoint.wires[2].protocol.dataReceived(ACCEPTED)
    assert len(rig.endpoint.wires) == 4


def test_the_other_binds_do_not_wait_where_only_one_is_in_trouble(rig):
    rig.link.start()
    wire = rig.endpoint.wires[0]
    wire.protocol.dataReceived(cmpp.ConnectResp30(1, 5, bytes(16), 0x30).encode())
    wire.drop()
    assert rig.link.state()["binds"][0]["refused"] == "busy"
    assert len(rig.endpoint.wires) == 2


def test_a_link_that_is_started_again_begins_with_one_bind_again(rig):
    rig.bind()
    assert len(rig.endpoint.wires) == 2
    rig.link.start()
    assert len(rig.endpoint.wires) == 2
    rig.link.stop()
    for wire in rig.endpoint.wires:
        wire.drop()
    rig.link.start()
    assert len(rig.endpoint.wires) == 3


class Told(Silent):
    """What a link told its observer."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def bound(self, link: str) -> None:
        self.said.append(("bound",))

    def unbound(self, link: str, ending: Ending) -> None:
        self.said.append(("unbound", ending))

    def bind_refused(self, link: str, kind: RefusalKind) -> None:
        self.said.append(("refused", kind))

    def not_taken(self, link: str, code: str, count: int) -> None:
        self.said.append(("not taken", code, count))


def test_its_observer_hears_how_logins_connections_and_submits_end(rig):
    told = rig.link._observer = Told()
    rig.endpoint.refuse = True
    rig.link.start()
    assert (rig.link.connect_failures, told.said) == (2, [])
    rig.endpoint.refuse = False
    rig.clock.advance(1.0)
    wire = rig.endpoint.wires[0]
    wire.protocol.dataReceived(ACCEPTED)
    rig.link.submit_many([(SEGMENT, 1), (SEGMENT, 2)])
    rig.clock.advance(0.5)
    assert rig.link.silent_seconds == 0.5
    wire.protocol.dataReceived(cmpp.SubmitResp30(2, 0x11, 8).encode())
    wire.drop()
    assert told.said == [
        ("bound",),
        ("not taken", "8", 1),
        ("not taken", "no answer", 1),
        ("unbound", "connection lost"),
    ]
    told.said.clear()
    rig.clock.advance(60.0)
    rig.endpoint.wires[-1].protocol.dataReceived(cmpp.ConnectResp30(1, 3, bytes(16), 0x30).encode())
    assert ("refused", "bad secret") in told.said

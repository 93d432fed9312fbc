"""A peer that answers no request for T x N is given up, whatever else it says meanwhile."""

from __future__ import annotations

from datetime import datetime

import pytest

from smsgw.model import Segment
from smsgw.protocols import events as ev
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side

T, N = 10.0, 3
every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))


class Pair:
    """Both ends of a bound connection; the gateway's octets reach us only when carried."""

    def __init__(self, name: str, submit_sends: int = 1) -> None:
        self.carrier = CARRIERS[name]
        self.account = self.carrier.account(
            name="901234",
            secret="s3cret",
            version=self.carrier.codec.default_version,
            response_timeout=T,
            heartbeat_tries=N,
            heartbeat_interval=100 * T,
            submit_sends=submit_sends,
        )
        secrets = {"901234": "s3cret"}.get
        wall = lambda: datetime(2026, 1, 1)  # noqa: E731
        self.ours: Session = self.carrier.session(self.account, Role.CLIENT, Side.SP, wall)
        self.theirs: Session = self.carrier.session(
            self.account, Role.SERVER, Side.GATEWAY, wall, secrets
        )
        self.ours.connected(0.0)
        self.theirs.connected(0.0)
        self.ours.bind(0.0)
        self.carry(0.0)
        self.carry(0.0)
        self.ours.events()
        self.theirs.events()

    def carry(self, now: float) -> None:
        self.theirs.receive_data(self.ours.data_to_send(), now)
        self.ours.receive_data(self.theirs.data_to_send(), now)

    def submit(self, now: float) -> None:
        segment = Segment("13800001001", "10690001", 8, b"\0A")
        pdu = self.carrier.to_submit(self.account, self.ours.version, segment)
        self.ours.submit(pdu, now, "context")

    def failures(self) -> list[str]:
        return [e.reason for e in self.ours.events() if isinstance(e, ev.SessionFailed)]


@every_carrier
def test_it_is_given_up_n_times_t_after_the_first_request_without_answer(name):
    pair = Pair(name)
    pair.submit(100.0)
    pair.ours.tick(100.0 + T)
    assert pair.ours.next_deadline() <= 100.0 + N * T
    pair.ours.tick(100.0 + N * T - 0.1)
    assert pair.failures() == []
    pair.ours.tick(100.0 + N * T)
    assert pair.failures() == [f"no request was answered for {N * T:g} s"]
    assert pair.ours.closed


@every_carrier
def test_sending_a_request_again_gives_it_no_more_time(name):
    pair = Pair(name, submit_sends=4)
    pair.submit(100.0)
    for tries in range(1, N):
        pair.ours.tick(100.0 + tries * T)
        assert pair.failures() == []
    pair.ours.tick(100.0 + N * T)
    assert pair.failures() == [f"no request was answered for {N * T:g} s"]


@every_carrier
def test_what_else_it_says_is_no_answer(name):
    pair = Pair(name)
    pair.submit(100.0)
    pair.ours.tick(100.0 + T)
    if pair.ours.heartbeat_pdu is not None:
        request = pair.ours.heartbeat_pdu()
        pair.theirs.next_sequence(request)
        pair.ours.receive_data(request.encode(), 100.0 + 2 * T)
    pair.ours.tick(100.0 + N * T)
    assert pair.ours.closed


@every_carrier
def test_an_answer_to_any_later_request_clears_it(name):
    pair = Pair(name)
    pair.submit(100.0)
    pair.ours.data_to_send()
    pair.ours.tick(100.0 + T)
    pair.ours.data_to_send()
    pair.submit(101.0 + T)
    pair.carry(101.0 + T)
    (received,) = (e for e in pair.theirs.events() if isinstance(e, ev.SubmitReceived))
    pair.theirs.answer_submit(received.pdu, 0, "")
    pair.carry(102.0 + T)
    pair.ours.tick(100.0 + N * T)
    assert pair.failures() == []
    assert pair.ours.bound


@pytest.mark.parametrize("name", sorted(n for n, c in CARRIERS.items() if c.session.heartbeat_pdu))
def test_where_there_is_a_heartbeat_one_lost_answer_asks_whether_it_is_there(name):
    pair = Pair(name)
    pair.submit(100.0)
    pair.ours.data_to_send()
    pair.ours.tick(100.0 + T)
    pair.carry(100.0 + T)
    pair.ours.tick(100.0 + N * T)
    assert pair.failures() == []
    assert pair.ours.bound


@every_carrier
def test_a_pdu_that_never_ends_is_given_up_however_it_drips(name):
    pair = Pair(name)
    begun = b"\x00\x00\x00\x40" + bytes(60)
    now = 0.0
    for octet in range(30):  # no octet of it is the last
        now = octet * 1.0
        assert pair.failures() == []
        pair.ours.receive_data(begun[octet : octet + 1], now)
    assert pair.ours.next_deadline() == N * T
    pair.ours.tick(N * T)
    assert pair.failures() == [f"a PDU began and did not end within {N * T:g} s"]
    assert pair.ours.closed


@pytest.mark.parametrize("name", ["cmpp", "smgp", "smpp"])  # SGIP has no PDU that asks nothing
def test_pdus_that_end_have_as_much_time_each(name):
    pair = Pair(name)
    assert pair.theirs.heartbeat_pdu is not None
    heartbeat = pair.theirs.heartbeat_pdu()
    pair.theirs.next_sequence(heartbeat)
    octets = heartbeat.encode()
    pair.ours.receive_data(octets[:5], 0.0)
    for n in range(1, 8):
        pair.ours.receive_data(octets[5:] + octets[:5], n * T)
        pair.ours.tick(n * T)
    pair.ours.receive_data(octets[5:], 8 * T)
    pair.ours.tick(20 * T)
    assert pair.failures() == []

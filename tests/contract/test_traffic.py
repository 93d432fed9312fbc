"""Whoever the carrier is, what goes over a session is counted, and how it ended has a word."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smsgw.protocols.carrier import Carrier
from smsgw.protocols.session import Session
from smsgw.protocols.states import Ending as Word
from smsgw.protocols.states import Role
from smsgw.protocols.traffic import Flow, Traffic
from smsgw.transport.link import china_now
from tests.contract.test_carriers import every_carrier
from tests.contract.test_endings import (
    Ending,
    garbage,
    just_lost,
    out_of_time,
    unbound_by_the_peer,
    unbound_by_us,
    unbound_by_us_and_not_answered,
)


def flows(session: Session, direction: str) -> dict[str, tuple[int, int]]:
    """By command, the PDUs and octets that went one way."""
    names = session.codec.names
    found = [flow for flow in session.traffic.flows(names) if flow.direction == direction]
    return {flow.command: (flow.pdus, flow.octets) for flow in found if flow.pdus}


@every_carrier
def test_what_one_side_sent_is_what_the_other_received(carrier: Carrier, version: str) -> None:
    case = Ending(carrier, version)
    case.pair.exchange()
    case.pair.exchange()
    sent, received = flows(case.client, "sent"), flows(case.server, "received")
    assert sent == received
    submit = case.pdu()
    submits, octets = sent[submit.command]
    assert (submits, octets) == (3, 3 * len(submit.encode()))
    assert flows(case.server, "sent") == flows(case.client, "received")
    assert case.client.traffic.decode_errors == 0
    assert case.client.traffic.received_at is not None


@every_carrier
def test_the_time_to_an_answer_is_counted_when_it_comes(carrier: Carrier, version: str) -> None:
    case = Ending(carrier, version)
    answers = case.client.traffic.answers
    assert sum(answers.counts) == 0
    case.client.receive_data(case.server.data_to_send(), 0.3)
    assert (sum(answers.counts), round(answers.sum, 6)) == (1, 0.3)
    assert answers.counts[answers.bounds.index(0.5)] == 1


@every_carrier
def test_what_cannot_be_read_is_counted_as_such(carrier: Carrier, version: str) -> None:
    case = Ending(carrier, version)
    garbage(case)
    assert case.client.traffic.decode_errors == 1


@every_carrier
def test_sessions_of_one_link_count_together(carrier: Carrier, version: str) -> None:
    traffic = Traffic()
    make = carrier.sessions(china_now, traffic=traffic)
    account = Ending(carrier, version).client.account
    for _ in range(2):
        session = make(account, Role.CLIENT)
        session.connected(0.0)
        session.bind(0.0)
        session.data_to_send()
    (login,) = [flow for flow in traffic.flows(carrier.codec.names) if flow.pdus]
    assert (login.pdus, login.direction) == (2, "sent")


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (just_lost, Word.LOST),
        (unbound_by_us, Word.OURS),
        (unbound_by_us_and_not_answered, Word.OURS),
        (unbound_by_the_peer, Word.PEER),
        (garbage, Word.FAULT),
        (out_of_time, Word.SILENT),
    ],
)
@every_carrier
def test_how_it_ended_has_a_word(
    carrier: Carrier, version: str, end: Callable[[Ending], None], word: Word
) -> None:
    case = Ending(carrier, version)
    end(case)
    case.outcomes()
    assert case.client.ending is word


def test_a_command_of_nobody_is_unreadable() -> None:
    traffic = Traffic()
    traffic.count_received(-1, 16)
    traffic.count_received(4, 100)
    assert list(traffic.flows({4: "submit"})) == [
        Flow("unreadable", "received", 1, 16),
        Flow("submit", "received", 1, 100),
    ]

"""Several connections of one account, driven by hand: fair use, and nobody waits for another."""

from __future__ import annotations

from collections import Counter

import pytest
from twisted.internet.task import Clock

from smsgw.errors import Disposition
from smsgw.model import Segment, SubmitResult
from smsgw.protocols import cmpp
from smsgw.transport import binds as binds_module
from smsgw.transport.connector import Phase
from smsgw.transport.link import Link
from smsgw.transport.results import NOT_SENT
from tests.support.connections import Dialled, Wire

BINDS, WINDOW = 4, 4


def part(number: int, total: int, to: str = "13800001001") -> Segment:
    return Segment(to, "10690001", 0, b"hi", part=number, total=total)


class Account:
    """A link of four binds; each wire keeps its submits until the test answers them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.endpoint = Dialled()
        self.results: list[tuple[object, SubmitResult]] = []
        account = cmpp.CmppAccount(name="901234", secret="s3cret", window=WINDOW)
        self.link = Link("one", cmpp.CARRIER, account, self.endpoint, self.clock, binds=BINDS)
        self.link.on_results = self.results.extend
        self.sent: dict[Wire, list[cmpp.Submit30]] = {}
        self.link.start()
        for wire in self.endpoint.wires:
            self.accept(wire)

    def accept(self, wire: Wire) -> None:
        wire.protocol.dataReceived(cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode())
        wire.clear()
        self.sent[wire] = []

    def read(self) -> None:
        """What the link wrote arrives."""
        self.clock.advance(0)
        for wire, sent in self.sent.items():
            sent += [cmpp.decode(frame) for frame in cmpp.Framer().split(wire.value())]
            wire.clear()

    def submit(self, *segments: Segment) -> int:
        taken = self.link.submit_many([(segment, segment) for segment in segments])
        self.read()
        return taken

    def answer(self, wire: Wire) -> int:
        """One connection answers all it has; returns how many that were."""
        sent, self.sent[wire] = self.sent[wire], []
        if sent:
            answers = [cmpp.SubmitResp30(pdu.sequence_id, 0x11, 0).encode() for pdu in sent]
            wire.protocol.dataReceived(b"".join(answers))
        return len(sent)

    @property
    def counts(self) -> list[int]:
        return [len(sent) for sent in self.sent.values()]

    @property
    def wires(self) -> list[Wire]:
        return list(self.sent)


@pytest.fixture
def account():
    account = Account()
    yield account
    account.link.stop()
    for wire in account.endpoint.wires:
        wire.drop()
    assert account.clock.getDelayedCalls() == []


ONE = part(1, 1)


def test_a_few_are_shared_out_evenly(account):
    assert account.submit(*[ONE] * 8) == 8
    assert account.counts == [2, 2, 2, 2]


def test_all_windows_are_filled_and_what_is_more_stays(account):
    assert account.submit(*[ONE] * 20) == 16
    assert account.counts == [4, 4, 4, 4]
    assert account.submit(ONE) == 0


def test_single_ones_take_turns(account):
    used: Counter[int] = Counter()
    for _ in range(40):
        account.submit(ONE)
        used.update(i for i, count in enumerate(account.counts) if count)
        account.clock.advance(0.005)
        for wire in account.wires:
            account.answer(wire)
    assert min(used.values()) >= 5


def test_a_bind_that_does_not_answer_holds_up_no_other(account):
    silent, *others = account.wires
    done = 0
    for _ in range(200):
        account.submit(*[ONE] * 16)
        account.clock.advance(0.01)
        done += sum(account.answer(wire) for wire in others)
    assert len(account.sent[silent]) <= WINDOW
    assert done >= 199 * 12
    assert all(result.disposition is Disposition.ACCEPTED for _, result in account.results)


def test_a_bind_whose_answers_are_slow_gets_fewer_and_its_share_back_when_it_is_fast_again(account):
    slow, *others = account.wires
    counts: Counter[str] = Counter()

    def run(rounds: int, slow_every: int) -> None:
        counts.clear()
        for turn in range(rounds):
            account.submit(*[ONE] * 4)
            account.clock.advance(0.02)
            for wire in others:
                counts["other"] += account.answer(wire)
            if turn % slow_every == 0:
                counts["slow"] += account.answer(slow)

    run(500, slow_every=25)
    assert 0 < counts["slow"] < counts["other"] / 3 / 2
    states = account.link.state()["binds"]
    assert states[0]["answer_seconds"] > 2 * states[1]["answer_seconds"]
    run(1000, slow_every=1)
    run(500, slow_every=1)
    assert counts["slow"] > counts["other"] / 3 / 2


def test_parts_of_a_message_keep_one_connection_while_it_has_room(account):
    account.submit(ONE, ONE)
    parts = [part(number, 3) for number in (1, 2, 3)]
    others = [part(number, 3, "13800001002") for number in (1, 2, 3)]
    for one, other in zip(parts, others, strict=True):
        account.submit(one, other)
    for phone in ("13800001001", "13800001002"):
        used = [
            wire
            for wire, sent in account.sent.items()
            if any(pdu.pk_total == 3 and pdu.dest_terminal_id == [phone] for pdu in sent)
        ]
        assert len(used) == 1


def test_a_long_message_begins_where_all_of_it_fits(account):
    account.submit(*[ONE] * 10)
    account.answer(account.wires[2])
    account.submit(*[part(number, 4) for number in (1, 2, 3, 4)])
    assert [pdu.pk_number for pdu in account.sent[account.wires[2]]] == [1, 2, 3, 4]


def test_a_part_does_not_wait_for_a_full_connection(account):
    account.submit(*[part(number, 7) for number in range(1, 8)])
    numbers = sorted(pdu.pk_number for sent in account.sent.values() for pdu in sent)
    assert numbers == [1, 2, 3, 4, 5, 6, 7]
    assert sum(count > 0 for count in account.counts) == 2


def test_a_part_alone_after_its_connection_was_lost_goes_over_another(account):
    account.submit(part(1, 2))
    (used,) = [wire for wire, sent in account.sent.items() if sent]
    used.drop()
    del account.sent[used]
    assert account.submit(part(2, 2)) == 1
    assert sum(account.counts) == 1


def test_messages_whose_last_part_never_comes_are_forgotten(account, monkeypatch):
    monkeypatch.setattr(binds_module, "KEPT_MAX", 5)
    for number in range(40):
        account.submit(part(1, 2, f"1380000{number:04}"))
        for wire in account.wires:
            account.answer(wire)
    assert len(account.link._binds._kept) == 5


def test_one_binds_death_moves_its_unsent_work_to_the_others_at_once(account):
    waits = [account.link.submit(ONE) for _ in range(8)]  # handed to all four, nothing written
    dead = account.wires[0]
    dead.drop()
    del account.sent[dead]
    account.read()
    assert sum(account.counts) == 8
    for wire in account.wires:
        account.answer(wire)
    assert [result.result.disposition for result in waits] == [Disposition.ACCEPTED] * 8


def test_unsent_work_of_a_link_that_stops_is_told_and_not_kept(account):
    result = account.link.submit(ONE)
    account.link._stopped = True
    account.wires[1].drop()
    del account.sent[account.wires[1]]
    assert result.result.code == NOT_SENT
    assert len(account.link._waiting) == 0


def test_the_link_says_what_holds_it_up(account):
    def limit() -> dict[str, str]:
        return account.link.state()["limited_by"]

    assert limit()["cause"] == "nothing to send"
    account.submit(*[ONE] * 16)
    account.clock.advance(0.1)
    assert limit() == {"cause": "window full", "detail": ""}
    account.clock.advance(3.0)
    assert limit() == {"cause": "remote latency", "detail": "answers take 3.1 s"}
    account.endpoint.refuse = True
    for wire in account.wires:
        wire.drop()
    account.sent.clear()
    assert limit()["cause"] == "not bound"
    account.clock.advance(5.0)
    assert "refused" in limit()["detail"]
    assert account.link.answer_seconds == 0.0
    assert account.link.reason == limit()["detail"]


def test_a_bind_that_is_not_bound_shows_no_figures(account):
    account.endpoint.refuse = True
    account.wires[0].drop()
    first, second, *_ = account.link.state()["binds"]
    assert first["phase"] == Phase.DOWN.value
    assert "answer_seconds" not in first
    assert second["in_flight"] == 0
    del account.sent[account.wires[0]]

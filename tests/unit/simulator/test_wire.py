from __future__ import annotations

from types import SimpleNamespace

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.policies import WrappingFactory

from smsgw.protocols import cmpp
from smsgw.simulator.faults import Faults, FaultSource
from smsgw.simulator.wire import HELD_SECONDS, FaultyWire, Trouble
from tests.support.connections import Wire

LOGIN = cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode()
HEARTBEAT = cmpp.ActiveTestResp(9).encode()


class Session(Protocol):
    """Stands where a session's protocol stands; the connection reads for it."""

    session = SimpleNamespace(version="3.0")

    def __init__(self) -> None:
        self.got = b""

    def dataReceived(self, data: bytes) -> None:
        self.got += data


class Rig:
    def __init__(self, *faults: str) -> None:
        self.clock, self.told = Clock(), []
        self.source = FaultSource(Faults.of(*faults))
        self.trouble = Trouble(
            cmpp.CARRIER, self.source, self.clock, lambda kind, of: self.told.append((kind, of))
        )
        self.trouble.answers(cmpp.Submit30())
        self.session, self.socket = Session(), Wire()
        self.wire = FaultyWire(WrappingFactory(Factory()), self.session, self.trouble)
        self.socket.attach(self.wire)
        self.wire.registerProducer(self.session, True)
        self.wire.write(LOGIN)
        self.socket.clear()

    def answer(self, *sequences: int) -> None:
        self.wire.write(b"".join(answer(one) for one in sequences))

    @property
    def written(self) -> bytes:
        return self.socket.value()


def answer(sequence: int) -> bytes:
    return cmpp.SubmitResp30(sequence, 0xABCD, 0).encode()


def test_nothing_breaks_without_faults():
    rig = Rig()
    rig.answer(1, 2)
    assert rig.written == answer(1) + answer(2)
    assert rig.told == []


def test_what_no_fault_can_befall_passes():
    rig = Rig("loss=all")
    rig.answer(1)
    rig.wire.write(HEARTBEAT)
    assert rig.written == HEARTBEAT


def test_the_next_one_overtakes_what_is_held_back_and_nothing_is_held_for_long():
    rig = Rig("reorder.answer=1/3")
    rig.answer(1, 2, 3, 4, 5, 6)
    assert rig.written == b"".join(map(answer, (1, 2, 4, 3, 5)))
    rig.clock.advance(HELD_SECONDS)
    assert rig.written == b"".join(map(answer, (1, 2, 4, 3, 5, 6)))


def test_what_is_late_does_not_become_the_other_half_of_what_was_cut():
    rig = Rig("delay.answer=1@once", "disconnect.answer=1/2")
    rig.answer(1, 2)
    half = answer(2)[: len(answer(2)) // 2]
    assert rig.written == half
    assert rig.socket.disconnecting
    rig.clock.advance(1)
    rig.answer(3)
    assert rig.written == half


def test_a_half_open_connection_neither_speaks_nor_hears_nor_ends_until_it_is_ended():
    rig = Rig("half-open.answer=once")
    rig.answer(1, 2)
    rig.wire.write(HEARTBEAT)
    rig.wire.dataReceived(b"anything")
    rig.wire.loseConnection()
    rig.wire.abortConnection()
    assert (rig.written, rig.session.got) == (b"", b"")
    assert not rig.socket.disconnecting
    assert not rig.socket.aborted
    rig.trouble.end()
    assert rig.socket.aborted
    assert rig.trouble.wires == set()


def test_a_stall_ends_by_itself_and_a_session_that_wants_no_more_is_heeded():
    rig = Rig("stall.answer=5@once")
    rig.answer(1)
    assert (rig.written, rig.socket.producerState) == (answer(1), "paused")
    rig.wire.resumeProducing()
    assert rig.socket.producerState == "paused"
    rig.wire.pauseProducing()
    rig.clock.advance(5)
    assert rig.socket.producerState == "paused"
    rig.wire.resumeProducing()
    assert rig.socket.producerState == "producing"


@pytest.mark.parametrize("name", ["sequence", "truncate", "oversize", "duplicate", "garbage"])
def test_what_is_garbled_says_so_and_differs(name):
    rig = Rig(f"{name}.answer=1/2")
    rig.answer(1, 2)
    assert rig.written.startswith(answer(1))
    assert rig.written != answer(1) + answer(2)
    assert rig.told == [(name, "answer")]


def test_nothing_is_due_once_the_connection_is_gone():
    rig = Rig("delay.answer=1@1/2", "reorder.answer=1/3")
    rig.answer(1, 2, 3)
    rig.socket.drop()
    assert rig.clock.getDelayedCalls() == []
    assert rig.trouble.wires == set()

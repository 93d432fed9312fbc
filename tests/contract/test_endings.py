"""However a connection ends, every submit gets one outcome and no more, whoever the carrier is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from smsgw.protocols import events as ev
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import Session
from tests.contract.test_carriers import SEGMENT, every_carrier, new_id, submit_pair
from tests.support.session_pair import SessionPair

OUTCOMES = (ev.SubmitAnswered, ev.ResponseLost)


class Ending:
    """Three submits: the first answered, the second only read by the gateway, the third unwritten.

    The client has not read the answer to the first when the ending begins.
    """

    def __init__(self, carrier: Carrier, version: str) -> None:
        self.carrier = carrier
        self.pair: SessionPair = submit_pair(carrier, version, response_timeout=1.0)
        self.client: Session = self.pair.client
        self.server: Session = self.pair.server
        for context in ("answered", "read"):
            self.submit(context)
        self.server.receive_data(self.client.data_to_send(), 0.0)
        first = self.server.events()[0]
        assert isinstance(first, ev.SubmitReceived)
        self.server.answer_submit(first.pdu, 0, new_id(carrier))
        self.submit("unwritten")

    def pdu(self) -> Pdu:
        return self.carrier.to_submit(self.client.account, self.client.version, SEGMENT)

    def submit(self, context: str) -> None:
        self.client.submit(self.pdu(), self.pair.now, context)

    def outcomes(self) -> dict[object, ev.Event]:
        """Each context's one outcome once the connection is gone."""
        self.pair.cut()
        self.client.tick(self.pair.now + 1e6)
        self.client.connection_lost(self.pair.now + 1e6)
        self.pair.collect()
        told = [event for event in self.pair.client_events if isinstance(event, OUTCOMES)]
        assert Counter(event.context for event in told) == {
            "answered": 1,
            "read": 1,
            "unwritten": 1,
        }
        assert len(self.client.window) == 0
        return {event.context: event for event in told}


def just_lost(case: Ending) -> None:
    pass


def unbound_by_us(case: Ending) -> None:
    case.client.unbind(0.0)
    case.pair.exchange()


def unbound_by_us_and_not_answered(case: Ending) -> None:
    case.client.unbind(0.0)
    case.pair.advance(2.0, connected=False)


def unbound_by_the_peer(case: Ending) -> None:
    unbind = case.server.unbind_pdu()
    case.server.next_sequence(unbind)
    case.client.receive_data(case.server.data_to_send() + unbind.encode(), 0.0)


def garbage(case: Ending) -> None:
    case.client.receive_data(case.server.data_to_send() + bytes(64), 0.0)


def out_of_time(case: Ending) -> None:
    for _ in range(10):
        case.pair.advance(1.0, connected=False)


@pytest.mark.parametrize(
    "end",
    [
        just_lost,
        unbound_by_us,
        unbound_by_us_and_not_answered,
        unbound_by_the_peer,
        garbage,
        out_of_time,
    ],
)
@every_carrier
def test_every_submit_has_exactly_one_outcome(
    carrier: Carrier, version: str, end: Callable[[Ending], None]
) -> None:
    case = Ending(carrier, version)
    end(case)
    case.outcomes()


@pytest.mark.parametrize("end", [unbound_by_the_peer, garbage])
@every_carrier
def test_what_was_not_written_when_the_session_ended_is_not_written_any_more(
    carrier: Carrier, version: str, end: Callable[[Ending], None]
) -> None:
    case = Ending(carrier, version)
    end(case)
    assert case.client.closed
    case.server.connection_lost(0.0)
    frames = carrier.codec.framer().split(case.client.data_to_send())
    requests = [carrier.codec.decode(frame, version) for frame in frames]
    assert [pdu for pdu in requests if type(pdu) is type(case.pdu())] == []
    outcomes = case.outcomes()
    assert isinstance(outcomes["answered"], ev.SubmitAnswered)
    assert isinstance(outcomes["read"], ev.ResponseLost)
    assert outcomes["read"].written
    assert isinstance(outcomes["unwritten"], ev.ResponseLost)
    assert not outcomes["unwritten"].written

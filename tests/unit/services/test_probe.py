from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from smsgw.errors import Overloaded
from smsgw.services.probe import ACCOUNT, Probe, ProbeSettings
from smsgw.services.submission import Outgoing

PHONE = "13800001001"


class Carrier:
    """Takes messages, shows them, and notes what the probe tells."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.shown: dict[int, dict[str, Any]] = {}
        self.told: list[tuple[str, float | None]] = []
        self.full = self.drained = False

    def check_open(self) -> None:
        if self.drained:
            raise Overloaded("the gateway is being drained", 30)

    def send(self, outgoing: Outgoing) -> Deferred[int]:
        if self.full:
            raise Overloaded("too much waits", 30)
        self.sent.append(outgoing)
        number = len(self.sent)
        self.shown[number] = {
            "status": "sent",
            "link": outgoing.link,
            "reason": "",
            "created_at": "2026-11-22T08:00:00.000+00:00",
            "final_at": None,
        }
        return succeed(number)

    def message(self, account: str, message_id: int) -> Deferred[dict[str, Any]]:
        assert account == ACCOUNT
        return succeed(self.shown[message_id])

    def probed(self, link: str, seconds: float | None) -> None:
        self.told.append((link, seconds))

    def report(self, number: int, status: str = "delivered", **more: str) -> None:
        at = "2026-11-22T08:00:03.250+00:00"
        self.shown[number] |= {"status": status, "final_at": at, **more}


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


def probe(carrier: Carrier, clock: Clock, **settings: Any) -> Probe:
    wanted = {"to": PHONE, "links": ("cmcc", "cucc"), **settings}
    made = Probe(ProbeSettings(**wanted), carrier, carrier.message, clock, carrier)
    made.start()
    return made


def test_each_link_gets_a_message_of_its_own_and_the_round_trip_is_told(carrier: Carrier) -> None:
    clock = Clock()
    running = probe(carrier, clock)
    clock.advance(59)
    assert carrier.sent == []
    clock.advance(1)
    assert [(one.link, one.to, one.account) for one in carrier.sent] == [
        ("cmcc", PHONE, "probe"),
        ("cucc", PHONE, "probe"),
    ]
    carrier.report(1)
    clock.advance(1)
    assert carrier.told == [("cmcc", 3.25)]
    clock.pump([1] * 120)
    assert carrier.told == [("cmcc", 3.25), ("cucc", None)]
    clock.pump([1] * 480)
    assert len(carrier.sent) == 4
    assert carrier.told[2:] == []
    running.stop()
    assert clock.getDelayedCalls() == []


def test_what_failed_or_took_another_link_is_no_round_trip(carrier: Carrier) -> None:
    clock = Clock()
    running = probe(carrier, clock)
    clock.advance(60)
    carrier.report(1, "undelivered", reason="UNDELIV")
    carrier.report(2, link="cmcc")
    clock.advance(1)
    assert carrier.told == [("cmcc", None), ("cucc", None)]
    running.stop()
    assert clock.getDelayedCalls() == []


def test_what_is_not_accepted_has_failed_and_the_next_one_is_tried(carrier: Carrier) -> None:
    clock = Clock()
    carrier.full = True
    running = probe(carrier, clock, links=("cmcc",))
    clock.advance(60)
    assert carrier.told == [("cmcc", None)]
    carrier.full = False
    clock.advance(600)
    assert len(carrier.sent) == 1
    running.stop()


def test_while_the_gateway_is_drained_there_is_no_probe_and_none_has_failed(
    carrier: Carrier,
) -> None:
    clock = Clock()
    carrier.drained = True
    running = probe(carrier, clock, links=("cmcc",))
    clock.advance(60)
    assert (carrier.sent, carrier.told) == ([], [])
    carrier.drained = False
    clock.advance(600)
    assert len(carrier.sent) == 1
    running.stop()


def test_a_link_that_people_stopped_is_not_probed(carrier: Carrier) -> None:
    clock, stopped = Clock(), {"cmcc"}
    settings = ProbeSettings(to=PHONE, links=("cmcc", "cucc"))
    running = Probe(
        settings, carrier, carrier.message, clock, carrier, is_stopped=stopped.__contains__
    )
    running.start()
    clock.advance(60)
    assert [one.link for one in carrier.sent] == ["cucc"]
    stopped.clear()
    clock.advance(600)
    assert [one.link for one in carrier.sent] == ["cucc", "cmcc", "cucc"]
    running.stop()


def test_without_a_phone_nothing_is_sent(carrier: Carrier) -> None:
    clock = Clock()
    running = probe(carrier, clock, to="")
    assert clock.getDelayedCalls() == []
    assert running.stop().called


def test_a_process_without_the_permit_sends_nothing_until_it_has_it(carrier: Carrier) -> None:
    class Other:
        held = False
        wanted_back = False

        def ask(self, changed: Any) -> None:
            changed()

        def drop(self) -> None:
            self.held = False

    clock, permit = Clock(), Other()
    settings = ProbeSettings(to=PHONE, links=("cmcc",))
    running = Probe(settings, carrier, carrier.message, clock, carrier, permit)
    running.start()
    clock.advance(60)
    assert carrier.sent == []
    permit.held = True
    clock.advance(600)
    assert len(carrier.sent) == 1
    running.stop()

"""A link that leaves its version to the gateway, over a real socket."""

from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock

from smsgw.errors import Disposition
from smsgw.model import Segment
from smsgw.protocols import cmpp
from smsgw.simulator.ismg import Ismg
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Inbound, Link
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

SEGMENT = Segment("13800001001", "10690001042", 0, b"hello")


@pytest.mark.parametrize(("highest", "logins"), [("2.0", 2), ("3.0", 1)])
@reactor_test
async def test_it_finds_the_version_of_its_gateway_and_works(highest: str, logins: int) -> None:
    seen: list[str] = []
    ismg = Ismg(
        cmpp.CARRIER,
        make_account(cmpp.CARRIER, version=highest),
        listen_endpoint(reactor, "127.0.0.1", 0),
        reactor,
        activity=lambda what, pdu, details: seen.append(what),
    )
    ismg.phone(SEGMENT.to)
    port = await ismg.start()
    account = make_account(cmpp.CARRIER, version="auto")
    clock = Clock()
    link = Link(
        "one", cmpp.CARRIER, account, dial_endpoint(reactor, "127.0.0.1", port), clock, binds=1
    )
    inbound: list[Inbound] = []
    link.on_inbound = inbound.extend
    link.start()
    for _ in range(logins - 1):
        await until(lambda: link.state()["binds"][0]["phase"] == "down", clock)
        assert link.state()["binds"][0]["refused"] == "version"
        clock.advance(1.0)
    await until(lambda: link.up, clock)
    assert link.state()["binds"][0]["version"] == highest
    result = link.submit(SEGMENT)
    await until(lambda: result.called and inbound, clock)
    assert result.result.disposition is Disposition.ACCEPTED
    assert inbound[0].report is not None
    assert inbound[0].report.carrier_message_id == result.result.carrier_message_id
    assert seen.count("trouble") == logins - 1
    inbound[0].acknowledge(0)
    clock.advance(0)
    await link.stop()
    await ismg.stop()
    assert clock.getDelayedCalls() == []

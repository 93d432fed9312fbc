"""A link that is stopped, where two processes share its account on one PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor

from smsgw.protocols import cmpp
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.store.address import Server
from smsgw.transport.endpoints import listen_endpoint
from tests.support.gateways import ACCOUNT, Inside, message, one_link
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS, make_account

PHONE = NUMBERS["cmpp"]


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_stop_holds_for_all_processes_and_so_does_a_start(
    tmp_path: Path, server: Server
) -> None:
    ismg = Ismg(
        cmpp.CARRIER,
        make_account(cmpp.CARRIER),
        listen_endpoint(reactor, "127.0.0.1", 0),
        reactor,
        behaviour=Behaviour(report_after=0.01),
    )
    config = one_link("cmpp", await ismg.start()).replace("smsgw.db", str(server)) + "binds = 2\n"
    (tmp_path / "smsgw.toml").write_text(config)
    both = [Inside(), Inside()]
    for one in both:
        await one.open(tmp_path / "smsgw.toml")

    def states() -> list[str]:
        return [one.gateway.links()[0]["state"] for one in both]

    await until(lambda: states() == ["up", "up"])
    await both[0].gateway.control.stop("one", "zhang")
    await until(lambda: states() == ["stopped", "stopped"])
    assert not ismg._listener.connections
    ids = [(await one.gateway.send(ACCOUNT, [message(PHONE)]))[0] for one in both]
    shown = both[1].gateway.links()[0]
    assert shown["stopped"]["by"] == "zhang"

    await both[1].gateway.control.start("one", "li")
    await until(lambda: states() == ["up", "up"])
    for one, message_id in zip(both, ids, strict=True):
        await one.become(message_id, "delivered")
    assert len(ismg.submits) == len(ids)
    for one in both:
        await one.close()
    await ismg.stop()

"""A Link against a simulated gateway over real sockets."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from smsgw.errors import Disposition
from smsgw.model import MessageStatus, Segment
from smsgw.protocols import cmpp
from smsgw.simulator.ismg import Ismg
from smsgw.simulator.script import Reply
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Inbound, Link
from tests.support.reactor import reactor_test

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret")


@reactor_test
async def test_a_submit_is_answered_reported_and_replied_to():
    ismg = Ismg(cmpp.CARRIER, ACCOUNT, listen_endpoint(reactor, "127.0.0.1", 0), reactor)
    port = await ismg.start()
    link = Link("cmcc", cmpp.CARRIER, ACCOUNT, dial_endpoint(reactor, "127.0.0.1", port), reactor)
    got: list[Inbound] = []
    both: Deferred[None] = Deferred()

    def take(batch: list[Inbound]) -> None:
        got.extend(batch)
        for item in batch:
            item.acknowledge(0)
        if len(got) == 2:
            both.callback(None)

    link.on_inbound = take
    ismg.phone("13800001001", lambda sender, text: [Reply("同意")])
    link.start()
    result = await link.submit(
        Segment("13800001001", "10690001042", 8, "请审批".encode("utf-16-be"))
    )
    assert result.disposition is Disposition.ACCEPTED
    await both
    report = next(item.report for item in got if item.report is not None)
    mo = next(item.message for item in got if item.message is not None)
    assert report.carrier_message_id == result.carrier_message_id
    assert report.status is MessageStatus.DELIVERED
    assert (mo.sender, mo.destination) == ("13800001001", "10690001042")
    assert mo.content.decode("utf-16-be") == "同意"
    await ismg.acknowledged()
    await link.stop()
    await ismg.stop()

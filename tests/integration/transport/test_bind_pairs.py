"""An SMPP link of transmitter and receiver pairs against the simulated SMSC, over real sockets."""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.model import MessageStatus, Segment
from smsgw.protocols import smpp
from smsgw.simulator.script import always
from tests.support.reactor import reactor_test
from tests.support.rigs import Rig, make_account


@reactor_test
async def test_pairs_send_over_one_connection_and_receive_over_the_other():
    account = make_account(smpp.CARRIER, bind_type="transmitter+receiver")
    rig = Rig(smpp.CARRIER, binds=2, account=account)
    await rig.start()
    rig.ismg.phone(rig.phone, always("同意", after=0.01))
    text = Segment(rig.phone, "10690001042", 8, "请审批".encode("utf-16-be"))
    results = [await one for one in [rig.link.submit(text) for _ in range(20)]]
    assert {result.disposition for result in results} == {Disposition.ACCEPTED}
    await rig.until(lambda: len(rig.got) == 40)
    reports = [item.report for item in rig.got if item.report is not None]
    ids = {result.carrier_message_id for result in results}
    assert {report.carrier_message_id for report in reports} == ids
    assert {report.status for report in reports} == {MessageStatus.DELIVERED}
    assert rig.seen.count(("bind", "")) == 4
    assert [bind["phase"] for bind in rig.link.state()["binds"]] == ["bound"] * 4
    await rig.ismg.acknowledged()
    await rig.stop()

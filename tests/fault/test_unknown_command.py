"""A whole PDU with a command nobody knows: ignored, answered or fatal, as the carrier's sheet asks.

Spec: cmpp.md section 15 (log and ignore; close after repeated ones); smgp.md section 12, bad input
(Status 11 under the command's answer id); sgip.md section 11 (break the connection); SMPP 3.4
4.3.1 (generic_nack with ESME_RINVCMDID).
"""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.session import MISTAKES_MAX
from tests.support.raw_peer import (
    IsmgRig,
    LinkRig,
    bare,
    deliver,
    dial,
    outcome,
    submit,
    until,
    warnings,
)
from tests.support.reactor import reactor_test

UNKNOWN = 0x00007777

ANSWERED = {
    "cmpp": b"",
    "smgp": bytes.fromhex("00000010 80007777 0000002a 0000000b"),
    "sgip": b"",
    "smpp": bytes.fromhex("00000010 80000000 00000003 0000002a"),
}
BREAKS = {"sgip"}

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))
going_on = pytest.mark.parametrize("name", sorted(CARRIERS.keys() - BREAKS))


@going_on
@reactor_test
async def test_the_link_goes_on(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier) as rig:
            await rig.bound()
            peer = rig.gateway.peer
            before = len(peer.received)
            peer.say(bare(carrier, UNKNOWN))
            octets = deliver(carrier, peer)
            peer.say(octets)
            await rig.until(lambda: peer.answers_to(octets, carrier) == [0])
            assert peer.received[before:].startswith(ANSWERED[name])
            assert peer.received.count(b"\x00\x00\x77\x77") == 0
            result = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: result)
            assert result[0].disposition is Disposition.ACCEPTED
            assert len(rig.gateway.peers) == 1
    assert warnings(logged) == ["0x00007777.command_id at offset 4: unknown command"]


@going_on
@reactor_test
async def test_a_peer_that_does_nothing_else_is_given_up(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier) as rig:
            await rig.bound()
            peer = rig.gateway.peer
            peer.say(bare(carrier, UNKNOWN) * MISTAKES_MAX)
            await rig.until(lambda: peer.lost)
            await rig.bound_again()
    assert len(warnings(logged)) == MISTAKES_MAX + 1
    assert warnings(logged)[-1] == f"{MISTAKES_MAX} PDUs in a row that cannot be used"


@pytest.mark.parametrize("name", sorted(BREAKS))
@reactor_test
async def test_the_link_breaks_the_connection_and_binds_again(name):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier) as rig:
            await rig.bound()
            peer = rig.gateway.peer
            peer.say(bare(carrier, UNKNOWN))
            await rig.until(lambda: peer.lost)
            await rig.bound_again()
            bringer = await rig.bringer()
            bringer.say(bare(carrier, UNKNOWN))
            await rig.until(lambda: bringer.lost)
            bringer = await rig.bringer()
            octets = deliver(carrier, bringer)
            bringer.say(octets)
            await rig.until(lambda: bringer.answers_to(octets, carrier) == [0])
    assert warnings(logged) == ["0x00007777.command_id at offset 4: unknown command"] * 2


@every_carrier
@reactor_test
async def test_a_gateway_does_the_same(name):
    carrier = CARRIERS[name]
    async with IsmgRig(carrier) as rig:
        peer = await dial(carrier, rig.port)
        peer.say(bare(carrier, UNKNOWN))
        if name in BREAKS:
            await until(lambda: peer.lost)
        else:
            octets = submit(carrier, peer)
            peer.say(octets)
            await until(lambda: peer.answers_to(octets, carrier) == [0])
            assert ANSWERED[name] in peer.received
            peer.hang_up()
        await rig.serves()
        assert rig.told.count("trouble") == 1

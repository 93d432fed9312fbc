"""Somebody speaks another protocol: HTTP, TLS, or none."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from smsgw.protocols.registry import CARRIERS
from tests.support.raw_peer import IsmgRig, LinkRig, dial, until, warnings
from tests.support.reactor import reactor_test

STRANGERS = {
    "http request": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "http answer": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "tls": bytes.fromhex("16030102000100"),
    "noise": bytes.fromhex("fe01fe02fe03fe04fe05"),
}

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))
every_stranger = pytest.mark.parametrize("octets", STRANGERS.values(), ids=STRANGERS)


@every_carrier
@every_stranger
@reactor_test
async def test_a_stranger_where_the_gateway_should_be_is_tried_again_with_growing_pauses(
    name, octets
):
    with capturedLogs() as logged:
        async with LinkRig(CARRIERS[name], speaks=False) as rig:
            for tries, pause in enumerate((0.5, 1.0, 2.0), start=1):
                await rig.until(lambda tries=tries: len(rig.gateway.peers) == tries)
                rig.gateway.peer.say(octets)
                await rig.until(lambda: rig.phase == "down")
                assert rig.reason.startswith("total length")
                assert ("'GET ': not this protocol" in rig.reason) == octets.startswith(b"GET ")
                assert not rig.link.up
                rig.clock.advance(pause * 0.74)
                assert rig.phase == "down"
                rig.clock.advance(pause * 0.52)
    assert len(warnings(logged)) == 3


@every_carrier
@every_stranger
@reactor_test
async def test_a_stranger_at_our_door_is_shown_out_who_and_why(name, octets):
    carrier = CARRIERS[name]
    async with IsmgRig(carrier) as rig:
        stranger = await dial(carrier, rig.port, speaks=False)
        stranger.say(octets)
        await until(lambda: stranger.lost)
        assert stranger.received == b""
        await rig.serves()
        assert rig.told == ["trouble", "bind", "submit"]
        assert rig.troubles[0].reason.startswith("total length")


@reactor_test
async def test_a_stranger_at_the_listener_of_a_link_is_shown_out_who_and_why():
    with capturedLogs() as logged:
        async with LinkRig(CARRIERS["sgip"]) as rig:
            await rig.bound()
            stranger = await dial(rig.carrier, rig.link.listener_port, speaks=False)
            stranger.say(STRANGERS["http request"])
            await rig.until(lambda: stranger.lost)
            assert rig.link.up
    assert len(warnings(logged)) == 2

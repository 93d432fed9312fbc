"""Peers that send without end, over real sockets: they wait, and our memory does not grow."""

from __future__ import annotations

import socket

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.protocols import cmpp
from smsgw.protocols.registry import CARRIERS
from smsgw.transport.adapter import UNACKNOWLEDGED_MAX
from tests.support.raw_peer import LinkRig, RawPeer, deliver, until
from tests.support.reactor import reactor_test

SMALL = 65536
READ_OCTETS = 65536
"""What Twisted takes from a socket at once, and lets stand in a write buffer."""


async def quiet(value) -> None:
    """Wait until ``value()`` has stopped growing."""
    before = -1
    while before != value():
        before = value()
        await deferLater(reactor, 0.1)


def with_small_buffers(peer: RawPeer) -> None:
    """Let the kernel hold little, so that what stands is seen soon."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        peer.transport.socket.setsockopt(socket.SOL_SOCKET, option, SMALL)


@pytest.mark.parametrize("name", sorted(CARRIERS))
@reactor_test
async def test_delivers_that_wait_for_no_answer_stop_at_the_limit_and_none_is_lost(name):
    carrier, count = CARRIERS[name], 5000
    async with LinkRig(carrier) as rig:
        await rig.bound()
        taken = []
        rig.link.on_inbound = taken.extend
        peer = await rig.bringer()
        octets = [deliver(carrier, peer) for _ in range(count)]
        session, peer.session = peer.session, None  # it would take so many answers amiss
        peer.say(b"".join(octets))
        await quiet(lambda: len(taken))
        assert len(taken) <= UNACKNOWLEDGED_MAX + READ_OCTETS // len(octets[0]) + 1
        acknowledged = []
        while len(acknowledged) < count:
            await until(lambda: len(taken) > len(acknowledged), rig.clock)
            for item in taken[len(acknowledged) :]:
                item.acknowledge(0)
                acknowledged.append(item)
        last = octets[-1][8 : carrier.codec.header_octets]
        await until(lambda: last in peer.received[-200:], rig.clock)
        peer.session = session


@reactor_test
async def test_a_peer_that_never_reads_is_not_read_for_ever():
    async with LinkRig(CARRIERS["cmpp"]) as rig:
        await rig.bound()
        peer = rig.gateway.peer
        link_side = rig.link._connectors[0].protocol
        assert link_side is not None
        with_small_buffers(peer)
        with_small_buffers(link_side)
        answers = []
        write = link_side.transport.write
        link_side.transport.write = lambda data: (answers.append(len(data)), write(data))[1]
        peer.transport.pauseProducing()
        heartbeats = 400_000
        peer.say(cmpp.ActiveTest(1).encode() * heartbeats)
        await quiet(lambda: sum(answers))
        assert 0 < sum(answers) < 1_000_000 < heartbeats * 13
        peer.transport.resumeProducing()
        wanted = heartbeats * len(cmpp.ActiveTestResp(1).encode())
        await until(lambda: sum(answers) >= wanted, rig.clock)

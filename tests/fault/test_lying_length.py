"""A PDU whose total length cannot be: the stream cannot be trusted any more."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from tests.support.raw_peer import IsmgRig, LinkRig, bare, dial, outcome, until, warnings
from tests.support.reactor import reactor_test

LIES = {"nothing": 0, "less than a header": 11, "4 GiB": 0xFFFFFFFF}

every_carrier = pytest.mark.parametrize("name", sorted(CARRIERS))
every_lie = pytest.mark.parametrize("length", LIES.values(), ids=LIES)


@every_carrier
@every_lie
@reactor_test
async def test_the_link_closes_binds_again_and_loses_nothing(name, length):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier, answers=False) as rig:
            await rig.bound()
            first = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: rig.gateway.submits)
            rig.gateway.answers = True
            liar = rig.gateway.peer
            liar.say(bare(carrier, 4, length))
            await rig.until(lambda: liar.lost and first)
            assert f"total length {length}, limit" in rig.reason
            second = outcome(rig.link.submit(rig.segment()))
            await rig.bound_again()
            await rig.until(lambda: second)
            assert [one.disposition for one in first] == [Disposition.UNKNOWN]
            assert [one.disposition for one in second] == [Disposition.ACCEPTED]
            assert len(rig.gateway.submits) == 2
    assert [line.split(",")[0] for line in warnings(logged)] == [f"total length {length}"]


@every_carrier
@every_lie
@reactor_test
async def test_what_came_whole_before_the_lie_counts(name, length):
    carrier = CARRIERS[name]
    with capturedLogs() as logged:
        async with LinkRig(carrier, answers=False) as rig:
            await rig.bound()
            first = outcome(rig.link.submit(rig.segment()))
            await rig.until(lambda: rig.gateway.submits)
            peer = rig.gateway.peer
            assert peer.session is not None
            peer.session.answer_submit(peer.submits[0], 0)
            peer.say(peer.session.data_to_send() + bare(carrier, 4, length))
            await rig.until(lambda: first)
            assert [one.disposition for one in first] == [Disposition.ACCEPTED]
            await rig.bound_again()
    assert len(warnings(logged)) == 1


@every_carrier
@every_lie
@reactor_test
async def test_a_gateway_closes_and_serves_the_next_one(name, length):
    carrier = CARRIERS[name]
    async with IsmgRig(carrier) as rig:
        liar = await dial(carrier, rig.port)
        liar.say(bare(carrier, 4, length))
        await until(lambda: liar.lost)
        await rig.serves()
        assert rig.told == ["bind", "trouble", "bind", "submit"]

"""From settings to a link in one call."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock

from smsgw.errors import ConfigError, Disposition
from smsgw.model import Segment
from smsgw.protocols import cmpp, smpp
from smsgw.transport.connect import connect
from tests.support.connections import Dialled
from tests.support.reactor import reactor_test

LOGIN: dict[str, Any] = {"login": "901234", "secret": "s3cret"}


def test_a_link_dials_at_once_with_the_settings_given():
    clock, endpoint = Clock(), Dialled()
    link = connect(
        protocol="cmpp",
        reactor=clock,
        endpoint=endpoint,
        binds=2,
        window=3,
        service_id="NEWS",
        **LOGIN,
    )
    assert (link.name, link.account.window, link.account.version) == ("cmpp", 3, "3.0")
    assert isinstance(link.account, cmpp.CmppAccount)
    assert link.account.service_id == "NEWS"
    result = link.submit(Segment("13800001001", "10690001", 0, b"hi"))
    wire = endpoint.wires[0]
    wire.protocol.dataReceived(cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode())
    assert len(endpoint.wires) == 2
    clock.advance(0)
    wire.protocol.dataReceived(cmpp.SubmitResp30(2, 0x11, 0).encode())
    assert result.result.disposition is Disposition.ACCEPTED
    link.stop()
    for wire in endpoint.wires:
        wire.drop()


def test_every_protocol_has_its_own_account_and_version():
    link = connect(
        protocol="smpp", name="abroad", version="3.3", reactor=Clock(), endpoint=Dialled(), **LOGIN
    )
    assert link.name == "abroad"
    assert isinstance(link.account, smpp.SmppAccount)
    assert link.account.version == "3.3"
    link.stop()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"protocol": "x25", "host": "h"}, "protocol: 'x25' is none of cmpp"),
        ({"protocol": "cmpp"}, "host: is missing"),
        ({"protocol": "cmpp", "host": "h", "windows": 4}, "windows: is no setting of cmpp; it has"),
        ({"protocol": "sgip", "host": "h", "sequences": 4}, "sequences: is no setting of sgip"),
        ({"protocol": "cmpp", "version": "9.9"}, "version: '9.9' is none of 2.0, 3.0, auto"),
        ({"protocol": "sgip", "version": "auto"}, "version: 'auto' is none of 1.2, 1.3"),
        ({"protocol": "cmpp", "window": 0}, "window: is 0, at least 1"),
        ({"protocol": "smgp", "response_timeout": 0.0}, "response_timeout: is 0, at least 0.1"),
        ({"protocol": "smpp", "binds": 0}, "binds: is 0, at least 1"),
        ({"protocol": "cmpp", "login": "9012345"}, "login: or secret does not fit .* limit 6"),
        ({"protocol": "sgip", "node": 2**32}, "login: .* sequence_node: 4294967296, limit"),
    ],
)
def test_what_cannot_be_is_said_by_its_name(settings, says):
    endpoint = Dialled()
    if "host" not in settings and settings != {"protocol": "cmpp"}:
        settings = {**settings, "endpoint": endpoint}
    with pytest.raises(ConfigError, match=says):
        connect(reactor=Clock(), **{**LOGIN, **settings})
    assert endpoint.wires == []


@reactor_test
async def test_without_a_port_it_is_the_specifications():
    link = connect(protocol="cmpp", host="127.0.0.1", reactor=reactor, **LOGIN)
    endpoint: Any = link._connectors[0]._endpoint
    assert endpoint._port == cmpp.CARRIER.port
    await link.stop()

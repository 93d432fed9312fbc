"""A link through TLS, with real sockets and a throw-away authority."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Protocol
from twisted.logger import capturedLogs, formatEvent
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from smsgw.errors import ConfigError, Disposition
from smsgw.transport.certificates import ClientTls, Contexts, ServerTls
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.tls import ClientSide
from tests.support.api import TOKEN, ApiServer, closed_connections
from tests.support.certificates import Authority
from tests.support.raw_peer import RawGateway, until
from tests.support.reactor import reactor_test
from tests.support.secured import Secured


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def serves(authority):
    """A gateway whose certificate is for 127.0.0.1 and gateway.example."""
    certificate, key = authority.issue("gateway", "127.0.0.1", "gateway.example")
    return ServerTls(certificate=certificate, key=key)


def with_client_ca(serves: ServerTls, authority: Authority) -> ServerTls:
    return ServerTls(certificate=serves.certificate, key=serves.key, ca=authority.pem)


async def refused(serves: ServerTls, dials: ClientTls, **kwargs) -> str:
    """Why such a link is down; nothing may be logged but one line for each refusal."""
    async with Secured(serves, dials, **kwargs) as rig:
        return await rig.reason()


@reactor_test
async def test_a_submit_goes_through_tls(authority, serves):
    async with Secured(serves, ClientTls(ca=authority.pem)) as rig:
        assert (await rig.submit()).disposition is Disposition.ACCEPTED


@reactor_test
async def test_many_submits_go_through_tls(authority, serves):
    async with Secured(serves, ClientTls(ca=authority.pem)) as rig:
        answers = [Deferred.fromCoroutine(rig.submit()) for _ in range(300)]
        assert {(await one).disposition for one in answers} == {Disposition.ACCEPTED}


@reactor_test
async def test_the_server_name_may_differ_from_the_host(authority, serves):
    dials = ClientTls(ca=authority.pem, server_name="gateway.example")
    async with Secured(serves, dials) as rig:
        await rig.bound()


@reactor_test
async def test_a_gateway_that_nobody_trusted_vouches_for_is_refused(serves):
    reason = await refused(serves, ClientTls())
    assert reason == "cannot connect: TLS: the peer's certificate was not issued by anyone we trust"


@reactor_test
async def test_a_gateway_of_another_authority_is_refused(tmp_path, serves):
    reason = await refused(serves, ClientTls(ca=Authority(tmp_path, "other").pem))
    assert reason == "cannot connect: TLS: the peer's certificate was not issued by anyone we trust"


@reactor_test
async def test_a_gateway_with_another_name_is_refused_before_it_sees_the_login(authority, serves):
    dials = ClientTls(ca=authority.pem, server_name="other.example")
    async with Secured(serves, dials) as rig:
        reason = await rig.reason()
        assert rig.ismg._bound == []
    assert reason == (
        "cannot connect: TLS: the peer's certificate is not for other.example; "
        "is server_name right?"
    )


@reactor_test
async def test_a_gateway_with_another_address_is_refused(authority):
    certificate, key = authority.issue("elsewhere", "192.0.2.1")
    serves = ServerTls(certificate=certificate, key=key)
    reason = await refused(serves, ClientTls(ca=authority.pem))
    assert reason.startswith("cannot connect: TLS: the peer's certificate is not for 127.0.0.1")


@reactor_test
async def test_a_certificate_without_names_is_refused(authority):
    certificate, key = authority.issue("nameless")
    serves = ServerTls(certificate=certificate, key=key)
    reason = await refused(serves, ClientTls(ca=authority.pem))
    assert reason.startswith("cannot connect: TLS: the peer's certificate names nobody in a form")


@reactor_test
async def test_a_gateway_whose_certificate_has_expired_is_refused(authority):
    certificate, key = authority.issue("old", "127.0.0.1", lasts=timedelta(days=-1))
    serves = ServerTls(certificate=certificate, key=key)
    reason = await refused(serves, ClientTls(ca=authority.pem))
    assert reason == "cannot connect: TLS: the peer's certificate has expired"


@reactor_test
async def test_the_gateways_own_certificate_can_be_the_one_that_is_trusted(authority):
    certificate, key = authority.issue("nameless")
    serves = ServerTls(certificate=certificate, key=key)
    async with Secured(serves, ClientTls(ca=certificate)) as rig:
        await rig.bound()


@reactor_test
async def test_without_verification_any_certificate_will_do(serves):
    async with Secured(serves, ClientTls(verify=False, server_name="other.example")) as rig:
        assert (await rig.submit()).disposition is Disposition.ACCEPTED


@reactor_test
async def test_a_client_certificate_that_is_asked_for_is_shown(authority, serves):
    certificate, key = authority.issue("sp")
    dials = ClientTls(ca=authority.pem, certificate=certificate, key=key)
    async with Secured(with_client_ca(serves, authority), dials) as rig:
        assert (await rig.submit()).disposition is Disposition.ACCEPTED


@reactor_test
async def test_a_client_certificate_that_is_asked_for_and_missing_is_why(authority, serves):
    with capturedLogs() as logged:
        reason = await refused(with_client_ca(serves, authority), ClientTls(ca=authority.pem))
    assert reason == "TLS: the peer wants a certificate of ours; set certificate and key"
    lines = [formatEvent(event) for event in logged]
    assert "127.0.0.1 was turned away: TLS: the peer showed no certificate" in lines


@reactor_test
async def test_a_client_certificate_of_another_authority_is_refused(tmp_path, authority, serves):
    certificate, key = Authority(tmp_path, "other").issue("sp")
    dials = ClientTls(ca=authority.pem, certificate=certificate, key=key)
    with capturedLogs() as logged:
        reason = await refused(with_client_ca(serves, authority), dials)
    assert reason == "TLS: the peer does not trust whoever issued our certificate"
    (line,) = [one for one in map(formatEvent, logged) if "turned away" in one]
    assert line.endswith("the peer's certificate was not issued by anyone we trust")


@reactor_test
async def test_a_client_certificate_that_has_expired_is_why(authority, serves):
    certificate, key = authority.issue("sp", lasts=timedelta(days=-1))
    dials = ClientTls(ca=authority.pem, certificate=certificate, key=key)
    reason = await refused(with_client_ca(serves, authority), dials)
    assert reason == "TLS: the peer says that our certificate has expired"


@reactor_test
async def test_a_gateway_that_speaks_no_tls_is_why(authority):
    async with Secured(None, ClientTls(ca=authority.pem)) as rig:
        reason = await rig.reason()
    assert reason == "cannot connect: TLS handshake: the peer closed the connection"


@reactor_test
async def test_a_link_without_tls_leaves_one_line_at_a_port_that_wants_it(serves):
    with capturedLogs() as logged:
        async with Secured(serves, None) as rig:
            await rig.reason()
    (line,) = [one for one in map(formatEvent, logged) if "turned away" in one]
    assert line == "127.0.0.1 was turned away: TLS: what the peer says is not TLS"


@reactor_test
async def test_a_gateway_that_stays_silent_is_given_up(authority):
    from twisted.internet.task import Clock

    from smsgw.protocols import cmpp

    gateway, clock = RawGateway(cmpp.CARRIER, speaks=False), Clock()
    port = await gateway.start()
    endpoint = dial_endpoint(reactor, "127.0.0.1", port, tls=ClientTls(ca=authority.pem))
    endpoint._clock = clock
    protocol = Protocol()
    connecting = connectProtocol(endpoint, protocol)
    problems = []
    connecting.addErrback(lambda failure: problems.append(failure.getErrorMessage()))
    await until(lambda: gateway.peers and gateway.peer.received)
    clock.advance(15)
    assert problems == ["TLS handshake: not done within 15 s"]
    assert protocol.transport is None
    await until(lambda: gateway.peer.lost)
    await gateway.stop()
    assert clock.getDelayedCalls() == []


@reactor_test
async def test_stopping_during_the_handshake_leaves_nothing_behind(authority):
    from smsgw.protocols import cmpp

    gateway = RawGateway(cmpp.CARRIER, speaks=False)
    port = await gateway.start()
    endpoint = dial_endpoint(reactor, "127.0.0.1", port, tls=ClientTls(ca=authority.pem))
    connecting = connectProtocol(endpoint, Protocol())
    await until(lambda: gateway.peers and gateway.peer.received)
    connecting.addErrback(lambda failure: None)
    connecting.cancel()
    await until(lambda: gateway.peer.lost)
    await gateway.stop()


@reactor_test
async def test_the_link_binds_once_the_gateway_has_a_good_certificate_again(authority, serves):
    other = authority.issue("renewed", "192.0.2.1")
    files = serves.certificate, serves.key
    good = [file.read_bytes() for file in files]
    for file, bad in zip(files, other, strict=True):
        os.replace(bad, file)
    async with Secured(serves, ClientTls(ca=authority.pem)) as rig:
        assert "is not for 127.0.0.1" in await rig.reason()
        for file, octets in zip(files, good, strict=True):
            file.write_bytes(octets)
        await rig.bound()


@reactor_test
async def test_a_file_that_has_gone_is_the_links_reason_and_it_tries_again(authority, serves):
    certificate, key = authority.issue("sp")
    dials = ClientTls(ca=authority.pem, certificate=certificate, key=key)
    hidden = key.with_suffix(".away")
    async with Secured(serves, dials) as rig:
        await rig.bound()
        os.replace(key, hidden)
        rig.ismg.hang_up()
        reason = await rig.reason()
        assert "cannot read" not in reason  # the connection was lost first, then dialled again
        await until(lambda: "cannot read" in rig.link.state()["binds"][0]["reason"])
        reason = rig.link.state()["binds"][0]["reason"]
        assert reason == f"cannot connect: key: cannot read {key}: No such file or directory"
        os.replace(hidden, key)
        await rig.bound()


@reactor_test
async def test_a_port_keeps_its_certificate_when_the_file_goes(authority, serves):
    async with Secured(serves, ClientTls(ca=authority.pem)) as rig:
        await rig.bound()
        serves.key.unlink()
        with capturedLogs() as logged:
            rig.ismg.hang_up()
            await rig.reason()
            await rig.bound()
    lines = [formatEvent(event) for event in logged]
    assert any(
        "No such file or directory; the files read before stay in force" in line for line in lines
    )


@reactor_test
async def test_a_port_whose_certificate_cannot_be_read_does_not_open(tmp_path):
    serves = ServerTls(certificate=tmp_path / "none.pem")
    endpoint = listen_endpoint(reactor, "127.0.0.1", 0, tls=serves)
    with pytest.raises(ConfigError, match=r"certificate: cannot read .*none.pem: No such file"):
        await endpoint.listen(RawGateway(None))


@implementer(IPolicyForHTTPS)
class Trusting:
    """An HTTP client's policy: our own."""

    def __init__(self, tls: ClientTls) -> None:
        self._tls = tls

    def creatorForNetloc(self, hostname: bytes, port: int) -> object:
        return ClientSide(Contexts(self._tls).current(), hostname.decode(), True, [])


@reactor_test
async def test_the_http_api_is_served_through_tls(authority, serves):
    api = ApiServer()
    port = await listen_endpoint(reactor, "127.0.0.1", 0, tls=serves).listen(api.site)
    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = Agent(reactor, Trusting(ClientTls(ca=authority.pem)), pool=pool)
    url = f"https://127.0.0.1:{port.getHost().port}/v1/links"
    headers = Headers({"Authorization": [f"Bearer {TOKEN}"]})
    response = await agent.request(b"GET", url.encode(), headers)
    assert response.code == 200
    assert b"links" in await treq.content(response)
    await port.stopListening()
    await closed_connections()

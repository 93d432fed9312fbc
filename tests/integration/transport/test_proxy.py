"""A link through SOCKS5 and through HTTP's CONNECT, with real sockets."""

from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock

from smsgw.errors import Disposition
from smsgw.transport.certificates import ClientTls, ServerTls
from smsgw.transport.endpoints import dial_endpoint
from smsgw.transport.proxy import Proxy
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.proxies import TinyProxy
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.secured import Secured

both = pytest.mark.parametrize("scheme", ["socks5", "http"])


def proxy_at(scheme: str, port: int, user: str = "", password: str = "") -> Proxy:
    return Proxy(scheme=scheme, host="127.0.0.1", port=port, user=user, password=password)


async def refused(proxy: TinyProxy, scheme: str, *login: str) -> tuple[str, int]:
    """Why a link through this proxy is down, and the proxy's port."""
    port = await proxy.start()
    async with Secured(proxy=proxy_at(scheme, port, *login)) as rig:
        reason = await rig.reason()
    await proxy.stop()
    return reason, port


@both
@reactor_test
async def test_a_submit_goes_through_a_proxy(scheme):
    proxy = TinyProxy(scheme)
    async with Secured(proxy=proxy_at(scheme, await proxy.start())) as rig:
        assert (await rig.submit()).disposition is Disposition.ACCEPTED
        assert proxy.asked == [("127.0.0.1", rig.port)]
    await proxy.stop()


@both
@reactor_test
async def test_the_proxy_resolves_the_name(scheme):
    proxy = TinyProxy(scheme)
    port = await proxy.start()
    async with Secured(proxy=proxy_at(scheme, port), host="gateway.example") as rig:
        await rig.bound()
        assert proxy.asked == [("gateway.example", rig.port)]
    await proxy.stop()


@both
@reactor_test
async def test_a_proxy_that_wants_a_login_gets_it(scheme):
    proxy = TinyProxy(scheme, login=("smsgw", "pass:word"))
    port = await proxy.start()
    async with Secured(proxy=proxy_at(scheme, port, "smsgw", "pass:word")) as rig:
        await rig.bound()
    await proxy.stop()


@both
@reactor_test
async def test_a_wrong_login_is_why(scheme):
    reason, port = await refused(TinyProxy(scheme, login=("smsgw", "right")), scheme, "smsgw", "no")
    assert reason.startswith(f"cannot connect: proxy 127.0.0.1:{port}: it refused our login")


@both
@reactor_test
async def test_a_missing_login_is_why(scheme):
    reason, _ = await refused(TinyProxy(scheme, login=("smsgw", "right")), scheme)
    assert reason.endswith("; set a user and proxy_password")


@both
@reactor_test
async def test_what_the_proxy_does_not_want_to_reach_is_why(scheme):
    reason, port = await refused(TinyProxy(scheme, refuses=True), scheme)
    why = {"socks5": "not allowed by its rules (2)", "http": "403 Forbidden"}[scheme]
    assert reason == f"cannot connect: proxy 127.0.0.1:{port}: {why}"


@both
@reactor_test
async def test_a_proxy_that_is_not_there_is_why(scheme):
    port = free_port()
    async with Secured(proxy=proxy_at(scheme, port)) as rig:
        reason = await rig.reason()
    assert reason.startswith(f"cannot connect: proxy 127.0.0.1:{port}: Connection was refused")


@both
@reactor_test
async def test_a_proxy_of_the_other_kind_is_why(scheme):
    other = {"socks5": "http", "http": "socks5"}[scheme]
    proxy = TinyProxy(other, silent=True)
    port = await proxy.start()
    async with Secured(proxy=proxy_at(scheme, port)) as rig:
        await until(lambda: proxy.open and next(iter(proxy.open)).buffer)
        next(iter(proxy.open)).say(
            b"HTTP/1.1 400 Bad Request\r\n\r\n" if scheme == "socks5" else b"\x05\xff"
        )
        reason = await rig.reason()
    await proxy.stop()
    speaks = {"socks5": "it does not speak SOCKS5", "http": "it does not answer in HTTP/1.1"}
    assert reason.endswith(speaks[scheme])


@both
@reactor_test
async def test_tls_goes_through_a_proxy(scheme, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway", "gateway.example")
    proxy = TinyProxy(scheme)
    async with Secured(
        ServerTls(certificate=certificate, key=key),
        ClientTls(ca=authority.pem),
        proxy_at(scheme, await proxy.start()),
        host="gateway.example",
    ) as rig:
        assert (await rig.submit()).disposition is Disposition.ACCEPTED
    await proxy.stop()


@both
@reactor_test
async def test_a_proxys_refusal_under_tls_is_why(scheme, tmp_path):
    proxy = TinyProxy(scheme, refuses=True)
    port = await proxy.start()
    dials = ClientTls(ca=Authority(tmp_path).pem)
    async with Secured(dials=dials, proxy=proxy_at(scheme, port)) as rig:
        reason = await rig.reason()
    await proxy.stop()
    assert reason.startswith(f"cannot connect: proxy 127.0.0.1:{port}: ")


@both
@reactor_test
async def test_a_silent_proxy_is_given_up(scheme):
    proxy, clock = TinyProxy(scheme, silent=True), Clock()
    port = await proxy.start()
    endpoint = dial_endpoint(reactor, "127.0.0.1", 9, proxy=proxy_at(scheme, port))
    endpoint._clock = clock
    problems: list[str] = []
    connecting = connectProtocol(endpoint, Protocol())
    connecting.addErrback(lambda failure: problems.append(failure.getErrorMessage()))
    await until(lambda: proxy.open and next(iter(proxy.open)).buffer)
    clock.advance(15)
    assert problems == [f"proxy 127.0.0.1:{port}: not done within 15 s"]
    await until(lambda: not proxy.open)
    await proxy.stop()
    assert clock.getDelayedCalls() == []

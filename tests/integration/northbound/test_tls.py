"""Customers bind to us through TLS, with or without a certificate of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.transport.certificates import ClientTls
from smsgw.transport.gate import FAILURES_MAX
from tests.support.certificates import Authority
from tests.support.customers import Client, CustomerTown, customer_toml
from tests.support.raw_http import connect
from tests.support.reactor import reactor_test, until
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]

one = pytest.mark.parametrize("protocol", ["smpp", pytest.param("cmpp", marks=pytest.mark.long)])


def secured(folder: Path, *asks: str) -> tuple[str, Authority]:
    """Customers' tables and doors with TLS; those that are named ask for a certificate."""
    authority = Authority(folder)
    certificate, key = authority.issue("door", "127.0.0.1")
    tables = customer_toml("smpp") + customer_toml("cmpp")
    for protocol in ("smpp", "cmpp"):
        tables += f"[northbound.{protocol}.tls]\n"
        tables += f"certificate = '{certificate}'\nkey = '{key}'\n"
        tables += f"ca = '{authority.pem}'\n" if protocol in asks else ""
    return tables, authority


async def submits(customer: Client) -> None:
    (result,) = await customer.submit(PHONE, "您好")
    assert result.code == 0
    await until(lambda: customer.reports)


@reactor_test
async def test_a_customer_submits_and_is_brought_reports_through_tls(tmp_path):
    tables, authority = secured(tmp_path)
    async with CustomerTown(tmp_path, tables) as town:
        for protocol in ("smpp", "cmpp"):
            await submits(await town.customer(protocol, tls=ClientTls(ca=authority.pem)))


@one
@reactor_test
async def test_a_door_that_asks_for_a_certificate_takes_only_those_it_trusts(tmp_path, protocol):
    tables, authority = secured(tmp_path, protocol)
    certificate, key = authority.issue("customer")
    (tmp_path / "other").mkdir()
    theirs, their_key = Authority(tmp_path / "other", "other").issue("customer")
    good = ClientTls(ca=authority.pem, certificate=certificate, key=key)
    async with CustomerTown(tmp_path, tables) as town:
        for tls, why in (
            (ClientTls(ca=authority.pem), "certificate"),
            (ClientTls(ca=authority.pem, certificate=theirs, key=their_key), "certificate"),
        ):
            refused = await town.customer(protocol, bound=False, tls=tls)
            await until(lambda refused=refused, why=why: why in refused.link.reason)
            assert not refused.link.up
            await refused.stop()
        await submits(await town.customer(protocol, tls=good))


@reactor_test
async def test_who_speaks_no_tls_is_closed_unheard_and_banned_after_a_few(tmp_path):
    tables, authority = secured(tmp_path)
    async with CustomerTown(tmp_path, tables) as town:
        for _ in range(FAILURES_MAX + 2):
            peer = await connect(town.port("smpp"), "127.0.0.2")
            peer.say(b"GET / HTTP/1.1\r\n\r\n")
            await until(lambda peer=peer: peer.lost)
            await deferLater(reactor, 0)
        banned = town.metric("smsgw_turned_away_total", door="northbound.smpp", reason="banned")
        assert banned == 2
        await submits(await town.customer("smpp", tls=ClientTls(ca=authority.pem)))


@reactor_test
async def test_a_handshake_that_is_never_finished_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("smsgw.interfaces.northbound.server.LOGIN_SECONDS", 0.2)
    tables, _ = secured(tmp_path)
    async with CustomerTown(tmp_path, tables) as town:
        silent = await connect(town.port("smpp"))
        half = await connect(town.port("smpp"))
        half.say(bytes.fromhex("16030102000100"))
        await until(lambda: silent.lost and half.lost)
        late = town.metric("smsgw_turned_away_total", door="northbound.smpp", reason="late")
        assert late == 2

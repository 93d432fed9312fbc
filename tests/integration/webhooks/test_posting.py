"""One POST to receivers on real sockets: whatever they do, it comes to an outcome in time."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed

from smsgw.services.webhooks import posting
from smsgw.services.webhooks.addresses import Rules
from smsgw.services.webhooks.posting import Outcome, Poster, Result
from smsgw.transport.certificates import ClientTls, ServerTls
from smsgw.transport.endpoints import listen_endpoint
from tests.support.api import closed_connections
from tests.support.certificates import Authority
from tests.support.reactor import reactor_test, until
from tests.support.receivers import (
    Behaviour,
    Receiver,
    answer,
    close,
    drip_body,
    drip_head,
    endless_body,
    endless_head,
    hang,
    junk,
    trailing_junk,
)

LOCAL = Rules(allow=(ipaddress.ip_network("127.0.0.0/8"),))
PATIENCE = 30.0
SHORT = 0.5


@asynccontextmanager
async def poster(rules: Rules = LOCAL, **kwargs: Any) -> AsyncIterator[Poster]:
    made = Poster(reactor, rules, **{"seconds": PATIENCE, **kwargs})
    try:
        yield made
    finally:
        await made.close()
        await closed_connections()


async def outcome_of(behaviour: Behaviour, seconds: float = PATIENCE) -> Outcome:
    async with Receiver(behaviour) as receiver, poster(seconds=seconds) as made:
        return await made.post(receiver.url, {}, b"{}")


@reactor_test
async def test_any_2xx_is_an_acknowledgement_and_the_connection_is_used_again() -> None:
    async with Receiver(answer(200), answer(204, body=b""), answer(299)) as receiver:
        async with poster() as made:
            for status in (200, 204, 299):
                outcome = await made.post(receiver.url + "?a=1", {"webhook-id": "m"}, b'{"a":1}')
                assert (outcome.result, outcome.status) == (Result.DELIVERED, status)
        post = receiver.posts[0]
        assert post.line == "POST /hook?a=1 HTTP/1.1"
        assert post.body == b'{"a":1}'
        assert post.headers["content-type"] == "application/json"
        assert post.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert post.id == "m"
        assert receiver.connections == 1


@reactor_test
async def test_refusals_say_what_they_are() -> None:
    refused = await outcome_of(answer(500, "Retry-After: 7\r\n"))
    assert (refused.result, refused.status, refused.retry_after) == (Result.REFUSED, 500, 7.0)
    assert refused.problem == "the receiver answered 500"
    assert (await outcome_of(answer(410))).result is Result.GONE
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    seconds = (await outcome_of(answer(503, f"Retry-After: {later}\r\n"))).retry_after
    assert seconds is not None
    assert 30 < seconds <= 90
    for nonsense in ("soon", "-1", "1e9", "9" * 40, "Mon, 99 Foo 2026 00:00:00 GMT"):
        assert (await outcome_of(answer(429, f"Retry-After: {nonsense}\r\n"))).retry_after is None


@reactor_test
async def test_a_redirect_is_not_followed() -> None:
    async with Receiver() as private, poster() as made:
        redirect = answer(307, f"Location: {private.url}\r\n")
        async with Receiver(redirect) as receiver:
            outcome = await made.post(receiver.url, {}, b"{}")
        assert (outcome.result, outcome.status) == (Result.REFUSED, 307)
        assert "redirects are not followed" in outcome.problem
        assert private.connections == 0


@pytest.mark.parametrize("behaviour", [hang, drip_head])
@reactor_test
async def test_an_answer_that_does_not_come_in_time_is_none(behaviour: Behaviour) -> None:
    outcome = await outcome_of(behaviour, SHORT)
    assert (outcome.result, outcome.status) == (Result.TIMED_OUT, 0)
    assert outcome.problem == "no answer within 0.5 s"


@pytest.mark.parametrize("behaviour", [drip_body, endless_body])
@reactor_test
async def test_a_body_without_end_is_cut_off_and_its_status_counts(behaviour: Behaviour) -> None:
    async with Receiver(behaviour) as receiver, poster(seconds=SHORT) as made:
        outcome = await made.post(receiver.url, {}, b"{}")
        assert (outcome.result, outcome.status) == (Result.DELIVERED, 200)
        await until(lambda: not receiver.wires)


@pytest.mark.parametrize("behaviour", [endless_head, close, junk])
@reactor_test
async def test_what_is_no_answer_is_a_failure_in_words(behaviour: Behaviour) -> None:
    async with Receiver(behaviour) as receiver, poster() as made:
        outcome = await made.post(receiver.url, {}, b"{}")
        assert (outcome.result, outcome.status) == (Result.UNREACHABLE, 0)
        assert outcome.problem in (
            "the receiver closed the connection without an answer",
            "what came back is no HTTP answer",
        )
        await until(lambda: not receiver.wires)


@reactor_test
async def test_a_receiver_that_goes_on_talking_harms_nothing() -> None:
    async with Receiver(trailing_junk) as receiver, poster() as made:
        for _ in range(3):
            outcome = await made.post(receiver.url, {}, b"{}")
            assert outcome.result is Result.DELIVERED


@reactor_test
async def test_nobody_there_is_a_failure_in_words() -> None:
    async with Receiver() as receiver:
        url = receiver.url
    async with poster() as made:
        outcome = await made.post(url, {}, b"{}")
        assert outcome.problem == "nothing listens there: connection refused"
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    async with poster(lookup=lambda host: fail(error)) as made:
        outcome = await made.post("http://receiver.example/", {}, b"{}")
        assert outcome.result is Result.UNREACHABLE
        assert outcome.problem == "the host has no address: Name or service not known"
        outcome = await made.post("no URL at all", {}, b"{}")
        assert outcome.result is Result.UNREACHABLE


@reactor_test
async def test_a_name_that_is_looked_up_for_ever_is_given_up() -> None:
    async with poster(seconds=SHORT, lookup=lambda host: Deferred()) as made:
        outcome = await made.post("http://receiver.example/", {}, b"{}")
        assert outcome.result is Result.TIMED_OUT


@reactor_test
async def test_the_systems_names_are_looked_up() -> None:
    async with Receiver() as receiver, poster() as made:
        outcome = await made.post(f"http://localhost:{receiver.port}/", {}, b"{}")
        assert outcome.result is Result.DELIVERED


@reactor_test
async def test_a_private_address_is_never_connected_to() -> None:
    async with Receiver() as receiver, poster(Rules(plain_http=True)) as made:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"):
            outcome = await made.post(f"http://{host}:{receiver.port}/", {}, b"{}")
            assert outcome.result is Result.FORBIDDEN, host
            assert "only if webhooks.allow has its network" in outcome.problem
            assert ("127.0.0.1" in outcome.problem) == ("127.0.0.1" in host)
        assert receiver.connections == 0


@reactor_test
async def test_a_name_that_changes_its_meaning_leads_only_where_was_checked() -> None:
    meanings = [["127.0.0.2"], ["127.0.0.1"]]
    asked: list[str] = []

    def lookup(host: str) -> Deferred[list[str]]:
        asked.append(host)
        return succeed(meanings.pop(0) if len(meanings) > 1 else meanings[0])

    only = Rules(allow=(ipaddress.ip_network("127.0.0.2"),))
    async with Receiver() as receiver, poster(only, lookup=lookup) as made:
        url = f"http://rebind.example:{receiver.port}/"
        first = await made.post(url, {}, b"{}")  # nothing listens at 127.0.0.2
        assert first.result is Result.UNREACHABLE
        second = await made.post(url, {}, b"{}")
        assert second.result is Result.FORBIDDEN
        assert (receiver.connections, asked) == (0, ["rebind.example"] * 2)


@reactor_test
async def test_of_several_addresses_those_that_are_allowed_are_tried() -> None:
    addresses = ["10.0.0.1", "127.0.0.9", "127.0.0.1"]
    async with Receiver() as receiver, poster(lookup=lambda host: succeed(addresses)) as made:
        outcome = await made.post(f"http://several.example:{receiver.port}/", {}, b"{}")
        assert outcome.result is Result.DELIVERED
        assert receiver.posts[0].headers["host"] == f"several.example:{receiver.port}"


@reactor_test
async def test_http_goes_only_where_it_is_allowed() -> None:
    async with poster(Rules(), lookup=lambda host: succeed(["192.0.9.1"])) as made:
        outcome = await made.post("http://public.example/", {}, b"{}")
        assert outcome.result is Result.FORBIDDEN
        assert "http is not encrypted" in outcome.problem


class SecureReceiver(Receiver):
    """A receiver with a certificate."""

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__()
        self._tls = ServerTls(certificate=certificate, key=key)

    async def __aenter__(self) -> Receiver:
        endpoint = listen_endpoint(reactor, "127.0.0.1", 0, tls=self._tls)
        self._port = await endpoint.listen(self)
        return self


@reactor_test
async def test_a_certificate_is_verified_with_its_name(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    tls = ClientTls(ca=ours.pem)
    cases = {
        "good": (ours.issue("good", "receiver.example"), Result.DELIVERED, ""),
        "name": (ours.issue("name", "other.example"), Result.UNREACHABLE, "is not for receiver"),
        "stranger": (
            others.issue("stranger", "receiver.example"),
            Result.UNREACHABLE,
            "was not issued by anyone we trust",
        ),
        "old": (
            ours.issue("old", "receiver.example", lasts=-timedelta(hours=1)),
            Result.UNREACHABLE,
            "has expired",
        ),
    }
    for files, result, problem in cases.values():
        local = succeed(["127.0.0.1"])
        async with SecureReceiver(*files) as receiver:
            async with poster(tls=tls, lookup=lambda host, local=local: local) as made:
                url = f"https://receiver.example:{receiver.port}/"
                outcome = await made.post(url, {}, b"{}")
                assert outcome.result is result, outcome
                assert problem in outcome.problem
            assert len(receiver.posts) == (result is Result.DELIVERED)


@reactor_test
async def test_what_is_under_way_can_be_given_up() -> None:
    async with Receiver(hang) as receiver, poster(seconds=60.0) as made:
        work = Deferred.fromCoroutine(made.post(receiver.url, {}, b"{}"))
        await until(lambda: receiver.posts)
        made.cancel()
        assert (await work).result is Result.CANCELED
        await until(lambda: not receiver.wires)


def test_an_answer_has_ten_seconds() -> None:
    assert posting.ANSWER_SECONDS == 10.0

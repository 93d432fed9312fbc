"""What a whole run logs has no phone, no text, no secret, whatever went wrong in it.

What is looked at are the events themselves, before anything of them is masked for writing, and what
the process wrote to its standard streams.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import treq
from sqlalchemy import text as sql
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.web.client import HTTPConnectionPool

from smsgw.model import MessageStatus, StatusReport
from smsgw.protocols.cmpp import CARRIER as CMPP
from smsgw.protocols.smpp import CARRIER as SMPP
from smsgw.protocols.states import Side
from smsgw.services.access.callers import Caller
from tests.support.customers import CustomerTown, customer_toml, eventually
from tests.support.daemon import TOKEN
from tests.support.daemon import Town as DaemonTown
from tests.support.gateways import ACCOUNT, message
from tests.support.raw_peer import (
    RawGateway,
    RawPeer,
    deliver,
    dial,
    report,
    submit,
    truncated,
    until,
)
from tests.support.reactor import reactor_test
from tests.support.receivers import Receiver, answer

PHONES = {"cmpp": "13800001001", "smgp": "18900001002", "sgip": "18600001003"}
STRANGER = "13900001009"
ODD = "1380000"
"""No number at all, and a customer may have meant one."""
BODY = "摄像机两台往东门"
WORDS = "不同意预算不够了"
HTTP_TEXT = "验证码是四五六七"
NORTHBOUND = "北向客户的正文呢"
MALFORMED = "坏掉的上行正文哦"
WRONG_SECRET = "wr0ng-S3"
WRONG_TOKEN = "sgw_" + "w" * 49
HOOK_SECRET = "/hook/hunter2?phone="

NUMBER = re.compile(r"(?<![0-9A-Za-z.])(?:86)?1[3-9][0-9]{9}(?![0-9A-Za-z])")

LINKS = """
[links.raw]
protocol = "cmpp"
host = "127.0.0.1"
port = {raw}
login = "901234"
secret = "s3cret"
access_number = "10690007"
operator = "other"

[links.wrong]
protocol = "cmpp"
host = "127.0.0.1"
port = {cmpp}
login = "901234"
secret = "{wrong}"
access_number = "10690008"
operator = "other"

[links.plain]
protocol = "cmpp"
host = "127.0.0.1"
port = {raw}
login = "901234"
secret = "s3cret"
access_number = "10690009"
operator = "other"
tls = true

[webhooks]
allow = ["127.0.0.0/8"]
plain_http = true
"""


class Town(CustomerTown):
    """Carriers, customers and callers, some of whom are wrong in every way we know."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, customer_toml("smpp", binds=3))
        self.raw = RawGateway(CMPP)

    async def run(self) -> None:
        raw = await self.raw.start()
        cmpp = re.search(r"port = (\d+)", self.config.read_text())
        assert cmpp is not None
        with self.config.open("a") as file:
            file.write(LINKS.format(raw=raw, cmpp=cmpp[1], wrong=WRONG_SECRET))
        with self.config.open("a") as file:
            file.write("\n[northbound.smpp]\nlisten = '127.0.0.1:0'\n" + self._tables)
        await self.open(self.config)
        self.url = self.assembly.url
        links = ("mobile", "telecom", "unicom", "raw")
        await until(lambda: all(self.gateway.control.up(name) for name in links))

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        await self.raw.stop()

    async def call(self, path: str, body: Any = None, token: str = TOKEN) -> int:
        """The status of a call's answer."""
        pool = HTTPConnectionPool(reactor, persistent=False)
        headers = {"Authorization": f"Bearer {token}"}
        method, options = ("GET", {}) if body is None else ("POST", {"json": body})
        response = await treq.request(
            method, self.url + path, headers=headers, pool=pool, **options
        )
        await response.content()
        return int(response.code)

    async def people_answer(self) -> None:
        """One says yes, one no, one nothing clear, and a stranger meddles."""
        for name, phone in PHONES.items():
            request = await self.ask(phone)
            shown = await self.gateway.requests.show(request, ACCOUNT)
            number = shown["steps"][0]["assignees"][0]["sender_number"]
            said = {"cmpp": "同意", "smgp": WORDS, "sgip": BODY}[name]
            self.carriers[name].send(phone, number, said)
            self.carriers[name].send(STRANGER, number, WORDS)
            await eventually(partial(self._read, phone))

    async def _read(self, phone: str) -> bool:
        return await self.count("inbound", f"sender = '{phone}' AND outcome <> ''") > 0

    async def callers_are_refused(self) -> None:
        post = "/v1/messages"
        assert await self.call(post, {"to": PHONES["cmpp"], "text": HTTP_TEXT}) == 202
        assert await self.call(post, {"to": ODD, "text": HTTP_TEXT}) == 422
        assert await self.call(post, {"to": PHONES["cmpp"], "text": 7}) == 422
        assert await self.call(f"/v1/messages?to={PHONES['cmpp']}&text={HTTP_TEXT}") == 400
        assert await self.call("/v1/links", token=WRONG_TOKEN) == 401
        for _ in range(25):
            await self.call("/v1/links", token=WRONG_TOKEN)

    async def customers_are_refused(self) -> None:
        good = await self.customer("smpp")
        await good.submit(PHONES["cmpp"], NORTHBOUND)
        for to in (ODD, "1" * 20):
            with_refusal = await good.submit(to, NORTHBOUND)
            assert with_refusal[0].code != 0
        good.answers = [8] * 20
        self.carriers["cmpp"].send(PHONES["cmpp"], good.number, WORDS)
        bad = await self.customer("smpp", bound=False, secret=WRONG_SECRET)
        await until(lambda: "refused" in str(bad.link.state()["binds"][0]))

    async def peers_are_wrong(self) -> None:
        """A carrier, and strangers at every port, send what nobody can read."""
        peer = next(one for one in self.raw.peers if one.bound)  # another link's has no TLS
        whole = deliver(CMPP, peer, MALFORMED, "10690007")
        udhi = CMPP.codec.decode(whole, "3.0")
        udhi.tp_udhi = 1  # type: ignore[attr-defined]
        peer.say(udhi.encode())
        about = StatusReport("7", MessageStatus.UNDELIVERED, "UNDELIV", "", to=PHONES["cmpp"])
        peer.say(truncated(CMPP, whole))
        peer.say(
            report(CMPP, peer, about)[:-4].replace(b"UNDELIV", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9")
        )
        peer.say(whole[:4] + b"\x00\x00\x77\x77" + whole[8:])
        peer.say(b"\xff\xff\xff\xff" + whole)
        await until(lambda: peer.lost)
        customer = await dial(SMPP, self.port("smpp"), Side.SP, name="acme")
        customer.say(truncated(SMPP, submit(SMPP, customer)))
        customer.say(b"\xff" * 4 + submit(SMPP, customer))
        await until(lambda: customer.lost)
        for port in (self.port("smpp"), self.assembly.listener_port("unicom")):
            for octets in (WRONG_SECRET.encode() * 9, PHONES["cmpp"].encode() * 9, whole):
                stranger = RawPeer(None)
                endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
                await connectProtocol(endpoint, stranger)
                stranger.say(octets)
                stranger.hang_up()
                await until(lambda one=stranger: one.lost)

    async def webhooks_fail(self) -> None:
        echo = f"{PHONES['cmpp']} {HTTP_TEXT} {WRONG_SECRET}".encode()
        async with Receiver(answer(500, body=echo), answer(410, body=echo)) as receiver:
            url = receiver.url.replace("/hook", HOOK_SECRET + PHONES["cmpp"])
            await self.gateway.webhooks.create(ACCOUNT, url)
            await self.gateway.webhooks.create(ACCOUNT, "http://127.0.0.1:1" + HOOK_SECRET)
            await self.gateway.send(ACCOUNT, [message(PHONES["cmpp"], HTTP_TEXT)])
            await until(lambda: receiver.posts)

    async def the_database_fails(self) -> None:
        """What came is written again and again, and whoever asks is told that it cannot be."""
        rename = "ALTER TABLE {} RENAME TO {}"
        for table in ("inbound", "message"):
            await self._alter(rename.format(table, "hidden"))
            self.carriers["cmpp"].send(PHONES["cmpp"], "10690001", WORDS)
            body = {"to": PHONES["cmpp"], "text": HTTP_TEXT}
            status = await self.call("/v1/messages", body)
            assert status == (202 if table == "inbound" else 503)
            await self._alter(rename.format("hidden", table))

    async def _alter(self, statement: str) -> None:
        await self.gateway._database.writer.run(lambda c: c.execute(sql(statement)) and None)


def planted() -> list[str]:
    """What no line may have, as people write it and as octets of it would be shown."""
    texts = [BODY, WORDS, HTTP_TEXT, NORTHBOUND, MALFORMED]
    secrets = ["s3cret", WRONG_SECRET, TOKEN, WRONG_TOKEN, "hunter2"]
    phones = [*PHONES.values(), STRANGER, ODD]
    plain = [*secrets, *phones, *(text[:4] for text in texts)]
    octets = [text.encode("utf-16-be")[:8].hex() for text in texts]
    octets += [one.encode().hex() for one in [*secrets, *phones]]
    escaped = [text[:4].encode("unicode_escape").decode() for text in texts]
    return [
        *plain,
        *octets,
        *escaped,
        *(repr(text.encode("utf-16-be")[:8])[2:-1] for text in texts),
    ]


def written(event: LogEvent) -> str:
    """All that could be written of an event."""
    parts = [formatEvent(event)]
    parts += [str(value) for key, value in event.items() if not key.startswith("log_")]
    if event.get("log_failure") is not None:
        parts.append(event["log_failure"].getTraceback())
    return "\n".join(parts)


@reactor_test(seconds=240)
async def test_nothing_that_goes_wrong_makes_a_run_tell_phones_texts_or_secrets(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with capturedLogs() as logged:
        async with Town(tmp_path) as town:
            watcher = Caller(name="watcher", account=ACCOUNT)
            await town.gateway.traces.start("mobile", PHONES["cmpp"], 600, watcher)
            await town.gateway.traces.start("raw", "", 600, watcher)
            await town.people_answer()
            await town.callers_are_refused()
            await town.customers_are_refused()
            await town.webhooks_fail()
            await town.peers_are_wrong()
            await town.the_database_fails()
    seen = {event.get("event") for event in logged}
    wanted = {"link.bound", "link.unbound", "link.bind_refused", "link.peer_mistake", "link.traced"}
    wanted |= {"customer.bound", "customer.bind_refused", "customer.refused", "token.guessed"}
    wanted |= {"http.failed", "customer.mistake", "inbound.header_broken"}
    assert wanted - seen == set(), "the run does not do what it should"
    out, err = capfd.readouterr()
    lines = [written(event) for event in logged] + [out, err]
    leaks = [(one, line) for line in lines for one in planted() if one in line]
    leaks += [(found[0], line) for line in lines for found in [NUMBER.search(line)] if found]
    assert leaks == []


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_process_writes_nothing_but_lines_with_an_event_and_none_of_it_either(
    tmp_path: Path,
) -> None:
    town = DaemonTown(tmp_path)
    try:
        await town.start()
        town.daemon.terminate()
        await town.daemon.ended
        with town.config.open("a") as file:
            file.write('[log]\nlevel = "debug"\n')
        await town.run()
        body = {"to": PHONES["cmpp"], "text": HTTP_TEXT}
        sent = await town.post("/v1/messages", body)
        await town.until(lambda: _is_delivered(town, sent["id"]))
        await town.post("/v1/messages", {"to": ODD, "text": HTTP_TEXT})
        await town.post("/v1/links/mobile/traces", {"phone": PHONES["cmpp"]})
    finally:
        await town.stop()
    lines = [json.loads(line) for line in town.daemon.log.splitlines()]
    events = {line["event"] for line in lines}
    assert {"library.noted", "gateway.ready", "link.bound", "gateway.stopping"} <= events
    assert [one for one in planted() if one in town.daemon.log] == []
    assert NUMBER.search(town.daemon.log) is None


async def _is_delivered(town: DaemonTown, message_id: str) -> bool:
    shown: dict[str, Any] = await town.get(f"/v1/messages/{message_id}")
    return shown["status"] == "delivered"

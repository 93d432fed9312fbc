"""Kannel bound to us as its SMSC: it sends, and is brought reports and what phones write."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.client import HTTPConnectionPool
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.support.customers import CustomerTown, customer_toml, eventually, until
from tests.support.ports import free_port
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]
NUMBER = "1069000180"
LONG = "新闻部申请使用三号外景转播车" * 12
PATH = f"{os.environ['PATH']}:/usr/sbin"
BOXES = [shutil.which(name, path=PATH) for name in ("bearerbox", "smsbox")]

CONFIG = """\
group = core
admin-port = {admin}
smsbox-port = {box}
admin-password = bench
box-allow-ip = "127.0.0.1"
log-level = 0
log-file = "{folder}/bearerbox.log"
dlr-storage = internal
store-type = spool
store-location = "{folder}/spool"

{smsc}
group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-level = 0
log-file = "{folder}/smsbox.log"

group = sendsms-user
username = bench
password = bench
concatenation = true
max-messages = 10

group = sms-service
keyword = default
get-url = "http://127.0.0.1:{hook}/mo?from=%p&to=%P&text=%b"
max-messages = 0
"""


SMSC = """\
group = smsc
smsc = smpp
smsc-id = us
host = 127.0.0.1
{which}
smsc-username = "acme"
smsc-password = "s3cret"
system-type = ""
max-pending-submits = 10
reconnect-delay = 1

"""

TRANSCEIVER = ("port = {port}\ntransceiver-mode = 1",)
PAIR = ("port = {port}", "receive-port = {port}")


class Hook(Resource):
    """What Kannel calls: with reports, and with what phones wrote."""

    isLeaf = True  # noqa: N815

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[dict[str, bytes]] = []
        self.messages: list[dict[str, bytes]] = []

    def render_GET(self, request: Request) -> bytes:
        asked = {key.decode(): values[0] for key, values in request.args.items()}
        (self.messages if request.path == b"/mo" else self.reports).append(asked)
        return b""


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class Kannel:
    """bearerbox and smsbox."""

    def __init__(self, folder: Path, port: int, binds: Sequence[str]) -> None:
        self.folder = folder
        self.hook = Hook()
        self.site = reactor.listenTCP(0, Site(self.hook), interface="127.0.0.1")
        self.hook_port = self.site.getHost().port
        self.http, self.box = free_port(), free_port()
        (folder / "spool").mkdir(parents=True)
        text = CONFIG.format(
            admin=free_port(),
            box=self.box,
            http=self.http,
            hook=self.hook_port,
            folder=folder,
            smsc="".join(SMSC.format(which=one.format(port=port)) for one in binds),
        )
        (folder / "kannel.conf").write_text(text)
        self.boxes: list[subprocess.Popen[bytes]] = []
        self.pool = HTTPConnectionPool(reactor, persistent=False)

    async def start(self) -> None:
        """Start both, the second once the first one listens."""
        for box, port in zip(BOXES, (self.box, self.http), strict=True):
            with (self.folder / f"{Path(str(box)).name}.out").open("wb") as out:
                arguments = [str(box), "-v", "4", "kannel.conf"]
                started = subprocess.Popen(arguments, cwd=self.folder, stdout=out, stderr=out)
            self.boxes.append(started)
            while not listens(port):
                assert started.poll() is None, f"{box} ended"
                await deferLater(reactor, 0.05)

    async def send(self, to: str, text: str) -> None:
        report = quote(f"http://127.0.0.1:{self.hook_port}/dlr?type=%d&reply=%A", safe="")
        path = (
            "/cgi-bin/sendsms?username=bench&password=bench&coding=2&charset=UTF-8"
            f"&from={NUMBER}&to={to}&text={quote(text)}&dlr-mask=31&dlr-url={report}"
        )
        response = await treq.get(f"http://127.0.0.1:{self.http}{path}", pool=self.pool)
        said = await response.content()
        assert response.code == 202, said

    async def stop(self) -> None:
        for box in reversed(self.boxes):
            box.terminate()
        for box in self.boxes:
            await deferToThread(box.wait, 20)
        await self.site.stopListening()


@pytest.mark.skipif(not all(BOXES), reason="no bearerbox and smsbox (Debian package kannel)")
@pytest.mark.parametrize("binds", [TRANSCEIVER, PAIR], ids=["transceiver", "pair"])
@reactor_test(seconds=240)
async def test_kannel_sends_and_is_brought_reports_and_replies(tmp_path, binds):
    tables = customer_toml("smpp", binds=2)
    async with CustomerTown(tmp_path, tables) as town:
        kannel = Kannel(tmp_path / "kannel", town.port("smpp"), binds)
        try:
            await _talk(town, kannel)
        finally:
            await kannel.stop()


async def _talk(town: CustomerTown, kannel: Kannel) -> None:
    await kannel.start()
    inbox = town.carriers["cmpp"].phones.get(PHONE).inbox
    await kannel.send(PHONE, "您好")
    await until(lambda: inbox)
    assert (inbox[0].sender, inbox[0].text) == (NUMBER, "您好")
    await until(lambda: _types(kannel) == {b"1": 1, b"8": 1})
    await kannel.send("+86" + PHONE, LONG)
    await until(lambda: len(inbox) == 2)
    assert inbox[1].text == LONG
    await until(lambda: _types(kannel).get(b"1", 0) >= 2)
    town.carriers["cmpp"].send(PHONE, NUMBER, "同意")
    town.carriers["cmpp"].send(PHONE, NUMBER + "01", LONG)
    await until(lambda: len(kannel.hook.messages) >= 2)
    texts = {one["to"].decode(): one["text"].decode("utf-16-be") for one in kannel.hook.messages}
    assert texts == {NUMBER: "同意", NUMBER + "01": LONG}
    assert {one["from"].decode() for one in kannel.hook.messages} == {"+86" + PHONE}
    await eventually(lambda: _nothing_waits(town))


async def _nothing_waits(town: CustomerTown) -> bool:
    return not await town.waiting()


def _types(kannel: Kannel) -> dict[bytes, int]:
    """How often Kannel told of each kind of report: 8 taken by the SMSC, 1 delivered."""
    found: dict[bytes, int] = {}
    for report in kannel.hook.reports:
        found[report["type"]] = found.get(report["type"], 0) + 1
    return found

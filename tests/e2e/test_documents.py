"""The examples of docs/ are run, and print what stands under them.

``tests/support/documents.py`` says how a block is read. Those of docs/python.md are programs and
have a file of their own; so has the README.
"""

from __future__ import annotations

import base64
import os
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.threads import deferToThread

from smsgw.daemon.config import read
from smsgw.protocols.registry import CARRIERS
from smsgw.services.requests.drafts import RequestDraft
from smsgw.services.webhooks.signing import signature
from smsgw.simulator.script import always
from smsgw.testing import Simulation
from tests.support.customers import Client, customer_toml, until
from tests.support.daemon import Town
from tests.support.documents import ROOT, Block, Shell, blocks
from tests.support.ports import free_port
from tests.support.reactor import reactor_test

DOCS = sorted((ROOT / "docs").glob("*.md"))
KINDS = {"session", "json", "python", "toml"}
NOT_RUN_MAX = 25

CURL = 'curl() { command curl -sS "$@"; }'
SCRIPTS = str(Path(sys.executable).parent)
VOTE, CONVERSATION = "/v1/requests/912279315921234944", "/v1/conversations/912372653606567936"
VOTES = [
    ("13800001001", "1069000188", "1"),
    ("18600001003", "1069000388", "张三"),
    ("18900001002", "1069000288", "小李"),
    ("13800001002", "1069000188", "谁都好"),
]

needs_curl = pytest.mark.skipif(
    os.system("command -v curl >/dev/null") != 0, reason="the documents' examples call curl"
)


def sessions(document: str) -> list[Block]:
    return [
        one for one in blocks(ROOT / "docs" / document) if one.kind == "session" and not one.mark
    ]


def shell(folder: Path, url: str, token: str, **known: str) -> Shell:
    environ = {
        **os.environ,
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SMSGW_URL": url,
        "SMSGW_TOKEN": token,
        "no_proxy": "*",
    }
    here = {"http://127.0.0.1:8080": url, "Bearer TOKEN": f"Bearer {token}", **known}
    made = Shell(folder, environ, here)
    made.before = [CURL, f"U={url}; H='Authorization: Bearer {token}'"]
    return made


def test_every_block_says_what_it_is() -> None:
    """Run, or a program or configuration that is read, or marked with what it shows."""
    found = [block for path in DOCS for block in blocks(path)]
    unknown = [one.place for one in found if one.kind not in KINDS and not one.mark]
    assert unknown == []
    assert len([one for one in found if one.mark == "not run"]) <= NOT_RUN_MAX


@needs_curl
def test_the_http_api_answers_as_documented(tmp_path: Path) -> None:
    with Simulation() as simulation, simulation.gateway() as gateway:
        run = shell(tmp_path, gateway.url, gateway.token)
        for block in sessions("http.md"):
            if VOTE in block.text:
                for phone, number, word in VOTES:
                    gateway.phone(phone).write(number, word)
            if block.text.endswith('late":false}]}') and CONVERSATION in block.text:
                phone = gateway.phone("13800001001")
                phone.reply("下午三点", to=phone.wait_for("司机电话"))
            run.run(block)


ENVIRON = {
    "SMSGW_OA_TOKEN": "0123456789abcdef",
    "SMSGW_CMCC_SECRET": "one",
    "SMSGW_CTCC_SECRET": "two",
    "SMSGW_CUCC_SECRET": "three",
    "SMSGW_CUCC_LISTENER_SECRET": "four",
    "SMSGW_PROXY_PASSWORD": "five",
    "SMSGW_ACME_SECRET": "six",
    "SMSGW_DB_PASSWORD": "seven",
}
TABLES = [one for path in DOCS for one in blocks(path) if one.kind == "toml" and not one.mark]


def merged(there: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    made = dict(there)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = merged(made[key], value) if both else value
    return made


@pytest.mark.parametrize("block", TABLES, ids=lambda one: one.place)
def test_a_piece_of_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    """In the example that has every setting; its links stand for those a piece may name."""
    example = tomllib.loads((ROOT / "examples" / "smsgw.toml").read_text("utf-8"))
    piece = tomllib.loads(block.text)
    if "steps" in piece:
        msgspec.convert({"subject": "用车", **piece}, RequestDraft)
        return
    for name in ("cmcc-1", "cmcc-2", "reserve"):
        example["links"][name] = {**example["links"]["cmcc"], "login": f"9{len(name):05}"}
    read(merged(example, piece), tmp_path / "smsgw.toml", ENVIRON)


def test_a_receiver_knows_ours_by_the_documented_lines() -> None:
    (block,) = [one for one in blocks(ROOT / "docs" / "webhooks.md") if one.kind == "python"]
    names: dict[str, Any] = {}
    exec(block.text, names)
    secret, body = "whsec_" + base64.b64encode(b"k" * 32).decode(), b'{"events":[]}'
    right = signature(secret, "msg_1", 1795349123, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1795349123"}
    assert names["is_ours"](secret, {**headers, "webhook-signature": f"v1,AAAA {right}"}, body)
    assert not names["is_ours"](secret, {**headers, "webhook-signature": right}, body + b" ")


class Receiver(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiver() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/sms"
        finally:
            server.shutdown()
            thread.join()


MORE = """
[webhooks]
allow = ["127.0.0.0/8"]
"""
PEOPLE = {"13300001001": "smgp", "13300001002": "smgp", "13300001003": "smgp"}
DAEMON = ("access.md", "cli.md", "evidence.md", "northbound.md", "requests.md", "webhooks.md")
CSV = "姓名,手机号,金额\n张三,13800001234,120\n李四,189 0000 1234,80\n"


class DocumentTown(Town):
    """Whatever the documents' commands ask for; use it with ``async with``."""

    def __init__(self, folder: Path, document: str) -> None:
        super().__init__(folder)
        self.document = document
        self.work = folder / "work" if document == "cli.md" else folder
        self.door = free_port()
        self._customer: Client | None = None

    async def __aenter__(self) -> DocumentTown:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._customer is not None:
            await self._customer.stop()
        await self.stop()

    async def run(self) -> None:
        with self.config.open("a") as file:
            if self.document == "northbound.md":
                tables = customer_toml("smpp", "acme", binds=2, rate=100)
                file.write(f'[northbound.smpp]\nlisten = "127.0.0.1:{self.door}"\n{tables}')
            file.write(MORE)
        if self.document == "access.md":
            await self._alone()
        await super().run()
        for phone, carrier in PEOPLE.items():
            self.carriers[carrier].phone(phone, always("同意", after=0.01))
        self.work.mkdir(exist_ok=True)
        (self.work / "people.csv").write_text(CSV)
        if self.document == "northbound.md":
            self._customer = Client(CARRIERS["smpp"], self.door)
            self._customer.link.start()
            await until(lambda: self._customer.link.up)

    async def _alone(self) -> None:
        """Run what is run while no gateway does, which makes the token of all others."""
        run = shell(self.folder, "", "")
        await deferToThread(run.run, sessions(self.document)[0])
        self.token = next(one for name, one in run.known.items() if name.startswith("sgw_"))

    async def answered(self) -> str:
        """A request that is over."""
        people = [{"phone": phone, "name": phone[-1]} for phone in PEOPLE]
        body = {"subject": "采购", "steps": [{"assignees": people}]}
        made = await self.post("/v1/requests", body)

        async def over() -> bool:
            return bool((await self.get(f"/v1/requests/{made['id']}"))["outcome"])

        await self.until(over)
        return str(made["id"])


@needs_curl
@pytest.mark.long
@pytest.mark.parametrize("document", DAEMON)
@reactor_test(seconds=300)
async def test_the_commands_print_what_is_documented(tmp_path: Path, document: str) -> None:
    with receiver() as url:
        async with DocumentTown(tmp_path, document) as town:
            known = {"https://oa.example/sms": url}
            if document == "evidence.md":
                known["912279315905773568"] = await town.answered()
            run = shell(town.work, town.url, town.token, **known)
            if document == "access.md":
                run.known["sgw_NBh4jr…"] = town.token
            for block in sessions(document)[document == "access.md" :]:
                await deferToThread(run.run, block)

"""Every block of docs/python.md runs, and does what the text around it says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Ismg
from smsgw.simulator.script import always
from smsgw.testing import SimulatedGateway, Simulation
from smsgw.transport.endpoints import listen_endpoint
from tests.support.gateways import one_link
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SECONDS = 120

CLIENT = [block for block in BLOCKS if "client" in block and "def " not in block]
"""What goes on from one block to the next."""


def block_with(words: str) -> str:
    (found,) = [block for block in BLOCKS if words in block]
    return str(found)


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    with Simulation() as started:
        yield started


@pytest.fixture
def gateway(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedGateway]:
    with simulation.gateway() as started:
        monkeypatch.setenv("SMSGW_URL", started.url)
        monkeypatch.setenv("SMSGW_TOKEN", started.token)
        yield started


@pytest.fixture
def people(gateway: SimulatedGateway) -> Iterator[None]:
    """Whoever is asked consents."""
    over = Event()

    def consent(number: str) -> None:
        phone = gateway.phone(number)
        while not over.is_set():
            try:
                question = phone.wait_for("待审批", timeout=0.1)
            except AssertionError:
                continue
            phone.reply("同意", to=question)

    numbers = ("13800001001", "18900001002", "18600001003")
    threads = [Thread(target=consent, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


def test_no_block_is_forgotten_here():
    assert len(CLIENT) == 8
    assert len(BLOCKS) == len(CLIENT) + 4


def test_the_blocks_of_the_client_run_one_after_the_other(gateway, people, capsys):
    names: dict[str, Any] = {}
    for block in CLIENT:
        exec(compile(block, "docs/python.md", "exec"), names)
    names["client"].close()
    said = capsys.readouterr().out
    assert said.startswith("delivered DELIVRD\ncanceled\n")
    assert re.search(r"approved .*'张工'.*'台长', 'yes', ''", said)
    assert "2 in the batch" in said
    assert "oa-77 approved" in said
    assert "422 invalid to to: '1' is not a mainland mobile number" in said


def test_the_asyncio_block_sends_and_reads_events(gateway, capsys):
    exec(compile(block_with("async with AsyncClient"), "docs/python.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["delivered", "delivered"]
    assert said.count("message.delivered") == 2


def test_the_view_takes_what_the_gateway_posts_and_nothing_else(monkeypatch, capsys):
    key = b"a key of twenty-four oct"
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_" + base64.b64encode(key).decode())
    names: dict[str, Any] = {}
    exec(compile(block_with("def view(request)"), "docs/python.md", "exec"), names)
    at = "2026-11-22T09:50:16.730+00:00"
    event = {
        "id": "5",
        "at": at,
        "kind": "message.sent",
        "account": "x",
        "subject_id": "7",
        "data": {},
    }

    class Request:
        body = json.dumps({"events": [event]}).encode()

        def __init__(self, key: bytes) -> None:
            stamp = str(int(time.time()))
            mac = hmac.new(key, f"msg_1.{stamp}.".encode() + self.body, hashlib.sha256)
            self.headers = {
                "Webhook-Id": "msg_1",
                "Webhook-Timestamp": stamp,
                "Webhook-Signature": "v1," + base64.b64encode(mac.digest()).decode(),
            }

    assert names["view"](Request(key)) == 204
    assert names["view"](Request(b"another")) == 400
    assert capsys.readouterr().out == "5 message.sent {}\n"


@pytest.mark.long
def test_the_test_with_a_phone_passes(tmp_path):
    (tmp_path / "test_it.py").write_text(block_with("def test_the_director"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@reactor_test(seconds=240)
async def test_the_gateway_inside_a_program_asks_and_hears(tmp_path):
    carrier = CARRIERS["cmpp"]
    ismg = Ismg(
        carrier,
        make_account(carrier),
        listen_endpoint(reactor, "127.0.0.1", 0),
        reactor,
        script=always("同意", after=0.01),
    )
    config = tmp_path / "smsgw.toml"
    config.write_text(one_link("cmpp", await ismg.start()))
    code = block_with("smsgw.Gateway(config")
    done = await deferToThread(
        subprocess.run,
        [sys.executable, "-c", code, str(config)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    await ismg.stop()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["同意", "approved"]

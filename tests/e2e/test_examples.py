"""Every program in examples/ runs and does what it says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Ismg
from smsgw.simulator.script import Script, always, silent
from smsgw.testing import SimulatedGateway, Simulation
from smsgw.transport.endpoints import listen_endpoint
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = {
    "link.py",
    "link_asyncio.py",
    "codec_only.py",
    "gateway_asyncio.py",
    "web_views.py",
    "asyncio_client.py",
    "webhook_receiver.py",
    "test_with_phones.py",
}
SECONDS = 120


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


async def with_a_gateway(name: str, *arguments: str, script: Script = silent) -> list[str]:
    """The lines that an example prints which sends to a simulated China Mobile."""
    carrier = CARRIERS["cmpp"]
    ismg = Ismg(
        carrier,
        make_account(carrier),
        listen_endpoint(reactor, "127.0.0.1", 0),
        reactor,
        script=script,
    )
    port = await ismg.start()
    done = await deferToThread(run, name, str(port), *arguments)
    await ismg.stop()
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_no_example_is_forgotten_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == PROGRAMS


def test_the_codec_example_needs_no_reactor():
    done = run("codec_only.py")
    assert (done.returncode, done.stderr) == (0, "")
    submit, heartbeat, cannot_send, cannot_read = done.stdout.splitlines()
    assert submit.startswith("201 CMPP_SUBMIT(")
    assert heartbeat.startswith("12 CMPP_ACTIVE_TEST(")
    assert cannot_send == "cannot send: src_id: 24 octets, limit 21 octets"
    assert cannot_read.startswith("cannot read: header.total_length")


@reactor_test(seconds=240)
async def test_the_link_example_prints_the_answer_and_the_report():
    answer, report = await with_a_gateway("link.py")
    assert answer.startswith("accepted ")
    assert "DELIVRD" in report


@reactor_test(seconds=240)
async def test_the_asyncio_example_sends_three_at_once_and_ends():
    lines = await with_a_gateway("link_asyncio.py")
    assert [line.split()[:2] for line in lines[:3]] == [
        ["13800001001", "accepted"],
        ["13800001002", "accepted"],
        ["13800001003", "accepted"],
    ]
    assert [line.split("(")[0] for line in lines[3:]] == ["report StatusReport"] * 3


@reactor_test(seconds=240)
async def test_the_gateway_in_an_asyncio_program_asks_and_hears(tmp_path):
    database = str(tmp_path / "example.db")
    answers = always("同意", after=0.01)
    assert await with_a_gateway("gateway_asyncio.py", database, script=answers) == [
        "from the phone: 同意",
        "outcome: approved",
    ]


@pytest.fixture(scope="module")
def gateway() -> Iterator[SimulatedGateway]:
    with Simulation() as simulation, simulation.gateway() as started:
        yield started


def environment(gateway: SimulatedGateway) -> dict[str, str]:
    return {**os.environ, "SMSGW_URL": gateway.url, "SMSGW_TOKEN": gateway.token}


@contextmanager
def serving(name: str, *arguments: str, **environ: str) -> Iterator[str]:
    """A program that listens; where it does."""
    words = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    environment = {**os.environ, **environ}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def test_the_web_views_ask_and_show(gateway):
    phone = gateway.phone("13800001001")
    environ = {"SMSGW_URL": gateway.url, "SMSGW_TOKEN": gateway.token}
    with serving("web_views.py", "0", **environ) as url, httpx.Client(trust_env=False) as browser:
        form = {"number": "77", "subject": "采购三脚架", "approver": phone.number}
        wrong = browser.post(f"{url}/approvals", data={**form, "number": "76", "approver": "1"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "steps[0].assignees[0].phone")
        made = browser.post(f"{url}/approvals", data=form)
        assert made.status_code == 201
        phone.wait_for("采购三脚架")
        phone.reply("不同意 预算不够")
        phone.wait_for("已记录")
        shown = browser.get(f"{url}/approvals/{made.json()['id']}").json()
        assert shown["outcome"] == "rejected"
        assert shown["answers"] == [
            {"phone": "13800001001", "decision": "no", "reason": "预算不够"}
        ]
        assert browser.get(f"{url}/approvals/7").status_code == 404


def test_the_asyncio_client_example_sends_three_at_once_and_reads_the_answer(gateway):
    phone = gateway.phone("13800001001")

    def answer() -> None:
        phone.wait_for("几点到", timeout=SECONDS)
        phone.reply("下午三点")

    owner = Thread(target=answer)
    owner.start()
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "asyncio_client.py")],
        env=environment(gateway),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    owner.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "13800001001 delivered",
        "18900001002 delivered",
        "18600001003 delivered",
        "answer: 下午三点",
    ]


def test_the_webhook_example_keeps_each_event_once_and_refuses_strangers(tmp_path):
    key = os.urandom(32)
    secret = "whsec_" + base64.b64encode(key).decode()
    event = {
        "id": "5",
        "at": "2026-11-22T09:50:16.730+00:00",
        "kind": "request.closed",
        "account": "newsroom",
        "subject_id": "7",
        "data": {"outcome": "approved"},
    }
    body = json.dumps({"events": [event]}).encode()

    def headers(key: bytes) -> dict[str, str]:
        at = str(int(time.time()))
        mac = hmac.new(key, f"msg_1.{at}.".encode() + body, hashlib.sha256).digest()
        return {
            "webhook-id": "msg_1",
            "webhook-timestamp": at,
            "webhook-signature": "v1," + base64.b64encode(mac).decode(),
        }

    arguments: list[Any] = ["webhook_receiver.py", "0", str(tmp_path / "events.db")]
    with serving(*arguments, WEBHOOK_SECRET=secret) as url, httpx.Client(trust_env=False) as gate:
        statuses = [
            gate.post(url, content=body, headers=headers(one)).status_code
            for one in (key, key, b"another key of 24 octets")
        ]
        assert statuses == [204, 204, 400]


def test_the_tests_with_phones_pass(tmp_path):
    """As a user runs them: the plugin comes with the package, not from our configuration."""
    settings = tmp_path / "pytest.ini"
    settings.write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    words = [sys.executable, "-m", "pytest", "-q", "-c", str(settings), "-W", "error"]
    done = subprocess.run(
        [*words, str(EXAMPLES / "test_with_phones.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout

"""What README.md and examples/ say is what happens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Ismg
from smsgw.simulator.script import always
from smsgw.transport.endpoints import listen_endpoint
from tests.support.daemon import Town
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PHONE = "13800001001"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_library_example_prints_the_text_it_sent():
    run = subprocess.run(
        [sys.executable, "-c", block("python")], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("CMPP_SUBMIT(")
    assert run.stdout.rstrip().endswith("请审批")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the example needs curl")
@reactor_test(seconds=240)
async def test_the_curl_example_sends_a_message_and_asks_an_approver(tmp_path):
    town = Town(tmp_path)
    await town.start(example=ROOT / "examples" / "first.toml")
    town.carriers["cmpp"].phone(PHONE, always("同意", after=0.01))
    environment = {**os.environ, "URL": town.url, "API_TOKEN": town.token}
    run = await deferToThread(
        subprocess.run,
        ["bash", "-euc", block("sh")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert run.stdout.count('"id"') == 2

    async def approved() -> bool:
        requests = (await town.get("/v1/requests"))["requests"]
        return bool(requests) and requests[0]["outcome"] == "approved"

    await town.until(approved)
    await town.stop()


@reactor_test(seconds=240)
async def test_the_link_example_prints_the_answer_and_the_report():
    carrier = CARRIERS["cmpp"]
    endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
    ismg = Ismg(carrier, make_account(carrier), endpoint, reactor)
    port = await ismg.start()
    run = await deferToThread(
        subprocess.run,
        [sys.executable, str(ROOT / "examples" / "link.py"), str(port)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    first, second, *_ = run.stdout.splitlines()
    assert first.startswith("accepted ")
    assert "DELIVRD" in second
    await ismg.stop()

"""Every program in examples/ runs and does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Ismg
from smsgw.transport.endpoints import listen_endpoint
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = {"link.py", "link_asyncio.py", "codec_only.py"}
SECONDS = 30


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


async def with_a_gateway(name: str) -> list[str]:
    """The lines that an example prints which sends to a simulated China Mobile."""
    carrier = CARRIERS["cmpp"]
    ismg = Ismg(carrier, make_account(carrier), listen_endpoint(reactor, "127.0.0.1", 0), reactor)
    port = await ismg.start()
    done = await deferToThread(run, name, str(port))
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


@reactor_test(seconds=SECONDS + 10)
async def test_the_link_example_prints_the_answer_and_the_report():
    answer, report = await with_a_gateway("link.py")
    assert answer.startswith("accepted ")
    assert "DELIVRD" in report


@reactor_test(seconds=SECONDS + 10)
async def test_the_asyncio_example_sends_three_at_once_and_ends():
    lines = await with_a_gateway("link_asyncio.py")
    assert [line.split()[:2] for line in lines[:3]] == [
        ["13800001001", "accepted"],
        ["13800001002", "accepted"],
        ["13800001003", "accepted"],
    ]
    assert [line.split("(")[0] for line in lines[3:]] == ["report StatusReport"] * 3

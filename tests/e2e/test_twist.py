"""``twist smsgw``: the gateway in Twisted's own program."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from twisted.python.usage import UsageError

from smsgw.daemon.main import Options

ROOT = Path(__file__).parents[2]

CONFIG = """\
[http]
listen = "127.0.0.1:0"

[links.one]
protocol = "cmpp"
host = "127.0.0.1"
port = 1
login = "901234"
secret = "s3cret"
access_number = "10690001"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "smsgw.toml"
    path.write_text(CONFIG)
    return path


def test_a_bad_file_is_a_usage_error_with_a_line_for_each_problem(config: Path) -> None:
    Options().parseOptions(["-c", str(config)])
    config.write_text(CONFIG.replace("port", "prot").replace("login", "logn"))
    with pytest.raises(UsageError) as refused:
        Options().parseOptions(["--config", str(config)])
    lines = str(refused.value).splitlines()
    assert {line.partition(":")[0] for line in lines} >= {"links.one.prot", "links.one.logn"}


def test_the_plugin_is_packaged_where_twisted_looks_for_it() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (module,) = setup["options"]["py_modules"].split()
    assert (ROOT / Path(*module.split("."))).with_suffix(".py").is_file()


class Twist:
    """A run of ``twist smsgw``."""

    def __init__(self, config: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "twisted", "--log-format=text", "smsgw", "-c", str(config)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def says(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found
            seen.append(line)
        raise AssertionError(f"it ended without {pattern}: {''.join(seen)}")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=120)
        return self.process.returncode


@pytest.fixture
def twist(config: Path) -> Iterator[Twist]:
    run = Twist(config)
    yield run
    if run.process.poll() is None:
        run.process.kill()
        run.process.communicate()


@pytest.mark.long
def test_twist_runs_the_gateway_reloads_it_and_stops_it_in_order(
    twist: Twist, config: Path
) -> None:
    url = twist.says(r"listening for HTTP on (\S+)")[1]
    with urllib.request.urlopen(f"{url}/healthz", timeout=120) as answer:
        assert answer.status == 200
    config.write_text(CONFIG + "rate = 5\n")
    twist.process.send_signal(signal.SIGHUP)
    twist.says(r"changes: links\.one\.rate: 0\.0 -> 5\.0")
    assert twist.end() == -signal.SIGTERM  # twist ends by the signal once all is stopped


@pytest.mark.long
def test_twist_ends_when_the_gateway_cannot_start(tmp_path: Path, config: Path) -> None:
    config.write_text('[gateway]\ndatabase = "."\n' + CONFIG)
    run = Twist(config)
    run.says("cannot start")
    run.process.communicate(timeout=120)
    assert run.process.returncode is not None

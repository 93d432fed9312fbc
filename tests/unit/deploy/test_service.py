"""The service file for systemd and the container file fit what the daemon does."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smsgw.interfaces.cli.main import PLACES
from smsgw.services.gateway import REPLIES_WITHIN
from smsgw.services.link_control import ANSWERS_WITHIN
from smsgw.transport.adapter import CLOSE_WITHIN

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "systemd" / "smsgw.service"
CONTAINER = ROOT / "deploy" / "container" / "Containerfile"

STOP_SECONDS = ANSWERS_WITHIN + REPLIES_WITHIN + CLOSE_WITHIN
"""What a stop may take when nobody answers; the database's last commits come after that."""


@pytest.fixture
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def test_the_service_tells_when_it_is_ready_and_is_watched(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) >= 10
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert (service["KillSignal"], service["Restart"]) == ("SIGTERM", "on-failure")
    assert service["RestartPreventExitStatus"] == "2"  # a configuration error: no restart mends it
    for line in (service["ExecStart"], service["ExecStartPre"]):
        assert line.split()[1] in PLACES


def test_the_manager_waits_longer_than_a_stop_may_take(unit: configparser.ConfigParser) -> None:
    assert int(unit["Service"]["TimeoutStopSec"]) > STOP_SECONDS + 10
    (seconds,) = re.findall(r"--stop-timeout (\d+)", CONTAINER.read_text())
    assert int(seconds) > STOP_SECONDS + 10


@pytest.mark.parametrize(
    "key",
    [
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectKernelModules",
        "RestrictNamespaces",
    ],
)
def test_the_service_is_shut_in(unit: configparser.ConfigParser, key: str) -> None:
    assert unit["Service"][key] == "yes"
    assert unit["Service"]["ProtectSystem"] == "strict"
    assert unit["Service"]["CapabilityBoundingSet"] == ""
    assert unit["Service"]["User"] == "smsgw"
    assert "MemoryDenyWriteExecute" not in unit["Service"]  # with it TLS fails: cffi's callbacks


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)"
)
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "smsgw.service"
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/smsgw", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "smsgw.service" in line]
    assert (done.returncode, said) == (0, [])


def test_the_container_runs_as_nobody_special_and_ends_on_the_daemons_signal() -> None:
    text = CONTAINER.read_text()
    assert "USER smsgw" in text
    assert "STOPSIGNAL SIGTERM" in text
    assert 'ENTRYPOINT ["smsgw"]' in text
    assert 'CMD ["run", "-c", "/etc/smsgw/smsgw.toml"]' in text
    assert "/healthz" in text
    minor = re.search(r"python_requires = >=3\.(\d+)", (ROOT / "setup.cfg").read_text())
    assert minor is not None
    assert f"python:3.{minor[1]}-slim" in text

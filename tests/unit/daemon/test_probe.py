from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.config import effective, load
from smsgw.errors import ConfigError

LINKS = """
[links.cmcc]
protocol = "cmpp"
host = "127.0.0.1"
login = "900001"
secret = "env:S"
access_number = "10690001"
[links.ctcc]
protocol = "smgp"
host = "127.0.0.1"
login = "90000001"
secret = "env:S"
access_number = "10690002"
"""


def probe(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "smsgw.toml"
    path.write_text(LINKS + text)
    shown: dict[str, Any] = effective(load(path, {"S": "secret"}))["probe"]
    return shown


def test_there_is_none_unless_the_file_names_a_phone(tmp_path: Path) -> None:
    assert probe(tmp_path, "")["to"] == ""


def test_every_link_that_sends_is_probed_unless_some_are_named(tmp_path: Path) -> None:
    shown = probe(tmp_path, '[probe]\nto = "+86 138 0000 1001"\nevery = "5m"\nwait = 60')
    assert shown == {
        "to": "13800001001",
        "links": ["cmcc", "ctcc"],
        "every": 300.0,
        "wait": 60.0,
        "text": "smsgw probe",
    }
    assert probe(tmp_path, '[probe]\nto = "13800001001"\nlinks = ["ctcc"]')["links"] == ["ctcc"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('to = "12345"', "probe.to: "),
        ('to = "13800001001"\nlinks = ["cucc"]', "probe.links: 'cucc' is none of cmcc, ctcc"),
        ('to = "13800001001"\nevery = "10s"', "probe.every: '10s' is impossible; write 60 or more"),
        (
            'to = "13800001001"\nwait = "15m"',
            "probe.wait: is longer than every (600 s); write at most that",
        ),
        ('phone = "13800001001"', "probe.phone: unknown key"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        probe(tmp_path, f"[probe]\n{text}")
    assert str(caught.value).startswith(told)

"""pytest loads our plugin in every run on the machine: it must cost nothing there."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import smsgw.testing


def test_loading_the_plugin_loads_nothing_else():
    code = (
        "import sys, pytest; before = set(sys.modules); import smsgw.testing.plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert eval(run.stdout) == ["smsgw", "smsgw.testing", "smsgw.testing.plugin"]


def test_pytest_finds_it_where_smsgw_is_installed():
    assert "smsgw.testing.plugin" in {one.value for one in entry_points(group="pytest11")}


@pytest.mark.parametrize("name", smsgw.testing.__all__)
def test_every_public_name_is_there(name):
    assert getattr(smsgw.testing, name).__doc__


def test_an_unknown_name_is_said():
    with pytest.raises(AttributeError, match=r"module .smsgw\.testing. has no attribute 'Gateway'"):
        smsgw.testing.Gateway  # noqa: B018


def test_the_tests_own_process_gets_no_reactor():
    code = "import sys, smsgw.testing.simulation; print('twisted' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.strip() == "False"

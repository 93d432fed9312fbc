"""``import smsgw``: its names are there, and nothing is loaded before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import smsgw


@pytest.mark.parametrize("name", sorted(set(smsgw.__all__) - {"__version__"}))
def test_every_public_name_is_what_its_module_has(name):
    value = getattr(smsgw, name)
    assert value.__name__ == name
    assert value.__doc__
    assert name in dir(smsgw)


def test_an_unknown_name_is_said():
    with pytest.raises(AttributeError, match="module 'smsgw' has no attribute 'gateway'"):
        smsgw.gateway  # noqa: B018


def test_importing_it_loads_no_reactor_and_no_database():
    code = (
        "import sys, smsgw; smsgw.Segment;"
        "print([name for name in ('twisted', 'sqlalchemy', 'click') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.strip() == "[]"


def test_a_gateway_on_a_file_does_not_wait_for_the_driver_of_the_other_database():
    words = "import smsgw.daemon.assembly, sys; print('psycopg' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, check=True)
    assert found.stdout == b"False\n"

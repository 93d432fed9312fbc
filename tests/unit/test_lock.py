"""requirements.lock: each runtime dependency is in it, at a version we accept, with hashes."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"(?P<name>[a-z0-9.-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+?))?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked() -> dict[str, tuple[Version, list[str]]]:
    """Name to version and hashes; fails on anything else that the file says."""
    text = (ROOT / "requirements.lock").read_text(encoding="ascii").replace("\\\n", " ")
    found: dict[str, tuple[Version, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        entry, *hashes = re.split(r"\s+(?=--)", line.strip())
        match = ENTRY.fullmatch(entry)
        assert match is not None, line[:80]
        assert hashes, entry
        assert [one for one in hashes if not HASH.fullmatch(one)] == [], entry
        assert match["name"] not in found, entry
        found[match["name"]] = Version(match["version"]), hashes
    return found


def wanted() -> list[Requirement]:
    """What setup.cfg asks for at run time."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return [Requirement(line) for line in config["options"]["install_requires"].split("\n") if line]


@pytest.fixture(scope="module")
def lock() -> dict[str, tuple[Version, list[str]]]:
    return locked()


def test_what_setup_asks_for_is_locked_at_a_version_it_takes(lock):
    for requirement in wanted():
        version, _ = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_what_the_locked_ask_for_is_locked_as_well(lock):
    """As the packages that are installed here say it, with the extras that are asked for."""
    todo = [(one.name, one.extras) for one in wanted()]
    seen = set()
    while todo:
        name, extras = todo.pop()
        if (name, frozenset(extras)) in seen:
            continue
        seen.add((name, frozenset(extras)))
        for text in importlib.metadata.requires(name) or ():
            one = Requirement(text)
            asked = {"extra": ""}, *({"extra": extra} for extra in extras)
            if one.marker is None or any(one.marker.evaluate(with_) for with_ in asked):
                assert canonicalize_name(one.name) in lock, f"{name} asks for {text}"
                todo.append((one.name, one.extras))
    assert len(seen) > 20

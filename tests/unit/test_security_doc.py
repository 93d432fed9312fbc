"""docs/security.md: each threat has a test, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
UNTESTED = {"A dependency has a known hole"}
"""What a list on the network says cannot be a test."""


def functions(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {one.name for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_is_named_exists(file: str) -> None:
    assert (ROOT / file).exists()
    found = functions(ROOT / file)
    assert [name for where, name in NAMED if where == file and name not in found] == []


def test_every_threat_has_a_control_and_a_test() -> None:
    section = TEXT.partition("## Threats, controls, tests")[2].partition("## What is out")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    threats = [[cell.strip() for cell in row] for row in rows if row[0].strip() != "Threat"]
    assert len(threats) > 25
    assert {threat for threat, _, tests in threats if "::" not in tests} == UNTESTED
    assert all(control for _, control, _ in threats)

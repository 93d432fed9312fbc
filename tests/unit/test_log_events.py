"""Every log call names its event, and docs/operations.md tells of each event there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from smsgw.daemon.logs import NOTED

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"[a-z_]+\.[a-z_]+")
ROW = re.compile(r"^\| `([^`]+)` \| ([a-z, ]+) \|", re.MULTILINE)
LEVELS = {name: name for name in ("debug", "info", "warn", "error", "critical")}
LEVELS["failure"] = "critical"
TAKEN = {"id", "name", "text", "error", "time", "level", "format"}
"""No names for fields: each is a line's own, or does not say of what."""


LOGS = re.compile(r"\b_?log\b|Logger")


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "smsgw").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if LOGS.search(text):
            yield str(path.relative_to(ROOT)), ast.parse(text)


def last_name(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def loggers(tree: ast.Module) -> set[str]:
    """What a module calls its loggers."""
    names = {"log", "_log"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if last_name(node.value.func) == "Logger":
                names.update(last_name(target) for target in node.targets)
        elif isinstance(node, ast.arg) and last_name(node.annotation) == "Logger":
            names.add(node.arg)
    return names


@cache
def calls() -> list[tuple[str, str, dict[str | None, ast.expr]]]:
    """Where each log call is, its method, and its keywords."""
    found = []
    for path, tree in sources():
        names = loggers(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            method = last_name(node.func) if isinstance(node.func, ast.Attribute) else ""
            logs = isinstance(node.func, ast.Attribute) and last_name(node.func.value) in names
            if logs and (method in LEVELS or method == "emit"):
                keywords = {keyword.arg: keyword.value for keyword in node.keywords}
                found.append((f"{path}:{node.lineno}", method, keywords))
    return found


def named() -> dict[str, set[str]]:
    """Each event in the code, with its levels."""
    found: dict[str, set[str]] = {NOTED: set(LEVELS.values())}
    for _, method, keywords in calls():
        event = keywords.get("event")
        if isinstance(event, ast.Constant):
            found.setdefault(event.value, set()).add(LEVELS[method])
    return found


def documented() -> dict[str, set[str]]:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.split("### Events in the log\n")[1].split("\n#")[0]
    return {name: set(levels.split(", ")) for name, levels in ROW.findall(section)}


def test_every_log_call_names_its_event() -> None:
    assert len(calls()) > 90
    bad = [
        where
        for where, _, keywords in calls()
        if not isinstance(event := keywords.get("event"), ast.Constant)
        or not NAME.fullmatch(event.value)
    ]
    assert bad == []


def test_fields_have_names_that_say_of_what_they_are() -> None:
    bad = {where: keywords.keys() & TAKEN for where, _, keywords in calls()}
    assert {where: names for where, names in bad.items() if names} == {}


def test_the_table_tells_of_every_event_and_of_no_other() -> None:
    assert sorted(documented()) == sorted(named())


def test_the_table_says_at_which_levels() -> None:
    assert {name: levels for name, levels in named().items() if documented()[name] != levels} == {}


def test_the_table_is_in_order() -> None:
    assert list(documented()) == sorted(documented())

"""Who may call what: every endpoint names a scope, and docs/access.md has the same table."""

from __future__ import annotations

import re
from pathlib import Path

from smsgw.interfaces.http.calls import Route
from smsgw.services.access.roles import ROLES, SCOPES

DOCUMENT = Path(__file__).parents[4] / "docs" / "access.md"


def test_every_endpoint_names_a_scope_or_is_open(routes: list[Route]) -> None:
    opened = {route.path for route in routes if route.open}
    assert opened == {"/healthz", "/readyz", "/metrics", "/openapi.json"}
    for route in routes:
        named = route.scope in SCOPES
        assert named != route.open, f"{route.method} {route.path} has the scope {route.scope!r}"


def test_a_scope_that_only_reads_changes_nothing(routes: list[Route]) -> None:
    for route in routes:
        if not route.open and route.scope != "links:trace":  # to look is all that it is for
            assert route.scope.endswith(":read") == (route.method == "GET"), route.path


def test_the_document_has_every_endpoint_with_its_scope(routes: list[Route]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    row = re.compile(r"^\| `(\w+) (/v1/[^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
    documented = {(method, path): scope for method, path, scope in row.findall(text)}
    wanted = {
        (route.method, route.path.replace("<id>", "ID")): route.scope
        for route in routes
        if not route.open
    }
    assert documented == wanted


def test_the_document_has_every_role_with_its_scopes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| `") and ":" in line]
    assert {scope for line in lines for scope in re.findall(r"`([a-z]+:[a-z]+)`", line)} == set(
        SCOPES
    )
    head = next(line for line in text.splitlines() if line.startswith("| Scope |"))
    names = [name.strip(" `") for name in head.strip("|").split("|")][2:]
    assert names == list(ROLES)
    table: dict[str, set[str]] = {name: set() for name in names}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(names) + 2 and cells[0].strip("`") in SCOPES:
            assert cells[1] == SCOPES[cells[0].strip("`")]
            for name, cell in zip(names, cells[2:], strict=True):
                if cell:
                    table[name].add(cells[0].strip("`"))
    assert table == {name: set(scopes) for name, scopes in ROLES.items()}

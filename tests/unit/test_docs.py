"""What the documentation names must exist: modules, files, tests, keys, metrics."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.config import effective, load
from smsgw.daemon.results import read_results, shown_results
from smsgw.daemon.sections import Problems, Section
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.model import MessageStatus
from smsgw.protocols.account import Account
from smsgw.protocols.registry import CARRIERS

ROOT = Path(__file__).parents[2]
SHEETS = ROOT / "docs" / "protocols"
"""Facts about others' software, so only our own README there is ours to check."""

DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("benches/*.md"), *ROOT.glob("docs/**/*.md")]
    if path.parent != SHEETS or path.name == "README.md"
)
OPERATIONS = ROOT / "docs" / "operations.md"
ROOTS = [ROOT, ROOT / "smsgw", ROOT / "smsgw" / "protocols"]
SOURCES = ("smsgw", "tests", "docs", "examples", "benches")

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#:]+)\)")
DOTTED = re.compile(r"smsgw(\.[A-Za-z_]\w*)+")
PATH = re.compile(r"\.?[A-Za-z0-9_][\w.-]*(/[\w.-]+)*/?")
SUFFIXES = (".py", ".md", ".toml", ".csv", ".json")
METRIC = re.compile(r"\bsmsgw_(?!gateway\b)[a-z_]+")  # which is a pytest fixture
SECRETS = {
    "SMSGW_OA_TOKEN": "0123456789abcdef",
    "SMSGW_CMCC_SECRET": "one",
    "SMSGW_CTCC_SECRET": "two",
    "SMSGW_CUCC_SECRET": "three",
    "SMSGW_CUCC_LISTENER_SECRET": "four",
}
RULE = '\n[[routing.rules]]\nlinks = ["cmcc"]\n'
NUMBERS = "[conversations.vote]\nprefix = '9'\n[extensions.a]\naccount = 'a'\nextension = '80'\n"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def codes(text: str) -> list[str]:
    """What stands in backticks, outside fenced examples."""
    return CODE.findall(FENCE.sub("", text))


def is_path(code: str) -> bool:
    known = code.endswith((*SUFFIXES, "/")) or "/" in code
    return bool(PATH.fullmatch(code)) and known


def exists(code: str) -> bool:
    if "/" in code.rstrip("/"):
        return any((root / code).exists() for root in ROOTS)
    name = code.rstrip("/")
    return (ROOT / name).exists() or any(
        found for source in SOURCES for found in (ROOT / source).rglob(name)
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every key of the example's three links, with what it lacks, as ``smsgw check`` shows them."""
    file = tmp_path_factory.mktemp("docs") / "smsgw.toml"
    example = (ROOT / "examples" / "smsgw.toml").read_text(encoding="utf-8")
    file.write_text(example + RULE + NUMBERS, encoding="utf-8")
    return effective(load(file, SECRETS))


def own_keys(protocol: str) -> set[str]:
    """What only the account dataclass of a protocol has."""
    shared = {field.name for field in dataclasses.fields(Account)}
    return {f.name for f in dataclasses.fields(CARRIERS[protocol].account) if f.init} - shared


def accepted(settings: dict[str, Any], section: str) -> set[str]:
    """The keys that a section of docs/operations.md must name."""
    links = settings["links"].values()
    protocol = re.fullmatch(r'\[links\.NAME\] protocol = "(\w+)"', section)
    if protocol:
        return own_keys(protocol[1])
    if section == "[links.NAME]":
        keys = [set(link) - own_keys(link["protocol"]) - {"listener"} for link in links]
        return set.union(*keys) | {"proxy_password"}  # a secret: taken, and not shown
    if section == "[links.NAME.results]":
        link = Section({"results": {"1": {"text": "odd"}}}, "", Problems(), ROOT, {})
        return set(shown_results(read_results(link, CARRIERS["cmpp"]))["1"])
    if section == "[links.NAME.listener]":
        keys = {key for link in links for key in link.get("listener", ())}
        return keys | {"tls", "proxy_protocol"}  # shown where they are set
    if section == "[[routing.rules]]":
        return set(settings["routing"]["rules"][0])
    if section == "[conversations]":
        return set(settings["conversations"]) - {"vote"}
    if section == "[conversations.PURPOSE]":
        return set(settings["conversations"]["vote"])
    if section == "[extensions.NAME]":
        return set(settings["extensions"]["a"])
    if section == "[gateway]":
        return {*settings["gateway"], "database_password", "lease"}
    name = section.strip("[]")
    return set(settings["tokens"]["oa"] if name == "tokens.NAME" else settings[name])


def documented() -> dict[str, set[str]]:
    """Section to keys, from the headings and the tables under them."""
    found: dict[str, set[str]] = {}
    section = ""
    for line in OPERATIONS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            parts = CODE.findall(line)
            section = " ".join(parts) if parts and parts[0].startswith("[") else ""
        elif section and line.startswith("| `"):
            found.setdefault(section, set()).add(CODE.findall(line)[0])
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_a_document_names_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert [code for code in codes(text) if is_path(code) and not exists(code)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_module_or_name_of_ours_a_document_names_exists(document: Path) -> None:
    for code in codes(document.read_text(encoding="utf-8")):
        name = code.removesuffix("()")
        if DOTTED.fullmatch(name) and not name.endswith((*SUFFIXES, ".db")):
            pkgutil.resolve_name(name)


def test_every_test_a_document_names_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    known = set(re.findall(r"def (test_\w+)", tests))
    for document in DOCUMENTS:
        named = re.findall(r"`(test_\w+)`", document.read_text(encoding="utf-8"))
        assert [name for name in named if name not in known] == [], name_of(document)


def test_every_section_of_the_configuration_is_documented() -> None:
    assert set(documented()) == {
        "[gateway]",
        "[http]",
        "[log]",
        "[tokens.NAME]",
        "[conversations]",
        "[conversations.PURPOSE]",
        "[extensions.NAME]",
        "[quiet_hours]",
        "[requests]",
        "[delivery]",
        "[webhooks]",
        "[retention]",
        "[probe]",
        "[links.NAME]",
        '[links.NAME] protocol = "cmpp"',
        '[links.NAME] protocol = "smgp"',
        '[links.NAME] protocol = "sgip"',
        '[links.NAME] protocol = "smpp"',
        "[links.NAME.listener]",
        "[links.NAME.results]",
        "[[routing.rules]]",
    }


@pytest.mark.parametrize("section", sorted(documented()))
def test_the_documented_keys_are_those_the_configuration_takes(
    section: str, settings: dict[str, Any]
) -> None:
    assert documented()[section] == accepted(settings, section)


def test_every_metric_a_document_names_is_exported() -> None:
    exported = {
        family.name + suffix
        for family in Metrics().registry.collect()
        for suffix in ("", "_total" if family.type == "counter" else "")
    }
    for document in DOCUMENTS:
        named = set(METRIC.findall(document.read_text(encoding="utf-8")))
        assert named - exported == set(), name_of(document)


def test_every_metric_is_documented() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    for family in Metrics().registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"`{name}`" in text


EVENT = re.compile(
    r'(?<!ValidationError\()(?<!event=)"((?:message|report|inbound|request|reply|vote|conversations?|number|submit|delivery)\.[a-z_]+)"(?!\))'
)


def test_every_kind_of_event_is_in_the_table_and_no_other() -> None:
    kinds = {f"message.{status}" for status in MessageStatus}
    for folder in ("store", "delivery", "services"):
        for path in (ROOT / "smsgw" / folder).rglob("*.py"):
            if path.name != "schema.py" and "migrations" not in path.parts:
                kinds.update(EVENT.findall(path.read_text("utf-8")))
    table = (ROOT / "docs" / "http.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in table.splitlines() if re.match(r"\| `\w+\.\w+`", line)]
    assert {kind for row in rows for kind in CODE.findall(row)} == kinds

"""``[[routing.rules]]``: which messages go through which links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsgw.daemon.sections import Section
from smsgw.daemon.settings import LinkSettings
from smsgw.model import MessageClass, Operator
from smsgw.routing.rules import Rule

WEIGHT_MAX = 1000


def read_rules(section: Section, links: Mapping[str, LinkSettings]) -> tuple[Rule, ...] | None:
    """Return the rules in order; None when the file has none."""
    written = section.has("rules")
    tables = section.values.get("rules", [])
    section.finish()
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        section.add("rules", "write each rule as a table under [[routing.rules]]")
        return None
    rules = []
    for index, table in enumerate(tables):
        path = f"{section.at('rules')}[{index}]"
        one = Section(table, path, section.problems, section.folder, section.environ)
        rules.append(_rule(one, f"rule-{index + 1}", links))
        one.finish()
    return tuple(rules) if written else None


def shown_rule(rule: Rule) -> dict[str, Any]:
    """Return a rule, JSON-ready, as it can be written."""
    return {
        "name": rule.name,
        "links": [
            {name: rule.weights[name] for name in group} if len(group) > 1 else group[0]
            for group in rule.groups
        ],
        "operators": sorted(rule.operators),
        "classes": sorted(rule.classes),
        "accounts": sorted(rule.accounts),
        "resend_undelivered": rule.resend_undelivered,
    }


def _rule(one: Section, name: str, links: Mapping[str, LinkSettings]) -> Rule:
    groups, weights = _groups(one, links)
    return Rule(
        name=one.text("name", name),
        groups=groups,
        operators=frozenset(map(Operator, one.choices("operators", list(Operator)))),
        classes=frozenset(map(MessageClass, one.choices("classes", list(MessageClass)))),
        accounts=frozenset(one.texts("accounts")),
        weights=weights,
        resend_undelivered=one.flag("resend_undelivered"),
    )


def _groups(
    one: Section, links: Mapping[str, LinkSettings]
) -> tuple[tuple[tuple[str, ...], ...], dict[str, int]]:
    """Read ``links``: names, and tables of names and weights, in order."""
    one.has("links")
    written = one.values.get("links", [])
    known = ", ".join(links) or "(there is no link)"
    if not isinstance(written, list) or not all(isinstance(e, str | dict) for e in written):
        one.add("links", 'write a list: ["a", "b"], or [{ a = 3, b = 1 }] for links that share')
        return (), {}
    groups: list[tuple[str, ...]] = []
    weights: dict[str, int] = {}
    for entry in written:
        shares = {entry: 1} if isinstance(entry, str) else entry
        for name, weight in shares.items():
            if name not in links:
                one.add("links", f"{name!r} is none of {known}")
            elif any(name in group for group in groups):
                one.add("links", f"{name!r} is there twice")
            elif type(weight) is not int or not 0 < weight <= WEIGHT_MAX:
                one.add("links", f"{weight!r} is no weight of {name}; write 1 to {WEIGHT_MAX}")
        groups.append(tuple(shares))
        if isinstance(entry, dict):
            weights |= entry
    if not any(groups):
        one.add("links", f"name at least one of {known}")
    return tuple(groups), weights

"""One routing rule: which messages it is for, and the links it offers them.

A rule knows nothing about whether a link is up, nor about operators of links; see
:mod:`smsgw.routing.table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smsgw.model import MessageClass, Operator


@dataclass(frozen=True, slots=True)
class Rule:
    """For which messages, and through which links.

    Attributes:
        name: As people know it; shown by ``smsgw route explain``.
        groups: Link names; failover goes from group to group, and inside a group in order. Weights
            would sit beside the names here.
        operators: The subscriber's operators it is for; empty for all.
        classes: The message classes it is for; empty for all.
        accounts: The accounts it is for; empty for all.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    operators: frozenset[Operator] = frozenset()
    classes: frozenset[MessageClass] = frozenset()
    accounts: frozenset[str] = frozenset()

    @property
    def links(self) -> tuple[str, ...]:
        """The names of all groups in order, each once."""
        return tuple(dict.fromkeys(link for group in self.groups for link in group))

    def mismatch(self, operator: Operator, message_class: MessageClass, account: str) -> str:
        """Return why the rule is not for such a message, or "" when it is."""
        if self.operators and operator not in self.operators:
            return f"it is for operator {_names(self.operators)}"
        if self.classes and message_class not in self.classes:
            return f"it is for class {_names(self.classes)}"
        if self.accounts and account not in self.accounts:
            return f"it is for account {_names(self.accounts)}"
        return ""


def rules_by_operator(links: Mapping[str, Operator]) -> list[Rule]:
    """Return what holds when nobody wrote a rule: each operator's subscribers by its own links.

    Args:
        links: Link name to the operator it connects to, in order of preference.
    """
    by_operator: dict[Operator, list[str]] = {}
    for link, operator in links.items():
        by_operator.setdefault(operator, []).append(link)
    return [
        Rule(f"own-{operator}", (tuple(names),), operators=frozenset((operator,)))
        for operator, names in by_operator.items()
    ]


def _names(values: frozenset[str]) -> str:
    return ", ".join(sorted(values))

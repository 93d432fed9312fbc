"""One routing rule: which messages it is for, and the links it offers them.

A rule knows nothing about whether a link is up, nor about operators of links; see
:mod:`smsgw.routing.table`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from smsgw.model import MessageClass, Operator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """For which messages, and through which links.

    Attributes:
        name: As people know it; shown by ``smsgw route explain``.
        groups: Link names. The links of a group share its messages; failover goes from group to
            group.
        operators: The subscriber's operators it is for; empty for all.
        classes: The message classes it is for; empty for all.
        accounts: The accounts it is for; empty for all.
        weights: Link name to its share of its group, 1 where there is none.
        resend_undelivered: Whether a message that is reported as not delivered is sent again
            through another link.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    operators: frozenset[Operator] = frozenset()
    classes: frozenset[MessageClass] = frozenset()
    accounts: frozenset[str] = frozenset()
    weights: Mapping[str, int] = field(default_factory=dict)
    resend_undelivered: bool = False

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
        Rule(
            f"own-{operator}",
            tuple((name,) for name in names),
            operators=frozenset((operator,)),
        )
        for operator, names in by_operator.items()
    ]


def draw(shares: Sequence[tuple[T, int]], chance: float) -> T:
    """Return one of several, each as often as its weight says.

    Args:
        shares: Each with its weight, at least one.
        chance: A random number from 0 to 1.
    """
    left = chance * sum(weight for _, weight in shares)
    for one, weight in shares:
        left -= weight
        if left < 0:
            return one
    return shares[-1][0]


def _names(values: frozenset[str]) -> str:
    return ", ".join(sorted(values))

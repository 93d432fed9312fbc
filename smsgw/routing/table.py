"""Ordered rules to a route: which links may carry a message, best first, and why.

The first rule that is for the message and leaves it a link decides. A message that expects a reply
never leaves its subscriber's operator, because another one's network drops the extension the reply
must come back to. Whether a link is up is asked of the caller.

Spec: text-and-long-messages.md section 6 (portability: the number's operator is only a hint).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from smsgw.errors import ConfigError, ValidationError
from smsgw.model import MessageClass, Operator
from smsgw.routing.numbers import mask, operator_of, operator_table
from smsgw.routing.ported import PortedNumbers, told
from smsgw.routing.rules import Rule, rules_by_operator

Shares = tuple[tuple[str, int], ...]
"""Links that share messages: each one's name and weight."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """The decision for one message.

    Attributes:
        links: Link names in order of preference, at least one.
        rule: Name of the rule that decided.
        operator: The subscriber's operator it was decided for.
        explanation: Lines for people: each rule that was looked at, and what came of it.
        groups: The same links as they share messages; failover goes from group to group.
        resend_undelivered: Whether what is reported as not delivered goes to another of them.
    """

    links: tuple[str, ...]
    rule: str
    operator: Operator
    explanation: tuple[str, ...]
    groups: tuple[Shares, ...] = ()
    resend_undelivered: bool = False

    def shares(self, up: Callable[[str], bool]) -> Shares:
        """Return who shares messages now: who is up in the first group where one is.

        When none is up, the whole first group: its messages wait for it.
        """
        return self.others((), up) or self.groups[0]

    def others(self, but: Collection[str], up: Callable[[str], bool]) -> Shares:
        """Return who is up in the first group where one is that is not among ``but``, or none."""
        for group in self.groups:
            found = tuple(one for one in group if one[0] not in but and up(one[0]))
            if found:
                return found
        return ()


class Explanation(msgspec.Struct, frozen=True):
    """How a route is decided, also when the decision is to refuse.

    Attributes:
        operator: The subscriber's operator.
        why: How it is known, for people.
        rules: Each rule that was tried, and what came of it, for people.
        links: Link names in order of preference; none when refused.
        refused: Why no link may carry the message; "" when one may.
    """

    operator: Operator
    why: str
    rules: tuple[str, ...]
    links: tuple[str, ...]
    refused: str


class RouteTable:
    """All rules in force.

    Decisions depend on operator, class, account and whether a reply is expected, so each such
    combination is decided once and remembered; accounts no rule names share one memory.

    Args:
        links: Link name to the operator it connects to, in order of preference.
        rules: In order; None for each operator's subscribers by its own links.
        ported: Numbers known to have changed operator, asked before the prefix; None for none yet.

    Attributes:
        ported: Those.

    Raises:
        ConfigError: A rule names no link, or one that does not exist.
    """

    def __init__(
        self,
        links: Mapping[str, Operator],
        rules: Sequence[Rule] | None = None,
        ported: PortedNumbers | None = None,
    ) -> None:
        self.ported = PortedNumbers(lambda: 0.0) if ported is None else ported
        self._rules = _Rules(links, rules_by_operator(links) if rules is None else rules)

    def adopt(self, other: RouteTable) -> None:
        """Decide by another table's rules from now on; on any thread, in one step."""
        self._rules = other._rules

    def operator_of(self, recipient: str) -> Operator:
        """Return the operator of a normalised number: the ported one first, else the prefix's."""
        ported = self.ported.find(recipient)
        return operator_of(recipient) if ported is None else ported.operator

    def route(
        self,
        recipient: str,
        operator: Operator | None = None,
        message_class: MessageClass = MessageClass.NOTICE,
        account: str = "",
        expects_reply: bool = False,
    ) -> Route:
        """Return the links that may carry a message, best first.

        Args:
            recipient: Normalised digits.
            operator: The subscriber's operator when the caller knows it; None to look it up.
            message_class: How urgent it is.
            account: Who sends it.
            expects_reply: Its reply must find the way back, so only the operator's own links.

        Raises:
            ValidationError: No link may carry it; says why.
        """
        if operator is None:
            operator = self.operator_of(recipient)
        rules = self._rules
        account = account if account in rules.accounts else ""
        key = (operator, message_class, account, expects_reply)
        route = rules.decided.get(key)
        if route is None:
            route = rules.decide(*key)
            if not route.links:
                raise ValidationError("to", _refusal(recipient, route, expects_reply))
            rules.decided[key] = route
        return route

    def explain(
        self,
        recipient: str,
        operator: Operator | None = None,
        message_class: MessageClass = MessageClass.NOTICE,
        account: str = "",
        expects_reply: bool = False,
    ) -> Explanation:
        """Return how :meth:`route` decides; never raises for a refusal."""
        operator, why = self._explain_operator(recipient, operator)
        route = self._rules.decide(operator, message_class, account, expects_reply)
        return Explanation(
            operator,
            f"{mask(recipient)}: operator {operator}, {why}",
            route.explanation,
            route.links,
            "" if route.links else _refusal(recipient, route, expects_reply),
        )

    def _explain_operator(self, recipient: str, given: Operator | None) -> tuple[Operator, str]:
        if given is not None:
            return given, "as given"
        found = operator_table().find(recipient)
        ported = self.ported.find(recipient)
        if ported is not None:
            issued = "no assigned prefix fits" if found is None else f"{found[0]} is {found[1]}'s"
            return ported.operator, f"{told(ported)}; by prefix: {issued}"
        if found is None:
            return Operator.OTHER, "no assigned prefix fits"
        return found[1], f"by prefix {found[0]}"


class _Rules:
    """The rules of one configuration, and what was decided by them."""

    def __init__(self, links: Mapping[str, Operator], rules: Sequence[Rule]) -> None:
        self._links = dict(links)
        self._rules = tuple(rules)
        for index, rule in enumerate(self._rules):
            _check(rule, f"routes[{index}]", self._links)
        self.accounts = frozenset(a for rule in self._rules for a in rule.accounts)
        self.decided: dict[tuple[Operator, MessageClass, str, bool], Route] = {}

    def decide(
        self, operator: Operator, message_class: MessageClass, account: str, expects_reply: bool
    ) -> Route:
        """Return the first rule that fits, made into a route; without links when none does."""
        lines: list[str] = []
        for rule in self._rules:
            mismatch = rule.mismatch(operator, message_class, account)
            if mismatch:
                lines.append(f"rule {rule.name}: passed over, {mismatch}")
                continue
            groups = self._groups(rule, operator, expects_reply)
            if not groups:
                lines.append(
                    f"rule {rule.name}: passed over, a reply is expected and none of its "
                    f"links is {operator}'s own"
                )
                continue
            only = f", only {operator}'s own links because a reply is expected"
            shared = "".join(f"; {_shared(group)}" for group in groups if len(group) > 1)
            lines.append(f"rule {rule.name}: taken{only if expects_reply else ''}{shared}")
            links = tuple(dict.fromkeys(name for group in groups for name, _ in group))
            resend = rule.resend_undelivered
            return Route(links, rule.name, operator, tuple(lines), groups, resend)
        return Route((), "", operator, tuple(lines))

    def _groups(self, rule: Rule, operator: Operator, own_only: bool) -> tuple[Shares, ...]:
        groups = (
            tuple(
                (name, rule.weights.get(name, 1))
                for name in group
                if not own_only or self._links[name] == operator
            )
            for group in rule.groups
        )
        return tuple(group for group in groups if group)


def _shared(group: Shares) -> str:
    return f"shared {', '.join(f'{name} {weight}' for name, weight in group)}"


def _refusal(recipient: str, route: Route, expects_reply: bool) -> str:
    """Return why no link may carry the message, for the customer."""
    if expects_reply:
        return (
            f"no link of operator {route.operator} for {mask(recipient)}, and a message that "
            "expects a reply may not leave it; configure a link of that operator"
        )
    return (
        f"no route for {mask(recipient)} (operator {route.operator}); "
        "add a link of that operator or a rule that names another"
    )


def _check(rule: Rule, path: str, links: Mapping[str, Operator]) -> None:
    if not rule.links:
        raise ConfigError(path, f"rule {rule.name} names no link; name at least one")
    for link in rule.links:
        if link not in links:
            known = ", ".join(links) or "none"
            raise ConfigError(path, f"rule {rule.name}: no link {link!r}; links are: {known}")

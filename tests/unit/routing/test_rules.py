"""One rule: which messages it is for, and the links it names."""

from __future__ import annotations

import pytest

from smsgw.model import MessageClass, Operator
from smsgw.routing.rules import Rule, draw, rules_by_operator


def test_a_rule_without_conditions_is_for_every_message() -> None:
    rule = Rule("all", (("cmcc",),))
    assert rule.mismatch(Operator.OTHER, MessageClass.BULK, "") == ""


@pytest.mark.parametrize(
    ("operator", "message_class", "account", "why"),
    [
        (Operator.MOBILE, MessageClass.NOTICE, "oa", ""),
        (Operator.UNICOM, MessageClass.BULK, "oa", ""),
        (Operator.TELECOM, MessageClass.NOTICE, "oa", "it is for operator mobile, unicom"),
        (Operator.MOBILE, MessageClass.REALTIME, "oa", "it is for class bulk, notice"),
        (Operator.MOBILE, MessageClass.NOTICE, "crm", "it is for account oa"),
    ],
)
def test_every_condition_must_hold_and_the_first_that_fails_is_named(
    operator: Operator, message_class: MessageClass, account: str, why: str
) -> None:
    rule = Rule(
        "narrow",
        (("cmcc",),),
        operators=frozenset({Operator.MOBILE, Operator.UNICOM}),
        classes=frozenset({MessageClass.NOTICE, MessageClass.BULK}),
        accounts=frozenset({"oa"}),
    )
    assert rule.mismatch(operator, message_class, account) == why


def test_links_are_the_groups_in_order_each_once() -> None:
    assert Rule("all", (("b", "a"), ("a", "c"))).links == ("b", "a", "c")


def test_links_are_drawn_as_often_as_their_weights_say() -> None:
    shares = (("a", 3), ("b", 1))
    drawn = [draw(shares, step / 100) for step in range(100)]
    assert (drawn.count("a"), drawn.count("b")) == (75, 25)
    assert draw(shares, 1.0) == "b"
    assert draw((("only", 7),), 0.0) == "only"


def test_without_rules_each_operator_is_served_by_its_own_links() -> None:
    rules = rules_by_operator(
        {"cmcc-1": Operator.MOBILE, "ctcc": Operator.TELECOM, "cmcc-2": Operator.MOBILE}
    )
    assert rules == [
        Rule("own-mobile", (("cmcc-1",), ("cmcc-2",)), operators=frozenset({Operator.MOBILE})),
        Rule("own-telecom", (("ctcc",),), operators=frozenset({Operator.TELECOM})),
    ]

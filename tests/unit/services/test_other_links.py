"""Which other link a stored message may take, and how that one sends it."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.model import Coding, Operator
from smsgw.routing.rules import Rule
from smsgw.routing.table import RouteTable
from smsgw.services.other_links import OtherLinks
from smsgw.services.submission import LinkInfo
from smsgw.store.ids import IdSource
from smsgw.store.messages import MessageRow
from smsgw.store.reroute import Elsewhere, Why
from tests.support.store import message_row

LINKS = {
    link.name: link
    for link in (
        LinkInfo(name="cmcc", access_number="10690001", operator=Operator.MOBILE),
        LinkInfo(name="cmcc-b", access_number="10690001", operator=Operator.MOBILE),
        LinkInfo(name="spare", access_number="10690009", operator=Operator.MOBILE),
        LinkInfo(name="ctcc", access_number="10690002", operator=Operator.TELECOM),
        LinkInfo(name="pinned", access_number="10690003", operator=Operator.UNICOM),
    )
}
RULE = Rule("all", (("cmcc",), ("ctcc",), ("spare",), ("cmcc-b",)))
UNDELIVERED = Rule(RULE.name, RULE.groups, resend_undelivered=True)


def split(link: LinkInfo, source: str, phone: str, text: str) -> tuple[int, list[bytes]]:
    if len(source) > 12:
        raise AssertionError("asked for a sender number of a link that was passed over")
    return int(Coding.UCS2), [f"{link.name} {source} {text}".encode()]


def find(
    rule: Rule = RULE, down: str = "", but: tuple[str, ...] = ("cmcc",), **fields: Any
) -> Elsewhere | None:
    operators = {name: link.operator for name, link in LINKS.items()}
    links = OtherLinks(
        RouteTable(operators, [rule]), LINKS, lambda name: name != down, split, lambda: 0.0
    )
    why = fields.pop("why", Why.DOWN)
    return links.find(row(**{"extension": "", "expects_reply": False, **fields}), but, why)


def row(**fields: Any) -> MessageRow:
    return message_row(IdSource(0, lambda: 1.0), **fields)


def test_the_next_link_of_the_route_sends_it_with_its_own_number() -> None:
    assert find() == Elsewhere("ctcc", "10690002", 8, ["ctcc 10690002 您好".encode()])


def test_one_that_is_down_or_was_tried_is_passed_over() -> None:
    found = find(down="ctcc")
    assert found is not None
    assert found.link == "spare"
    found = find(but=("cmcc", "ctcc", "spare"))
    assert found is not None
    assert found.link == "cmcc-b"
    assert find(but=tuple(LINKS)) is None


def test_where_a_reply_is_expected_it_stays_with_its_operator() -> None:
    found = find(expects_reply=True)
    assert found is not None
    assert found.link == "spare"


def test_with_an_extension_it_stays_with_its_access_number() -> None:
    found = find(expects_reply=True, extension="001")
    assert found is not None
    assert (found.link, found.access_number) == ("cmcc-b", "10690001")
    assert find(extension="001", but=("cmcc", "cmcc-b")) is None


def test_a_message_that_was_given_its_link_stays_with_it() -> None:
    assert find(link="pinned", but=("pinned",)) is None


@pytest.mark.parametrize(("rule", "link"), [(RULE, None), (UNDELIVERED, "ctcc")])
def test_after_a_bad_report_only_where_the_rule_says_so(rule: Rule, link: str | None) -> None:
    found = find(rule, why=Why.UNDELIVERED)
    assert (None if found is None else found.link) == link


def test_a_message_that_no_rule_is_for_any_more_stays() -> None:
    assert find(Rule("bulk", RULE.groups, accounts=frozenset({"other"}))) is None


def test_a_message_whose_link_is_no_more_takes_any_of_its_route() -> None:
    assert find(link="gone", but=("gone",)) == Elsewhere(
        "cmcc", "10690001", 8, ["cmcc 10690001 您好".encode()]
    )

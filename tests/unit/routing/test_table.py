"""The route table: first fitting rule, own operator for replies, and an explanation."""

from __future__ import annotations

import pytest

from smsgw.errors import ConfigError, ValidationError
from smsgw.model import MessageClass, Operator, PortedNumber
from smsgw.routing.ported import PortedNumbers
from smsgw.routing.rules import Rule
from smsgw.routing.table import Explanation, RouteTable

LINKS = {
    "cmcc": Operator.MOBILE,
    "ctcc": Operator.TELECOM,
    "cucc": Operator.UNICOM,
    "cmcc-b": Operator.MOBILE,
}
MOBILE, TELECOM, UNICOM = "13800001001", "13300001001", "13000001001"
LEARNED = 1_794_787_200_000  # 2026-11-16


def to_telecom(phone: str) -> PortedNumber:
    return PortedNumber(phone, Operator.TELECOM, "MO on link ctcc", LEARNED, LEARNED + 1000)


@pytest.mark.parametrize(
    ("phone", "links", "rule"),
    [
        (MOBILE, ("cmcc", "cmcc-b"), "own-mobile"),
        (TELECOM, ("ctcc",), "own-telecom"),
        (UNICOM, ("cucc",), "own-unicom"),
    ],
)
def test_without_rules_a_subscriber_is_reached_by_its_own_operator(
    phone: str, links: tuple[str, ...], rule: str
) -> None:
    table = RouteTable(LINKS)
    for expects_reply in (False, True):
        route = table.route(phone, expects_reply=expects_reply)
        assert (route.links, route.rule) == (links, rule)


def test_the_operator_the_caller_knows_wins_over_the_prefix() -> None:
    route = RouteTable(LINKS).route(MOBILE, Operator.UNICOM)
    assert route.links == ("cucc",)
    assert route.operator is Operator.UNICOM


def test_a_ported_number_goes_to_its_new_operator_as_soon_as_it_is_known() -> None:
    now = [LEARNED / 1000]
    table = RouteTable(LINKS, ported=PortedNumbers(lambda: now[0]))
    assert table.route(MOBILE).links == ("cmcc", "cmcc-b")
    table.ported.add(to_telecom(MOBILE))
    assert table.route(MOBILE, expects_reply=True).links == ("ctcc",)
    assert table.operator_of(MOBILE) is Operator.TELECOM
    now[0] += 1
    assert table.route(MOBILE).links == ("cmcc", "cmcc-b")


def test_the_first_rule_for_the_message_decides() -> None:
    table = RouteTable(
        LINKS,
        [
            Rule("vip", (("cmcc-b",),), accounts=frozenset({"vip"})),
            Rule("bulk", (("cucc",), ("ctcc",)), classes=frozenset({MessageClass.BULK})),
            Rule("rest", (("cmcc", "ctcc"), ("cucc",))),
        ],
    )
    assert table.route(UNICOM, account="vip", message_class=MessageClass.BULK).rule == "vip"
    assert table.route(UNICOM, account="oa", message_class=MessageClass.BULK).rule == "bulk"
    assert table.route(UNICOM, account="crm").links == ("cmcc", "ctcc", "cucc")


def test_a_message_that_expects_a_reply_never_leaves_its_operator() -> None:
    table = RouteTable(
        LINKS,
        [
            Rule("cheap", (("ctcc",),)),
            Rule("all", (("ctcc", "cmcc-b"), ("cmcc", "cucc"))),
        ],
    )
    route = table.route(MOBILE, expects_reply=True)
    assert route.links == ("cmcc-b", "cmcc")
    assert route.rule == "all"
    assert route.explanation == (
        "rule cheap: passed over, a reply is expected and none of its links is mobile's own",
        "rule all: taken, only mobile's own links because a reply is expected",
    )
    assert table.route(MOBILE).links == ("ctcc",)


def test_no_link_of_the_operator_refuses_what_expects_a_reply() -> None:
    table = RouteTable({"cmcc": Operator.MOBILE}, [Rule("all", (("cmcc",),))])
    assert table.route(UNICOM).links == ("cmcc",)
    for _ in range(2):
        with pytest.raises(
            ValidationError, match=r"^to: no link of operator unicom for 130\*\*\*\*1001, .*reply"
        ):
            table.route(UNICOM, expects_reply=True)


def test_no_rule_for_the_operator_refuses_with_the_reason() -> None:
    table = RouteTable({"cmcc": Operator.MOBILE})
    with pytest.raises(ValidationError, match=r"no route for 130\*\*\*\*1001 \(operator unicom\)"):
        table.route(UNICOM)
    with pytest.raises(ValidationError, match="operator other"):
        table.route("15400001001")


def test_the_same_question_gets_the_same_route() -> None:
    table = RouteTable(LINKS)
    assert table.route(MOBILE, account="a") is table.route("13900001001", account="b")


def test_the_explanation_tells_operator_rules_and_links() -> None:
    table = RouteTable(LINKS)
    assert table.explain(TELECOM) == Explanation(
        Operator.TELECOM,
        "133****1001: operator telecom, by prefix 133",
        (
            "rule own-mobile: passed over, it is for operator mobile",
            "rule own-telecom: taken",
        ),
        ("ctcc",),
        "",
    )
    assert table.explain(MOBILE).links == ("cmcc", "cmcc-b")
    assert table.explain(MOBILE, Operator.UNICOM).why == "138****1001: operator unicom, as given"


def test_the_explanation_of_a_ported_number_names_source_dates_and_prefix() -> None:
    table = RouteTable(LINKS)
    table.ported.add(to_telecom(UNICOM))
    table.ported.add(to_telecom("15400001001"))
    assert table.explain(UNICOM).why == (
        "130****1001: operator telecom, ported (MO on link ctcc, 2026-11-16, "
        "believed until 2026-11-16); by prefix: 130 is unicom's"
    )
    assert table.explain("15400001001").why.endswith("; by prefix: no assigned prefix fits")


def test_the_explanation_of_a_refusal_does_not_raise() -> None:
    found = RouteTable(LINKS).explain("15400001001", expects_reply=True)
    assert found.why == "154****1001: operator other, no assigned prefix fits"
    assert found.links == ()
    assert found.refused.startswith("no link of operator other")
    assert RouteTable({}).explain(MOBILE).refused.startswith("no route for 138****1001")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (Rule("none", ()), r"routes\[1\]: rule none names no link"),
        (Rule("none", ((),)), r"routes\[1\]: rule none names no link"),
        (Rule("odd", (("cmcc", "moon"),)), r"no link 'moon'; links are: cmcc, ctcc, cucc, cmcc-b"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_a_configuration_error(rule: Rule, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        RouteTable(LINKS, [Rule("ok", (("cmcc",),)), rule])


def test_a_rule_without_any_links_configured_says_so() -> None:
    with pytest.raises(ConfigError, match="links are: none"):
        RouteTable({}, [Rule("odd", (("cmcc",),))])


SHARED = Rule(
    "shared",
    (("cmcc", "cmcc-b"), ("ctcc",)),
    weights={"cmcc": 3, "cmcc-b": 1},
    resend_undelivered=True,
)


def test_links_of_the_first_group_where_one_is_up_share_messages() -> None:
    route = RouteTable(LINKS, [SHARED]).route(UNICOM)
    assert route.links == ("cmcc", "cmcc-b", "ctcc")
    assert route.resend_undelivered
    assert route.shares(lambda link: True) == (("cmcc", 3), ("cmcc-b", 1))
    assert route.shares(lambda link: link != "cmcc") == (("cmcc-b", 1),)
    assert route.shares(lambda link: link == "ctcc") == (("ctcc", 1),)


def test_with_no_link_up_the_first_group_keeps_its_messages() -> None:
    route = RouteTable(LINKS, [SHARED]).route(UNICOM)
    assert route.shares(lambda link: False) == (("cmcc", 3), ("cmcc-b", 1))
    assert route.others((), lambda link: False) == ()


def test_another_link_is_one_that_was_not_tried_in_the_order_of_the_groups() -> None:
    route = RouteTable(LINKS, [SHARED]).route(UNICOM)
    assert route.others({"cmcc"}, lambda link: True) == (("cmcc-b", 1),)
    assert route.others({"cmcc", "cmcc-b"}, lambda link: True) == (("ctcc", 1),)
    assert route.others(set(LINKS), lambda link: True) == ()


def test_where_a_reply_is_expected_only_the_operators_own_share() -> None:
    route = RouteTable(LINKS, [SHARED]).route(TELECOM, expects_reply=True)
    assert route.groups == ((("ctcc", 1),),)


def test_an_explanation_says_who_shares() -> None:
    assert RouteTable(LINKS, [SHARED]).explain(UNICOM).rules == (
        "rule shared: taken; shared cmcc 3, cmcc-b 1",
    )


def test_a_table_that_adopts_another_decides_as_that_one_and_keeps_what_it_knows() -> None:
    table = RouteTable(LINKS, ported=PortedNumbers(lambda: LEARNED / 1000))
    table.ported.add(to_telecom(UNICOM))
    assert table.route(MOBILE).links == ("cmcc", "cmcc-b")
    rule = Rule("mine", (("spare",),), accounts=frozenset({"oa"}))
    table.adopt(RouteTable({"spare": Operator.MOBILE, "ctcc": Operator.TELECOM}, [rule]))
    with pytest.raises(ValidationError, match="no route"):
        table.route(MOBILE)
    assert table.route(MOBILE, account="oa").links == ("spare",)
    assert table.explain(MOBILE, account="oa").links == ("spare",)
    assert table.operator_of(UNICOM) is Operator.TELECOM

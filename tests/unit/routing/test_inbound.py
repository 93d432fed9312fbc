"""Inbound: which access number, which extension, whose."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsgw.routing.inbound import Destination, InboundTable, Service

DIGITS = st.text(st.sampled_from("0123456789"), max_size=20)


def a_table() -> InboundTable:
    """Return three links, two of which share an access number."""
    return InboundTable(
        [
            ("cmcc", "10690001"),
            ("cmcc", "1069000188"),
            ("ctcc", "10690002"),
            ("cmcc-b", "10690001"),
            ("cmcc-c", "10690001"),
        ],
        {"10690001": "oa", "106900015": "survey", "10690002": "crm"},
    )


def test_the_rest_after_the_access_number_is_the_extension() -> None:
    assert a_table().destination("10690002101") == Destination("10690002", "101", "ctcc")
    assert a_table().destination("10690002") == Destination("10690002", "", "ctcc")


def test_the_longest_access_number_wins() -> None:
    assert a_table().destination("106900018801") == Destination("1069000188", "01", "cmcc")
    assert a_table().destination("106900018") == Destination("10690001", "8", None)


def test_a_shared_access_number_names_no_link_unless_the_link_is_given() -> None:
    table = a_table()
    assert table.destination("10690001101") == Destination("10690001", "101", None)
    assert table.destination("10690001101", "cmcc-b") == Destination("10690001", "101", "cmcc-b")


def test_a_link_is_only_asked_for_its_own_access_numbers() -> None:
    table = a_table()
    assert table.destination("106900018801", "cmcc-b") == Destination("10690001", "8801", "cmcc-b")
    assert table.destination("10690002101", "cmcc") is None
    assert table.destination("10690002101", "nobody") is None


def test_a_number_that_is_not_ours_has_no_destination() -> None:
    assert a_table().destination("10680001") is None
    assert a_table().destination("1069000") is None
    assert InboundTable([]).destination("10690001") is None


def test_the_same_pair_twice_is_not_shared() -> None:
    table = InboundTable([("cmcc", "10690001"), ("cmcc", "10690001")])
    assert table.destination("106900011") == Destination("10690001", "1", "cmcc")


def test_the_longest_owner_wins() -> None:
    table = a_table()
    assert table.owner("10690001101") == "oa"
    assert table.owner("106900015") == "survey"
    assert table.owner("1069000159") == "survey"
    assert table.owner("10690003") is None
    assert InboundTable([], {"": "inbox"}).owner("10690003") == "inbox"
    assert InboundTable([]).owner("10690001") is None


@given(DIGITS)
def test_access_number_and_extension_are_always_the_whole_number(number: str) -> None:
    found = a_table().destination(number)
    assert found is None or found.access_number + found.extension == number


@given(DIGITS)
def test_any_extension_of_ours_is_found(extension: str) -> None:
    found = a_table().destination("10690002" + extension, "ctcc")
    assert found == Destination("10690002", extension, "ctcc")


def test_a_country_code_before_our_own_number_is_no_part_of_it() -> None:
    table = a_table()
    assert table.destination("8610690002968") == Destination("10690002", "968", "ctcc")
    assert table.destination("8610690002968", "ctcc") == Destination("10690002", "968", "ctcc")
    assert table.destination("8610690002968", "cmcc") is None
    assert table.destination("86") is None
    own = InboundTable([("cmcc", "8610690001")])
    assert own.destination("86106900015") == Destination("8610690001", "5", "cmcc")


def services() -> InboundTable:
    """Return two access numbers with a department, a second owner, and services by keyword."""
    news = {"account": "news", "extension": "80"}
    return InboundTable(
        [("cmcc", "10690001"), ("ctcc", "10690002")],
        {"10690001": "oa"},
        [
            Service(name="desk", account="desk", extension="8"),
            Service(name="weather", **news, keywords=("天气", "TQ")),
            Service(name="here", account="here", extension="80", keywords=("天气预报",)),
            Service(name="van", account="van", extension="66", access_number="10690002"),
            Service(name="vote", account="vote", extension="", keywords=("投票",)),
        ],
    )


def test_a_static_extension_has_its_account_and_every_number_that_begins_with_it() -> None:
    table = services()
    assert table.owner("106900018", "你好") == "desk"
    assert table.owner("1069000181234", "你好") == "desk"
    assert table.owner("10690002801", "你好") == "desk"
    assert table.owner("1069000266", "") == "van"
    assert table.owner("1069000166", "") == "oa"
    assert table.owner("1069000267", "") is None


def test_a_keyword_takes_the_texts_that_begin_with_it() -> None:
    table = services()
    assert table.owner("1069000180", "天气 北京") == "news"
    assert table.owner("1069000180", " ｔｑ北京") == "news"
    assert table.owner("861069000180", "tq") == "news"
    assert table.owner("1069000180", "天气预报") == "here"
    assert table.owner("1069000180", "今天天气") == "desk"
    assert table.owner("10690001", "投票 3") == "vote"
    assert table.owner("10690001", "同意") == "oa"
    assert table.owner("1069000177", "投票") == "vote"


def test_what_was_written_to_a_service_is_known_from_what_lost_its_extension() -> None:
    table = services()
    assert table.is_service("1069000180", "同意")
    assert table.is_service("10690001", "投票 3")
    assert not table.is_service("10690001", "同意")
    assert not table.is_service("10690002123", "同意")
    assert not table.is_service("10680001", "同意")


def test_a_table_that_adopts_another_says_what_that_one_says() -> None:
    table = services()
    table.adopt(InboundTable([("new", "10699999")], {"10699999": "other"}))
    assert table.owner("10690001", "同意") is None
    assert table.owner("10699999", "同意") == "other"
    assert table.destination("10690001") is None
    found = table.destination("1069999955", "new")
    assert found is not None
    assert (found.access_number, found.extension) == ("10699999", "55")

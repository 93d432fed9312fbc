"""Phone numbers: one spelling, and the operator behind a prefix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import ValidationError
from smsgw.model import Operator
from smsgw.routing.numbers import (
    OperatorTable,
    PrefixMap,
    mask,
    normalise,
    operator_of,
    operator_table,
    strip_country,
)


@pytest.mark.parametrize(
    "written",
    [
        "13800001001",
        "8613800001001",
        "+8613800001001",
        "008613800001001",
        "+86 138 0000 1001",
        "138-0000-1001",
        "+86\u2011138\u00a00000\u20131001",
        "１３８００００１００１",
        "＋８６　13800001001",
        "\u202a+8613800001001\u202c",
        " 13800001001\n",
    ],
)
def test_every_accepted_spelling_gives_eleven_digits(written: str) -> None:
    assert normalise(written) == "13800001001"


@pytest.mark.parametrize("number", ["1064800001001", "1440000001001"])
def test_an_iot_number_keeps_its_thirteen_digits(number: str) -> None:
    assert normalise(number) == number
    assert normalise("+86" + number) == number
    assert strip_country("86" + number) == number


@pytest.mark.parametrize(
    "written",
    [
        "",
        "1380000100",
        "138000010011",
        "23800001001",
        "8623800001001",
        "1380000100a",
        "+13800001001",
        "0013800001001",
        "+852 5123 4567",
        "010-62000000",
        "10086",
        "1380000001001",
        "86",
        "٣8000010010",
        "13800001001,13800001002",
    ],
)
def test_what_is_no_mainland_phone_is_refused_with_what_would_be(written: str) -> None:
    with pytest.raises(ValidationError, match="write 11 digits starting with 1") as caught:
        normalise(written)
    assert caught.value.field == "to"
    assert repr(written) in caught.value.problem


def test_the_refusal_names_the_callers_field_and_shortens_what_was_written() -> None:
    with pytest.raises(ValidationError, match="write 11 digits") as caught:
        normalise("9" * 1000, "steps[0].assignees[1].phone")
    assert caught.value.field == "steps[0].assignees[1].phone"
    assert "'999999999999999999999999…'" in caught.value.problem


@pytest.mark.parametrize(
    ("number", "stripped"),
    [
        ("13800001001", "13800001001"),
        ("8613800001001", "13800001001"),
        ("+8613800001001", "13800001001"),
        ("008613800001001", "13800001001"),
        ("10690001", "10690001"),
        ("8610690001", "8610690001"),
        ("01062000000", "01062000000"),
        ("10086", "10086"),
        ("", ""),
        ("86", "86"),
        ("abc=pseudo", "abc=pseudo"),
    ],
)
def test_a_carriers_number_only_loses_its_country_code(number: str, stripped: str) -> None:
    assert strip_country(number) == stripped


@given(st.text())
def test_stripping_and_masking_take_anything(number: str) -> None:
    strip_country(number)
    mask(number)


@given(st.text())
def test_normalising_gives_digits_or_a_refusal_and_is_stable(written: str) -> None:
    try:
        number = normalise(written)
    except ValidationError:
        return
    assert number.isascii()
    assert normalise(number) == number


@given(st.integers(0, 10**10 - 1), st.sampled_from(["", "86", "+86", "0086", "＋86 "]))
def test_any_eleven_digits_after_a_one_are_a_number(rest: int, country: str) -> None:
    number = f"1{rest:010}"
    assert normalise(country + number) == number


@pytest.mark.parametrize(
    ("number", "operator"),
    [
        ("13800001001", Operator.MOBILE),
        ("13300001001", Operator.TELECOM),
        ("13000001001", Operator.UNICOM),
        ("19200001001", Operator.BROADNET),
        ("13480001001", Operator.MOBILE),
        ("13490001001", Operator.TELECOM),
        ("13492001001", Operator.TELECOM),
        ("17030001001", Operator.MOBILE),
        ("17040001001", Operator.UNICOM),
        ("17000001001", Operator.TELECOM),
        ("17100001001", Operator.UNICOM),
        ("17405001001", Operator.TELECOM),
        ("17406001001", Operator.OTHER),
        ("17490001001", Operator.OTHER),
        ("16190001001", Operator.OTHER),
        ("15400001001", Operator.OTHER),
        ("1064600001001", Operator.UNICOM),
        ("1064800001001", Operator.MOBILE),
        ("1410000001001", Operator.TELECOM),
        ("1480000001001", Operator.MOBILE),
        ("14800001001", Operator.MOBILE),
        ("10648000001", Operator.OTHER),
        ("14100001001", Operator.OTHER),
        ("", Operator.OTHER),
    ],
)
def test_the_longest_prefix_says_who_issued_a_number(number: str, operator: Operator) -> None:
    assert operator_of(number) is operator


def test_the_shipped_table_says_where_it_comes_from_and_is_read_once() -> None:
    table = operator_table()
    assert table is operator_table()
    assert table.version == "2023-06-05"
    assert table.source.startswith("Mainland China mobile number prefixes")
    assert "MIIT" in table.source
    assert len(table) == 91


def test_a_table_without_a_dated_source_has_no_version() -> None:
    table = OperatorTable(["# by hand", "prefix,carrier,kind,note", "138,china_mobile,mobile,"])
    assert (table.source, table.version) == ("by hand", "")
    assert table.find("13800001001") == ("138", Operator.MOBILE)
    assert table.find("13900001001") is None


def test_the_longest_prefix_wins_and_the_empty_one_fits_all() -> None:
    prefixes = PrefixMap({"1": "a", "138": "b", "": "rest"})
    assert len(prefixes) == 3
    assert prefixes.longest("13800001001") == ("138", "b")
    assert prefixes.longest("13") == ("1", "a")
    assert prefixes.longest("2") == ("", "rest")
    assert prefixes.longest("") == ("", "rest")
    assert PrefixMap({"138": "b"}).longest("13") is None


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13800005678", "138****5678"),
        ("1064800005678", "106****5678"),
        ("10690001", "10****01"),
        ("10086", "1****"),
        ("", "****"),
    ],
)
def test_a_number_is_shown_without_its_middle(number: str, shown: str) -> None:
    assert mask(number) == shown


def test_what_is_remembered_of_numbers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.routing.numbers.REMEMBERED_MAX", 2)
    prefixes = PrefixMap({"1": "one", "138": "mobile"})
    for number in ("138", "139", "150", "138"):
        assert prefixes.longest(number) == (("138", "mobile") if number == "138" else ("1", "one"))
    assert prefixes.longest("2") is None

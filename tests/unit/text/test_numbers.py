"""Numbers as carriers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.text.numbers import national_number


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("13800001001", "13800001001"),
        ("8613800001001", "13800001001"),
        ("+8613800001001", "13800001001"),
        ("008613800001001", "13800001001"),
        (" 8613800001001 ", "13800001001"),
        ("861440000100100", "1440000100100"),
        ("8610690001", "8610690001"),
        ("8601062000000", "8601062000000"),
        ("10086", "10086"),
        ("+85251234567", "+85251234567"),
        ("", ""),
    ],
)
def test_a_phone_loses_its_country_code_and_nothing_else_does(written: str, meant: str) -> None:
    assert national_number(written) == meant


@given(st.text())
def test_it_takes_anything(written: str) -> None:
    national_number(written)

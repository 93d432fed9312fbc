from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from smsgw.store import report_ids
from smsgw.store.report_ids import IdForm

PAIRS = [
    ("AB12CD", "ab12cd", "other case"),
    ("msg-01-x", "MSG-01-X", "other case"),
    ("0000001a", "1a", "other leading zeros"),
    ("1a", "0000001A", "other leading zeros"),
    ("7f3c9a21", "2134678049", "decimal of hex"),
    ("00000000001F4A2B", "2050603", "decimal of hex"),
    ("2050603", "1f4a2b", "hex of decimal"),
    ("0002050603", "1F4A2B", "hex of decimal"),
]


@pytest.mark.parametrize(("answered", "reported", "name"), PAIRS)
def test_a_form_is_learned_from_one_pair_and_spells_both_ways(
    answered: str, reported: str, name: str
) -> None:
    assert report_ids.others(reported)[answered] == name
    form = report_ids.learned(name, reported, answered, None)
    assert form.answered(reported) == answered
    assert form.reported(answered) == reported


def test_an_id_is_no_other_form_of_itself() -> None:
    for one in ("0", "12", "ab", "AB", "x-1", ""):
        assert one not in report_ids.others(one)


@given(st.text(max_size=64))
def test_any_text_may_be_an_id(text: str) -> None:
    for spelled, name in report_ids.others(text).items():
        form = report_ids.learned(name, text, spelled, None)
        assert form.answered(text) == spelled


def test_what_one_pair_showed_is_kept_when_another_does_not_show_it() -> None:
    name = report_ids.DECIMAL_OF_HEX
    first = report_ids.learned(name, "26", "0000001A", None)
    second = report_ids.learned(name, "4026531840", "F0000000", first)
    assert second == first == IdForm(name, 8, True)
    assert report_ids.learned(report_ids.HEX_OF_DECIMAL, "1a", "26", first).width == 0


@pytest.mark.parametrize(("text", "certain"), [("12345678", True), ("0001234567", False)])
def test_a_short_id_says_little(text: str, certain: bool) -> None:
    assert report_ids.is_certain(text) is certain


def test_a_form_is_remembered_by_the_connection_and_the_store(connection: Connection) -> None:
    assert report_ids.forms(connection) == {}
    for form in (IdForm("other case", 0, True), IdForm("decimal of hex", 8, False, 10, True)):
        report_ids.remember(connection, "world", form)
        assert report_ids.forms(connection) == report_ids.stored(connection) == {"world": form}


def test_a_form_whose_transaction_is_undone_is_not_known(connection: Connection) -> None:
    report_ids.remember(connection, "world", IdForm("other case"))
    savepoint = connection.begin_nested()
    report_ids.remember(connection, "world", IdForm("decimal of hex"))
    savepoint.rollback()
    assert report_ids.forms(connection) == {"world": IdForm("other case")}

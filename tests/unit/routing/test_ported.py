"""Ported numbers in memory: what is believed, what proves what, and entries as text."""

from __future__ import annotations

import pytest

from smsgw.errors import ValidationError
from smsgw.model import Operator, PortedNumber
from smsgw.routing.ported import (
    COLUMNS,
    DAY_MS,
    KEPT_MS,
    PortedNumbers,
    entry_of,
    fields_of,
)

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
PHONE = "13800001001"
MOBILE, UNICOM, TELECOM = Operator.MOBILE, Operator.UNICOM, Operator.TELECOM


class Scene:
    def __init__(self, limit: int = 10) -> None:
        self.now = NOW
        self.numbers = PortedNumbers(lambda: self.now / 1000, limit)

    def mo(self, operator: Operator, phone: str = PHONE) -> PortedNumber | None:
        """A message on an operator's link; what it proves is recorded."""
        proof = self.numbers.proof(phone, operator, f"MO on link {operator}")
        if proof is not None:
            self.numbers.add(proof)
        return proof

    def believed(self, phone: str = PHONE) -> Operator | None:
        known = self.numbers.find(phone)
        return None if known is None else known.operator


def entry(phone: str = PHONE, learned_at: int = NOW, **fields: object) -> PortedNumber:
    expires_at = int(str(fields.get("expires_at", learned_at + KEPT_MS)))
    return PortedNumber(phone, UNICOM, "import", learned_at, expires_at)


def test_a_message_on_another_operators_link_is_proof_for_180_days() -> None:
    s = Scene()
    assert s.mo(UNICOM) == PortedNumber(PHONE, UNICOM, "MO on link unicom", NOW, NOW + KEPT_MS)
    s.now += KEPT_MS - 1
    assert s.believed() is UNICOM
    s.now += 1
    assert s.believed() is None
    assert len(s.numbers) == 1
    s.numbers.sweep()
    assert len(s.numbers) == 0


def test_a_message_on_the_link_of_its_prefix_proves_nothing_new() -> None:
    s = Scene()
    assert s.mo(MOBILE) is None


def test_a_proof_is_renewed_once_a_day() -> None:
    s = Scene()
    s.mo(UNICOM)
    s.now += DAY_MS - 1
    assert s.mo(UNICOM) is None
    s.now += 1
    renewed = s.mo(UNICOM)
    assert renewed is not None
    assert renewed.expires_at == s.now + KEPT_MS


def test_a_renewal_never_shortens_what_was_imported() -> None:
    s = Scene()
    s.numbers.add(entry(learned_at=NOW - DAY_MS, expires_at=NOW + 9 * KEPT_MS))
    renewed = s.mo(UNICOM)
    assert renewed is not None
    assert renewed.expires_at == NOW + 9 * KEPT_MS


def test_a_number_that_ports_again_is_believed_at_once_and_so_is_one_that_comes_back() -> None:
    s = Scene()
    s.mo(UNICOM)
    s.mo(TELECOM)
    assert s.believed() is TELECOM
    s.mo(MOBILE)
    assert s.believed() is MOBILE
    s.now += 2 * DAY_MS
    assert s.mo(MOBILE) is None  # the prefix says so too: nothing to renew
    s.mo(UNICOM)
    assert s.believed() is UNICOM


def test_a_number_whose_prefix_is_unknown_is_learned() -> None:
    s = Scene()
    s.mo(UNICOM, "15400001001")
    assert s.believed("15400001001") is UNICOM


@pytest.mark.parametrize("sender", ["10086", "10690001001", "12306000001", "", "abc=pseudo"])
def test_what_is_no_phone_is_not_learned(sender: str) -> None:
    assert Scene().mo(UNICOM, sender) is None


def test_a_link_of_no_network_proves_nothing() -> None:
    assert Scene().mo(Operator.OTHER) is None


def test_what_was_learned_later_stays() -> None:
    s = Scene()
    s.mo(TELECOM)
    s.numbers.add(entry(learned_at=NOW - 1))
    assert s.believed() is TELECOM
    s.numbers.add(entry(learned_at=NOW))
    assert s.believed() is UNICOM


def test_what_is_over_takes_the_number_out() -> None:
    s = Scene()
    s.numbers.add(entry())
    s.numbers.add(entry(expires_at=NOW))
    assert (s.believed(), len(s.numbers)) == (None, 0)


def test_above_the_limit_the_number_recorded_longest_ago_goes() -> None:
    s = Scene(limit=2)
    for last in (1, 2, 1, 3):
        s.numbers.add(entry(f"1380000100{last}"))
    assert len(s.numbers) == 2
    assert s.believed("13800001002") is None
    assert s.believed("13800001001") is UNICOM
    assert s.numbers.dropped == 1


def test_an_entry_as_text_comes_back_the_same() -> None:
    written = fields_of(entry())
    assert tuple(written) == COLUMNS
    assert written["learned_at"] == "2027-01-15T08:00:00.000+00:00"
    assert entry_of(written, NOW) == entry()


def test_what_an_entry_leaves_out_has_its_default() -> None:
    found = entry_of({"phone": "+86 138 0000 1001", "operator": "unicom", "source": " "}, NOW)
    assert found == PortedNumber(PHONE, UNICOM, "import", NOW, NOW + KEPT_MS)


def test_a_date_is_midnight_and_a_time_has_its_zone() -> None:
    fields = {"phone": PHONE, "operator": "unicom", "learned_at": "2027-01-01"}
    found = entry_of({**fields, "expires_at": "2027-02-01T08:00:00+08:00"}, NOW)
    assert fields_of(found)["learned_at"] == "2027-01-01T00:00:00.000+00:00"
    assert fields_of(found)["expires_at"] == "2027-02-01T00:00:00.000+00:00"


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("phone", "12", "not a mainland mobile number"),
        ("operator", "moon", "none of mobile, unicom, telecom, broadnet"),
        ("operator", "other", "none of"),
        ("operator", "", "none of"),
        ("source", "x" * 81, "81 characters; write one line of at most 80"),
        ("source", "a\nb", "one line"),
        ("learned_at", "yesterday", "no date and no time with its zone"),
        ("learned_at", "2027-01-01T00:00:00", "no date and no time with its zone"),
        ("learned_at", "2027-01-16", "lies in the future"),
        ("expires_at", "2027-01-15", "not later than learned_at"),
    ],
)
def test_a_field_that_is_wrong_is_named(field: str, value: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as caught:
        entry_of({"phone": PHONE, "operator": "unicom", field: value}, NOW)
    assert caught.value.field == field

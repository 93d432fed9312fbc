"""Whose a sender number is, times as customers write them, and what cannot be read as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgw.errors import ValidationError
from smsgw.model import Segment
from smsgw.protocols.carrier import ResultKind
from smsgw.protocols.registry import CARRIERS
from smsgw.routing.inbound import Service
from smsgw.services.northbound.customer import Customer, check_ranges
from smsgw.services.northbound.reading import kind_of, read, text_of
from smsgw.services.northbound.times import read_time
from tests.support.rigs import make_account

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
PHONE = "13800001001"


def customer(name: str = "acme", protocol: str = "cmpp", **about: Any) -> Customer:
    about.setdefault("extensions", ("80",))
    about.setdefault("access_numbers", ("10690001", "10690002"))
    carrier = CARRIERS[protocol]
    about.setdefault("account", name)
    return Customer(name=name, carrier=carrier, login=make_account(carrier, name[:6]), **about)


@pytest.mark.parametrize(
    ("source", "extension"),
    [("1069000180", "80"), ("10690001805", "805"), ("1069000280", "80"), ("", "80")],
)
def test_a_sender_number_in_its_range_is_the_customers(source, extension):
    assert customer().extension_of(source) == extension


@pytest.mark.parametrize("source", ["10690001", "1069000181", "80", "acme", "1069000180x", "١"])
def test_any_other_is_not(source):
    with pytest.raises(ValidationError, match=r"none of 1069000180…"):
        customer().extension_of(source)


@pytest.mark.parametrize(
    ("mine", "other", "overlap"),
    [
        (("80",), Service(name="a", account="a", extension="80"), True),
        (("80",), Service(name="a", account="a", extension="801"), True),
        (("801",), Service(name="a", account="a", extension="80"), True),
        (("80",), Service(name="a", account="a", extension="81"), False),
        (("80",), Service(name="a", account="a", extension="80", access_number="1"), False),
        (("80",), Service(name="a", account="acme", extension="80"), False),
        (("80",), Service(name="a", account="a", extension="", keywords=("x",)), False),
        (("",), Service(name="a", account="a", extension=""), True),
        (("",), Service(name="a", account="a", extension="80"), False),
    ],
)
def test_nobody_else_may_have_its_numbers(mine, other, overlap):
    problems = check_ranges([customer(extensions=mine)], [other])
    assert [name for name, _ in problems] == (["acme"] if overlap else [])


def test_two_customers_may_not_share_numbers():
    ((name, problem),) = check_ranges([customer("one"), customer("two")], [])
    assert (name, "customers.one" in problem) == ("two", True)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("261122170000032+", NOW + timedelta(hours=1)),
        ("261122090000000+", NOW + timedelta(hours=1)),
        ("261122040000020-", NOW + timedelta(hours=1)),
        ("000001020000000R", NOW + timedelta(days=1, hours=2)),
        ("000100000000000R", NOW + timedelta(days=30)),
    ],
)
def test_times_are_absolute_or_relative(written, meant):
    assert read_time(written, "at_time", NOW) == meant


@pytest.mark.parametrize(
    "written",
    ["tomorrow", "261322170000032+", "261122170000099+", "2611221700", "٢61122170000032+"],
)
def test_what_is_no_time_is_refused(written):
    with pytest.raises(ValidationError) as caught:
        read_time(written, "at_time", NOW)
    assert caught.value.field == "at_time"


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({"coding": 4}, ResultKind.FORMAT),
        ({"coding": 0x18, "content": b"\x4f\x60"}, ResultKind.FORMAT),
        ({"udhi": True, "content": b"\x06\x05\x04\x0b\x84\x23\xf0x"}, ResultKind.FORMAT),
        ({"udhi": True, "content": b"\xff\x00"}, ResultKind.FORMAT),
        ({"source": "10690001"}, ResultKind.SOURCE),
        ({"to": "12"}, ResultKind.NUMBER),
    ],
)
def test_what_cannot_be_done_as_asked_says_what_it_is_about(about, kind):
    fields = {"to": PHONE, "source": "1069000180", "coding": 0, "content": b"hi", **about}
    with pytest.raises(ValidationError) as caught:
        read(customer(), [Segment(**fields)])
    assert kind_of(caught.value) is kind


def test_gbk_under_coding_0_is_read_as_what_it_is():
    content = "您好".encode("gbk")
    wanted = read(customer(), [Segment(PHONE, "1069000180", 0, content)])
    assert text_of([(wanted.coding, wanted.body)], "chinese") == "您好"


@pytest.mark.parametrize(
    ("coding", "content"), [(8, b"\x4f"), (8, b"\xd8\x00\x00\x41"), (0, b"\xff\xff"), (15, b"\xff")]
)
def test_octets_that_are_no_text_are_refused(coding, content):
    with pytest.raises(ValidationError, match="no text of this coding"):
        text_of([(coding, content)], "chinese")


def test_a_header_for_one_part_is_no_long_message():
    content = bytes((5, 0, 3, 9, 1, 1)) + b"hi"
    wanted = read(customer(), [Segment(PHONE, "1069000180", 0, content, udhi=True)])
    assert (wanted.total, wanted.reference, wanted.body) == (1, "", b"hi")

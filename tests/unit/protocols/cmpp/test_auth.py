"""The worked examples of cmpp.md sections 4 and 5."""

from __future__ import annotations

from datetime import datetime

import pytest

from smsgw.protocols import cmpp
from smsgw.protocols.cmpp.auth import (
    login_digest,
    login_matches,
    login_timestamp,
    make_message_id,
    receiver_message_id,
    server_digest,
    server_matches,
)
from tests.support.vectors import vector

EXAMPLES = [
    (
        "example A",
        datetime(2025, 5, 12, 9, 30, 15),
        512093015,
        "bea47e2bbddd079323a824d1d5d8802a",
        "06a21febd56fec121890b61717df6b0e",
        "9f43ebec49b5e2a01b032e1250c6085b",
    ),
    (
        "example B",
        datetime(2025, 12, 31, 23, 59, 59),
        1231235959,
        "c57defc24389aed825f2a326e0e5167d",
        "6c6e5d9ca2d064843cc357f797cea72e",
        "ac38d309f1e856384597eb46d0659c38",
    ),
]

examples = pytest.mark.parametrize(
    ("when", "timestamp", "login", "server_20", "server_30"),
    [example[1:] for example in EXAMPLES],
    ids=[example[0] for example in EXAMPLES],
)


@examples
def test_the_digests_are_those_of_the_worked_examples(
    when: datetime, timestamp: int, login: str, server_20: str, server_30: str
) -> None:
    assert login_timestamp(when) == timestamp
    digest = login_digest("901234", "1234", timestamp)
    assert digest.hex() == login
    assert server_digest(0, 1, digest, "1234").hex() == server_20
    assert server_digest(0, 4, digest, "1234").hex() == server_30


@examples
def test_a_proof_of_either_width_is_taken_and_any_other_is_not(
    when: datetime, timestamp: int, login: str, server_20: str, server_30: str
) -> None:
    asked = bytes.fromhex(login)
    assert server_matches(bytes.fromhex(server_20), 0, asked, "1234")
    assert server_matches(bytes.fromhex(server_30), 0, asked, "1234")
    assert not server_matches(bytes(16), 0, asked, "1234")
    assert not server_matches(bytes.fromhex(server_30), 0, asked, "4321")


def test_the_connect_vectors_carry_the_same_digests() -> None:
    for name, version in (("connect_30", "3.0"), ("connect_20", "2.0")):
        connect = cmpp.decode(vector("cmpp", name).octets, version)
        assert isinstance(connect, cmpp.Connect)
        assert login_matches(
            connect.authenticator_source, connect.source_addr, "1234", connect.timestamp
        )


def test_a_login_is_proved_by_the_right_secret_and_time_only() -> None:
    digest = login_digest("901234", "1234", 512093015)
    assert login_matches(digest, "901234", "1234", 512093015)
    assert not login_matches(digest, "901234", "1235", 512093015)
    assert not login_matches(digest, "901234", "1234", 512093016)
    assert not login_matches(digest, "901235", "1234", 512093015)
    assert not login_matches(bytes(16), "901234", "1234", 512093015)


def test_a_short_name_may_be_hashed_bare_or_with_its_padding() -> None:
    bare = login_digest("9012", "1234", 512093015)
    padded = login_digest("9012\0\0", "1234", 512093015)
    assert bare != padded
    assert login_matches(bare, "9012", "1234", 512093015)
    assert login_matches(padded, "9012", "1234", 512093015)


def test_a_message_id_is_built_as_the_example_says() -> None:
    when = datetime(2025, 5, 12, 9, 30, 15)
    assert make_message_id(1001, when, 42) == 0x5625E3C003E9002A == 6207618075238924330


def test_a_message_ids_parts_never_spill_into_each_other() -> None:
    when = datetime(2025, 12, 31, 23, 59, 59)
    largest = make_message_id(0x3FFFFF, when, 0xFFFF)
    assert largest < 1 << 64
    assert make_message_id(0x400000, when, 0) == make_message_id(0, when, 0)
    assert make_message_id(7, when, 0x10005) == make_message_id(7, when, 5)


def test_the_ids_of_one_submit_wrap_without_a_carry_into_the_gateway() -> None:
    first = make_message_id(1001, datetime(2025, 5, 12, 9, 30, 15), 0xFFFE)
    ids = [receiver_message_id(first, place) for place in range(4)]
    assert [one & 0xFFFF for one in ids] == [0xFFFE, 0xFFFF, 0, 1]
    assert {one >> 16 for one in ids} == {first >> 16}

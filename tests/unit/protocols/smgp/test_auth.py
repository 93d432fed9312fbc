"""SMGP login digests and MsgID."""

from __future__ import annotations

from datetime import datetime
from hashlib import md5

import pytest

from smsgw.protocols.smgp import auth

NAME, SECRET, STAMP = "106901", "aB3$k9Zq", 301000000
CLIENT = bytes.fromhex("5a16ee344c4d864c7df7f95b3146ef26")
SERVER = bytes.fromhex("b4633cabaae6dd6c26b3807fb5df6883")


def test_the_first_worked_example_is_reproduced() -> None:
    assert auth.login_timestamp(datetime(2026, 3, 1, 0, 0, 0)) == STAMP == 0x11F0E540
    assert auth.login_digest(NAME, SECRET, STAMP) == CLIENT
    assert auth.server_digest(0, CLIENT, SECRET) == SERVER


def test_the_second_worked_example_is_reproduced() -> None:
    stamp = auth.login_timestamp(datetime(2026, 12, 31, 23, 59, 59))
    assert stamp == 1231235959 == 0x49632B77
    client = auth.login_digest("95080001", "secret-15-chars", stamp)
    assert client.hex() == "6a71abcbb337bb7985658baf1a334896"
    server = auth.server_digest(0, client, "secret-15-chars")
    assert server.hex() == "93f78760e983b140549ba9534bd987f6"


@pytest.mark.parametrize(
    ("hashed", "wrong"),
    [
        (b"106901" + bytes(7) + b"aB3$k9Zq301000000", "2df6056da5b9b3f21810da8ea9eade7b"),
        (b"106901" + bytes(9) + b"aB3$k9Zq0301000000", "08873854069b63ea9bc42199a11dd5a0"),
    ],
    ids=["time stamp without its leading zero", "ClientID padded, or CMPP's nine zeros"],
)
def test_a_known_wrong_client_digest_does_not_match(hashed: bytes, wrong: str) -> None:
    assert md5(hashed).hexdigest() == wrong
    assert not auth.login_matches(bytes.fromhex(wrong), NAME, SECRET, STAMP)


def test_a_server_digest_over_a_one_octet_status_does_not_match() -> None:
    wrong = "2c9d77865f0ee881c5723b600fa8fd31"
    assert md5(b"\0" + CLIENT + SECRET.encode()).hexdigest() == wrong
    assert not auth.server_matches(bytes.fromhex(wrong), 0, CLIENT, SECRET)


def test_the_right_digests_match() -> None:
    assert auth.login_matches(CLIENT, NAME, SECRET, STAMP)
    assert auth.server_matches(SERVER, 0, CLIENT, SECRET)


def test_zeros_for_a_server_digest_do_not_match() -> None:
    assert not auth.server_matches(bytes(16), 0, CLIENT, SECRET)


def test_a_message_id_is_made_as_in_the_specifications_example() -> None:
    made = auth.make_message_id(10061, datetime(2026, 1, 16, 17, 0, 30), 12345)
    assert made.hex() == "01006101161700012345"


def test_the_sequence_of_a_message_id_wraps() -> None:
    made = auth.make_message_id(10061, datetime(2026, 12, 31, 23, 59), 1_000_001)
    assert made.hex() == "01006112312359000001"


@pytest.mark.parametrize(
    ("first", "index", "expected"),
    [
        ("01006101161700012345", 0, "01006101161700012345"),
        ("01006101161700012345", 1, "01006101161700012346"),
        ("01006101161700999999", 2, "01006101161700000001"),
        ("6495c36ac4ea6b00000b", 1, "6495c36ac4ea6b00000b"),
    ],
    ids=["the first", "the next", "wrapping", "not BCD"],
)
def test_each_receiver_of_one_submit_has_the_next_id(first: str, index: int, expected: str) -> None:
    assert auth.receiver_message_id(bytes.fromhex(first), index).hex() == expected

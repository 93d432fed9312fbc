"""Passwords and message ids of SMPP."""

from __future__ import annotations

from datetime import datetime

import pytest

from smsgw.protocols.smpp import auth


@pytest.mark.parametrize(
    ("password", "right"),
    [("aB3k9Zq", True), ("aB3k9Zq ", False), ("", False), ("\xff\udc80", False)],
)
def test_only_the_secret_itself_matches(password: str, right: bool) -> None:
    assert auth.password_matches(password, "aB3k9Zq") is right


def test_a_message_id_is_digits_that_do_not_repeat() -> None:
    when = datetime(2026, 1, 16, 17, 0, 1)
    ids = {auth.make_message_id(1001, when, count) for count in range(100)}
    assert len(ids) == 100
    assert auth.make_message_id(1001, when, 1_000_042) == "1001260116170001000042"

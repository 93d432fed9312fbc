"""Login types and passwords."""

from __future__ import annotations

import pytest

from smsgw.protocols.sgip.auth import LOGIN_TYPES, password_matches
from smsgw.protocols.states import Role, Side


def test_both_ends_of_a_connection_mean_the_same_login_type() -> None:
    assert LOGIN_TYPES[Role.CLIENT, Side.SP] == LOGIN_TYPES[Role.SERVER, Side.GATEWAY] == 1
    assert LOGIN_TYPES[Role.CLIENT, Side.GATEWAY] == LOGIN_TYPES[Role.SERVER, Side.SP] == 2


@pytest.mark.parametrize(
    ("password", "secret", "right"),
    [
        ("Pa55w0rd", "Pa55w0rd", True),
        ("Pa55w0rd  ", "Pa55w0rd", True),
        ("padded ", "padded ", True),
        ("pa55w0rd", "Pa55w0rd", False),
        ("", "Pa55w0rd", False),
        ("", "", True),
        ("", None, False),
        ("?", "密", False),
        ("\xe9", "\xe9", True),
    ],
)
def test_a_password_is_compared_without_its_padding(
    password: str, secret: str | None, right: bool
) -> None:
    assert password_matches(password, secret) is right

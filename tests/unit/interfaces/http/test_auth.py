from __future__ import annotations

import pytest

from smsgw.errors import UnknownAccount
from smsgw.interfaces.http.auth import Tokens

TOKENS = Tokens({"a-token-of-22-letters!": "oa", "another-token-of-25-chars": "crm"})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_proves_its_account(scheme: str) -> None:
    assert TOKENS.account_of(f"{scheme} a-token-of-22-letters!") == "oa"
    assert TOKENS.account_of(f"{scheme}  another-token-of-25-chars ") == "crm"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (None, "send the header"),
        ("", "send the header"),
        ("Bearer", "must be: Bearer TOKEN"),
        ("Bearer  ", "must be: Bearer TOKEN"),
        ("Basic a-token-of-22-letters!", "must be: Bearer TOKEN"),
        ("Bearer a-token-of-22-letters", "not known"),
        ("Bearer \udcff", "not known"),
    ],
)
def test_anything_else_proves_nothing(header: str | None, why: str) -> None:
    with pytest.raises(UnknownAccount, match=why):
        TOKENS.account_of(header)


def test_a_token_is_kept_only_as_a_hash() -> None:
    assert "a-token-of-22-letters!" not in repr(vars(TOKENS))


def test_without_tokens_nobody_gets_in() -> None:
    with pytest.raises(UnknownAccount):
        Tokens({}).account_of("Bearer a-token-of-22-letters!")

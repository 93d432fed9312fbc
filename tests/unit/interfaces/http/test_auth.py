from __future__ import annotations

import pytest

from smsgw.errors import UnknownAccount
from smsgw.interfaces.http.auth import bearer


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_comes_after_the_word_bearer(scheme: str) -> None:
    assert bearer(f"{scheme} a-token-of-22-letters!") == "a-token-of-22-letters!"
    assert bearer(f"{scheme}  another-token-of-25-chars ") == "another-token-of-25-chars"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (None, "send the header"),
        ("", "send the header"),
        ("Bearer", "must be: Bearer TOKEN"),
        ("Bearer  ", "must be: Bearer TOKEN"),
        ("Basic a-token-of-22-letters!", "must be: Bearer TOKEN"),
    ],
)
def test_anything_else_is_no_token(header: str | None, why: str) -> None:
    with pytest.raises(UnknownAccount, match=why):
        bearer(header)

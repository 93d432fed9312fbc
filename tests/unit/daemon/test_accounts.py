from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from smsgw.daemon.accounts import read_account
from smsgw.daemon.sections import Problems, Section
from smsgw.protocols.account import Account
from smsgw.protocols.cmpp import CARRIER


@dataclass(kw_only=True)
class RichAccount(Account):
    """Has a field of every kind there is."""

    strict: bool = False
    mode: Literal["send", "both"] = "both"
    node: int


@dataclass(kw_only=True)
class StrangeAccount(Account):
    """Has a field that TOML cannot say."""

    extra: bytes = b""


def read(account: type[Account], **values: Any) -> tuple[Any, list[str]]:
    problems = Problems()
    section = Section(
        {"login": "a", "secret": "env:S", **values}, "links.a", problems, Path(), {"S": "s"}
    )
    found = read_account(section, replace(CARRIER, account=account))
    return found, [str(error) for error in problems.errors]


def test_flags_choices_and_required_numbers_are_read() -> None:
    account, problems = read(RichAccount, strict=True, mode="send", node=3)
    assert (account.strict, account.mode, account.node, problems) == (True, "send", 3, [])


def test_a_field_without_default_is_required() -> None:
    _, problems = read(RichAccount, strict=1, mode="no")
    assert problems == [
        "links.a.strict: 1 is not true or false",
        "links.a.mode: 'no' is none of send, both",
        "links.a.node: is missing; write a whole number",
    ]


def test_a_field_no_toml_value_fits_is_our_own_mistake() -> None:
    with pytest.raises(TypeError, match="extra: no TOML value is known"):
        read(StrangeAccount)

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from smsgw.daemon.accounts import read_account, read_listener, shown_listener
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


@dataclass(kw_only=True)
class DialledAccount(Account):
    """Is dialled by its peer, with timers of its own there."""

    listener_keys = ("response_timeout", "patience")

    patience: float = 60.0


DIALLED = DialledAccount(name="a", secret="s", version="1", response_timeout=7.0, patience=9.0)


def listen(**values: Any) -> tuple[Any, list[str]]:
    problems = Problems()
    section = Section(values, "links.a.listener", problems, Path(), {"S": "theirs"})
    account = read_listener(section, DIALLED)
    section.finish()
    return account, [str(error) for error in problems.errors]


def test_a_listeners_login_has_the_links_values_unless_it_says_otherwise() -> None:
    account, problems = listen(login="smg", secret="env:S", patience="5m")
    assert problems == []
    assert account == replace(DIALLED, name="smg", secret="theirs", patience=300.0)
    assert shown_listener(account, "***") == {
        "login": "smg",
        "secret": "***",
        "response_timeout": 7.0,
        "patience": 300.0,
    }


def test_a_listener_without_login_needs_the_peers_addresses() -> None:
    account, problems = listen(login="", secret="")
    assert (account.name, account.secret) == ("", "")
    (problem,) = problems
    assert problem.startswith("links.a.listener.allow: is missing: with an empty login and secret")


def test_a_listener_without_login_believes_only_named_balancers() -> None:
    values = {"login": "", "secret": "", "allow": ["192.0.2.10"], "proxy_protocol": True}
    section = Section(values, "l", Problems(), Path(), {})
    read_listener(section, DIALLED)
    (problem,) = section.problems.errors
    assert str(problem).startswith("l.proxy_protocol: is true: with an empty login and secret")


def test_a_listener_without_login_is_fine_where_addresses_are_listed() -> None:
    section = Section(
        {"login": "", "secret": "", "allow": ["192.0.2.10"]}, "l", Problems(), Path(), {}
    )
    account = read_listener(section, DIALLED)
    assert section.problems.errors == []
    assert shown_listener(account, "***")["secret"] == ""


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"login": "", "secret": "env:S"}, "links.a.listener.login: is empty"),
        ({"login": "smg", "secret": ""}, "links.a.listener.secret: is empty"),
        ({"login": "smg"}, "links.a.listener.secret: is missing; write a text in quotes"),
        (
            {"login": "smg", "secret": "env:S", "window": 3},
            "links.a.listener.window: unknown key; known here: login, patience, response_timeout,"
            " secret",
        ),
        (
            {"login": "smg", "secret": "env:S", "response_timeout": 0},
            "links.a.listener.response_timeout: 0 is impossible; write 0.1 or more",
        ),
    ],
)
def test_what_is_wrong_with_a_listeners_login_is_said(values: dict[str, Any], problem: str) -> None:
    assert listen(**values)[1] == [problem]

"""Departments: accounts in a tree, told by their names: ``tv``, ``tv/news``, ``tv/news/foreign``.

A department exists once it has, or had, a token. What belongs to it is seen by the departments
above it; nobody sees what is beside or above.
"""

from __future__ import annotations

from collections.abc import Iterable

from smsgw.errors import ValidationError

NAME_MAX = 64


def is_within(account: str, department: str) -> bool:
    """Whether an account is a department, or below it; all are below ""."""
    return not department or account == department or account.startswith(f"{department}/")


def below(department: str, accounts: Iterable[str]) -> tuple[str, ...]:
    """Return those of some accounts that are below a department, in order."""
    found = {one for one in accounts if one != department and is_within(one, department)}
    return tuple(sorted(found))


def check_name(account: str) -> None:
    """Check that a new department may be called so.

    Raises:
        ValidationError: It may not.
    """
    parts = account.split("/")
    good = all(part and part == part.strip() and part.isprintable() for part in parts)
    if not good or len(account) > NAME_MAX:
        problem = f"{account[:80]!r} is no department; write one such as tv or tv/news"
        raise ValidationError("account", f"{problem}, at most {NAME_MAX} characters")

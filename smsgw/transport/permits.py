"""Who may hold one of an account's connections, where several processes share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Permit(Protocol):
    """The right to one connection."""

    @property
    def held(self) -> bool:
        """Whether we have it."""
        ...

    @property
    def wanted_back(self) -> bool:
        """Whether it is to be given back as soon as nothing is in flight."""
        ...

    def ask(self, changed: Callable[[], None]) -> None:
        """Ask for it; ``changed`` is called, never from inside this, when one of both changes."""
        ...

    def drop(self) -> None:
        """Give it back, or ask for it no longer."""
        ...


class Always:
    """What a process has that shares with nobody."""

    held = True
    wanted_back = False

    def ask(self, changed: Callable[[], None]) -> None:
        """It is there."""

    def drop(self) -> None:
        """It stays."""


ALWAYS = Always()

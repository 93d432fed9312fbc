"""What a check of an installation says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        level: ``fail``: it cannot work so; ``warn``: it should be changed.
        about: What was looked at, such as ``links.cmcc``.
        said: What was found.
        todo: What to do; "" where nothing is to be done.
    """

    level: Level
    about: str
    said: str
    todo: str = ""

    def line(self) -> str:
        """Return it for people."""
        todo = f"; {self.todo}" if self.todo else ""
        return f"{self.level:<4}  {self.about}: {self.said}{todo}"

"""A text with ``{name}`` in it, and what a recipient's variables make of it. Pure.

Rules: ``{{`` and ``}}`` are braces. A name is what stands between two braces, without the spaces
around it. Every name needs its variable and every variable its name: a text never leaves with a
hole in it, and a misspelt variable never goes unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from smsgw.errors import ValidationError

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
CHARACTERS_MAX = 40_000
"""Of a text with its variables; 255 parts, the most that a message can have, take 39,015."""

_MARKS = {"{{": "{", "}}": "}"}


class Template:
    """A text with ``{name}`` in it.

    Args:
        written: The text.
        field: What an error calls it.

    Raises:
        ValidationError: A brace has no partner, or the text is empty.
    """

    def __init__(self, written: str, field: str = "text") -> None:
        if not written.strip():
            raise ValidationError(field, "is empty")
        self._field = field
        self._pieces: list[tuple[str, str]] = []
        end = 0
        for place in _PLACE.finditer(written):
            if place[0] in ("{", "}"):
                problem = f"a {place[0]!r} without its partner at character {place.start() + 1}"
                raise ValidationError(field, f"{problem}; write {place[0] * 2} for itself")
            name = (place[1] or "").strip()
            if place[1] is not None and not name:
                raise ValidationError(field, "{} has no name in it; write {NAME}, or {{}}")
            literal = written[end : place.start()] + _MARKS.get(place[0], "")
            self._pieces.append((literal, name))
            end = place.end()
        self._pieces.append((written[end:], ""))
        self.names = list(dict.fromkeys(name for _, name in self._pieces if name))
        """What it needs, in order, each once."""

    def fill(self, variables: Mapping[str, str]) -> str:
        """Return the text with its variables; those it does not name make no difference.

        Raises:
            KeyError: One is missing; see :meth:`check`.
            ValidationError: It would have more than :data:`CHARACTERS_MAX` characters.
        """
        pieces: list[str] = []
        for literal, name in self._pieces:
            pieces += (literal, variables[name]) if name else (literal,)
        length = sum(map(len, pieces))
        if length > CHARACTERS_MAX:
            problem = f"{length} characters with its variables, limit {CHARACTERS_MAX}"
            raise ValidationError(self._field, f"{problem}; shorten it")
        return "".join(pieces)

    def check(self, variables: Mapping[str, object]) -> None:
        """Check that the variables are those it names.

        Raises:
            ValidationError: One is missing, or one is not in it; the field is ``variables.NAME``.
        """
        for name in self.names:
            if name not in variables:
                raise ValidationError(f"variables.{name}", f"is missing; the text has {{{name}}}")
        if len(variables) > len(self.names):
            extra = next(name for name in variables if name not in self.names)
            known = ", ".join(self.names) or "none"
            problem = f"is not in the text; variables there: {known}"
            raise ValidationError(f"variables.{extra[:64]}", problem)

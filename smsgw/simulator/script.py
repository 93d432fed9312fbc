"""What a fake phone answers: a script is a callable, and a few are ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec


class Reply(msgspec.Struct):
    """One text a phone sends back.

    Attributes:
        text: What its owner types.
        after: Seconds until it is sent.
        to: The number it goes to; "" = the sender of the message it answers.
    """

    text: str
    after: float = 0.2
    to: str = ""


Script = Callable[[str, str], Sequence[Reply]]
"""(sender number, whole text) -> the replies, in order."""


def silent(sender: str, text: str) -> Sequence[Reply]:
    """Never answers."""
    return ()


def always(*texts: str, after: float = 0.2) -> Script:
    """Answers every message with the same texts."""
    replies = [Reply(text, after) for text in texts]
    return lambda sender, text: replies


def in_turn(*texts: str, after: float = 0.2) -> Script:
    """Answers the first message with the first text, the second with the second, then is silent."""
    left = list(texts)

    def answer(sender: str, text: str) -> Sequence[Reply]:
        return [Reply(left.pop(0), after)] if left else ()

    return answer

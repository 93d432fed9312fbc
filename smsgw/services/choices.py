"""What a question may be answered with: choices and what each does to the step. Pure."""

from __future__ import annotations

import enum

import msgspec


class Effect(enum.StrEnum):
    """What an answer does.

    ``for`` and ``against`` are counted by the step's rule; ``neutral`` is an answer that counts for
    neither (abstention); ``progress`` is recorded and leaves the question open; ``transfer`` hands
    the question to somebody else.
    """

    FOR = "for"
    AGAINST = "against"
    NEUTRAL = "neutral"
    PROGRESS = "progress"
    TRANSFER = "transfer"

    @property
    def answers(self) -> bool:
        """Whether the question is answered by it."""
        return self not in (Effect.PROGRESS, Effect.TRANSFER)


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One allowed answer.

    Attributes:
        key: As it is stored and shown to programs: ``yes``, ``done``, ``4``.
        label: As people see it: ``同意``.
        effect: What it does.
        words: Further whole texts by which it is meant, besides the label and its number.
    """

    key: str
    label: str
    effect: Effect = Effect.FOR
    words: tuple[str, ...] = ()


YES = Choice("yes", "同意", Effect.FOR)
NO = Choice("no", "不同意", Effect.AGAINST)

RECEIVED = Choice("received", "收到", Effect.PROGRESS)
DONE = Choice("done", "完成", Effect.FOR)
TRANSFER = Choice("transfer", "转派", Effect.TRANSFER)
DECLINE = Choice("decline", "无法处理", Effect.AGAINST)

RATINGS = (
    Choice("1", "非常不满意"),
    Choice("2", "不满意"),
    Choice("3", "一般"),
    Choice("4", "满意"),
    Choice("5", "非常满意", words=("满分",)),
)
"""From the worst to the best, as the readers of ratings expect them."""

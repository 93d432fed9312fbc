"""Fake phones: they join what they get and cut what they send, as a handset does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from smsgw.model import Coding, MoMessage, Segment
from smsgw.simulator.script import Script, silent
from smsgw.text import segmentation
from smsgw.text.charset import Family
from smsgw.text.udh import split_header

INBOX_KEPT = 10_000
"""Messages a phone remembers; the older half goes first."""

PARTIAL_KEPT = 100
"""Messages that are not whole yet which a phone remembers."""


class Received(msgspec.Struct):
    """One whole message on a phone's screen."""

    sender: str
    text: str
    parts: int


class Phone:
    """One handset.

    Args:
        number: Its own number, national digits.
        script: What it answers.
        family: Who gave the coding octets their meaning.

    Attributes:
        inbox: Whole messages, oldest first.
    """

    def __init__(self, number: str, script: Script = silent, family: Family = "chinese") -> None:
        self.family = family
        self.number = number
        self.script = script
        self.inbox: list[Received] = []
        self._parts: dict[tuple[Any, ...], dict[int, tuple[int, bytes]]] = {}
        self._reference = 0

    def take(self, segment: Segment) -> Received | None:
        """Receive one part; returns the message once it is whole."""
        header, body = (None, segment.content)
        if segment.udhi:
            header, body, _ = split_header(segment.content)
        joint = header.concatenation if header is not None else None
        if joint is None or joint.total == 1:
            return self._show(segment.source, [(segment.coding, body)])
        key = (segment.source, joint.reference, joint.width, joint.total)
        parts = self._parts.setdefault(key, {})
        if len(self._parts) > PARTIAL_KEPT:
            del self._parts[next(iter(self._parts))]
        parts[joint.sequence] = (segment.coding, body)
        if len(parts) < joint.total:
            return None
        del self._parts[key]
        return self._show(segment.source, [parts[i] for i in sorted(parts)])

    def write(self, to: str, text: str) -> list[MoMessage]:
        """The short messages that carry ``text`` to ``to``: several, with headers, when long."""
        plan = segmentation.plan(text, Coding.UCS2)
        self._reference = (self._reference + 1) % 256
        return [
            MoMessage(
                sender=self.number,
                destination=to,
                coding=plan.coding,
                content=content,
                udhi=plan.reference_width != 0,
            )
            for content in segmentation.segments(plan, self._reference)
        ]

    def _show(self, sender: str, parts: list[tuple[int, bytes]]) -> Received:
        message = Received(sender, segmentation.join(parts, self.family), len(parts))
        self.inbox.append(message)
        if len(self.inbox) > INBOX_KEPT:
            del self.inbox[: INBOX_KEPT // 2]
        return message


class Phones:
    """All handsets of one simulated carrier; a number is switched on when it is first met.

    Args:
        script: What such a phone answers.
        family: Who gave the carrier's coding octets their meaning.
    """

    def __init__(self, script: Script = silent, family: Family = "chinese") -> None:
        self._script = script
        self._family = family
        self._phones: dict[str, Phone] = {}

    def add(self, number: str, script: Script = silent) -> Phone:
        """Switch a phone on, or give it a new script."""
        phone = self.get(number)
        phone.script = script
        return phone

    def get(self, number: str) -> Phone:
        """The phone with this number."""
        if number not in self._phones:
            self._phones[number] = Phone(number, self._script, self._family)
        return self._phones[number]


Activity = Callable[[str, str, dict[str, Any]], None]
"""(what happened, the PDU's name or "", details): for the demo's account and for tests."""

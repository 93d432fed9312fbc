"""A carrier link as delivery sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from smsgw.model import Segment, SubmitResult
from smsgw.protocols.carrier import Carrier


class SendingLink(Protocol):
    """What is used of a :class:`smsgw.transport.link.Link`."""

    name: str
    carrier: Carrier
    on_results: Callable[[list[tuple[Any, SubmitResult]]], None]
    on_free: Callable[[], None]

    @property
    def up(self) -> bool: ...

    @property
    def free(self) -> int: ...

    @property
    def in_flight(self) -> int: ...

    @property
    def answer_seconds(self) -> float: ...

    @property
    def reason(self) -> str: ...

    def submit_many(self, items: Sequence[tuple[Segment, Any]]) -> int: ...

"""Feed octets in every way a network may cut them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

Feed = Callable[[bytes], list[T]]


def feed_three_ways(
    start: Callable[[], Feed[T]], octets: bytes, trailing: bytes = b"\0"
) -> list[T]:
    """Feed ``octets`` whole, byte by byte, and with the first bytes of what follows.

    Args:
        start: Makes a fresh receiver: a callable that takes octets and returns what they complete.
        octets: Whole PDUs.
        trailing: The beginning of another PDU, which must complete nothing.

    Returns:
        What came out, the same in all three ways.
    """
    whole = start()(octets)
    feed = start()
    by_byte = [out for at in range(len(octets)) for out in feed(octets[at : at + 1])]
    with_trailing = start()(octets + trailing)
    assert by_byte == whole
    assert with_trailing == whole
    return whole

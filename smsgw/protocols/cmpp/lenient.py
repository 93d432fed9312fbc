"""A DELIVER that fits its version's layout not exactly, read as the gateway must have meant it.

Used by a session only after the strict layout has failed: an error answer would make the gateway
bring the same DELIVER again for ever. What is not clear is not guessed: it gets Result 4.

Spec: cmpp.md section 15 (extra octets), section 16 Q2 (the other version's bodies), Q3 (LinkID).
"""

from __future__ import annotations

from typing import NamedTuple, cast

from smsgw.protocols.cmpp import pdus
from smsgw.protocols.cmpp.constants import CONTENT_OCTETS_MAX, REPORT_OCTETS

UCS2_MASK, UCS2_BITS = 0x0C, 0x08  # Msg_Fmt 8 and 0x18 to 0x1B (section 9)

Deliver = pdus.Deliver20 | pdus.Deliver30


class Shape(NamedTuple):
    """One version's layout (section 7); octets count from the start of the PDU.

    Attributes:
        version: Its name.
        cls: What reads it.
        head: Octets before Msg_Content.
        tail: Octets after it: Reserved in 2.0, LinkID in 3.0.
        number: Where Src_terminal_Id is.
        kind: Where Registered_Delivery is.
        coding: Where Msg_Fmt is.
    """

    version: str
    cls: type[Deliver]
    head: int
    tail: int
    number: slice
    kind: int
    coding: int = 53


SHAPES = {
    "2.0": Shape("2.0", pdus.Deliver20, 77, 8, slice(54, 75), 75),
    "3.0": Shape("3.0", pdus.Deliver30, 89, 20, slice(54, 86), 87),
}


def read_deliver(frame: bytes, version: str) -> tuple[Deliver, str] | None:
    """Return the DELIVER and what is odd about it; None when it is not clear what is meant.

    Args:
        frame: The whole PDU.
        version: What was agreed at login.
    """
    own = SHAPES.get(version, SHAPES["3.0"])
    other = SHAPES["2.0"] if own.version == "3.0" else SHAPES["3.0"]
    likely = [shape for shape in (own, other) if _plausible(shape, frame)]
    for shape in likely:
        if len(frame) == shape.head + frame[shape.head - 1] + shape.tail:
            return _decoded(shape, frame), "" if shape is own else _other_layout(shape, own)
    if own in likely and frame[own.head - 1]:
        loose = _loosely(own, frame)
        if loose is not None:
            return loose
    if other in likely and 0 < frame[other.head - 1] <= len(frame) - other.head:
        return _loosely(other, frame)  # in 3.0 padding is where 2.0 has its length
    if len(frame) < own.head or own.head + frame[own.head - 1] > len(frame):
        return None
    return _loosely(own, frame)


def _plausible(shape: Shape, frame: bytes) -> bool:
    """Whether the number reads as one, and the kind of DELIVER is one there is."""
    if len(frame) < shape.head:
        return False
    number, _, padding = frame[shape.number].partition(b"\0")
    return (
        frame[shape.kind] in (0, 1)
        and not padding.strip(b"\0 ")
        and all(0x20 <= octet < 0x7F for octet in number)
    )


def _loosely(shape: Shape, frame: bytes) -> tuple[Deliver, str] | None:
    length, rest = frame[shape.head - 1], frame[shape.head :]
    present = len(rest) - shape.tail
    if _present_instead(shape, frame, length, rest):
        return (
            _repaired(shape, frame, rest[:present], rest[present:]),
            f"CMPP_DELIVER with Msg_Length {length}, and {present} octets of content are there;"
            " such ones are read whole from now on",
        )
    if length > len(rest):
        return None
    after = rest[length:]
    return (
        _repaired(shape, frame, rest[:length], after),
        f"CMPP_DELIVER with {len(after)} octets after its content instead of {shape.tail};"
        " such ones are taken from now on",
    )


def _present_instead(shape: Shape, frame: bytes, length: int, rest: bytes) -> bool:
    """Whether it is clear that the content is all but the tail, whatever Msg_Length says."""
    present = len(rest) - shape.tail
    if frame[shape.kind] == 1 and (length > len(rest) or length < min(REPORT_OCTETS)):
        return present in REPORT_OCTETS
    if length > len(rest):
        return present >= 0 and not any(rest[present:])
    if present > CONTENT_OCTETS_MAX or frame[shape.coding] & UCS2_MASK != UCS2_BITS:
        return False
    return present == 2 * length and any(rest[length:present])  # characters were counted


def _repaired(shape: Shape, frame: bytes, content: bytes, tail: bytes) -> Deliver:
    """Read the PDU as it should have been written; a LinkID that is too long loses its end."""
    tail = tail[: shape.tail].ljust(shape.tail, b"\0")
    head = frame[4 : shape.head - 1] + bytes((len(content),))
    total = shape.head + len(content) + shape.tail
    return _decoded(shape, total.to_bytes(4, "big") + head + content + tail)


def _decoded(shape: Shape, frame: bytes) -> Deliver:
    return cast(Deliver, shape.cls.layout.decode(frame, 0, len(frame)))


def _other_layout(shape: Shape, own: Shape) -> str:
    return (
        f"CMPP_DELIVER in the layout of version {shape.version} after a login with {own.version};"
        " such ones are read and answered so from now on"
    )

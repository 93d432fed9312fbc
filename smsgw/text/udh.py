"""The user data header: what stands before the text when the UDH indicator is set.

Octet 0 is UDHL, the octets that follow in the header; then elements of identifier, length, data.
Parsing never raises: a header that lies is told by a phrase for the log.

Spec: text-and-long-messages.md sections 3 and 4 (3GPP TS 23.040 9.2.3.24).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from smsgw.errors import EncodeError

ReferenceWidth = Literal[8, 16]

CONCATENATION_8 = 0x00
CONCATENATION_16 = 0x08

HEADER_OCTETS: dict[int, int] = {8: 6, 16: 7}
"""Octets of a header with one concatenation element, UDHL included, by reference width."""

PARTS_MAX = 255
"""Total and sequence are one octet in both forms."""


class Element(msgspec.Struct, frozen=True, gc=False):
    """One information element.

    Attributes:
        identifier: 0x00 and 0x08 concatenation, 0x04 and 0x05 ports, 0x70 and 0x71 SIM toolkit.
        data: At most 255 octets.
    """

    identifier: int
    data: bytes


class Concatenation(msgspec.Struct, frozen=True, gc=False):
    """Which part of which long message this is.

    Attributes:
        reference: The same in all parts.
        width: Bits of the reference, 8 or 16; part of the key when parts are joined.
        total: 1-255.
        sequence: 1-total.
    """

    reference: int
    width: int
    total: int
    sequence: int


class Udh(msgspec.Struct, frozen=True, gc=False):
    """A parsed header.

    Attributes:
        elements: All of them, as they came.
        concatenation: The last valid concatenation element, or None.
    """

    elements: tuple[Element, ...] = ()
    concatenation: Concatenation | None = None

    @property
    def others(self) -> tuple[Element, ...]:
        """The elements that do not concatenate: ports, SIM toolkit and so on."""
        return tuple(e for e in self.elements if e.identifier not in _CONCATENATION_OCTETS)


_CONCATENATION_OCTETS = {CONCATENATION_8: 3, CONCATENATION_16: 4}


def build_header(elements: Sequence[Element]) -> bytes:
    """Return a header, UDHL first.

    Raises:
        EncodeError: An element's data or the whole header is over 255 octets.
    """
    body = bytearray()
    for element in elements:
        if len(element.data) > 255:
            raise EncodeError("udh.element", "255 octets", f"{len(element.data)} octets")
        body += bytes((element.identifier, len(element.data)))
        body += element.data
    if len(body) > 255:
        raise EncodeError("udh", "255 octets", f"{len(body)} octets")
    return bytes((len(body),)) + bytes(body)


def build_concatenation(concatenation: Concatenation) -> bytes:
    """Return the 6 or 7 octets that go before one part's text.

    Raises:
        EncodeError: A number does not fit the form.
    """
    reference, total, sequence = (
        concatenation.reference,
        concatenation.total,
        concatenation.sequence,
    )
    if concatenation.width not in HEADER_OCTETS:
        raise EncodeError("udh.width", "8 or 16 bits", f"{concatenation.width} bits")
    if not 0 <= reference < 1 << concatenation.width:
        raise EncodeError("udh.reference", str((1 << concatenation.width) - 1), str(reference))
    if not 1 <= total <= PARTS_MAX:
        raise EncodeError("udh.total", f"1-{PARTS_MAX}", str(total))
    if not 1 <= sequence <= total:
        raise EncodeError("udh.sequence", f"1-{total}", str(sequence))
    if concatenation.width == 8:
        return bytes((5, CONCATENATION_8, 3, reference, total, sequence))
    return bytes((6, CONCATENATION_16, 4, reference >> 8, reference & 0xFF, total, sequence))


def split_header(content: bytes) -> tuple[Udh | None, bytes, str]:
    """Separate the header from the text behind it; call it only when the UDH indicator is set.

    Returns:
        The header, the user data after it, and "" or a phrase for the log. A header whose lengths
        lie is no header: None and the whole content. A concatenation element with impossible
        numbers counts as absent: the part stands alone, its header still removed.

    Spec: text-and-long-messages.md sections 3 and 4.
    """
    if not content:
        return None, content, "header announced, content empty"
    end = content[0] + 1
    if end > len(content):
        return None, content, f"UDHL {content[0]} runs past the content of {len(content)} octets"
    elements = _read_elements(content, end)
    if elements is None:
        return None, content, f"an element runs past UDHL {content[0]}"
    concatenation = None
    problem = ""
    for element in elements:
        if element.identifier in _CONCATENATION_OCTETS:
            found = _read_concatenation(element)
            if found is None:
                data = element.data  # longer, it may be anything: a text
                shown = data.hex() if len(data) <= 4 else f"of {len(data)} octets"
                problem = f"concatenation element {element.identifier:02x} {shown} ignored"
            else:
                concatenation = found  # both forms present: the later one wins
    return Udh(tuple(elements), concatenation), content[end:], problem


def _read_elements(content: bytes, end: int) -> list[Element] | None:
    """Return the elements up to ``end``, or None when one runs past it."""
    elements = []
    position = 1
    while position < end:
        if position + 2 > end or position + 2 + content[position + 1] > end:
            return None
        after = position + 2 + content[position + 1]
        elements.append(Element(content[position], content[position + 2 : after]))
        position = after
    return elements


def _read_concatenation(element: Element) -> Concatenation | None:
    """Return what a concatenation element says, or None when it cannot be true."""
    if len(element.data) != _CONCATENATION_OCTETS[element.identifier]:
        return None
    total, sequence = element.data[-2:]
    if not 1 <= sequence <= total:
        return None
    width = 8 if element.identifier == CONCATENATION_8 else 16
    return Concatenation(int.from_bytes(element.data[:-2], "big"), width, total, sequence)

"""What one submit of a customer asks for, checked; what cannot be done as asked is refused.

Nothing is cut or guessed: octets that are no text, a header that says more than which part it is,
and numbers of somebody else are refused, with what they are about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from smsgw.errors import ValidationError
from smsgw.model import Coding, Segment
from smsgw.protocols.carrier import ResultKind
from smsgw.routing.numbers import normalise
from smsgw.services.northbound.customer import Customer
from smsgw.text.charset import Family, meant_coding
from smsgw.text.segmentation import join
from smsgw.text.udh import split_header

CODINGS: dict[Family, frozenset[int]] = {
    "chinese": frozenset((Coding.ASCII, Coding.UCS2, Coding.GBK)),
    "smpp": frozenset((0, 1, 3, Coding.UCS2, Coding.GBK)),
}
"""Text that is shown and kept like any other: no class of its own, no octets for a program."""

UNREADABLE = "\ufffd"

_QUOTED = re.compile("'[^']*'")

KINDS = {
    "to": ResultKind.NUMBER,
    "source": ResultKind.SOURCE,
    "extension": ResultKind.SOURCE,
    "access_number": ResultKind.SOURCE,
    "text": ResultKind.CONTENT,
}
"""The field at fault -> what a refusal is about; everything else is the form of the submit."""

NO_REPORT, ANY_REPORT, FAILURE_REPORT = 0, 1, 2


class Wanted(msgspec.Struct, gc=False):
    """One submit.

    Attributes:
        source: The sender number as it was written.
        extension: Its digits after the access number.
        recipients: Normalised.
        coding: What its octets are.
        body: Without a header.
        reference: Of a long message, with its width; "" when it stands alone.
        total: Parts of that.
        sequence: Which one it is, from 1.
        report: Which reports are wanted: none, any, or of failures only.
        at_time: When to send it, as written.
        valid_time: Until when, as written.
    """

    source: str
    extension: str
    recipients: tuple[str, ...]
    coding: int
    body: bytes
    reference: str
    total: int
    sequence: int
    report: int
    at_time: str
    valid_time: str


def kind_of(error: ValidationError) -> ResultKind:
    """What a refusal is about."""
    return KINDS.get(error.field, ResultKind.FORMAT)


def problem_of(error: ValidationError) -> str:
    """What a refusal says in the log: not what was written there, such as a number, nor advice."""
    return _QUOTED.sub("'…'", str(error)).partition(";")[0]


def read(customer: Customer, segments: Sequence[Segment]) -> Wanted:
    """Return what a submit asks for; it has a segment for each recipient.

    Raises:
        ValidationError: It cannot be done as it is asked; the field is one of ``KINDS`` or another.
    """
    one = segments[0]
    extension = customer.extension_of(one.source)
    recipients = tuple(normalise(segment.to) for segment in segments)
    coding = one.coding
    if customer.carrier.family == "chinese":
        coding = meant_coding(coding, one.content, one.udhi)
    if coding not in CODINGS[customer.carrier.family]:
        raise ValidationError("coding", f"{coding}: only plain text is taken")
    reference, total, sequence, body = _part(one)
    report = ANY_REPORT if one.want_report else NO_REPORT
    return Wanted(
        one.source,
        extension,
        recipients,
        coding,
        body,
        reference,
        total,
        sequence,
        FAILURE_REPORT if report and one.failures_only else report,
        one.at_time,
        one.valid_time,
    )


def _part(segment: Segment) -> tuple[str, int, int, bytes]:
    if not segment.udhi:
        return "", 1, 1, segment.content
    header, body, problem = split_header(segment.content)
    if header is None or problem:
        raise ValidationError("udh", problem)
    if header.others:
        raise ValidationError("udh", "has other elements than concatenation")
    found = header.concatenation
    if found is None or found.total == 1:
        return "", 1, 1, body
    return f"{found.width}:{found.reference}", found.total, found.sequence, body


def text_of(parts: Sequence[tuple[int, bytes]], family: Family) -> str:
    """Return the text of parts in order, each a coding and its octets.

    Raises:
        ValidationError: They are not what their coding says.
    """
    octets = sum(len(body) for coding, body in parts if coding == Coding.UCS2)
    text = join(parts, family)
    if UNREADABLE in text or octets % 2:
        raise ValidationError("coding", "the octets are no text of this coding")
    return text

"""Text to segments and back: where a long message is cut, and how its parts are joined.

A cut never falls inside a surrogate pair, a GSM escape or a double-byte character, and avoids the
middle of what a reader sees as one character. All parts are known before a header is written.

Spec: text-and-long-messages.md sections 1, 3, 4 and 7.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from smsgw.errors import ValidationError
from smsgw.model import Coding
from smsgw.text import gsm7
from smsgw.text.charset import (
    Alphabet,
    Family,
    alphabet_of,
    choose_and_encode,
    decode,
    decode_alphabet,
    encode,
)
from smsgw.text.udh import (
    HEADER_OCTETS,
    PARTS_MAX,
    Concatenation,
    ReferenceWidth,
    build_concatenation,
)

SINGLE_OCTETS: dict[Alphabet, int] = {Alphabet.ASCII: 159, Alphabet.GSM7: 160}
"""Most octets of a message in one part: CMPP wants ASCII below 160; GSM 7-bit has 160 septets."""

PART_OCTETS: dict[Alphabet, int] = {Alphabet.ASCII: 159, Alphabet.GSM7: 159}
"""Most octets of one of several parts, header included: 6 + 153 or 7 + 152 septets."""

USER_DATA_OCTETS = 140
"""The same for every other alphabet: the user data of the air interface."""

OCTETS_MAX_LEAST = 32
"""A carrier's own ceiling below this is a mistake."""

CLUSTER_CHARACTERS = 16
"""How far a cut moves back to keep one visible character whole; family emoji have up to 11."""

_ZERO_WIDTH_JOINER = "\u200d"


class SplitPlan(msgspec.Struct, frozen=True, gc=False):
    """A text, encoded and cut; :func:`segments` turns it into what a carrier takes.

    Attributes:
        coding: The data coding octet all parts carry.
        family: Who gave that octet its meaning.
        characters: Unicode characters of the text; octets for 8-bit data.
        octets: Encoded, before splitting, without headers.
        parts: The octets of each part, without its header; one empty part for an empty text.
        reference_width: Bits of the reference each header needs; 0 for one part without header.
    """

    coding: int
    family: Family
    characters: int
    octets: int
    parts: tuple[bytes, ...]
    reference_width: int

    @property
    def alphabet(self) -> Alphabet:
        """What the octets are made of."""
        return alphabet_of(self.coding, self.family)

    @property
    def part_octets(self) -> tuple[int, ...]:
        """Octets of each part with its header: Msg_Length, MsgLength, sm_length."""
        header = HEADER_OCTETS.get(self.reference_width, 0)
        return tuple(header + len(part) for part in self.parts)


def plan(
    content: str | bytes,
    coding: int,
    *,
    reference_width: ReferenceWidth = 8,
    family: Family = "chinese",
    octets_max: int | None = None,
) -> SplitPlan:
    """Encode a text and decide where it is cut.

    Args:
        content: The text with its signature in place; octets only for 8-bit data.
        coding: The data coding octet; :func:`smsgw.text.charset.choose` picks one.
        reference_width: Bits of the reference, should the text need several parts.
        family: Who gave ``coding`` its meaning.
        octets_max: The carrier's own ceiling on one submit's content, header included, where it is
            lower than the alphabet's (SMGP: 140 also for ASCII).

    Raises:
        ValidationError: The coding cannot carry the content, or it needs more than 255 parts.
    """
    alphabet = alphabet_of(coding, family)
    if isinstance(content, str):
        octets = encode(content, coding, family)
    elif alphabet is Alphabet.BINARY:
        octets = content
    else:
        raise ValidationError("coding", f"{coding} carries text, not octets; write 4 (8-bit data)")
    return _fitted(content, octets, coding, alphabet, reference_width, family, octets_max)


def plan_text(
    text: str,
    allowed: Collection[Coding],
    *,
    reference_width: ReferenceWidth = 8,
    family: Family = "chinese",
    octets_max: int | None = None,
) -> SplitPlan:
    """Return the :func:`plan` of a text in the coding that it should go out in.

    Raises:
        ValidationError: No allowed coding can carry it, or it needs more than 255 parts.
    """
    coding, octets = choose_and_encode(text, allowed)
    alphabet = alphabet_of(coding, family)
    return _fitted(text, octets, coding, alphabet, reference_width, family, octets_max)


def _fitted(
    content: str | bytes,
    octets: bytes,
    coding: int,
    alphabet: Alphabet,
    reference_width: ReferenceWidth,
    family: Family,
    octets_max: int | None,
) -> SplitPlan:
    """Return where encoded content is cut."""
    if reference_width not in HEADER_OCTETS:
        raise ValidationError("reference_width", f"{reference_width} bits; write 8 or 16")
    if octets_max is not None and octets_max < OCTETS_MAX_LEAST:
        raise ValidationError("octets_max", f"{octets_max}; write {OCTETS_MAX_LEAST} or more")
    single = SINGLE_OCTETS.get(alphabet, USER_DATA_OCTETS)
    several = PART_OCTETS.get(alphabet, USER_DATA_OCTETS)
    if octets_max is not None:
        single, several = min(single, octets_max), min(several, octets_max)
    if len(octets) <= single:
        return SplitPlan(coding, family, len(content), len(octets), (octets,), 0)
    room = several - HEADER_OCTETS[reference_width]
    if alphabet is Alphabet.UCS2:
        room -= room % 2
    parts = _cut(content, octets, _offsets(content, octets, alphabet), room)
    return SplitPlan(coding, family, len(content), len(octets), parts, reference_width)


def segments(plan: SplitPlan, reference: int = 0) -> list[bytes]:
    """Return the content of each submit, its header first when there are several.

    Args:
        plan: From :func:`plan`.
        reference: Must differ between the long messages one phone receives from one sender number
            at a time; unused for a single part.

    Raises:
        EncodeError: The reference does not fit the plan's width.
    """
    if not plan.reference_width:
        return [plan.parts[0]]
    total = len(plan.parts)
    return [
        build_concatenation(Concatenation(reference, plan.reference_width, total, sequence)) + part
        for sequence, part in enumerate(plan.parts, 1)
    ]


def join(parts: Sequence[tuple[int, bytes]], family: Family = "chinese") -> str:
    """Return the text of parts in order, each a data coding octet and octets without header.

    Parts of one alphabet are joined as octets first, which heals characters the sender cut in two.
    Never raises.

    Spec: text-and-long-messages.md section 4 (Complete).
    """
    alphabets = {alphabet_of(coding, family) for coding, _ in parts}
    if len(alphabets) == 1:
        return decode_alphabet(b"".join(body for _, body in parts), alphabets.pop())
    return "".join(decode(body, coding, family) for coding, body in parts)


def plan_as_dict(plan: SplitPlan) -> dict[str, Any]:
    """Return a plan as people and programs are shown it, ready for JSON.

    Returns:
        ``coding`` (name), ``coding_code``, ``characters``, ``units_octets`` (before splitting),
        ``parts``, ``reference`` ("-", "8-bit" or "16-bit"), ``part_octets_including_udh`` and
        ``part_texts`` (hex for 8-bit data).
    """
    return {
        "coding": plan.alphabet.value,
        "coding_code": int(plan.coding),
        "characters": plan.characters,
        "units_octets": plan.octets,
        "parts": len(plan.parts),
        "reference": f"{plan.reference_width}-bit" if plan.reference_width else "-",
        "part_octets_including_udh": list(plan.part_octets),
        "part_texts": [decode(part, plan.coding, plan.family) for part in plan.parts],
    }


_WIDTHS: dict[Alphabet, Callable[[str], int]] = {
    Alphabet.GSM7: lambda char: 2 if char in gsm7.EXTENSION else 1,
    Alphabet.UCS2: lambda char: 4 if char > "\uffff" else 2,
    Alphabet.GBK: lambda char: 1 if char < "\x80" else 2,
}


def _offsets(content: str | bytes, octets: bytes, alphabet: Alphabet) -> Sequence[int]:
    """Return where each character starts in the octets, and last where they end."""
    count = len(content)
    if len(octets) == count:
        return range(count + 1)
    if len(octets) == 2 * count:
        # UCS-2 has no narrower character and the others no wider one, so all are alike.
        return range(0, 2 * count + 1, 2)
    return list(accumulate(map(_WIDTHS[alphabet], str(content)), initial=0))


def _cut(
    content: str | bytes, octets: bytes, offsets: Sequence[int], room: int
) -> tuple[bytes, ...]:
    """Return the parts, each as long as ``room`` and whole characters allow."""
    parts: list[bytes] = []
    start = 0
    last = len(offsets) - 1
    while start < last:
        if len(parts) == PARTS_MAX or len(octets) > PARTS_MAX * room:
            raise ValidationError(
                "text",
                f"{len(octets)} octets need more than {PARTS_MAX} parts, the limit "
                f"({PARTS_MAX * room} octets with every part full); shorten the text",
            )
        end = bisect_right(offsets, offsets[start] + room, start) - 1
        if end < last and isinstance(content, str):
            end = _visible_end(content, start, end)
        parts.append(octets[offsets[start] : offsets[end]])
        start = end
    return tuple(parts)


def _visible_end(text: str, start: int, end: int) -> int:
    """Return ``end``, or the nearest earlier cut that keeps a visible character whole, if any."""
    for cut in range(end, max(start, end - CLUSTER_CHARACTERS), -1):
        if not _joined(text[cut - 1], text[cut]):
            return cut
    return end


def _joined(before: str, after: str) -> bool:
    """Return whether two neighbours show as one: joiners, variation selectors, skin tones, marks.

    Spec: text-and-long-messages.md section 1 (advice under UCS-2 and surrogate pairs).
    """
    return (
        _ZERO_WIDTH_JOINER in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or unicodedata.category(after)[0] == "M"
    )

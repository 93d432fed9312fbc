"""The GSM 7-bit default alphabet and its extension table.

Septets are kept unpacked, one to an octet, as SMPP carries them; :func:`pack` and :func:`unpack`
make the form of the air interface. Decoding never raises: what comes from outside is shown as well
as the alphabet allows.

Spec: text-and-long-messages.md section 1 (GSM 03.38 v5.3.0 6.2.1; 3GPP TS 23.038 6.2.1.1).
"""

from __future__ import annotations

from smsgw.errors import EncodeError, ValidationError

ESCAPE = 0x1B
"""Announces a code of the extension table."""

_DEFAULT_ROWS = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""The characters that cost two septets, with the code that follows the escape."""

_LOOKALIKES = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True))
"""Greek capitals the alphabet leaves out because the Latin letter looks the same."""

_SEPTETS: dict[str, bytes] = {
    **{char: bytes((code,)) for code, char in enumerate(_DEFAULT_ROWS) if code != ESCAPE},
    **{char: bytes((ESCAPE, code)) for char, code in EXTENSION.items()},
}
_SEPTETS |= {greek: _SEPTETS[latin] for greek, latin in _LOOKALIKES.items()}

_CHARACTERS = (*_DEFAULT_ROWS.replace("\x1b", " "), *("\ufffd" * 128))
"""By code. An escape nothing follows shows a space; an octet above 0x7F is no septet."""

_AFTER_ESCAPE = {code: char for char, code in EXTENSION.items()}


def first_foreign(text: str) -> int:
    """Return the index of the first character the alphabet lacks, or -1 when it has them all."""
    return next((index for index, char in enumerate(text) if char not in _SEPTETS), -1)


def encodable(text: str) -> bool:
    """Return whether :func:`encode` can carry the whole text."""
    return first_foreign(text) < 0


def encode(text: str) -> bytes:
    """Return the text as unpacked septets; a character of the extension table makes two.

    Greek capitals that look like Latin letters become those letters. The small ç is refused: code
    0x09 is the capital one.

    Raises:
        ValidationError: A character is not in the alphabet.
    """
    try:
        return b"".join([_SEPTETS[char] for char in text])
    except KeyError:
        index = first_foreign(text)
        raise ValidationError(
            "text",
            f"{text[index]!r} (U+{ord(text[index]):04X}) at character {index + 1} "
            "is not in the GSM 7-bit alphabet; send the text as ucs2",
        ) from None


def decode(septets: bytes) -> str:
    """Return the text of unpacked septets.

    An unknown code after an escape shows the default table's character, an escape at the end shows
    a space, an octet above 0x7F shows U+FFFD.
    """
    shown: list[str] = []
    escaped = False
    for code in septets:
        if escaped:
            shown.append(_AFTER_ESCAPE.get(code, _CHARACTERS[code]))
            escaped = False
        elif code == ESCAPE:
            escaped = True
        else:
            shown.append(_CHARACTERS[code])
    if escaped:
        shown.append(" ")
    return "".join(shown)


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Return the septets packed eight to seven octets, the first in the lowest bits.

    Args:
        septets: One to an octet, as :func:`encode` makes them.
        fill_bits: Zero bits before the first septet, 0-6: they fill a header up to a septet
            boundary (1 for a header of 6 octets, 0 for one of 7).

    Raises:
        EncodeError: An octet is above 0x7F.
    """
    packed = bytearray()
    pending = 0
    bits = fill_bits
    for septet in septets:
        if septet > 0x7F:
            raise EncodeError("septets", "0x7f each", hex(septet))
        pending |= septet << bits
        bits += 7
        if bits >= 8:
            packed.append(pending & 0xFF)
            pending >>= 8
            bits -= 8
    if bits:
        packed.append(pending)
    return bytes(packed)


def unpack(packed: bytes, count: int, fill_bits: int = 0) -> bytes:
    """Return the first ``count`` septets of packed octets, or as many as the octets hold.

    The count is needed because seven spare bits at the end look like an ``@``.
    """
    value = int.from_bytes(packed, "little") >> fill_bits
    held = max(0, (len(packed) * 8 - fill_bits) // 7)
    return bytes((value >> (7 * index)) & 0x7F for index in range(min(count, held)))

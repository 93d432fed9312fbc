"""Data coding octets and the characters they stand for, one table per carrier family.

CMPP, SMGP and SGIP ("chinese") mean ASCII by coding 0; SMPP means the GSM 7-bit alphabet. What
comes from outside never raises when it is decoded; what a customer wants sent is refused with the
character at fault.

Spec: text-and-long-messages.md sections 1 (encodings, choice) and 2 (class bits).
"""

from __future__ import annotations

import codecs
import enum
import string
from collections.abc import Callable, Collection
from typing import Literal

from smsgw.errors import ValidationError
from smsgw.model import Coding
from smsgw.text import gsm7
from smsgw.text.udh import split_header

Family = Literal["chinese", "smpp"]
"""Who gave the coding octet its meaning: CMPP, SMGP and SGIP, or SMPP."""


class Alphabet(enum.StrEnum):
    """What the user data is made of; the value is the name people see."""

    ASCII = "ascii"
    GSM7 = "gsm7"
    LATIN1 = "latin1"
    BINARY = "8bit"
    UCS2 = "ucs2"
    GBK = "gbk"


COMMON = frozenset(string.ascii_letters + string.digits + " \n\r!\"#%&'()*+,-./:;<=>?")
"""The characters whose code is the same in ASCII and GSM 7-bit: any gateway gets them right."""

_EXACT: dict[Family, dict[int, Alphabet]] = {
    # 3 is "write to the SIM": octets for a card, not for a reader.
    "chinese": {3: Alphabet.BINARY, Coding.GBK: Alphabet.GBK},
    # SMPP 3.4 5.2.19: 1 IA5/ASCII, 2 8-bit, 3 Latin 1. 15 is reserved there; peers mean GBK.
    "smpp": {
        1: Alphabet.ASCII,
        2: Alphabet.BINARY,
        3: Alphabet.LATIN1,
        Coding.GBK: Alphabet.GBK,
    },
}


def _by_bits(coding: int, default: Alphabet) -> Alphabet:
    """Return the alphabet that the bits of a GSM data coding scheme name.

    Spec: text-and-long-messages.md section 2 (GSM 03.38 section 4).
    """
    group = coding >> 4
    if group <= 0b0001:
        by_bits = (default, Alphabet.BINARY, Alphabet.UCS2, Alphabet.BINARY)
        return by_bits[coding >> 2 & 0b11]
    if group in (0b1100, 0b1101):
        return default
    if group == 0b1110:
        return Alphabet.UCS2
    if group == 0b1111:
        return Alphabet.BINARY if coding & 0b100 else default
    return Alphabet.BINARY  # compressed (001x) or not assigned: only octets can be shown


def _table(family: Family, default: Alphabet) -> tuple[Alphabet, ...]:
    exact = _EXACT[family]
    return tuple(exact.get(coding) or _by_bits(coding, default) for coding in range(256))


_TABLES: dict[Family, tuple[Alphabet, ...]] = {
    "chinese": _table("chinese", Alphabet.ASCII),
    "smpp": _table("smpp", Alphabet.GSM7),
}


def alphabet_of(coding: int, family: Family = "chinese") -> Alphabet:
    """Return the alphabet of a data coding octet; BINARY for one nobody defines."""
    return _TABLES[family][coding] if 0 <= coding <= 255 else Alphabet.BINARY


def _mend_gbk(error: UnicodeError) -> tuple[str, int]:
    """Show a lone 0x80 as the euro sign (CP936, Go's GBK), any other stray octet as U+FFFD."""
    assert isinstance(error, UnicodeDecodeError)
    return ("€" if error.object[error.start] == 0x80 else "\ufffd"), error.start + 1


codecs.register_error("smsgw_mend_gbk", _mend_gbk)

_DECODERS: dict[Alphabet, Callable[[bytes], str]] = {
    Alphabet.ASCII: lambda content: content.decode("ascii", "replace"),
    Alphabet.GSM7: gsm7.decode,
    Alphabet.LATIN1: lambda content: content.decode("latin-1"),
    Alphabet.BINARY: bytes.hex,
    Alphabet.UCS2: lambda content: content[: len(content) & ~1].decode("utf-16-be", "replace"),
    Alphabet.GBK: lambda content: content.decode("gb18030", "smsgw_mend_gbk"),
}

_CODECS = {
    Alphabet.ASCII: "ascii",
    Alphabet.LATIN1: "latin-1",
    Alphabet.UCS2: "utf-16-be",
    Alphabet.GBK: "gbk",
}


_WIDE = {Coding.UCS2: "utf-16-be", Coding.GBK: "gbk"}


def decode_alphabet(content: bytes, alphabet: Alphabet) -> str:
    """Return the text of octets in a known alphabet; never raises. See :func:`decode`."""
    return _DECODERS[alphabet](content)


def decode(content: bytes, coding: int, family: Family = "chinese") -> str:
    """Return the text of user data without its header; never raises.

    What cannot be read shows as U+FFFD, an odd last octet of UCS-2 is dropped, and octets of an
    alphabet that is none (8-bit, SIM, unknown) are shown in hex.

    Spec: text-and-long-messages.md section 1 (Decoding an unknown alphabet).
    """
    return _DECODERS[alphabet_of(coding, family)](content)


def meant_coding(coding: int, content: bytes, udhi: bool) -> int:
    """Return the coding of user data from a Chinese gateway: 15 where it can only be GBK.

    Gateways send GBK under 0, where every octet would be below 0x80, and under 8, where an even
    number of octets could be either: that is left as it says.

    Spec: smgp.md section 9 (15 is required for text, others are used), cmpp.md section 16 Q29.

    Args:
        coding: As it came.
        content: User data, its header first when ``udhi``.
        udhi: Whether it has one.
    """
    if coding not in (Coding.ASCII, Coding.UCS2):
        return coding
    body = split_header(content)[1] if udhi else content
    if body.isascii():
        return coding
    if coding == Coding.ASCII:
        charset = "gbk"
    elif len(body) % 2:
        charset = "gb2312"  # narrower: half a character too many must not make UCS-2 look so
    else:
        return coding
    try:
        text = body.decode(charset)
    except UnicodeDecodeError:
        return coding
    return Coding.GBK if text.replace("\r", "").replace("\n", "").isprintable() else coding


def encode(text: str, coding: int, family: Family = "chinese") -> bytes:
    """Return the text as octets; GSM 7-bit ones unpacked, UCS-2 without a byte-order mark.

    Raises:
        ValidationError: A character is not in the coding's alphabet, or the coding carries octets
            and not text.
    """
    alphabet = alphabet_of(coding, family)
    if alphabet is Alphabet.GSM7:
        return gsm7.encode(text)
    codec = _CODECS.get(alphabet)
    if codec is None:
        raise ValidationError("coding", f"{coding} carries octets, not text; write 8 (ucs2)")
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise _cannot_carry(text, error.start, alphabet.value) from None


def choose(text: str, allowed: Collection[Coding] = (Coding.ASCII, Coding.UCS2)) -> Coding:
    """Return the coding a text should go out in.

    ASCII when it is allowed and every character has the same code in GSM 7-bit; else the first of
    GBK and UCS2 in the order of ``allowed`` that can carry the text.

    Spec: text-and-long-messages.md section 1 (Choosing automatically).

    Raises:
        ValidationError: No allowed coding can carry the text.
    """
    return choose_and_encode(text, allowed)[0]


def choose_and_encode(text: str, allowed: Collection[Coding]) -> tuple[Coding, bytes]:
    """Return the coding of :func:`choose`, and what :func:`encode` makes of the text in it."""
    if Coding.ASCII in allowed and COMMON.issuperset(text):
        return Coding.ASCII, text.encode("ascii")
    reached = 0
    for coding in allowed:
        codec = _WIDE.get(coding)
        if codec is None:
            continue
        try:
            return coding, text.encode(codec)
        except UnicodeEncodeError as error:
            reached = max(reached, error.start)
    textual = [coding for coding in allowed if coding != Coding.BINARY]
    if not textual:
        raise ValidationError("text", "no coding that carries text is allowed here; allow ucs2")
    if Coding.ASCII in textual:
        fault = next(index for index, char in enumerate(text) if char not in COMMON)
        reached = max(reached, fault)
    raise _cannot_carry(text, reached, " or ".join(alphabet_of(c).value for c in textual))


def _cannot_carry(text: str, index: int, names: str) -> ValidationError:
    """Return the refusal that names the first character at fault, and no other."""
    char = text[index]
    advice = "remove it" if "ucs2" in names else "remove it or send the text as ucs2"
    where = f"{char!r} (U+{ord(char):04X}) at character {index + 1}"
    return ValidationError("text", f"{where} cannot be sent as {names}; {advice}")

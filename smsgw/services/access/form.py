"""How a token is written: ``sgw_``, 43 characters of chance, 6 of checksum.

The characters are digits and letters: a double click marks all of it. The checksum is CRC-32 of
what stands before it, so that a mistyped token is told from one we do not know, without a look into
the store, and so that whoever searches files for lost secrets makes no mistakes.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "sgw_"
BITS = 256
BODY = 43
"""Characters that hold 256 bits: 62 ** 43 > 2 ** 256."""
CHECK = 6
"""Characters that hold 32 bits."""
SHOWN = len(PREFIX) + 6
"""How much of a token people are shown: 220 of its bits stay unknown."""

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(f"{PREFIX}[0-9A-Za-z]{{{BODY + CHECK}}}")


def new_token() -> str:
    """Return a token that nobody can guess."""
    written = PREFIX + _base62(secrets.randbits(BITS), BODY)
    return written + _checksum(written)


def is_ours(token: str) -> bool:
    """Whether it is written as one of ours, mistyped or not."""
    return token.startswith(PREFIX)


def is_whole(token: str) -> bool:
    """Whether it is written as :func:`new_token` does, and its checksum fits."""
    return bool(_TOKEN.fullmatch(token)) and _checksum(token[:-CHECK]) == token[-CHECK:]


def digest_of(token: str) -> bytes:
    """Return SHA-256 of a token: it is found by it, and kept as nothing else."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _checksum(written: str) -> str:
    return _base62(zlib.crc32(written.encode()), CHECK)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))

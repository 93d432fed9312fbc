"""gzip: bodies that come so, up to a limit on what they become, and answers that are worth it.

Spec: RFC 9110 sections 8.4 and 12.5.3, RFC 1952.
"""

from __future__ import annotations

import gzip
import zlib
from http import HTTPStatus

from smsgw.interfaces.http.problems import Problem, invalid

WORTH_OCTETS = 1024
"""What is smaller goes as it is."""

LEVEL = 1
"""Most of what there is to gain, in a third of the time."""

_GZIP = 16 + zlib.MAX_WBITS
_NAMES = ("gzip", "x-gzip")


def accepted(header: str | None) -> bool:
    """Whether an Accept-Encoding header takes gzip."""
    found: dict[str, bool] = {}
    for one in (header or "").lower().split(","):
        name, _, weight = one.partition(";")
        found[name.strip()] = not _is_nothing(weight)
    named = [found[name] for name in _NAMES if name in found]
    return any(named) if named else found.get("*", False)


def deflated(body: bytes) -> bytes:
    """Return octets as gzip."""
    return gzip.compress(body, LEVEL, mtime=0)


def inflated(body: bytes, header: str | None, limit: int) -> bytes:
    """Return a body as it was before its Content-Encoding.

    Args:
        body: As it came.
        header: Content-Encoding; None or "identity" for none.
        limit: The most octets it may become; not one more is made.

    Raises:
        Problem: 415 when it is another coding, 413 when it is too large, 400 when it is broken.
    """
    name = (header or "identity").strip().lower()
    if name == "identity":
        return body
    if name not in _NAMES:
        problem = f"Content-Encoding {name[:40]!r} is not known; send gzip, or the body as it is"
        headers = {"Accept-Encoding": "gzip"}
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "coding", problem, headers=headers)
    try:
        return _inflated(body, limit)
    except zlib.error:
        raise invalid("", "the body is not one whole gzip member", HTTPStatus.BAD_REQUEST) from None


def _inflated(body: bytes, limit: int) -> bytes:
    member = zlib.decompressobj(_GZIP)
    whole = member.decompress(body, limit + 1)
    if len(whole) > limit:
        problem = f"the body has more than {limit} octets when it is unpacked, limit {limit}"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", problem)
    if not member.eof or member.unused_data:  # nobody sends several members but to do harm
        raise zlib.error("cut off, or more than one member")
    return whole


def _is_nothing(weight: str) -> bool:
    """Whether ``q=0`` says that it is not wanted."""
    name, _, value = weight.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")

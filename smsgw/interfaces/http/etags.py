"""ETag, If-Match and If-None-Match: what can be decided or changed twice is known by its version.

A tag is ``"VERSION-DIGEST"``: the version is what If-Match compares, in the transaction of the
change; the digest, of the whole answer, is what makes If-None-Match right where an answer changes
without a new version, as by a delivery report. If-Match takes ``"VERSION"`` too.

Spec: RFC 9110 sections 8.8.3 and 13.
"""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus

from smsgw.errors import Outdated
from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.interfaces.http.problems import Problem, invalid

IF_MATCH = "If-Match"
DIGEST_OCTETS = 8

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_VERSION = re.compile(r"([0-9]{1,9})(?:-[0-9a-f]{16})?")
_NEVER = -1
"""A version that nothing has."""


def expect(call: Call, route: Route, header: str | None) -> None:
    """Note which version a request is about.

    Raises:
        Problem: 400 when the header cannot be read, or nothing there has versions.
    """
    if header is None:
        return
    if not route.versioned:
        problem = "nothing here has versions; leave the header out"
        raise invalid(IF_MATCH, problem, HTTPStatus.BAD_REQUEST)
    call.conditional = True
    if header.strip() == "*":
        return
    tag = _TAG.fullmatch(header.strip())
    if tag is None:
        problem = f"{header[:60]!r} is no ETag; write one, with its quotes, as it came"
        raise invalid(IF_MATCH, problem, HTTPStatus.BAD_REQUEST)
    version = _VERSION.fullmatch(tag[1])
    call.expected = int(version[1]) if version and tag[0][0] == '"' else _NEVER


def outdated(error: Outdated) -> Problem:
    """Return what follows when If-Match did not hold."""
    return Problem(HTTPStatus.PRECONDITION_FAILED, "outdated", str(error))


def tagged(reply: Reply, if_none_match: str | None = None) -> Reply:
    """Return a reply with its ETag, if it has one; without its body where the client has that."""
    if reply.version is None:
        return reply
    body = reply.body()
    digest = hashlib.blake2b(body, digest_size=DIGEST_OCTETS).hexdigest()
    tag = f'"{reply.version}-{digest}"'
    headers = {**reply.headers, "ETag": tag}
    if if_none_match is not None and (if_none_match.strip() == "*" or tag in if_none_match):
        return Reply(b"", HTTPStatus.NOT_MODIFIED, headers)
    return Reply(body, reply.status, headers)

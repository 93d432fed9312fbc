"""Between a request of twisted.web and what an endpoint reads and answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from smsgw.interfaces.http import coding
from smsgw.interfaces.http.calls import Reply
from smsgw.interfaces.http.problems import CONTENT_TYPE, Problem


def header(request: Any, name: str) -> str | None:
    """Return a header; what of it is no ASCII is nothing that we know, and breaks nothing."""
    found = request.getHeader(name.encode())
    return None if found is None else found.decode("latin-1")


def write(request: Any, reply: Reply) -> bytes:
    """Set a response's status and headers; return its body, packed where that is worth it."""
    body = reply.body()
    status = HTTPStatus(reply.status)
    request.setResponseCode(status.value, status.phrase.encode())
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **reply.headers}
    if len(body) >= coding.WORTH_OCTETS:
        headers["Vary"] = "Accept-Encoding"
        if coding.accepted(header(request, "accept-encoding")):
            body = coding.deflated(body)
            headers["Content-Encoding"] = "gzip"
    if status == HTTPStatus.NOT_MODIFIED:
        del headers["Content-Type"]
    else:
        headers["Content-Length"] = str(len(body))
    for name, value in headers.items():
        request.setHeader(name, value)
    return body


def refuse(request: Any, problem: Problem) -> bytes:
    """Set the status and headers of a response that is a problem; return its body."""
    headers = {"Content-Type": CONTENT_TYPE, **problem.headers}
    return write(request, Reply(problem.body(), problem.status, headers))

"""Errors -> status codes and ``application/problem+json`` bodies.

What a customer reads is short and names the field; what is wrong inside goes to the log under an id
that the answer repeats.

Spec: RFC 9457.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from smsgw.errors import (
    ConfigErrors,
    Conflict,
    InProgress,
    LinkError,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    SmsgwError,
    StoreError,
    UnknownAccount,
    ValidationError,
)

CONTENT_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="smsgw"'

_encode = msgspec.json.Encoder().encode


class FieldProblem(msgspec.Struct):
    """What is wrong with one field of the request."""

    field: str
    problem: str


class Problem(SmsgwError):
    """An answer that says what is wrong.

    Args:
        status: The HTTP status.
        kind: The last word of its ``type``.
        detail: What happened, for people.
        errors: The fields at fault.
        headers: Besides Content-Type.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: list[FieldProblem] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors or []
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the problem as JSON."""
        members: dict[str, object] = {
            "type": f"urn:smsgw:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = self.errors
        return _encode(members)


def invalid(field: str, problem: str, status: int = HTTPStatus.UNPROCESSABLE_ENTITY) -> Problem:
    """Return the problem of one field."""
    kind = "malformed" if status == HTTPStatus.BAD_REQUEST else "invalid"
    detail = f"{field}: {problem}" if field else problem
    return Problem(status, kind, detail, [FieldProblem(field, problem)])


def problem_of(failure: Failure, log: Logger) -> Problem:
    """Return what to answer to a failed request; logs what the customer cannot mend."""
    error = failure.value
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return invalid(error.field, error.problem)
    if isinstance(error, ConfigErrors):
        problems = [FieldProblem(one.path, one.problem) for one in error.problems]
        detail = "; ".join(map(str, error.problems))
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "configuration", detail, problems)
    if isinstance(error, NotFound):
        return Problem(HTTPStatus.NOT_FOUND, "not-found", str(error))
    if isinstance(error, InProgress):
        headers = {"Retry-After": str(error.retry_after)}
        return Problem(HTTPStatus.CONFLICT, "in-progress", str(error), headers=headers)
    if isinstance(error, OutcomeUnknown):
        return Problem(HTTPStatus.CONFLICT, "outcome-unknown", str(error))
    if isinstance(error, Conflict):
        return Problem(HTTPStatus.CONFLICT, "conflict", str(error))
    if isinstance(error, NotAllowed):
        return Problem(HTTPStatus.FORBIDDEN, "forbidden", str(error))
    if isinstance(error, QuotaExceeded | RateLimited):
        kind = "rate" if isinstance(error, RateLimited) else "quota"
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, kind, str(error), headers=headers)
    if isinstance(error, Overloaded):
        headers = {"Retry-After": str(error.retry_after)}
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", str(error), headers=headers)
    if isinstance(error, UnknownAccount):
        headers = {"WWW-Authenticate": CHALLENGE}
        return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", str(error), headers=headers)
    if isinstance(error, HTTPException):
        return _routing_problem(error)
    reference = uuid.uuid4().hex[:12]
    if isinstance(error, StoreError | LinkError):
        told = "HTTP request failed, problem {problem_id}: {why}"
        log.error(told, event="http.failed", problem_id=reference, why=str(error))
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "unavailable",
            f"the gateway cannot do this now; nothing was kept; its log says why under {reference}",
        )
    told = "HTTP request failed, problem {problem_id}"
    log.failure(told, failure, event="http.failed", problem_id=reference)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        f"an error inside the gateway; its log has it under {reference}",
    )


def _routing_problem(error: HTTPException) -> Problem:
    """The path or the method fits no endpoint."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method",
            f"this path takes {allowed}",
            headers={"Allow": allowed},
        )
    return Problem(HTTPStatus.NOT_FOUND, "not-found", "there is nothing at this path")

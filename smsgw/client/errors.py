"""What a call of the API can end with besides its answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class ClientError(Exception):
    """A call came to nothing; its text is one line for people."""


class Unreachable(ClientError):
    """No gateway answers, also not when asked again: what was asked may or may not be done.

    Asking again with the same ``idempotency_key`` is safe.
    """


class TimedOut(ClientError, TimeoutError):
    """What was waited for has not happened yet."""


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field of what was asked.

    Attributes:
        field: Its path, such as ``messages[3].to``; "" for the whole.
        problem: What is wrong, and what to do.
    """

    field: str
    problem: str


class ApiError(ClientError):
    """The gateway said no, and did nothing of what was asked.

    Source: RFC 9457, and the table of errors in docs/http.md.

    Attributes:
        status: The HTTP status.
        type: The last word of the problem's ``type``: ``invalid``, ``conflict``, ``not-found``,
            ``busy``; "" when what answered is not a gateway.
        detail: What happened, one line for people.
        errors: The fields at fault.
        retry_after: Seconds after which asking again makes sense, or None.
    """

    def __init__(
        self,
        status: int,
        type: str,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    @property
    def field(self) -> str:
        """The path of the first field at fault, or ""."""
        return self.errors[0].field if self.errors else ""

"""Every exception the package raises on purpose, and the four outcomes of a submit.

A message says what, which, and the limit (``dest_terminal_id: 22 octets, limit 21``), so that it
can be shown to a person as it is. Secrets and texts never appear in one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Disposition(enum.StrEnum):
    """What a carrier's answer to a submit means for the message."""

    __hash__ = str.__hash__  # a key on the per-message path

    ACCEPTED = "accepted"
    RETRY = "retry"
    FINAL = "final"
    UNKNOWN = "unknown"


class SmsgwError(Exception):
    """The root: catching it catches everything this package raises on purpose.

    An error with fields survives pickling, so that one from a worker process says what it said.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    cls: type[SmsgwError], args: tuple[object, ...], fields: dict[str, object]
) -> SmsgwError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class ConfigError(SmsgwError):
    """The configuration cannot be used.

    Args:
        path: Dotted path of the key, as in the file (``links.cmcc.secret``).
        problem: What is wrong and what to write instead.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


class ConfigErrors(ConfigError):
    """Everything that is wrong with one file; its text has a line for each problem.

    Args:
        problems: At least one.
    """

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        super().__init__(problems[0].path, problems[0].problem)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class ValidationError(SmsgwError):
    """What the customer asked for cannot be done as written (HTTP 4xx).

    Args:
        field: Path of the field in the request (``to``, ``steps[0].assignees[1].phone``).
        problem: What is wrong, the limit, and what to do.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class OptedOut(ValidationError):
    """A phone wants no messages of that class from that account; the field is ``to``."""


class Conflict(SmsgwError):
    """The thing asked for contradicts what is already recorded (HTTP 409)."""


class Outdated(Conflict):
    """It was changed since it was read (HTTP 409; 412 where the request said If-Match)."""


class InProgress(Conflict):
    """The same request is being worked on already (HTTP 409).

    Args:
        problem: Which one.
        retry_after: Seconds after which to ask again.
    """

    def __init__(self, problem: str, retry_after: int) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class OutcomeUnknown(Conflict):
    """An earlier request was done, and what came of it cannot be told any more (HTTP 409)."""


class NotFound(SmsgwError):
    """Nothing is recorded under that id (HTTP 404)."""


class UnknownAccount(SmsgwError):
    """No such account, or its token or secret does not match (HTTP 401)."""


class NotAllowed(SmsgwError):
    """Who asks is known, and may not do this (HTTP 403)."""


class QuotaExceeded(SmsgwError):
    """The account has used what it may use for now (HTTP 429).

    Args:
        problem: What is used up, and its limit.
        retry_after: Seconds after which there is some again; 0 when nobody knows.
    """

    def __init__(self, problem: str, retry_after: int = 0) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class RateLimited(SmsgwError):
    """Too many requests in a short time (HTTP 429).

    Args:
        problem: What was too fast, and its limit.
        retry_after: Seconds after which to try again.
    """

    def __init__(self, problem: str, retry_after: int) -> None:
        super().__init__(f"{problem}; try again in {retry_after} s")
        self.retry_after = retry_after


class Overloaded(SmsgwError):
    """More waits already than the gateway takes (HTTP 503); nothing was kept.

    Args:
        problem: What is full, and its limit.
        retry_after: Seconds after which to try again.
    """

    def __init__(self, problem: str, retry_after: int) -> None:
        super().__init__(f"{problem}; try again in {retry_after} s")
        self.retry_after = retry_after


class StoreError(SmsgwError):
    """The database refused or is not usable; nothing of the operation was kept."""


class ProtocolError(SmsgwError):
    """Something on a carrier link broke the protocol."""


class LocalProtocolError(ProtocolError):
    """We asked a session for something its state forbids: a bug on our side."""


class EncodeError(ProtocolError):
    """A field does not fit its place in the PDU. Nothing is cut silently.

    Args:
        field: The PDU's field, in the spec's name as snake_case.
        limit: The most it may hold, with its unit.
        got: What was given.
    """

    def __init__(self, field: str, limit: str, got: str) -> None:
        super().__init__(f"{field}: {got}, limit {limit}")
        self.field = field
        self.limit = limit
        self.got = got


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol."""


class FrameError(RemoteProtocolError):
    """A length field that cannot be: the stream cannot be resynchronised, so close."""


class PduError(RemoteProtocolError):
    """One whole frame whose body does not fit its layout; the next frame may be fine.

    Args:
        command: The PDU's name, or its id in hex when unknown.
        field: The field that could not be read, or "" when the body as a whole is at fault.
        offset: Octets from the start of the PDU at which reading failed.
        problem: What is wrong there.
        command_id: The header's command id, so that a session can answer.
    """

    def __init__(
        self, command: str, field: str, offset: int, problem: str, command_id: int = 0
    ) -> None:
        where = f"{command}.{field}" if field else command
        super().__init__(f"{where} at offset {offset}: {problem}")
        self.command = command
        self.field = field
        self.offset = offset
        self.problem = problem
        self.command_id = command_id


class LinkError(SmsgwError):
    """A carrier link could not do what was asked."""


class LinkDown(LinkError):
    """No bind of the link is up, or the connection went away; nothing was sent."""


class BindRefused(LinkError):
    """The peer refused our login.

    Args:
        code: The carrier's own status.
        text: Its meaning, from the carrier's table.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"login refused with status {code} ({text})")
        self.code = code
        self.text = text


class WindowFull(LinkError):
    """As many requests are unanswered as the window allows; wait for an answer."""


class ResponseLost(LinkError):
    """A request was sent and no answer came: its outcome is unknown."""

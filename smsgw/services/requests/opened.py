"""Requests that may still be changed, locked for the transaction that does it."""

from __future__ import annotations

from smsgw.errors import Conflict, NotFound, Outdated
from smsgw.services.requests.changes import Changes
from smsgw.services.requests.places import assignment_by_id, step_by_id
from smsgw.store import requests as rows_of
from smsgw.store.requests import AssignmentRow, RequestRow, RequestRows


def request_of(changes: Changes, request_id: int, account: str | None) -> RequestRows:
    """Return a request; ``account`` is whose it must be, None anyone's.

    Raises:
        NotFound: There is none.
    """
    rows = rows_of.get(changes.connection, request_id, lock=True)
    if rows is None or (account is not None and rows.request.account != account):
        raise NotFound(f"request {request_id}: not recorded")
    return rows


def open_request(
    changes: Changes, request_id: int, account: str | None, version: int | None = None
) -> RequestRows:
    """Return a request that is not over.

    Raises:
        NotFound: There is none.
        Conflict: It is over.
        Outdated: It was changed since ``version``.
    """
    rows = request_of(changes, request_id, account)
    request = rows.request
    if request.state != "open":
        raise _too_late(rows, version, _over(request))
    _check_version(rows, version)
    return rows


def _check_version(rows: RequestRows, version: int | None) -> None:
    request = rows.request
    if version is not None and version != request.version:
        raise Outdated(
            f"request {request.id} is at version {request.version}, not {version}; read it again"
        )


def _over(request: RequestRow) -> str:
    return f"request {request.id} is {request.state}: {request.outcome}"


def _too_late(rows: RequestRows, version: int | None, why: str) -> Conflict:
    """Return why nothing can be done: because of what happened since ``version``, if it did."""
    return Conflict(why) if version in (None, rows.request.version) else Outdated(why)


def open_assignment(rows: RequestRows, assignment_id: int, version: int | None) -> AssignmentRow:
    """Return the assignment if it may still be decided.

    Raises:
        NotFound: There is none.
        Conflict: It was answered, or is not asked now.
        Outdated: The request was changed since ``version``.
    """
    request = rows.request
    row = assignment_by_id(rows, assignment_id)
    if row is None:
        raise NotFound(f"request {request.id}: no assignee {assignment_id}")
    if row.state == "answered":
        answered = f"assignee {row.id} has answered already: {row.decision}"
        raise _too_late(rows, version, answered)
    if request.state != "open":
        raise _too_late(rows, version, _over(request))
    step = step_by_id(rows, row.step_id)
    if row.state not in ("asked", "unreachable") or step.state != "open":
        raise _too_late(rows, version, f"assignee {row.id} is not being asked now ({row.state})")
    _check_version(rows, version)
    return row

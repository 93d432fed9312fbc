"""Requests: asking people by SMS, and what they answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from smsgw.client.answers import Request, RequestSummary
from smsgw.client.core import Core, Stream, Work, segment
from smsgw.client.drafts import (
    Confirmation,
    Flow,
    OnDeadline,
    Person,
    Preset,
    Step,
    Vote,
)
from smsgw.client.messages import Id, Looks


class _New(Flow, frozen=True, omit_defaults=True, kw_only=True):
    subject: str
    type: str = ""
    reference: str = ""
    deadline: datetime | None = None


class _Sent(msgspec.Struct):
    sent: bool


def create(
    core: Core,
    subject: str,
    steps: Sequence[Step] | None = None,
    *,
    body: str | None = None,
    type: str = "",
    preset: Preset | None = None,
    reference: str = "",
    applicant: Person | None = None,
    deadline: datetime | None = None,
    on_deadline: OnDeadline | None = None,
    confirmation: Confirmation | None = None,
    allow_change: bool | None = None,
    urgent: bool | None = None,
    vote: Vote | None = None,
    idempotency_key: str | None = None,
) -> Work[str]:
    """Ask people; return the request's id, once it is recorded and they will be asked.

    Args:
        subject: What is to be decided, in one line.
        steps: Who is asked, in order; None where ``type`` has them.
        body: Everything people need to know.
        type: The name of a saved flow, which says whatever is left out here.
        preset: The kind of request; ``approval`` unless given.
        reference: Your own.
        applicant: Who is told what came of it.
        deadline: When it ends, whatever was answered; with its zone.
        on_deadline: What it comes to then.
        confirmation: What a consent needs besides the word.
        allow_change: Whether another answer replaces the first.
        urgent: Whether people are asked in quiet hours too.
        vote: How votes are taken.
        idempotency_key: Of your own: the same again is the same request.

    Raises:
        ApiError: The gateway refuses it; ``field`` says why, such as ``steps[0].rule``.
    """
    new = _New(
        subject=subject,
        steps=steps,
        body=body,
        type=type,
        preset=preset,
        reference=reference,
        applicant=applicant,
        deadline=deadline,
        on_deadline=on_deadline,
        confirmation=confirmation,
        allow_change=allow_change,
        urgent=urgent,
        vote=vote,
    )
    made = yield from core.post("/v1/requests", Id, new, idempotency_key)
    return made.id


def show(core: Core, request_id: str) -> Work[Request]:
    """Return a request with its steps, its people and their answers."""
    return (yield from core.get(f"/v1/requests/{segment(request_id)}", Request))


def list_(
    core: Core, *, state: str | None = None, reference: str | None = None
) -> Stream[RequestSummary]:
    """Iterate over requests, newest first."""
    asked = {"state": state, "reference": reference}
    yield from core.pages("/v1/requests", "requests", RequestSummary, asked)


def wait(core: Core, request_id: str, timeout: float = 60.0) -> Work[Request]:
    """Wait until a request has come to its end; return it as it is then.

    Raises:
        TimedOut: It has not within ``timeout`` seconds.
    """
    looks = Looks(core, timeout)
    while True:
        shown = yield from show(core, request_id)
        if shown.state != "open":
            return shown
        yield looks.next(f"request {request_id} is {shown.state}")


def decide(
    core: Core,
    request_id: str,
    assignment_id: str,
    decision: str,
    *,
    reason: str = "",
    version: int | None = None,
) -> Work[Request]:
    """Answer in an assignee's name; ``decision`` is the key of an allowed answer.

    Raises:
        ApiError: 409 when it was decided already, or the request is not at ``version`` any more.
    """
    body = {
        "assignment_id": assignment_id,
        "decision": decision,
        "reason": reason,
        "version": version,
    }
    return (yield from _change(core, request_id, "decisions", body))


def delegate(
    core: Core, request_id: str, assignment_id: str, to: Person, *, version: int | None = None
) -> Work[Request]:
    """Give an assignee's place to somebody else, who is asked."""
    body = {"assignment_id": assignment_id, "to": to, "version": version}
    return (yield from _change(core, request_id, "delegations", body))


def withdraw(
    core: Core, request_id: str, reason: str = "", *, version: int | None = None
) -> Work[Request]:
    """End a request that need not be decided any more."""
    body = {"reason": reason, "version": version}
    return (yield from _change(core, request_id, "withdraw", body))


def close(core: Core, request_id: str, *, version: int | None = None) -> Work[Request]:
    """End a survey or a vote with what was answered."""
    return (yield from _change(core, request_id, "close", {"version": version}))


def resend(core: Core, request_id: str, assignment_id: str | None = None) -> Work[Request]:
    """Ask again who has not answered, or only one of them."""
    return (yield from _change(core, request_id, "resend", {"assignment_id": assignment_id}))


def digest(core: Core, phone: str) -> Work[bool]:
    """Send a phone the list of all it has open; return whether there was anything to send."""
    return (yield from core.post("/v1/digests", _Sent, {"phone": phone})).sent


def evidence(core: Core, request_id: str) -> Work[dict[str, Any]]:
    """Return everything that proves what became of a request, as docs/evidence.md has it."""
    return (yield from core.get(f"/v1/requests/{segment(request_id)}/evidence", dict[str, Any]))


def _change(core: Core, request_id: str, call: str, body: Mapping[str, object]) -> Work[Request]:
    path = f"/v1/requests/{segment(request_id)}/{call}"
    return (yield from core.post(path, Request, body))

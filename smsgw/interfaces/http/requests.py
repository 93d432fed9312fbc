"""``/v1/requests``: questions to people, and their answers.

What a request may hold is checked by the engine, which names the same fields as the JSON.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.interfaces.http.calls import (
    Call,
    Reply,
    Route,
    cursor_of,
    limit_of,
    number_of,
    one_of,
    page,
)
from smsgw.interfaces.http.front import Front
from smsgw.services.requests.model import AssigneeDraft, StepDraft

STATES = ("open", "closed", "withdrawn", "expired")
PRESET = "approval"


class AssigneeBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to ask."""

    phone: Annotated[str, msgspec.Meta(max_length=64)]
    name: str = ""


class StepBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who is asked at the same time, and whether ``all`` or ``any`` of them must approve."""

    assignees: list[AssigneeBody]
    rule: str = "all"

    def draft(self) -> StepDraft:
        """Return it as the engine takes it."""
        people = [AssigneeDraft(one.phone, one.name) for one in self.assignees]
        return StepDraft(people, self.rule)


class RequestBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request as it is written in JSON."""

    subject: str
    steps: list[StepBody]
    body: str = ""
    preset: str = PRESET
    reference: str = ""


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """An answer given over the API instead of a phone."""

    assignment_id: str
    decision: str
    reason: str = ""
    version: int | None = None


def routes(front: Front) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        body = call.json(RequestBody)
        steps = [step.draft() for step in body.steps]
        request_id = await front.requests.create(
            call.account, body.preset, body.subject, body.body, steps, body.reference
        )
        headers = {"Location": f"/v1/requests/{request_id}"}
        return Reply({"id": str(request_id)}, HTTPStatus.CREATED, headers)

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "state", "reference")
        limit = limit_of(parameters)
        found = await front.requests.list(
            account=call.account,
            before=cursor_of(parameters),
            limit=limit + 1,
            state=one_of(parameters, "state", STATES),
            reference=parameters.get("reference"),
        )
        return page("requests", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        return Reply(await front.requests.show(call.id("request"), call.account))

    async def decide(call: Call) -> Reply:
        body = call.json(DecisionBody)
        request_id = call.id("request")
        assignment_id = number_of("assignment_id", body.assignment_id)
        await front.requests.decide(
            request_id, assignment_id, body.decision, body.reason, body.version, call.account
        )
        return Reply(await front.requests.show(request_id, call.account))

    return [
        Route("POST", "/v1/requests", post),
        Route("GET", "/v1/requests", listed),
        Route("GET", "/v1/requests/<id>", shown),
        Route("POST", "/v1/requests/<id>/decisions", decide),
    ]

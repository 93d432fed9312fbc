"""``/v1/requests``: questions to people, and their answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

import msgspec

from smsgw.interfaces.http.calls import (
    ID_MAX,
    Call,
    Reply,
    Route,
    cursor_of,
    limit_of,
    one_of,
    page,
)
from smsgw.interfaces.http.front import Front, NewAssignee, NewStep
from smsgw.interfaces.http.problems import invalid

STATES = ("open", "closed", "withdrawn", "expired")
STEPS_MAX = 20
ASSIGNEES_MAX = 100

Phone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Line = Annotated[str, msgspec.Meta(max_length=64)]


class AssigneeBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to ask."""

    phone: Phone
    name: Line = ""


class StepBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who is asked at the same time."""

    assignees: Annotated[list[AssigneeBody], msgspec.Meta(min_length=1, max_length=ASSIGNEES_MAX)]
    rule: Literal["all", "any"] = "all"


class RequestBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request as it is written in JSON."""

    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    steps: Annotated[list[StepBody], msgspec.Meta(min_length=1, max_length=STEPS_MAX)]
    body: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    preset: Literal["approval"] = "approval"
    reference: Annotated[str, msgspec.Meta(max_length=128)] = ""


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """An answer given over the API instead of a phone."""

    assignment_id: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,19}$")]
    decision: Literal["yes", "no"]
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    version: int | None = None


def routes(front: Front) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        body = call.json(RequestBody)
        request_id = await front.requests.create(
            call.account,
            preset=body.preset,
            subject=body.subject,
            body=body.body,
            steps=[
                NewStep([NewAssignee(one.phone, one.name) for one in step.assignees], step.rule)
                for step in body.steps
            ],
            reference=body.reference,
        )
        headers = {"Location": f"/v1/requests/{request_id}"}
        return Reply({"id": str(request_id)}, HTTPStatus.CREATED, headers)

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "state", "reference")
        limit = limit_of(parameters)
        found = await front.requests.list(
            call.account,
            before=cursor_of(parameters),
            limit=limit + 1,
            state=one_of(parameters, "state", STATES),
            reference=parameters.get("reference"),
        )
        return page("requests", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        return Reply(await front.requests.show(call.account, call.id("request")))

    async def decide(call: Call) -> Reply:
        body = call.json(DecisionBody)
        assignment_id = int(body.assignment_id)
        if assignment_id > ID_MAX:
            raise invalid("assignment_id", f"at most {ID_MAX}")
        return Reply(
            await front.requests.decide(
                call.account,
                call.id("request"),
                assignment_id=assignment_id,
                decision=body.decision,
                reason=body.reason,
                version=body.version,
            )
        )

    return [
        Route("POST", "/v1/requests", post),
        Route("GET", "/v1/requests", listed),
        Route("GET", "/v1/requests/<id>", shown),
        Route("POST", "/v1/requests/<id>/decisions", decide),
    ]

"""A gateway's HTTP API for Python programs, blocking or asyncio.

    with Client("http://127.0.0.1:8080", token) as client:
        message_id = client.send("13800001001", "三号演播室 19:30 直播")
        print(client.wait(message_id).status)

:class:`AsyncClient` has the same calls, awaited. Ids are text, times have their zone. What a
receiver of webhooks needs is :mod:`smsgw.client.webhooks`. It imports nothing else of smsgw.
"""

from smsgw.client.answers import (
    Answer,
    Assignee,
    Conversation,
    Event,
    Inbound,
    LinkState,
    Message,
    Reply,
    Request,
    RequestStep,
    RequestSummary,
    RequestType,
    Route,
    Segment,
    StandIn,
)
from smsgw.client.asynchronous import AsyncClient
from smsgw.client.blocking import Client
from smsgw.client.drafts import Choice, Escalation, Flow, NewMessage, Person, Step, Vote
from smsgw.client.errors import ApiError, ClientError, FieldProblem, TimedOut, Unreachable

__all__ = [
    "Answer",
    "ApiError",
    "Assignee",
    "AsyncClient",
    "Choice",
    "Client",
    "ClientError",
    "Conversation",
    "Escalation",
    "Event",
    "FieldProblem",
    "Flow",
    "Inbound",
    "LinkState",
    "Message",
    "NewMessage",
    "Person",
    "Reply",
    "Request",
    "RequestStep",
    "RequestSummary",
    "RequestType",
    "Route",
    "Segment",
    "StandIn",
    "Step",
    "TimedOut",
    "Unreachable",
    "Vote",
]

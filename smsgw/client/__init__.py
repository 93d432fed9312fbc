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
from smsgw.client.asynchronous import (
    AsyncBatches,
    AsyncClient,
    AsyncControl,
    AsyncConversations,
    AsyncPeople,
    AsyncRequests,
    AsyncRequestTypes,
    AsyncStandIns,
    AsyncTokens,
    AsyncWebhooks,
)
from smsgw.client.batches import Batch, Recipient
from smsgw.client.blocking import (
    Batches,
    Client,
    Control,
    Conversations,
    People,
    Requests,
    RequestTypes,
    StandIns,
    Tokens,
    Webhooks,
)
from smsgw.client.control import Drained, LinkTrace, Reloaded
from smsgw.client.drafts import Choice, Escalation, Flow, NewMessage, Person, Step, Vote
from smsgw.client.errors import ApiError, ClientError, FieldProblem, TimedOut, Unreachable
from smsgw.client.operating import (
    AuditEntry,
    Customer,
    CustomerBind,
    PortedNumber,
    Recorded,
    Slot,
    SlotsLeft,
    UnmatchedReport,
)
from smsgw.client.people import Erasure, Hold, OptOut
from smsgw.client.tokens import Token
from smsgw.client.webhook_calls import DeadLetter, Webhook, WebhookTest

__all__ = [
    "Answer",
    "ApiError",
    "Assignee",
    "AsyncBatches",
    "AsyncClient",
    "AsyncControl",
    "AsyncConversations",
    "AsyncPeople",
    "AsyncRequestTypes",
    "AsyncRequests",
    "AsyncStandIns",
    "AsyncTokens",
    "AsyncWebhooks",
    "AuditEntry",
    "Batch",
    "Batches",
    "Choice",
    "Client",
    "ClientError",
    "Control",
    "Conversation",
    "Conversations",
    "Customer",
    "CustomerBind",
    "DeadLetter",
    "Drained",
    "Erasure",
    "Escalation",
    "Event",
    "FieldProblem",
    "Flow",
    "Hold",
    "Inbound",
    "LinkState",
    "LinkTrace",
    "Message",
    "NewMessage",
    "OptOut",
    "People",
    "Person",
    "PortedNumber",
    "Recipient",
    "Recorded",
    "Reloaded",
    "Reply",
    "Request",
    "RequestStep",
    "RequestSummary",
    "RequestType",
    "RequestTypes",
    "Requests",
    "Route",
    "Segment",
    "Slot",
    "SlotsLeft",
    "StandIn",
    "StandIns",
    "Step",
    "TimedOut",
    "Token",
    "Tokens",
    "UnmatchedReport",
    "Unreachable",
    "Vote",
    "Webhook",
    "WebhookTest",
    "Webhooks",
]

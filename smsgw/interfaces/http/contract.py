"""What each endpoint takes and gives, for :mod:`smsgw.interfaces.http.openapi`.

The types of bodies are the ones that validate; a test holds the rest against the endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from smsgw.interfaces.http import (
    batches,
    conversations,
    inbound,
    lifecycle,
    link_traces,
    links,
    messages,
    opt_outs,
    people,
    requests,
    routing,
    webhooks,
)
from smsgw.interfaces.http.calls import LIMIT_DEFAULT, LIMIT_MAX, EmptyBody
from smsgw.interfaces.http.events import WAIT_MAX
from smsgw.model import MessageClass, MessageStatus
from smsgw.services.access.book import TokenChange, TokenDraft
from smsgw.services.requests.drafts import RequestDraft
from smsgw.services.requests.stand_ins import StandInDraft

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "string", "enum": ["true", "false"]}

PARAMETERS: dict[str, Schema] = {
    "access_number": TEXT,
    "after": {"type": "string", "pattern": "^([0-9]{1,18}|now)$"},
    "batch": TEXT,
    "class": {"type": "string", "enum": [str(one) for one in MessageClass]},
    "cursor": TEXT,
    "ended": BOOLEAN,
    "expect_reply": BOOLEAN,
    "kind": TEXT,
    "limit": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    "link": TEXT,
    "of": TEXT,
    "phone": TEXT,
    "reference": TEXT,
    "revoked": BOOLEAN,
    "since": {"type": "string", "format": "date-time"},
    "state": {"type": "string", "enum": list(requests.STATES)},
    "status": {"type": "string", "enum": [str(one) for one in MessageStatus]},
    "to": TEXT,
    "unread": BOOLEAN,
    "until": {"type": "string", "format": "date-time"},
    "wait": {"type": "integer", "minimum": 0, "maximum": WAIT_MAX, "default": 0},
}


class Id(msgspec.Struct):
    """What was recorded."""

    id: str


class Accepted(msgspec.Struct):
    """Messages that will be sent, in the order of the request."""

    ids: list[str]


class BatchAccepted(msgspec.Struct):
    """A batch, how many messages were accepted now, and who opted out: places in the request."""

    id: str
    accepted: int
    opted_out: list[int]


class ReadCount(msgspec.Struct):
    """How many messages had not been read before."""

    read: int


class Named(msgspec.Struct):
    """What has a name."""

    name: str


class NamedVersion(msgspec.Struct):
    """A saved flow."""

    name: str
    version: int


class Sent(msgspec.Struct):
    """Whether there was anything to send."""

    sent: bool


class SentMessage(msgspec.Struct):
    """A message of a conversation."""

    message_id: str


class Imported(msgspec.Struct):
    """How many numbers are news, and how many are not."""

    imported: int
    skipped: int


class Forgotten(msgspec.Struct):
    """How many numbers were known."""

    forgotten: int


class Added(msgspec.Struct):
    """How many phones had not opted out."""

    added: int


class OptedIn(msgspec.Struct):
    """How many phones had opted out."""

    removed: int


class Removed(msgspec.Struct):
    """What is gone."""

    id: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint.

    Attributes:
        summary: What it does.
        query: The names of its parameters.
        body: The types that its body may have; none takes no body.
        optional: Whether the body may be left out.
        status: Of a good answer.
        answer: The type of a good answer, or types it may have; the name of the list when it is
            a page; None is some object.
    """

    summary: str
    query: tuple[str, ...] = ()
    body: tuple[type, ...] = ()
    optional: bool = False
    status: int = 200
    answer: type | tuple[type, ...] | str | None = None

    @property
    def answers(self) -> tuple[type, ...]:
        """The types that a good answer may have."""
        if isinstance(self.answer, tuple):
            return self.answer
        return (self.answer,) if isinstance(self.answer, type) else ()


PAGE = ("limit", "cursor")


def _page(summary: str, name: str, *query: str) -> Operation:
    return Operation(summary, (*query, *PAGE), answer=name)


def _say(summary: str, body: type, *, optional: bool = False, **more: Any) -> Operation:
    return Operation(summary, body=(body,), optional=optional, **more)


def _do(summary: str, answer: type | None = Id) -> Operation:
    return Operation(summary, body=(EmptyBody,), optional=True, answer=answer)


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/messages"): Operation(
        "Send one message, or several: all or none",
        body=(messages.MessageBody, messages.BatchBody),
        status=202,
        answer=(Id, Accepted),
    ),
    ("GET", "/v1/messages"): _page("List messages", "messages", "status", "to", "batch"),
    ("GET", "/v1/messages/<id>"): Operation("Show a message with its segments", answer=Id),
    ("GET", "/v1/messages/<id>/trace"): Operation("Everything that became of a message"),
    ("POST", "/v1/messages/<id>/cancel"): Operation("End a message before it is sent", answer=Id),
    ("POST", "/v1/batches"): _say(
        "Send one text to many, with variables of their own: all or none",
        batches.NewBatchBody,
        status=202,
        answer=BatchAccepted,
    ),
    ("GET", "/v1/batches"): _page("List batches", "batches"),
    ("GET", "/v1/batches/<id>"): Operation("Show a batch and how far it is", answer=Id),
    ("POST", "/v1/batches/<id>/messages"): _say(
        "Add recipients to a batch", batches.MoreBody, status=202, answer=BatchAccepted
    ),
    ("POST", "/v1/batches/<id>/cancel"): Operation(
        "End what of a batch is not sent yet", answer=Id
    ),
    ("POST", "/v1/requests"): _say("Ask people", RequestDraft, status=201, answer=Id),
    ("GET", "/v1/requests"): _page("List requests", "requests", "state", "reference"),
    ("GET", "/v1/requests/<id>"): Operation("Show a request with its answers", answer=Id),
    ("POST", "/v1/requests/<id>/decisions"): _say(
        "Record an answer that came another way than by SMS", requests.DecisionBody, answer=Id
    ),
    ("POST", "/v1/requests/<id>/delegations"): _say(
        "Give an assignee's place to somebody else", requests.DelegationBody, answer=Id
    ),
    ("POST", "/v1/requests/<id>/withdraw"): _say(
        "End a request undecided", requests.WithdrawalBody, optional=True, answer=Id
    ),
    ("POST", "/v1/requests/<id>/close"): _say(
        "End a survey or a vote with what was answered",
        requests.VersionBody,
        optional=True,
        answer=Id,
    ),
    ("POST", "/v1/requests/<id>/resend"): _say(
        "Ask again who has not answered", requests.ResendBody, optional=True, answer=Id
    ),
    ("GET", "/v1/requests/<id>/evidence"): Operation("Everything that proves what became of it"),
    ("POST", "/v1/digests"): _say(
        "Send a phone the list of all it has open", requests.DigestBody, answer=Sent
    ),
    ("POST", "/v1/request-types"): _say(
        "Save a flow under a name", requests.TypeBody, answer=NamedVersion
    ),
    ("GET", "/v1/request-types"): _page("List saved flows by name", "types"),
    ("GET", "/v1/request-types/<id>"): Operation("Show a saved flow", answer=Named),
    ("POST", "/v1/request-types/<id>/remove"): Operation("Forget a saved flow", answer=Named),
    ("POST", "/v1/stand-ins"): _say(
        "Say who answers for whom", StandInDraft, status=201, answer=Id
    ),
    ("GET", "/v1/stand-ins"): _page("List who answers for whom", "stand_ins", "phone", "ended"),
    ("POST", "/v1/stand-ins/<id>/end"): Operation("End a stand-in", answer=Id),
    ("POST", "/v1/conversations"): _say(
        "Give a recipient a number to answer to",
        conversations.ConversationBody,
        status=201,
        answer=Id,
    ),
    ("GET", "/v1/conversations"): _page("List conversations", "conversations", "reference", "to"),
    ("GET", "/v1/conversations/<id>"): Operation("Show one with its newest replies", answer=Id),
    ("POST", "/v1/conversations/<id>/messages"): _say(
        "Send another text in a conversation",
        conversations.TextBody,
        status=202,
        answer=SentMessage,
    ),
    ("POST", "/v1/conversations/<id>/end"): Operation("End a conversation", answer=Id),
    ("GET", "/v1/slots"): _page("Which extensions are in use", "slots", "phone", "access_number"),
    ("GET", "/v1/slots/capacity"): Operation("What is left of each plan"),
    ("GET", "/v1/inbound"): _page("List what phones sent", "inbound", "unread"),
    ("POST", "/v1/inbound/read"): _say(
        "Note what of it was read", inbound.ReadBody, answer=ReadCount
    ),
    ("GET", "/v1/stats"): Operation(
        "How many messages, replies and requests there were; of 31 days at most", ("since", "until")
    ),
    ("GET", "/v1/events"): Operation(
        "Everything that happened, oldest first; waits for what is not there yet",
        ("after", "kind", "wait", "limit"),
        answer="events",
    ),
    ("GET", "/v1/audit"): _page("List the audit chain", "entries"),
    ("GET", "/v1/reports/unmatched"): _page(
        "List status reports that match no message", "reports", "link"
    ),
    ("GET", "/v1/links"): Operation("The carriers, whether they are up, what waits"),
    ("POST", "/v1/links/<id>/test"): _say(
        "Send a test message over one link", links.LinkTestBody, status=202, answer=Id
    ),
    ("POST", "/v1/links/<id>/stop"): Operation(
        "Stop a link: it finishes what is in flight and unbinds",
        body=(EmptyBody,),
        optional=True,
        status=202,
        answer=lifecycle.LinkState,
    ),
    ("POST", "/v1/links/<id>/start"): Operation(
        "Start a link that was stopped",
        body=(EmptyBody,),
        optional=True,
        status=202,
        answer=lifecycle.LinkState,
    ),
    ("POST", "/v1/links/<id>/traces"): _say(
        "See what goes over a link for a while",
        link_traces.TraceOrder,
        optional=True,
        status=201,
        answer=link_traces.TraceState,
    ),
    ("GET", "/v1/traces"): Operation("Who sees what goes over which link"),
    ("GET", "/v1/traces/<id>"): Operation(
        "What a trace saw, oldest first; waits for what is not there yet",
        ("after", "wait", "limit"),
        answer=link_traces.TraceSeen,
    ),
    ("POST", "/v1/traces/<id>/stop"): _do("End a trace", link_traces.TraceState),
    ("POST", "/v1/reload"): _say(
        "Read the configuration again",
        lifecycle.ReloadOrder,
        optional=True,
        answer=lifecycle.Reloaded,
    ),
    ("POST", "/v1/drain"): _say(
        "Take no new work, until undone",
        lifecycle.DrainOrder,
        optional=True,
        answer=lifecycle.Drained,
    ),
    ("GET", "/v1/customers"): Operation("Who binds to us, and what waits for them"),
    ("GET", "/v1/routes/explain"): Operation(
        "Which links a message would take, and why", ("to", "class", "expect_reply")
    ),
    ("GET", "/v1/opt-outs"): _page("List who opted out", "opt_outs", "phone", "of"),
    ("POST", "/v1/opt-outs"): _say(
        "Send phones no bulk and no notices", opt_outs.OptOutBody, answer=Added
    ),
    ("POST", "/v1/opt-outs/remove"): _say(
        "Send them to phones again", opt_outs.OptOutBody, answer=OptedIn
    ),
    ("POST", "/v1/exports"): _say("Everything that is held of a phone", people.ExportBody),
    ("POST", "/v1/erasures"): _say("Erase a phone everywhere", people.ErasureBody),
    ("POST", "/v1/holds"): _say(
        "Keep what is of a phone, an account or a request", people.HoldBody, status=201, answer=Id
    ),
    ("GET", "/v1/holds"): _page("List what is on hold", "holds", "ended"),
    ("POST", "/v1/holds/<id>/remove"): _do("End a hold"),
    ("GET", "/v1/ported"): _page("List ported numbers", "numbers"),
    ("POST", "/v1/ported"): _say("Record ported numbers", routing.ImportBody, answer=Imported),
    ("POST", "/v1/ported/forget"): _say(
        "Go by the prefix again for some", routing.ForgetBody, answer=Forgotten
    ),
    ("POST", "/v1/webhooks"): _say(
        "Have events posted to a URL", webhooks.WebhookBody, status=201, answer=Id
    ),
    ("GET", "/v1/webhooks"): _page("List webhooks", "webhooks"),
    ("GET", "/v1/webhooks/<id>"): Operation("Show a webhook", answer=Id),
    ("POST", "/v1/webhooks/<id>/change"): _say("Change a webhook", webhooks.ChangeBody, answer=Id),
    ("POST", "/v1/webhooks/<id>/remove"): _do("Forget a webhook", Removed),
    ("POST", "/v1/webhooks/<id>/pause"): _do("Post nothing for now"),
    ("POST", "/v1/webhooks/<id>/resume"): _do("Go on"),
    ("POST", "/v1/webhooks/<id>/rotate"): _say(
        "Sign with a new secret", webhooks.RotateBody, optional=True, answer=Id
    ),
    ("POST", "/v1/webhooks/<id>/test"): _do("Post one event now", None),
    ("GET", "/v1/webhooks/<id>/dead-letters"): _page(
        "List what could not be delivered", "dead_letters"
    ),
    ("POST", "/v1/webhooks/<id>/replay"): _say(
        "Have events delivered again", webhooks.ReplayBody, status=202, answer=Id
    ),
    ("POST", "/v1/tokens"): _say("Make a token", TokenDraft, status=201, answer=Id),
    ("GET", "/v1/tokens"): _page("List tokens", "tokens", "revoked"),
    ("GET", "/v1/tokens/<id>"): Operation("Show a token", answer=Id),
    ("POST", "/v1/tokens/<id>/change"): _say("Change a token", TokenChange, answer=Id),
    ("POST", "/v1/tokens/<id>/revoke"): _do("Refuse a token from now on"),
    ("GET", "/healthz"): Operation("Whether the process answers"),
    ("GET", "/readyz"): Operation("Whether to give it work"),
    ("GET", "/metrics"): Operation("Metrics: Prometheus's text form, or OpenMetrics"),
    ("GET", "/openapi.json"): Operation("This document"),
}

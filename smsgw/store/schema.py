"""The tables, as SQLAlchemy Core metadata.

Rules:
- Ids are 63-bit, time ordered, unique per node (:mod:`smsgw.store.ids`); people see them as text.
- Times (``…_at``) are milliseconds since the Unix epoch, UTC, as integers: they compare and index
  fast on the hot path; the edges turn them into aware datetimes.
- States are the text values of the enums in :mod:`smsgw.model`.
- ``event`` is append-only: a change and its event are written in one transaction.

The alembic steps under ``migrations/`` must produce exactly this; a test compares them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
Millis = BigInteger


def Chars(length: int) -> String:
    """A text that is meant to be so long at most.

    Neither database holds it to that: what a peer says must never be what cannot be stored.
    """
    return String(length).with_variant(Text(), "postgresql")


message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("account", Chars(64), nullable=False),
    Column("reference", Chars(128), nullable=False),  # the customer's own, "" when none
    Column("recipient", Chars(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("message_class", Chars(16), nullable=False),
    # Of a message of one part it is written when that is accepted and when it has come to an end;
    # in between its segment's state is its status (smsgw.store.messages.STATUS).
    Column("status", Chars(16), nullable=False),
    Column("reason", Text, nullable=False),  # why it ended as it did, "" while it has not
    Column("expects_reply", Boolean, nullable=False),
    Column("want_report", Boolean, nullable=False),
    Column("operator", Chars(16), nullable=False),  # the recipient's network
    Column("link", Chars(64), nullable=False),
    Column("access_number", Chars(21), nullable=False),
    Column("extension", Chars(21), nullable=False),
    Column("coding", SmallInteger, nullable=False),
    Column("parts", SmallInteger, nullable=False),
    Column("contents", LargeBinary, nullable=False),  # each part's octets, as a MessagePack array
    Column("created_at", Millis, nullable=False),
    Column("valid_until", Millis, nullable=False),
    Column("final_at", Millis, nullable=True),
    Column("send_at", Millis, nullable=True),  # the time asked for, NULL for at once
    Index(None, "account", "id"),
    Index(None, "recipient", "id"),
)

# Messages to many that were asked for with one text. Their ids are one after the other, made by one
# node in one go: the ranges say which messages of the account are the batch's, so that a message
# itself has no column for it.
batch = Table(
    "batch",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("account", Chars(64), nullable=False),
    Column("reference", Chars(128), nullable=False),
    Column("text", Text, nullable=False),  # with {name} where a recipient's variable stands
    Column("message_class", Chars(16), nullable=False),
    Column("expects_reply", Boolean, nullable=False),
    Column("send_at", Millis, nullable=True),
    Column("valid_for", Millis, nullable=False),  # milliseconds
    Column("messages", Integer, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("canceled_at", Millis, nullable=True),
    Index(None, "account", "id"),
)

batch_range = Table(
    "batch_range",
    metadata,
    Column("batch_id", Id, primary_key=True, autoincrement=False),
    Column("first_id", Id, primary_key=True, autoincrement=False),
    Column("last_id", Id, nullable=False),
    Column("messages", Integer, nullable=False),
    # JSON: what its messages came to, once most of them did; "" until then.
    Column("tally", Text, nullable=False),
    Column("open_ids", Text, nullable=False),  # JSON: those that did not; "" when all did
    sqlite_with_rowid=False,
)

# What waits to be sent: a row for every part of a message, from its acceptance until it is handed
# to a link, and again while a retry is due. Clustered in the order in which a link takes it up.
queue = Table(
    "queue",
    metadata,
    Column("node", SmallInteger, primary_key=True, autoincrement=False),  # whose it is
    Column("link", Chars(64), primary_key=True),
    Column("message_class", Chars(16), primary_key=True),
    Column("due_at", Millis, primary_key=True, autoincrement=False),  # 0: as soon as it can
    Column("message_id", Id, primary_key=True, autoincrement=False),
    Column("part", SmallInteger, primary_key=True, autoincrement=False),
    Column("valid_until", Millis, nullable=False),
    sqlite_with_rowid=False,
)

# What was taken out of the queue and has not come to anything yet: one row for each handful that
# is handed to a link. A row that a start finds names the segments nobody knows the outcome of.
sending = Table(
    "sending",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("node", SmallInteger, nullable=False),
    Column("link", Chars(64), nullable=False),
    Column("segments", Text, nullable=False),  # JSON: [message_id, part, attempts] of each
)

# What became of a part of a message: written when a link first had an answer for it, or none.
segment = Table(
    "segment",
    metadata,
    Column("message_id", Id, primary_key=True, autoincrement=False),
    Column("part", SmallInteger, primary_key=True, autoincrement=False),
    Column("link", Chars(64), nullable=False),
    Column("state", Chars(16), nullable=False),
    Column("carrier_message_id", Chars(64), nullable=True),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_attempt_at", Millis, nullable=True),  # when a retry, or waiting for it, is due
    Column("sent_at", Millis, nullable=True),
    Column("final_at", Millis, nullable=True),
    Column("stat", Chars(32), nullable=False),  # the carrier's state or result, "" until known
    Column("error", Chars(128), nullable=False),
    # How often it was submitted again though an earlier submit may have reached the phone.
    Column("possible_duplicate", SmallInteger, nullable=False),
    Index(None, "carrier_message_id", "link"),
    Index(
        "ix_segment_unknown",
        "next_attempt_at",
        sqlite_where=text("state = 'unknown'"),
        # A row whose state changes stays in its page and its other indexes: no index may know it.
        postgresql_where=text("next_attempt_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": 60},
)

# The links that refused a message, or reported it as not delivered, and that it was taken from.
rerouted = Table(
    "rerouted",
    metadata,
    Column("message_id", Id, primary_key=True, autoincrement=False),
    Column("link", String(64), primary_key=True),
)

parked_report = Table(
    "parked_report",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("link", Chars(64), nullable=False),
    Column("carrier_message_id", Chars(64), nullable=False),
    Column("recipient", Chars(32), nullable=False),
    Column("status", Chars(16), nullable=False),
    Column("stat", Chars(32), nullable=False),
    Column("error", Chars(128), nullable=False),
    Column("received_at", Millis, nullable=False),
    Index(None, "carrier_message_id", "link"),
    Index(None, "received_at"),
)

# How a link's reports spell the ids that its answers gave: a row only where it is not the same.
report_id_form = Table(
    "report_id_form",
    metadata,
    Column("link", String(64), primary_key=True),
    Column("form", Text, nullable=False),  # JSON: smsgw.store.report_ids.IdForm
)

OF_NO_MESSAGE = text("substr(kind, 1, 8) <> 'message.'")
"""Events that are looked for by their subject; a query must say so to find them by index. Those of
messages, which are nearly all, are read in order only."""

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("at", Millis, nullable=False),
    Column("kind", Chars(48), nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("account", Chars(64), nullable=False),
    # JSON object; "" when there is nothing to say that the subject's own row does not.
    Column("data", Text, nullable=False),
    Index(
        "ix_event_subject",
        "subject_id",
        sqlite_where=OF_NO_MESSAGE,
        postgresql_where=OF_NO_MESSAGE,
    ),
)

inbound_part = Table(
    "inbound_part",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("link", Chars(64), nullable=False),
    Column("dedupe_key", Chars(64), nullable=False),
    Column("sender", Chars(32), nullable=False),
    Column("destination", Chars(32), nullable=False),
    Column("reference", Chars(8), nullable=False),  # "8:17", "16:4660"; "" for a single message
    Column("total", SmallInteger, nullable=False),
    Column("sequence", SmallInteger, nullable=False),
    Column("coding", SmallInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),  # without its header
    Column("pdu", LargeBinary, nullable=False),  # as it came from the wire: evidence
    Column("received_at", Millis, nullable=False),
    Column("inbound_id", Id, nullable=True),  # set when joined
    UniqueConstraint("dedupe_key", "link"),
    Index(None, "inbound_id", "received_at"),
)

inbound = Table(
    "inbound",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("link", Chars(64), nullable=False),
    Column("sender", Chars(32), nullable=False),
    Column("destination", Chars(32), nullable=False),
    Column("access_number", Chars(21), nullable=False),  # "" when none of ours matched
    Column("extension", Chars(21), nullable=False),
    Column("text", Text, nullable=False),
    Column("parts", SmallInteger, nullable=False),
    Column("missing", Chars(64), nullable=False),  # "2,3" when it never became whole; "" when whole
    Column("received_at", Millis, nullable=False),
    Column("account", Chars(64), nullable=False),  # its owner; "" = the general inbox
    Column("request_id", Id, nullable=True),
    Column("assignment_id", Id, nullable=True),
    Column("conversation_id", Id, nullable=True),
    Column("outcome", Chars(32), nullable=False),  # what reading it led to; "" until handled
    Column("handled_at", Millis, nullable=True),
    Index(None, "handled_at", "id"),
    Index(None, "sender", "destination", "received_at"),
    Index(
        "ix_inbound_conversation",
        "conversation_id",
        "id",
        sqlite_where=text("conversation_id IS NOT NULL"),
        postgresql_where=text("conversation_id IS NOT NULL"),
    ),
    Index(
        "ix_inbound_uncounted",
        "request_id",
        "outcome",
        sqlite_where=text("outcome IN ('unclear', 'late')"),
        postgresql_where=text("outcome IN ('unclear', 'late')"),
    ),
)

# What an account has read of what phones sent: everything up to here …
inbox_mark = Table(
    "inbox_mark",
    metadata,
    Column("account", Chars(64), primary_key=True),
    Column("read_until", Id, nullable=False),
)

# … and, of what is newer, these.
inbound_read = Table(
    "inbound_read",
    metadata,
    Column("inbound_id", Id, primary_key=True, autoincrement=False),  # first: it is purged by it
    Column("account", Chars(64), primary_key=True),
    sqlite_with_rowid=False,
)

request = Table(
    "request",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("account", Chars(64), nullable=False),
    Column("type", Chars(64), nullable=False),  # the template it was made from, "" without one
    Column("preset", Chars(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("reference", Chars(128), nullable=False),
    Column("applicant_name", Chars(64), nullable=False),
    Column("applicant_phone", Chars(32), nullable=False),  # "" when nobody is told by SMS
    Column("settings", Text, nullable=False),  # JSON: smsgw.services.requests.settings
    Column("state", Chars(16), nullable=False),  # open, closed, withdrawn, expired
    Column("outcome", Chars(16), nullable=False),  # approved, rejected …; "" while open
    Column("version", Integer, nullable=False),  # grows by one with every change: compare and set
    Column("created_at", Millis, nullable=False),
    Column("closed_at", Millis, nullable=True),
    Index(None, "account", "id"),
    Index(None, "state", "id"),
)

step = Table(
    "step",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("request_id", Id, ForeignKey("request.id"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("name", Chars(64), nullable=False),
    Column("rule", Chars(16), nullable=False),  # all, any, "2 of 3"
    Column("reject_ends", Boolean, nullable=False),  # whether one rejection decides it
    Column("settings", Text, nullable=False),  # JSON: smsgw.services.requests.settings
    Column("state", Chars(16), nullable=False),  # waiting, open, closed
    Column("outcome", Chars(16), nullable=False),
    Column("opened_at", Millis, nullable=True),
    Column("closed_at", Millis, nullable=True),
    UniqueConstraint("request_id", "position"),
)

# A person who is asked in a step. Of several at one position the last one is asked now; the others
# handed it on.
assignment = Table(
    "assignment",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("request_id", Id, ForeignKey("request.id"), nullable=False),
    Column("step_id", Id, ForeignKey("step.id"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("role", Chars(16), nullable=False),  # assignee, or escalation: decides for all
    Column("name", Chars(64), nullable=False),
    Column("phone", Chars(32), nullable=False),
    # waiting, asked, unreachable (no question could be sent), answered, released, delegated
    Column("state", Chars(16), nullable=False),
    Column("prompt_message_id", Id, nullable=True),
    Column("slot_id", Id, nullable=True),
    Column("decision", Chars(32), nullable=False),  # a choice's key; "" until answered
    Column("progress", Chars(32), nullable=False),  # a choice's key that leaves it open; or ""
    Column("reason", Text, nullable=False),
    Column("asked_at", Millis, nullable=True),
    Column("answered_at", Millis, nullable=True),
    Column("asked_back", SmallInteger, nullable=False),  # how often we had to ask what was meant
    Column("reminded", SmallInteger, nullable=False),
    Column("code", Chars(8), nullable=False),  # what a consent must carry; "" when nothing
    Column("code_failures", SmallInteger, nullable=False),
    Column("delegated_from", Id, nullable=True),  # the assignment that was handed on
    Column("delegated_by", Chars(64), nullable=False),  # who did that, and how
    Index(None, "step_id", "position"),
    Index(None, "phone", "state"),
    Index(None, "request_id"),
)

answer = Table(
    "answer",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("request_id", Id, ForeignKey("request.id"), nullable=False),
    Column("assignment_id", Id, ForeignKey("assignment.id"), nullable=False),
    Column("channel", Chars(8), nullable=False),  # sms, api
    Column("actor", Chars(64), nullable=False),  # the phone that wrote it, or the token's name
    Column("inbound_id", Id, nullable=True),
    Column("text", Text, nullable=False),
    Column("decision", Chars(32), nullable=False),  # a choice's key; "" when unclear
    Column("reason", Text, nullable=False),
    Column("rule", Chars(48), nullable=False),  # how it was matched and read
    Column("anomaly", Chars(64), nullable=False),  # what is odd about it, "" when nothing
    Column("counted", Boolean, nullable=False),  # whether it changed the assignment
    Column("at", Millis, nullable=False),
    UniqueConstraint("inbound_id", "assignment_id"),
    Index(None, "request_id"),
)

# What is to happen to a request at a time: it is deleted in the transaction in which it happens.
timer = Table(
    "timer",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("kind", Chars(16), nullable=False),  # smsgw.services.requests.timers
    Column("request_id", Id, nullable=False),
    Column("subject_id", Id, nullable=False),  # the step or assignment it is about; else 0
    Column("turn", SmallInteger, nullable=False),  # which one of several, from 0
    Column("due_at", Millis, nullable=False),
    Index(None, "due_at"),
    Index(None, "request_id"),
)

# Which number stands for which item in the lists a phone was shown.
listed = Table(
    "listed",
    metadata,
    Column("phone", Chars(32), primary_key=True),
    Column("access_number", Chars(21), primary_key=True),  # the list came from it
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("assignment_id", Id, nullable=False),
    Column("at", Millis, nullable=False),  # when it was shown last
    sqlite_with_rowid=False,
)

# Flows by name: a form's type to its steps.
request_type = Table(
    "request_type",
    metadata,
    Column("account", Chars(64), primary_key=True),
    Column("name", Chars(64), primary_key=True),
    Column("definition", Text, nullable=False),  # JSON: a request without subject and reference
    Column("version", Integer, nullable=False),
    Column("updated_at", Millis, nullable=False),
)

# Links that people stopped; by name, since that is what the configuration has.
stopped_link = Table(
    "stopped_link",
    metadata,
    Column("link", Chars(64), primary_key=True),
    Column("actor", Chars(64), nullable=False),
    Column("at", Millis, nullable=False),
)

# Who may answer for a phone: a second number of the same person, or a substitute for a time.
stand_in = Table(
    "stand_in",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("account", Chars(64), nullable=False),
    Column("kind", Chars(16), nullable=False),  # second, substitute
    Column("phone", Chars(32), nullable=False),  # whose questions
    Column("other_phone", Chars(32), nullable=False),  # who may answer them
    Column("name", Chars(64), nullable=False),  # theirs
    Column("from_at", Millis, nullable=False),
    Column("until_at", Millis, nullable=True),  # NULL: until it is ended
    Column("created_at", Millis, nullable=False),
    Column("ended_at", Millis, nullable=True),  # rows are kept: they are the history
    Index(None, "phone", "account"),
    Index(None, "other_phone"),
)

# Sender numbers on which anybody may vote, and for which request.
open_number = Table(
    "open_number",
    metadata,
    Column("access_number", Chars(21), primary_key=True),
    Column("extension", Chars(21), primary_key=True),
    Column("request_id", Id, nullable=False),
    Column("account", Chars(64), nullable=False),
    Column("closed_at", Millis, nullable=True),  # late votes are known by it until it is reused
    Index(None, "request_id"),
)

# One phone's vote: it counts once.
ballot = Table(
    "ballot",
    metadata,
    Column("request_id", Id, primary_key=True, autoincrement=False),
    Column("phone", Chars(32), primary_key=True),
    Column("choice", Chars(32), nullable=False),
    Column("inbound_id", Id, nullable=False),  # the message that counts
    Column("at", Millis, nullable=False),
    sqlite_with_rowid=False,
)

# What was done, and by whom: each row of a chain vouches for the one before. Every process has a
# chain of its own, so that none waits for another.
audit = Table(
    "audit",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),  # the node
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),  # from 1, without gaps
    Column("at", Millis, nullable=False),
    Column("actor", Chars(64), nullable=False),  # a phone, a token's name, or "gateway"
    Column("action", Chars(48), nullable=False),
    Column("account", Chars(64), nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON: what was done, and digests of texts
    # 16 random octets; once something was erased from the row, the digest of what it held.
    Column("seal", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Index(None, "subject_id"),
    sqlite_with_rowid=False,
)

slot = Table(
    "slot",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("phone", Chars(32), nullable=False),
    Column("access_number", Chars(21), nullable=False),
    Column("extension", Chars(21), nullable=False),
    Column(
        "generation", Integer, nullable=False
    ),  # how often this extension was given to the phone
    Column("plan", Chars(32), nullable=False),  # the purpose it was given out for
    Column("owner", Chars(16), nullable=False),  # what its reply maps to: assignment, conversation
    Column("owner_id", Id, nullable=False),
    Column("allocated_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),  # live until then, unless released earlier
    Column("released_at", Millis, nullable=True),
    Column("cools_until", Millis, nullable=True),  # late replies still map until then
    UniqueConstraint("phone", "access_number", "extension"),
    Index(None, "owner_id"),
    Index(None, "access_number", "extension"),
    Index(None, "cools_until"),
)

# An extension that an application was given so that replies carry its own reference.
conversation = Table(
    "conversation",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("account", Chars(64), nullable=False),
    Column("reference", Chars(128), nullable=False),
    Column("phone", Chars(32), nullable=False),
    Column("access_number", Chars(21), nullable=False),
    Column("extension", Chars(21), nullable=False),
    Column("slot_id", Id, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Column("ended_at", Millis, nullable=True),
    Index(None, "account", "id"),
)

# Where an account's events are posted to, and how far that has come. What is under way, or failing,
# is the batch: the events after ``cursor``, or after that of a redelivery, up to ``batch_until``.
webhook = Table(
    "webhook",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("account", Chars(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False),  # JSON: kinds, or "request.*"; [] is all
    Column("secret", Chars(128), nullable=False),  # whsec_…: signing needs it as it is
    Column("old_secret", Chars(128), nullable=False),  # signs as well until then; or ""
    Column("old_secret_until", Millis, nullable=True),
    Column("state", Chars(16), nullable=False),  # active, paused
    Column("reason", Chars(256), nullable=False),  # why it is paused
    Column("version", Integer, nullable=False),  # grows with each change that people make
    Column("created_at", Millis, nullable=False),
    Column("cursor", Id, nullable=False),  # the last event that was delivered, or passed over
    Column("batch_id", Id, nullable=False),  # names the batch in each attempt; 0 when there is none
    Column("batch_until", Id, nullable=False),  # its last event
    Column("batch_of", Id, nullable=False),  # the redelivery it belongs to; 0 for none
    Column("attempts", Integer, nullable=False),  # that failed in a row
    Column("failing_since", Millis, nullable=True),
    Column("next_attempt_at", Millis, nullable=True),
    Column("problem", Chars(256), nullable=False),  # of the last attempt; "" when it went well
    Column("delivered_at", Millis, nullable=True),  # the last time that one did
    Index(None, "account", "id"),
)

# Events of a webhook that are delivered apart from its cursor: dead letters, which wait until
# somebody asks for them, and what was asked for again. It is deleted when it was delivered.
redelivery = Table(
    "redelivery",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("webhook_id", Id, ForeignKey("webhook.id"), nullable=False),
    Column("state", Chars(16), nullable=False),  # dead, replaying
    Column("after_id", Id, nullable=False),  # the events after this one …
    Column("until_id", Id, nullable=False),  # … up to this one
    Column("events", BigInteger, nullable=False),  # how many of them are dead letters
    Column("failing_since", Millis, nullable=True),  # of dead letters
    Column("why", Chars(256), nullable=False),
    Column("at", Millis, nullable=False),
    Index(None, "webhook_id", "id"),
)

# A report that a customer who binds to us asked for, under the id it was given: a row for each
# submit of the customer's and recipient, until the message has come to an end.
awaited_report = Table(
    "awaited_report",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("customer", Chars(64), nullable=False),
    Column("message_id", Id, nullable=False),
    Column("failures_only", Boolean, nullable=False),
    Index(None, "message_id"),
)

# A part of a long message that a customer submitted, until its last part is there.
submitted_part = Table(
    "submitted_part",
    metadata,
    # The id the customer was given for the first recipient; those of the others follow it.
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("customer", Chars(64), nullable=False),
    Column("source", Chars(32), nullable=False),
    Column("recipients", Text, nullable=False),  # with spaces between them
    Column("reference", Chars(8), nullable=False),  # "8:17", "16:4660"
    Column("total", SmallInteger, nullable=False),
    Column("sequence", SmallInteger, nullable=False),
    Column("coding", SmallInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),  # without its header
    Column("report", SmallInteger, nullable=False),  # wanted: 0 none, 1 always, 2 of failures only
    Column("received_at", Millis, nullable=False),
)

# A report or a phone's message that a customer is to be brought, until it acknowledged it.
customer_delivery = Table(
    "customer_delivery",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("customer", Chars(64), nullable=False),
    Column("kind", Chars(8), nullable=False),  # report, mo
    Column("subject_id", Id, nullable=False),  # what it tells of: the message, or the inbound one
    Column("content", LargeBinary, nullable=False),  # StatusReport or MoMessage, as MessagePack
    Column("created_at", Millis, nullable=False),
    Index(None, "customer", "id"),
)

# How far the events have been read by those who make something else of them.
reader = Table(
    "reader",
    metadata,
    Column("name", Chars(32), primary_key=True),
    Column("event_id", Id, nullable=False),  # the last one read
    Column("newest_id", Id, nullable=False),  # the greatest id of what was made of them
)

# What is neither purged nor erased until somebody ends it. Rows are kept: they are the history.
hold = Table(
    "hold",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("kind", Chars(16), nullable=False),  # phone, account, request
    Column("value", Chars(64), nullable=False),  # the number, the name, or the id
    Column("reason", Chars(256), nullable=False),
    Column("until_at", Millis, nullable=True),  # NULL: until it is ended
    Column("created_at", Millis, nullable=False),
    Column("created_by", Chars(64), nullable=False),
    Column("ended_at", Millis, nullable=True),
    Column("ended_by", Chars(64), nullable=False),
)

# How far what is old enough has been purged: a walk in the order of the ids begins anew from time
# to time, for what could not be purged before.
purge = Table(
    "purge",
    metadata,
    Column("kind", Chars(32), primary_key=True),
    Column("until_id", Id, nullable=False),  # everything up to it was looked at
    Column("began_at", Millis, nullable=False),  # when the walk began
)

# Phones that want no bulk and no notices.
opt_out = Table(
    "opt_out",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),  # of its last change
    Column("phone", Chars(80), nullable=False),  # or its keyed hash, once it was erased
    Column("account", Chars(64), nullable=False),  # whose messages; "" is everybody's
    Column("source", Chars(80), nullable=False),  # who says so: the inbound message, or a token
    Column("since", Millis, nullable=False),
    Column("ended_at", Millis, nullable=True),  # NULL while it is in force
    UniqueConstraint("phone", "account"),
)

# Keys that processes on one database share and nobody else needs.
secret = Table(
    "secret",
    metadata,
    Column("name", Chars(32), primary_key=True),
    Column("value", LargeBinary(32), nullable=False),
)

ported_number = Table(
    "ported_number",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),  # of its last change
    Column("phone", Chars(32), nullable=False),
    Column("operator", Chars(16), nullable=False),
    Column("source", Chars(80), nullable=False),
    Column("learned_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),  # a forgotten number has one that is over
    UniqueConstraint("phone"),
    Index(None, "expires_at"),
)

# The processes that write to a shared database, each with the number that its ids and its rows of
# ``queue`` and ``sending`` carry (smsgw.store.nodes). Empty where one process has the file.
node = Table(
    "node",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # drawn with each claim: who had it before has not
    Column("name", Chars(128), nullable=False),  # host and process, for people
    Column("lease_until", Millis, nullable=False),  # by the server's clock
)

# Who may use the HTTP API besides the tokens of the configuration. The token itself is kept
# nowhere. Rows stay when they are revoked: they are the history, and what departments there are.
token = Table(
    "token",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the token
    Column("prefix", Chars(16), nullable=False),  # how the token begins, for people
    Column("name", Chars(64), nullable=False),
    Column("account", Chars(64), nullable=False),
    Column("roles", Text, nullable=False),  # JSON: smsgw.services.access.roles
    Column("scopes", Text, nullable=False),  # JSON: what it may besides
    Column("networks", Text, nullable=False),  # JSON: where it may be used from; [] is anywhere
    Column("rate", Integer, nullable=False),  # requests a second, 0 for no limit
    Column("daily", Integer, nullable=False),  # messages a day, 0 for no limit
    Column("expires_at", Millis, nullable=True),
    Column("created_at", Millis, nullable=False),
    Column("created_by", Chars(64), nullable=False),
    Column("version", Integer, nullable=False),  # grows by one with every change
    Column("last_used_at", Millis, nullable=True),  # to the minute
    Column("revoked_at", Millis, nullable=True),
    Column("revoked_by", Chars(64), nullable=False),
    UniqueConstraint("digest"),
    Index(None, "account", "id"),
    Index(
        "ix_token_name",
        "account",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

# How many messages a token has sent on a day.
token_use = Table(
    "token_use",
    metadata,
    Column("token_id", Id, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970, in China
    Column("messages", BigInteger, nullable=False),
)

# What came of the requests that had an Idempotency-Key, for a day.
idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("account", Chars(64), primary_key=True),
    Column("name", Chars(128), primary_key=True),  # the key, the customer's own
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the request
    Column("status", SmallInteger, nullable=False),  # of the answer; 0 while there is none
    Column("headers", Text, nullable=False),  # JSON object
    Column("body", LargeBinary, nullable=False),  # empty when it may be kept nowhere
    Column("at", Millis, nullable=False),
    Index(None, "at"),
)

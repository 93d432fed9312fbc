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
    Column("possible_duplicate", Boolean, nullable=False),
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
    Column("outcome", Chars(32), nullable=False),  # what reading it led to; "" until handled
    Column("handled_at", Millis, nullable=True),
    Index(None, "handled_at", "id"),
    Index(None, "sender", "destination", "received_at"),
)

request = Table(
    "request",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("account", Chars(64), nullable=False),
    Column("preset", Chars(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("reference", Chars(128), nullable=False),
    Column("state", Chars(16), nullable=False),  # open, closed, withdrawn, expired
    Column("outcome", Chars(16), nullable=False),  # approved, rejected; "" while open
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
    Column("rule", Chars(16), nullable=False),  # all, any
    Column("state", Chars(16), nullable=False),  # waiting, open, closed
    Column("outcome", Chars(16), nullable=False),
    UniqueConstraint("request_id", "position"),
)

assignment = Table(
    "assignment",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("request_id", Id, ForeignKey("request.id"), nullable=False),
    Column("step_id", Id, ForeignKey("step.id"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("name", Chars(64), nullable=False),
    Column("phone", Chars(32), nullable=False),
    # waiting, asked, unreachable (no question could be sent), answered, released
    Column("state", Chars(16), nullable=False),
    Column("prompt_message_id", Id, nullable=True),
    Column("slot_id", Id, nullable=True),
    Column("decision", Chars(16), nullable=False),  # yes, no; "" until answered
    Column("reason", Text, nullable=False),
    Column("answered_at", Millis, nullable=True),
    Column("asked_back", SmallInteger, nullable=False),  # how often we had to ask what was meant
    UniqueConstraint("step_id", "position"),
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
    Column("inbound_id", Id, nullable=True),
    Column("text", Text, nullable=False),
    Column("decision", Chars(16), nullable=False),  # yes, no; "" when unclear
    Column("reason", Text, nullable=False),
    Column("rule", Chars(48), nullable=False),  # how it was matched and read
    Column("counted", Boolean, nullable=False),  # whether it changed the assignment
    Column("at", Millis, nullable=False),
    UniqueConstraint("inbound_id"),
    Index(None, "request_id"),
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
    Column("assignment_id", Id, nullable=False),  # whose reply it maps to
    Column("allocated_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),  # live until then, unless released earlier
    Column("released_at", Millis, nullable=True),
    Column("cools_until", Millis, nullable=True),  # late replies still map until then
    UniqueConstraint("phone", "access_number", "extension"),
    Index(None, "assignment_id"),
    Index(None, "access_number", "extension"),
    Index(None, "cools_until"),
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

"""The first schema: messages, events, inbound, requests and slots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MILLIS = sa.BigInteger()


def _chars(length: int) -> sa.String:
    return sa.String(length=length).with_variant(sa.Text(), "postgresql")


def upgrade() -> None:
    """Create every table of an empty database."""
    _create_messages()
    _create_batches()
    _create_events()
    _create_inbound()
    _create_inbox_marks()
    _create_requests()
    _create_around_requests()
    _create_slots()
    _create_webhooks()
    _create_customers()
    _create_keeping()
    _create_opt_outs()
    _create_ported_numbers()
    _create_nodes()
    _create_tokens()
    _create_idempotency_keys()


def downgrade() -> None:
    """Drop everything: there is nothing before the first schema."""
    op.drop_table("inbound_read")
    op.drop_table("inbox_mark")
    op.drop_table("batch_range")
    op.drop_table("batch")
    op.drop_table("idempotency_key")
    op.drop_table("token_use")
    op.drop_table("token")
    op.drop_table("node")
    op.drop_table("ported_number")
    op.drop_table("secret")
    op.drop_table("opt_out")
    op.drop_table("purge")
    op.drop_table("hold")
    op.drop_table("reader")
    op.drop_table("customer_delivery")
    op.drop_table("submitted_part")
    op.drop_table("awaited_report")
    op.drop_table("redelivery")
    op.drop_table("webhook")
    op.drop_table("conversation")
    op.drop_table("slot")
    op.drop_table("audit")
    op.drop_table("ballot")
    op.drop_table("open_number")
    op.drop_table("stopped_link")
    op.drop_table("stand_in")
    op.drop_table("request_type")
    op.drop_table("listed")
    op.drop_table("timer")
    op.drop_table("answer")
    op.drop_table("assignment")
    op.drop_table("step")
    op.drop_table("request")
    op.drop_table("inbound")
    op.drop_table("inbound_part")
    op.drop_table("event")
    op.drop_table("report_id_form")
    op.drop_table("parked_report")
    op.drop_table("rerouted")
    op.drop_table("segment")
    op.drop_table("sending")
    op.drop_table("queue")
    op.drop_table("message")


def _create_messages() -> None:
    """Messages, what is submitted of them, and reports that came early."""
    op.create_table(
        "message",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("reference", _chars(128), nullable=False),
        sa.Column("recipient", _chars(32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("message_class", _chars(16), nullable=False),
        sa.Column("status", _chars(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expects_reply", sa.Boolean(), nullable=False),
        sa.Column("want_report", sa.Boolean(), nullable=False),
        sa.Column("operator", _chars(16), nullable=False),
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("access_number", _chars(21), nullable=False),
        sa.Column("extension", _chars(21), nullable=False),
        sa.Column("coding", sa.SmallInteger(), nullable=False),
        sa.Column("parts", sa.SmallInteger(), nullable=False),
        sa.Column("contents", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("valid_until", MILLIS, nullable=False),
        sa.Column("final_at", MILLIS, nullable=True),
        sa.Column("send_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    op.create_index(op.f("ix_message_account_id"), "message", ["account", "id"], unique=False)
    op.create_index(op.f("ix_message_recipient_id"), "message", ["recipient", "id"], unique=False)
    op.create_table(
        "queue",
        sa.Column("node", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("message_class", _chars(16), nullable=False),
        sa.Column("due_at", MILLIS, autoincrement=False, nullable=False),
        sa.Column("message_id", ID, autoincrement=False, nullable=False),
        sa.Column("part", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("valid_until", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint(
            "node",
            "link",
            "message_class",
            "due_at",
            "message_id",
            "part",
            name=op.f("pk_queue"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sending",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("node", sa.SmallInteger(), nullable=False),
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("segments", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending")),
    )
    op.create_table(
        "segment",
        sa.Column("message_id", ID, autoincrement=False, nullable=False),
        sa.Column("part", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("state", _chars(16), nullable=False),
        sa.Column("carrier_message_id", _chars(64), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("next_attempt_at", MILLIS, nullable=True),
        sa.Column("sent_at", MILLIS, nullable=True),
        sa.Column("final_at", MILLIS, nullable=True),
        sa.Column("stat", _chars(32), nullable=False),
        sa.Column("error", _chars(128), nullable=False),
        sa.Column("possible_duplicate", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "part", name=op.f("pk_segment")),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 60},
    )
    op.create_index(
        op.f("ix_segment_carrier_message_id_link"),
        "segment",
        ["carrier_message_id", "link"],
        unique=False,
    )
    op.create_index(
        "ix_segment_unknown",
        "segment",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_table(
        "rerouted",
        sa.Column("message_id", ID, autoincrement=False, nullable=False),
        sa.Column("link", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "link", name=op.f("pk_rerouted")),
    )
    op.create_table(
        "parked_report",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("carrier_message_id", _chars(64), nullable=False),
        sa.Column("recipient", _chars(32), nullable=False),
        sa.Column("status", _chars(16), nullable=False),
        sa.Column("stat", _chars(32), nullable=False),
        sa.Column("error", _chars(128), nullable=False),
        sa.Column("received_at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_report")),
    )
    op.create_index(
        op.f("ix_parked_report_carrier_message_id_link"),
        "parked_report",
        ["carrier_message_id", "link"],
        unique=False,
    )
    op.create_index(
        op.f("ix_parked_report_received_at"), "parked_report", ["received_at"], unique=False
    )
    op.create_table(
        "report_id_form",
        sa.Column("link", sa.String(length=64), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("link", name=op.f("pk_report_id_form")),
    )


def _create_batches() -> None:
    """Messages to many that were asked for with one text."""
    op.create_table(
        "batch",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("reference", _chars(128), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("message_class", _chars(16), nullable=False),
        sa.Column("expects_reply", sa.Boolean(), nullable=False),
        sa.Column("send_at", MILLIS, nullable=True),
        sa.Column("valid_for", MILLIS, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("canceled_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index(op.f("ix_batch_account_id"), "batch", ["account", "id"], unique=False)
    op.create_table(
        "batch_range",
        sa.Column("batch_id", ID, autoincrement=False, nullable=False),
        sa.Column("first_id", ID, autoincrement=False, nullable=False),
        sa.Column("last_id", ID, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("tally", sa.Text(), nullable=False),
        sa.Column("open_ids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "first_id", name=op.f("pk_batch_range")),
        sqlite_with_rowid=False,
    )


def _create_inbox_marks() -> None:
    """What an account has read of what phones sent."""
    op.create_table(
        "inbox_mark",
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("read_until", ID, nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_inbox_mark")),
    )
    op.create_table(
        "inbound_read",
        sa.Column("inbound_id", ID, autoincrement=False, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.PrimaryKeyConstraint("inbound_id", "account", name=op.f("pk_inbound_read")),
        sqlite_with_rowid=False,
    )


def _create_events() -> None:
    """The append-only outbox."""
    op.create_table(
        "event",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.Column("kind", _chars(48), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(
        "ix_event_subject",
        "event",
        ["subject_id"],
        unique=False,
        sqlite_where=sa.text("substr(kind, 1, 8) <> 'message.'"),
        postgresql_where=sa.text("substr(kind, 1, 8) <> 'message.'"),
    )


def _create_inbound() -> None:
    """What phones sent, in parts and joined."""
    op.create_table(
        "inbound_part",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("dedupe_key", _chars(64), nullable=False),
        sa.Column("sender", _chars(32), nullable=False),
        sa.Column("destination", _chars(32), nullable=False),
        sa.Column("reference", _chars(8), nullable=False),
        sa.Column("total", sa.SmallInteger(), nullable=False),
        sa.Column("sequence", sa.SmallInteger(), nullable=False),
        sa.Column("coding", sa.SmallInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("pdu", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", MILLIS, nullable=False),
        sa.Column("inbound_id", ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_part")),
        sa.UniqueConstraint("dedupe_key", "link", name=op.f("uq_inbound_part_dedupe_key_link")),
    )
    op.create_index(
        op.f("ix_inbound_part_inbound_id_received_at"),
        "inbound_part",
        ["inbound_id", "received_at"],
        unique=False,
    )
    op.create_table(
        "inbound",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("sender", _chars(32), nullable=False),
        sa.Column("destination", _chars(32), nullable=False),
        sa.Column("access_number", _chars(21), nullable=False),
        sa.Column("extension", _chars(21), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parts", sa.SmallInteger(), nullable=False),
        sa.Column("missing", _chars(64), nullable=False),
        sa.Column("received_at", MILLIS, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("request_id", ID, nullable=True),
        sa.Column("assignment_id", ID, nullable=True),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("outcome", _chars(32), nullable=False),
        sa.Column("handled_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound")),
    )
    op.create_index(op.f("ix_inbound_handled_at_id"), "inbound", ["handled_at", "id"], unique=False)
    op.create_index(
        op.f("ix_inbound_sender_destination_received_at"),
        "inbound",
        ["sender", "destination", "received_at"],
        unique=False,
    )
    op.create_index(
        "ix_inbound_conversation",
        "inbound",
        ["conversation_id", "id"],
        unique=False,
        sqlite_where=sa.text("conversation_id IS NOT NULL"),
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.create_index(
        "ix_inbound_uncounted",
        "inbound",
        ["request_id", "outcome"],
        unique=False,
        sqlite_where=sa.text("outcome IN ('unclear', 'late')"),
        postgresql_where=sa.text("outcome IN ('unclear', 'late')"),
    )


def _create_requests() -> None:
    """Requests, their steps, who is asked, and what they answered."""
    op.create_table(
        "request",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("type", _chars(64), nullable=False),
        sa.Column("preset", _chars(32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reference", _chars(128), nullable=False),
        sa.Column("applicant_name", _chars(64), nullable=False),
        sa.Column("applicant_phone", _chars(32), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("state", _chars(16), nullable=False),
        sa.Column("outcome", _chars(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("closed_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
    )
    op.create_index(op.f("ix_request_account_id"), "request", ["account", "id"], unique=False)
    op.create_index(op.f("ix_request_state_id"), "request", ["state", "id"], unique=False)
    op.create_table(
        "step",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("name", _chars(64), nullable=False),
        sa.Column("rule", _chars(16), nullable=False),
        sa.Column("reject_ends", sa.Boolean(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("state", _chars(16), nullable=False),
        sa.Column("outcome", _chars(16), nullable=False),
        sa.Column("opened_at", MILLIS, nullable=True),
        sa.Column("closed_at", MILLIS, nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_step_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step")),
        sa.UniqueConstraint("request_id", "position", name=op.f("uq_step_request_id_position")),
    )
    op.create_table(
        "assignment",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("step_id", ID, nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("role", _chars(16), nullable=False),
        sa.Column("name", _chars(64), nullable=False),
        sa.Column("phone", _chars(32), nullable=False),
        sa.Column("state", _chars(16), nullable=False),
        sa.Column("prompt_message_id", ID, nullable=True),
        sa.Column("slot_id", ID, nullable=True),
        sa.Column("decision", _chars(32), nullable=False),
        sa.Column("progress", _chars(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", MILLIS, nullable=True),
        sa.Column("answered_at", MILLIS, nullable=True),
        sa.Column("asked_back", sa.SmallInteger(), nullable=False),
        sa.Column("reminded", sa.SmallInteger(), nullable=False),
        sa.Column("code", _chars(8), nullable=False),
        sa.Column("code_failures", sa.SmallInteger(), nullable=False),
        sa.Column("delegated_from", ID, nullable=True),
        sa.Column("delegated_by", _chars(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["request.id"], name=op.f("fk_assignment_request_id")
        ),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], name=op.f("fk_assignment_step_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
    )
    op.create_index(
        op.f("ix_assignment_phone_state"), "assignment", ["phone", "state"], unique=False
    )
    op.create_index(op.f("ix_assignment_request_id"), "assignment", ["request_id"], unique=False)
    op.create_index(
        op.f("ix_assignment_step_id_position"), "assignment", ["step_id", "position"], unique=False
    )
    op.create_table(
        "answer",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("assignment_id", ID, nullable=False),
        sa.Column("channel", _chars(8), nullable=False),
        sa.Column("actor", _chars(64), nullable=False),
        sa.Column("inbound_id", ID, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("decision", _chars(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", _chars(48), nullable=False),
        sa.Column("anomaly", _chars(64), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_answer_request_id")),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_answer_assignment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer")),
        sa.UniqueConstraint(
            "inbound_id", "assignment_id", name=op.f("uq_answer_inbound_id_assignment_id")
        ),
    )
    op.create_index(op.f("ix_answer_request_id"), "answer", ["request_id"], unique=False)


def _create_around_requests() -> None:
    """What is due, flows by name, who stands in for whom, votes, and the audit chains."""
    op.create_table(
        "timer",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("kind", _chars(16), nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("turn", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timer")),
    )
    op.create_index(op.f("ix_timer_due_at"), "timer", ["due_at"], unique=False)
    op.create_index(op.f("ix_timer_request_id"), "timer", ["request_id"], unique=False)
    op.create_table(
        "listed",
        sa.Column("phone", _chars(32), nullable=False),
        sa.Column("access_number", _chars(21), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("assignment_id", ID, nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("phone", "access_number", "number", name=op.f("pk_listed")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "request_type",
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("name", _chars(64), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_request_type")),
    )
    op.create_table(
        "stopped_link",
        sa.Column("link", _chars(64), nullable=False),
        sa.Column("actor", _chars(64), nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("link", name=op.f("pk_stopped_link")),
    )
    op.create_table(
        "stand_in",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("kind", _chars(16), nullable=False),
        sa.Column("phone", _chars(32), nullable=False),
        sa.Column("other_phone", _chars(32), nullable=False),
        sa.Column("name", _chars(64), nullable=False),
        sa.Column("from_at", MILLIS, nullable=False),
        sa.Column("until_at", MILLIS, nullable=True),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("ended_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stand_in")),
    )
    op.create_index(op.f("ix_stand_in_other_phone"), "stand_in", ["other_phone"], unique=False)
    op.create_index(
        op.f("ix_stand_in_phone_account"), "stand_in", ["phone", "account"], unique=False
    )
    op.create_table(
        "open_number",
        sa.Column("access_number", _chars(21), nullable=False),
        sa.Column("extension", _chars(21), nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("closed_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("access_number", "extension", name=op.f("pk_open_number")),
    )
    op.create_index(op.f("ix_open_number_request_id"), "open_number", ["request_id"], unique=False)
    op.create_table(
        "ballot",
        sa.Column("request_id", ID, autoincrement=False, nullable=False),
        sa.Column("phone", _chars(32), nullable=False),
        sa.Column("choice", _chars(32), nullable=False),
        sa.Column("inbound_id", ID, nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "phone", name=op.f("pk_ballot")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        sa.Column("chain", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.Column("actor", _chars(64), nullable=False),
        sa.Column("action", _chars(48), nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("seal", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_audit")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_audit_subject_id"), "audit", ["subject_id"], unique=False)


def _create_slots() -> None:
    """Which extension is whose."""
    op.create_table(
        "slot",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("phone", _chars(32), nullable=False),
        sa.Column("access_number", _chars(21), nullable=False),
        sa.Column("extension", _chars(21), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("plan", _chars(32), nullable=False),
        sa.Column("owner", _chars(16), nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("allocated_at", MILLIS, nullable=False),
        sa.Column("expires_at", MILLIS, nullable=False),
        sa.Column("released_at", MILLIS, nullable=True),
        sa.Column("cools_until", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot")),
        sa.UniqueConstraint(
            "phone",
            "access_number",
            "extension",
            name=op.f("uq_slot_phone_access_number_extension"),
        ),
    )
    op.create_index(
        op.f("ix_slot_access_number_extension"),
        "slot",
        ["access_number", "extension"],
        unique=False,
    )
    op.create_index(op.f("ix_slot_cools_until"), "slot", ["cools_until"], unique=False)
    op.create_index(op.f("ix_slot_owner_id"), "slot", ["owner_id"], unique=False)
    op.create_table(
        "conversation",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("reference", _chars(128), nullable=False),
        sa.Column("phone", _chars(32), nullable=False),
        sa.Column("access_number", _chars(21), nullable=False),
        sa.Column("extension", _chars(21), nullable=False),
        sa.Column("slot_id", ID, nullable=False),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("expires_at", MILLIS, nullable=False),
        sa.Column("ended_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation")),
    )
    op.create_index(
        op.f("ix_conversation_account_id"), "conversation", ["account", "id"], unique=False
    )


def _create_webhooks() -> None:
    """Where events are posted to, and what could not be."""
    op.create_table(
        "webhook",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("secret", _chars(128), nullable=False),
        sa.Column("old_secret", _chars(128), nullable=False),
        sa.Column("old_secret_until", MILLIS, nullable=True),
        sa.Column("state", _chars(16), nullable=False),
        sa.Column("reason", _chars(256), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("cursor", ID, nullable=False),
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("batch_until", ID, nullable=False),
        sa.Column("batch_of", ID, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failing_since", MILLIS, nullable=True),
        sa.Column("next_attempt_at", MILLIS, nullable=True),
        sa.Column("problem", _chars(256), nullable=False),
        sa.Column("delivered_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_index(op.f("ix_webhook_account_id"), "webhook", ["account", "id"], unique=False)
    op.create_table(
        "redelivery",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("webhook_id", ID, nullable=False),
        sa.Column("state", _chars(16), nullable=False),
        sa.Column("after_id", ID, nullable=False),
        sa.Column("until_id", ID, nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", MILLIS, nullable=True),
        sa.Column("why", _chars(256), nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_redelivery_webhook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redelivery")),
    )
    op.create_index(
        op.f("ix_redelivery_webhook_id_id"), "redelivery", ["webhook_id", "id"], unique=False
    )


def _create_customers() -> None:
    """What customers who bind to us submitted in part, and what they are to be brought."""
    op.create_table(
        "awaited_report",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer", _chars(64), nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("failures_only", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_awaited_report")),
    )
    op.create_index(op.f("ix_awaited_report_message_id"), "awaited_report", ["message_id"])
    op.create_table(
        "submitted_part",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer", _chars(64), nullable=False),
        sa.Column("source", _chars(32), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("reference", _chars(8), nullable=False),
        sa.Column("total", sa.SmallInteger(), nullable=False),
        sa.Column("sequence", sa.SmallInteger(), nullable=False),
        sa.Column("coding", sa.SmallInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("report", sa.SmallInteger(), nullable=False),
        sa.Column("received_at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submitted_part")),
    )
    op.create_table(
        "customer_delivery",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer", _chars(64), nullable=False),
        sa.Column("kind", _chars(8), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_delivery")),
    )
    op.create_index(
        op.f("ix_customer_delivery_customer_id"), "customer_delivery", ["customer", "id"]
    )
    op.create_table(
        "reader",
        sa.Column("name", _chars(32), nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("newest_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reader")),
    )


def _create_ported_numbers() -> None:
    """Which numbers another operator serves than their prefix says."""
    op.create_table(
        "ported_number",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("phone", _chars(32), nullable=False),
        sa.Column("operator", _chars(16), nullable=False),
        sa.Column("source", _chars(80), nullable=False),
        sa.Column("learned_at", MILLIS, nullable=False),
        sa.Column("expires_at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ported_number")),
        sa.UniqueConstraint("phone", name=op.f("uq_ported_number_phone")),
    )
    op.create_index(
        op.f("ix_ported_number_expires_at"), "ported_number", ["expires_at"], unique=False
    )


def _create_keeping() -> None:
    """What may not be purged, and how far purging has come."""
    op.create_table(
        "hold",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("kind", _chars(16), nullable=False),
        sa.Column("value", _chars(64), nullable=False),
        sa.Column("reason", _chars(256), nullable=False),
        sa.Column("until_at", MILLIS, nullable=True),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("created_by", _chars(64), nullable=False),
        sa.Column("ended_at", MILLIS, nullable=True),
        sa.Column("ended_by", _chars(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_table(
        "purge",
        sa.Column("kind", _chars(32), nullable=False),
        sa.Column("until_id", ID, nullable=False),
        sa.Column("began_at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_purge")),
    )


def _create_opt_outs() -> None:
    """Who wants no bulk and no notices."""
    op.create_table(
        "opt_out",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("phone", _chars(80), nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("source", _chars(80), nullable=False),
        sa.Column("since", MILLIS, nullable=False),
        sa.Column("ended_at", MILLIS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_out")),
        sa.UniqueConstraint("phone", "account", name=op.f("uq_opt_out_phone_account")),
    )
    op.create_table(
        "secret",
        sa.Column("name", _chars(32), nullable=False),
        sa.Column("value", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
    )


def _create_nodes() -> None:
    """Which processes write to this database."""
    op.create_table(
        "node",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("name", _chars(128), nullable=False),
        sa.Column("lease_until", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node")),
    )


def _create_tokens() -> None:
    """Who may use the HTTP API, and how much they did."""
    op.create_table(
        "token",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("prefix", _chars(16), nullable=False),
        sa.Column("name", _chars(64), nullable=False),
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("rate", sa.Integer(), nullable=False),
        sa.Column("daily", sa.Integer(), nullable=False),
        sa.Column("expires_at", MILLIS, nullable=True),
        sa.Column("created_at", MILLIS, nullable=False),
        sa.Column("created_by", _chars(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_used_at", MILLIS, nullable=True),
        sa.Column("revoked_at", MILLIS, nullable=True),
        sa.Column("revoked_by", _chars(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )
    op.create_index(op.f("ix_token_account_id"), "token", ["account", "id"], unique=False)
    op.create_index(
        "ix_token_name",
        "token",
        ["account", "name"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "token_use",
        sa.Column("token_id", ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", "day", name=op.f("pk_token_use")),
    )


def _create_idempotency_keys() -> None:
    """What came of requests that must not be done twice."""
    op.create_table(
        "idempotency_key",
        sa.Column("account", _chars(64), nullable=False),
        sa.Column("name", _chars(128), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_at"), "idempotency_key", ["at"], unique=False)

"""A request that was asked, answered by SMS and over the API, and closed; with audit entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine

from smsgw.model import Event, MessageStatus
from smsgw.services import audit
from smsgw.store import inbox, requests
from smsgw.store.ids import IdSource
from smsgw.store.inbox import RECEIVE
from smsgw.store.outbox import SETTLE
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRow, RequestRows, StepRow
from smsgw.store.statements import give_ids
from tests.support.memory import make_tables
from tests.support.store import NOW, StoredMessages, inbound_row, part_row, settlement

ANN, BOB, APPLICANT = "13800001001", "13300001001", "18600001003"
SECRETS = ("采购三脚架", "共 5200 元", "同意，预算内", "请审批", "已批准", "没有意见")
"""What was written: none of it may stand in the chain."""


@contextmanager
def memory() -> Iterator[Connection]:
    """Every table in memory, as a writer sees it; nothing is begun."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        make_tables(connection)
        give_ids(connection, IdSource(0, lambda: NOW / 1000))
        yield connection
    engine.dispose()


class Case:
    """Writes itself into one transaction, or several: call :meth:`ask`, then the others."""

    def __init__(self, connection: Connection, ids: IdSource) -> None:
        self.connection = connection
        self.ids = ids
        self.store = StoredMessages(connection, ids)
        self.now = NOW
        self.request_id, self.step_id = ids.next(), ids.next()
        self.ann, self.bob = ids.next(), ids.next()
        self.inbound_id = ids.next()

    def whole(self) -> Case:
        """Everything, from the question to the outcome."""
        self.ask()
        self.reply()
        self.decide()
        self.close()
        return self

    def ask(self) -> None:
        """Two people are asked."""
        step = StepRow(
            self.step_id, self.request_id, 0, "设备部", "all", True, "", "open", opened_at=self.now
        )
        prompts = [self._send(ANN, "请审批：采购三脚架"), self._send(BOB, "请审批：采购三脚架")]
        people = [
            AssignmentRow(
                key,
                self.request_id,
                self.step_id,
                place,
                "assignee",
                name,
                phone,
                "asked",
                prompt_message_id=prompts[place],
                asked_at=self.now,
            )
            for place, (key, name, phone) in enumerate(
                [(self.ann, "安", ANN), (self.bob, "鲍", BOB)]
            )
        ]
        requests.insert(self.connection, RequestRows(self._request(), [step], people))
        created = self._event("request.created", reference="oa-77")
        opened = self._event("request.step_opened", step=0)
        self._record([created, opened], "console", prompts)

    def reply(self, text: str = "同意，预算内") -> None:
        """Ann answers by SMS, in two parts."""
        self.now += 60_000
        parts = [
            part_row(
                self.ids,
                sender=ANN,
                reference="8:7",
                total=2,
                sequence=place,
                content=text.encode("utf-16-be"),
                pdu=b"\x00\x05" + bytes([place]) + text.encode("utf-16-be"),
                received_at=self.now,
            )
            for place in (1, 2)
        ]
        RECEIVE.execute(self.connection, parts)
        row = inbound_row(
            self.ids, id=self.inbound_id, sender=ANN, text=text, parts=2, received_at=self.now
        )
        inbox.insert_inbound(self.connection, row, [part.id for part in parts])
        self._answer(self.ann, "sms", ANN, row.id, text, "预算内", "slot:word")
        inbox.mark_handled(
            self.connection,
            row.id,
            "decided",
            self.now,
            request_id=self.request_id,
            assignment_id=self.ann,
        )
        told = {"assignment_id": str(self.ann), "text": text}
        answered = self._event("request.answered", **told, decision="yes", reason="预算内")
        self._record([answered], ANN, [self._send(ANN, "已批准：采购三脚架")])

    def decide(self) -> None:
        """Bob's answer is given over the API."""
        self.now += 60_000
        self._answer(self.bob, "api", "console", None, "", "没有意见", "api")
        told = {"assignment_id": str(self.bob), "decision": "yes", "reason": "没有意见"}
        self._record([self._event("request.answered", **told)], "console")

    def close(self) -> None:
        """Its time is over; the applicant hears of it."""
        self.now += 60_000
        rows = requests.get(self.connection, self.request_id)
        assert rows is not None
        values = {"state": "closed", "outcome": "approved", "closed_at": self.now}
        assert requests.advance_version(self.connection, rows.request, **values)
        closed = self._event("request.closed", outcome="approved", text="已批准：采购三脚架")
        self._record([closed], "gateway", [self._send(APPLICANT, "已批准：采购三脚架")])

    def _request(self) -> RequestRow:
        return RequestRow(
            id=self.request_id,
            account="office",
            type="",
            preset="approval",
            subject="采购三脚架",
            body="共 5200 元",
            reference="oa-77",
            applicant_name="周",
            applicant_phone=APPLICANT,
            settings='{"urgent":true}',
            state="open",
            outcome="",
            version=1,
            created_at=self.now,
        )

    def _send(self, to: str, text: str) -> int:
        state = MessageStatus.QUEUED
        message = self.store.message(state, account="office", recipient=to, text=text)
        sent = settlement(message, MessageStatus.SENT, carrier_message_id=f"{message.id:x}")
        SETTLE.execute(self.connection, [sent])
        return message.id

    def _answer(
        self,
        assignment_id: int,
        channel: str,
        actor: str,
        inbound_id: int | None,
        text: str,
        reason: str,
        rule: str,
    ) -> None:
        answer = AnswerRow(
            self.ids.next(),
            self.request_id,
            assignment_id,
            channel,
            actor,
            inbound_id,
            text,
            "yes",
            reason,
            rule,
            "",
            True,
            self.now,
        )
        requests.insert_answer(self.connection, answer)
        row = requests.get_assignment(self.connection, assignment_id)
        assert row is not None
        row.state, row.decision, row.reason, row.answered_at = "answered", "yes", reason, self.now
        requests.save_assignment(self.connection, row)

    def _event(self, kind: str, **data: Any) -> Event:
        return Event(kind, self.request_id, "office", data)

    def _record(self, events: list[Event], actor: str, sent: list[int] | None = None) -> None:
        pairs = [(self.request_id, message_id) for message_id in sent or ()]
        audit.record(self.connection, self.now, events, actor, pairs)

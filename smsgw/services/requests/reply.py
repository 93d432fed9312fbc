"""Reads one inbound message and does everything that follows, in one transaction.

Rules: an inbound message is handled once, however often it is given. A phone gets at most
:data:`ANSWERS` automatic answers in ten minutes, a service number none. We ask back once per item,
and once a day about what came without its extension; what stays unclear is a person's to read
(event ``request.unclear``).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from smsgw.errors import ConfigError, Conflict, LinkError, NotFound, ValidationError
from smsgw.services.replies import Kind, Reading, make_short_id
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.services.requests.matching import (
    ASKED_LIFE_MS,
    CERTAIN,
    LIST_LIFE_MS,
    LISTED,
    Match,
    asked_back_before,
    match,
)
from smsgw.services.requests.model import Decision, Outcome
from smsgw.services.requests.presets import LIST_SHOWN
from smsgw.store import inbox
from smsgw.store import requests as rows_of
from smsgw.store.inbox import InboundRow
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRows

ANSWERS = 3
ANSWERS_WINDOW_MS = 600_000
ANSWERED = "reply.answered"
"""Kind of the event that tells of an automatic answer; the limit counts them."""

REPEAT_WINDOW_MS = 600_000
ECHO_MS = 15_000
"""The same text again so soon is an echo, unless it can be the answer to ours."""
READ_MS = 3_000
"""Nobody gets a question of ours, reads it and answers it faster."""

_SERVICE_NUMBER = re.compile(r"106\d*|100\d{2}|12\d{3}|95\d{3,}|96\d{3,}")


def settle(changes: Changes, inbound_id: int) -> str:
    """Handle an inbound message unless it was handled before; return its outcome.

    Outcomes: ``decided``, ``asked_back``, ``listed``, ``unclear`` (for a person), ``repeated``,
    ``already`` (they had answered), ``late`` (decided without them), ``stranger``, ``inbox``.

    Raises:
        NotFound: No such inbound message.
        Conflict: Another process handles it; undo the transaction and look again.
    """
    inbound = inbox.get(changes.connection, inbound_id)
    if inbound is None:
        raise NotFound(f"inbound {inbound_id}: not recorded")
    if inbound.handled_at is not None:
        return inbound.outcome
    found = match(changes, inbound)
    request_id = assignment_id = account = None
    if found.assignment is not None:
        rows = rows_of.get(changes.connection, found.assignment.request_id)
        if rows is None:
            raise AssertionError(f"assignment {found.assignment.id} without its request")
        # The row of the request, so that what changes it is seen by what reads the request.
        row = next(one for one in rows.assignments if one.id == found.assignment.id)
        outcome = _Reply(changes, inbound, found, rows, row).settle()
        request_id, assignment_id, account = rows.request.id, row.id, rows.request.account
    elif found.how == "several":
        outcome = _list(changes, inbound, found)
    else:
        outcome = "inbox"
    handled = (outcome, request_id, assignment_id, changes.now, account)
    if not inbox.mark_handled(changes.connection, inbound.id, *handled):
        raise Conflict(f"inbound {inbound.id}: another process has handled it meanwhile")
    return outcome


class _Reply:
    """One inbound message that is about one assignment."""

    def __init__(
        self,
        changes: Changes,
        inbound: InboundRow,
        found: Match,
        rows: RequestRows,
        row: AssignmentRow,
    ) -> None:
        self.changes = changes
        self.inbound = inbound
        self.how = found.how
        self.reading = found.reading
        self.rows = rows
        self.row = row
        self.preset = changes.preset_of(rows.request)
        if inbound.missing:
            self.reading = Reading(Kind.UNCLEAR, "", "incomplete")

    def settle(self) -> str:
        if self.how == "stranger":
            return self._note("request.stranger", "stranger")
        if self.row.state == "answered":
            return self._already()
        if self.row.state != "asked" or self.rows.request.state != "open":
            return self._late()
        if self._is_echo():
            return self._note("request.repeated", "repeated")
        if self._is_certain():
            return self._decide()
        return self._ask_back()

    def _is_certain(self) -> bool:
        """Whether the words decide; numbers do only where we offered them."""
        if self.how not in CERTAIN or self.reading.kind not in (Kind.YES, Kind.NO):
            return False
        return self.reading.rule != "number" or self._were_numbers_offered()

    def _were_numbers_offered(self) -> bool:
        """Whether our question showed numbers: it does where an extension carries it."""
        asked = asked_back_before(self.changes, self.inbound, self.row)
        return asked is not None and self.changes.sender_of(self.row) is not None

    def _decide(self) -> str:
        decision = Decision(self.reading.kind.value)
        answer = self._answer(counted=True)
        self.changes.decide(self.rows, self.row, decision, answer)
        text = self.preset.confirmation(self.rows.request.subject, decision, self.reading.reason)
        self._say(text)
        return "decided"

    def _ask_back(self) -> str:
        if self._may_ask_back():
            own = self.changes.sender_of(self.row)
            short_id = "" if own else make_short_id(self.row.id)
            text = self.preset.ask_back(self.rows.request.subject, short_id)
            if self._say(text, expects_reply=True):
                self.row.asked_back += 1
                rows_of.save_assignment(self.changes.connection, self.row)
                return self._note("request.asked_back", "asked_back")
        return self._note("request.unclear", "unclear")

    def _may_ask_back(self) -> bool:
        if self.row.asked_back == 0:
            return True
        at = rows_of.asked_back_at(self.changes.connection, self.inbound.sender, self.row.id)
        return self.how == "lost" and (at is None or self.changes.now - at >= ASKED_LIFE_MS)

    def _already(self) -> str:
        """They had answered: tell what is recorded, unless this only says the same again."""
        if self._is_repeat():
            return self._note("request.repeated", "repeated")
        if self.reading.rule != "acknowledgement":
            outcome = self.rows.request.outcome
            self._say(
                self.preset.already_answered(
                    self.rows.request.subject,
                    Decision(self.row.decision),
                    Outcome(outcome) if outcome else None,
                )
            )
        return self._note("request.already", "already")

    def _late(self) -> str:
        outcome = self.rows.request.outcome
        known = Outcome(outcome) if outcome else None
        if self.reading.rule != "acknowledgement" and not self._previous(ECHO_MS):
            self._say(self.preset.already_closed(self.rows.request.subject, known))
        return self._note("request.late", "late")

    def _is_repeat(self) -> bool:
        """Whether this is the very text that decided, within ten minutes."""
        previous = self._previous(REPEAT_WINDOW_MS)
        return previous is not None and previous.outcome in ("decided", "repeated")

    def _is_echo(self) -> bool:
        return self._previous(ECHO_MS) is not None and not _heard_us(self.changes, self.inbound)

    def _previous(self, window: int) -> InboundRow | None:
        """The same text to the same number about the same assignment, handled before."""
        one = self.inbound
        found = inbox.recent_same(
            self.changes.connection,
            one.sender,
            one.destination,
            one.text,
            one.received_at - window,
            before=one.id,
        )
        return found if found and found.assignment_id == self.row.id else None

    def _answer(self, *, counted: bool) -> AnswerRow:
        clear = self.reading.kind in (Kind.YES, Kind.NO)
        return AnswerRow(
            id=self.changes.tools.ids.next(),
            request_id=self.rows.request.id,
            assignment_id=self.row.id,
            channel="sms",
            inbound_id=self.inbound.id,
            text=self.inbound.text,
            decision=self.reading.kind.value if clear else "",
            reason=self.reading.reason,
            rule=f"{self.how}:{self.reading.rule}",
            counted=counted,
            at=self.changes.now,
        )

    def _note(self, kind: str, outcome: str) -> str:
        """Keep an answer that decides nothing, and tell the request's owner."""
        answer = self._answer(counted=False)
        rows_of.insert_answer(self.changes.connection, answer)
        self.changes.tell(
            kind,
            self.rows,
            self.row,
            inbound_id=self.inbound.id,
            sender=self.inbound.sender,
            text=self.inbound.text,
            rule=answer.rule,
        )
        return outcome

    def _say(self, text: str, *, expects_reply: bool = False) -> bool:
        """Answer from the number the question came from."""
        own = self.changes.sender_of(self.row)
        access_number, extension = own or (self.inbound.access_number, "")
        request = self.rows.request

        def outgoing(served_from: str) -> Outgoing:
            return Outgoing(
                account=request.account,
                to=self.inbound.sender,
                text=text,
                access_number=access_number or served_from,
                extension=extension,
                expects_reply=expects_reply,
                request_id=request.id,
                reference=request.reference,
            )

        return _say(self.changes, self.inbound, outgoing, access_number)


def _list(changes: Changes, inbound: InboundRow, found: Match) -> str:
    """Ask which of several items is meant; once, then it is a person's to read."""
    before = inbox.page(changes.connection, before=inbound.id, sender=inbound.sender, limit=1)
    day_ago = inbound.received_at - LIST_LIFE_MS
    asked = before and before[0].outcome == "listed" and before[0].received_at > day_ago
    echoed = (
        before
        and before[0].outcome in ("listed", "repeated")
        and before[0].text == inbound.text
        and inbound.received_at - before[0].received_at < ECHO_MS
        and not _heard_us(changes, inbound)
    )
    if echoed:
        return "repeated"
    _, first = next(iter(found.choices.values()))
    accounts = {request.account for _, request in found.choices.values()}
    account = first.account if len(accounts) == 1 else ""
    subjects = [(number, request.subject) for number, (_, request) in found.choices.items()]

    def outgoing(served_from: str) -> Outgoing:
        return Outgoing(
            account=account,
            to=inbound.sender,
            text=changes.preset_of(first).listing(subjects),
            access_number=inbound.access_number or served_from,
            extension="",
            expects_reply=True,
            request_id=None,
        )

    if not asked and _say(changes, inbound, outgoing, inbound.access_number):
        shown = list(found.choices.items())[:LIST_SHOWN]
        items = {str(number): str(row.id) for number, (row, _) in shown}
        changes.emit(LISTED, inbound.id, account, phone=inbound.sender, items=items)
        return "listed"
    changes.emit("reply.unclear", inbound.id, account, phone=inbound.sender, text=inbound.text)
    return "unclear"


def _heard_us(changes: Changes, inbound: InboundRow) -> bool:
    """Whether we said something just before ``inbound``, with time to read it."""
    heard = rows_of.automatic_answers(
        changes.connection,
        inbound.sender,
        ANSWERED,
        inbound.received_at - ECHO_MS - 1,
        inbound.received_at - READ_MS,
    )
    return heard > 0


def _say(
    changes: Changes,
    inbound: InboundRow,
    outgoing: Callable[[str], Outgoing],
    access_number: str,
) -> bool:
    """Send an automatic answer if this phone may get one; tell whether it goes out."""
    phone = inbound.sender
    if _SERVICE_NUMBER.fullmatch(phone):
        return False
    since = changes.now - ANSWERS_WINDOW_MS
    if rows_of.automatic_answers(changes.connection, phone, ANSWERED, since) >= ANSWERS:
        return False
    try:
        served_from = access_number or changes.tools.composer.sender_for(phone)
        message = outgoing(served_from)
        message_id = changes.send(message)
    except (ValidationError, ConfigError, LinkError) as error:
        changes.emit("reply.failed", inbound.id, "", phone=phone, problem=str(error))
        return False
    changes.emit(ANSWERED, inbound.id, message.account, phone=phone, message_id=message_id)
    return True

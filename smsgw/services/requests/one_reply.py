"""What one inbound message says about one assignment, and what follows from it.

Rules: we ask back once per item, and once a day about what came without its extension; what stays
unclear is a person's to read (event ``request.unclear``).
"""

from __future__ import annotations

import hmac

from smsgw.services.choices import Choice, Effect
from smsgw.services.folding import fold_word
from smsgw.services.replies import Kind, Reading
from smsgw.services.requests.answering import (
    ECHO_MS,
    answer_phone,
    heard_us,
    same_before,
)
from smsgw.services.requests.asking import UNSENDABLE, asked_of
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.services.requests.following import raise_version, record
from smsgw.services.requests.matching import (
    ASKED_LIFE_MS,
    CERTAIN,
    asked_back_before,
)
from smsgw.services.requests.model import Outcome
from smsgw.services.requests.opening import hand_on
from smsgw.services.requests.places import (
    DELEGATED,
    assignment_by_id,
    choice_by_key,
    step_by_id,
    successor,
)
from smsgw.services.requests.settings import Confirmation, request_settings
from smsgw.services.targets import Target, target_of
from smsgw.store import requests as rows_of
from smsgw.store.inbox import InboundRow
from smsgw.store.requests import AnswerRow, AssignmentRow

REPEAT_WINDOW_MS = 600_000

CODE_TRIES = 3
"""So many wrong codes, and a request is decided over the API only."""

MADE = ("decided", "noted", "transferred", "repeated")
"""Outcomes after which the same text again says nothing new."""


class Reply:
    """What one inbound message says about one assignment.

    Attributes:
        rows: The request.
        row: The assignment, one of the request's rows.
        said: What the phone is to hear; "" for nothing.
    """

    def __init__(
        self,
        changes: Changes,
        inbound: InboundRow,
        how: str,
        row: AssignmentRow,
        reading: Reading,
    ) -> None:
        self.changes = changes
        self.inbound = inbound
        self.how = how
        self.reading = reading
        if inbound.missing:
            self.reading = Reading(Kind.UNCLEAR, "", "incomplete")
        self.row = row
        self.reload()
        self.preset = changes.preset_of(self.rows.request)
        self.settings = request_settings(self.rows.request.settings)
        self.step = step_by_id(self.rows, self.row.step_id)
        self.anomaly = self._anomaly()
        self.said = ""
        self._expects_reply = False

    def reload(self) -> None:
        """Read the request as it is now."""
        rows = rows_of.get(self.changes.connection, self.row.request_id, lock=True)
        row = None if rows is None else assignment_by_id(rows, self.row.id)
        if rows is None or row is None:
            raise AssertionError(f"assignment {self.row.id} without its request")
        heir = successor(rows, row)
        if heir.phone == row.phone:  # it was handed on and back
            row = heir
        self.rows, self.row = rows, row
        self.step = step_by_id(rows, row.step_id)

    def settle(self) -> str:
        """Record what was said and apply what follows; returns the outcome."""
        if self.how == "stranger":
            return self._note("request.stranger", "stranger")
        is_open = self.rows.request.state == "open" and self.step.state == "open"
        if self.row.state == DELEGATED:
            return self._handed_on()
        if self.row.state == "answered" and not (is_open and self._changes_mind()):
            return self._already()
        if self.row.state not in ("asked", "answered") or not is_open:
            return self._late()
        if self._is_echo():
            return self._note("request.repeated", "repeated")
        if self._is_certain():
            return self._take(self._choice())
        if self.reading.rule == "code missing" and self.how in CERTAIN:
            return self._without_code()
        if self.reading.rule == "no target" and self.how in CERTAIN:
            return self._transfer(self.reading.reason)
        return self._ask_back()

    def say(self) -> bool:
        """Answer from the number the question came from; tell whether it goes out."""
        if not self.said:
            return False
        text, self.said = self.said, ""
        own = self.changes.sender_of(self.row)
        access_number, extension = own or (self.inbound.access_number, "")
        request = self.rows.request
        message = Outgoing(
            account=request.account,
            to=self.inbound.sender,
            text=text,
            access_number=access_number,
            extension=extension,
            expects_reply=self._expects_reply,
            request_id=request.id,
            reference=request.reference,
        )
        return answer_phone(self.changes, self.inbound, message)

    # ---- what was said -------------------------------------------------------------------

    def _choice(self) -> Choice:
        found = choice_by_key(self.preset, self.step, self.reading.choice)
        if found is None:
            raise AssertionError(f"{self.reading.choice} is no answer of step {self.step.id}")
        return found

    def _is_certain(self) -> bool:
        """Whether the words decide; numbers do only where we offered them."""
        if self.how not in CERTAIN or self.reading.kind is not Kind.CLEAR:
            return False
        if self.reading.rule != "number" or self.preset.numbered:
            return True
        return self._were_numbers_offered()

    def _were_numbers_offered(self) -> bool:
        """Whether our question showed numbers: it does where an extension carries it.

        It never does where the value is high.
        """
        if self.settings.confirmation is not None:
            return False
        asked = asked_back_before(self.changes, self.inbound, self.row)
        return asked is not None and self.changes.sender_of(self.row) is not None

    def _changes_mind(self) -> bool:
        """Whether this is another answer than the one recorded, and may replace it."""
        if not (self.settings.allow_change and self._is_certain()) or self._is_repeat():
            return False
        return self._choice().effect.answers and self.reading.choice != self.row.decision

    # ---- answers that count --------------------------------------------------------------

    def _take(self, choice: Choice) -> str:
        if choice.effect is Effect.TRANSFER:
            return self._transfer(self.reading.reason)
        if choice.effect is Effect.PROGRESS:
            if self.row.progress == choice.key:
                return self._note("request.repeated", "repeated")
            record(self.changes, self.rows, self.row, choice, self._answer(counted=True))
            return "noted"
        if choice.effect is Effect.FOR and self.settings.confirmation is not None:
            refused = self._unconfirmed()
            if refused:
                return refused
        subject = self.rows.request.subject
        record(self.changes, self.rows, self.row, choice, self._answer(counted=True))
        self.said = self.preset.confirmation(subject, choice, self.reading.reason)
        return "decided"

    def _unconfirmed(self) -> str:
        """Why a consent to something of high value does not count; "" when it does."""
        if self.settings.confirmation is Confirmation.API or self.anomaly or self._is_locked():
            return self._needs_console()
        if not hmac.compare_digest(self.reading.code.encode(), self.row.code.encode()):
            self.row.code_failures += 1
            rows_of.save_assignment(self.changes.connection, self.row)
            if self._is_locked():
                return self._needs_console()
            return self._without_code()
        return ""

    def _is_locked(self) -> bool:
        return self.row.code_failures >= CODE_TRIES

    def _without_code(self) -> str:
        if self._is_locked():
            return self._needs_console()
        left = CODE_TRIES - self.row.code_failures
        own = self.changes.sender_of(self.row)
        asked = asked_of(self.changes, self.rows, self.row, with_id=not own)
        self._ask(self.preset.needs_code(self.rows.request.subject, asked, left))
        return self._note("request.unconfirmed", "unconfirmed")

    def _needs_console(self) -> str:
        self.said = self.preset.needs_console(self.rows.request.subject)
        return self._note("request.unconfirmed", "unconfirmed")

    def _transfer(self, words: str) -> str:
        """Hand the item on to whom the words name."""
        subject = self.rows.request.subject
        target = target_of(words) or Target("", "")
        phone = target.phone or self._phone_of(target.name)
        if not phone:
            self._ask(self.preset.bad_transfer(subject, "未写明手机号"))
            return self._note("request.unclear", "unclear")
        name = target.name or phone
        try:
            by = f"sms:{self.inbound.sender}"
            hand_on(self.changes, self.rows, self.row, phone, target.name, by)
        except UNSENDABLE:
            self._ask(self.preset.bad_transfer(subject, "该号码无法接收或已在处理"))
            return self._note("request.unclear", "unclear")
        rows_of.insert_answer(self.changes.connection, self._answer(counted=True))
        raise_version(self.changes, self.rows)
        self.said = self.preset.handed_on(subject, name)
        return "transferred"

    def _phone_of(self, name: str) -> str:
        """The phone of somebody the request names; "" when that is nobody, or not only one."""
        named = (row for row in self.rows.assignments if name and fold_word(row.name) == name)
        phones = {row.phone for row in named}
        return phones.pop() if len(phones) == 1 else ""

    # ---- answers that do not -------------------------------------------------------------

    def _ask_back(self) -> str:
        if self._may_ask_back():
            own = self.changes.sender_of(self.row)
            asked = asked_of(self.changes, self.rows, self.row, with_id=not own)
            self._ask(self.preset.ask_back(self.rows.request.subject, asked))
            if self.say():
                self.row.asked_back += 1
                rows_of.save_assignment(self.changes.connection, self.row)
                return self._note("request.asked_back", "asked_back")
        return self._note("request.unclear", "unclear")

    def _ask(self, text: str) -> None:
        self.said, self._expects_reply = text, True

    def _may_ask_back(self) -> bool:
        if self.row.asked_back == 0:
            return True
        at = rows_of.asked_back_at(self.changes.connection, self.inbound.sender, self.row.id)
        return self.how == "lost" and (at is None or self.changes.now - at >= ASKED_LIFE_MS)

    def _handed_on(self) -> str:
        """They are asked no more: somebody else is."""
        heir = successor(self.rows, self.row)
        if self.reading.rule != "acknowledgement" and not self._previous(ECHO_MS):
            subject = self.rows.request.subject
            self.said = self.preset.handed_on(subject, heir.name or heir.phone)
        return self._note("request.late", "late")

    def _already(self) -> str:
        """They had answered: tell what is recorded, unless this only says the same again."""
        if self._is_repeat():
            return self._note("request.repeated", "repeated")
        if self.reading.rule != "acknowledgement":
            choice = choice_by_key(self.preset, self.step, self.row.decision)
            assert choice is not None
            subject, outcome = self.rows.request.subject, self._outcome()
            is_open = self.rows.request.state == "open" and self.step.state == "open"
            final = not (self.settings.allow_change and is_open)
            self.said = self.preset.already_answered(subject, choice, outcome, final=final)
        return self._note("request.already", "already")

    def _late(self) -> str:
        if self.reading.rule != "acknowledgement" and not self._previous(ECHO_MS):
            self.said = self.preset.already_closed(self.rows.request.subject, self._outcome())
        return self._note("request.late", "late")

    def _outcome(self) -> Outcome | None:
        outcome = self.rows.request.outcome
        return Outcome(outcome) if outcome else None

    def _is_repeat(self) -> bool:
        """Whether this is the very text that decided, within ten minutes."""
        previous = self._previous(REPEAT_WINDOW_MS)
        return previous is not None and previous.outcome in MADE

    def _is_echo(self) -> bool:
        return self._previous(ECHO_MS) is not None and not heard_us(self.changes, self.inbound)

    def _previous(self, window: int) -> InboundRow | None:
        """The same text to the same number about the same assignment, handled before."""
        found = same_before(self.changes, self.inbound, window)
        return found if found and found.assignment_id == self.row.id else None

    def _anomaly(self) -> str:
        """What is odd about how the message came; "" when nothing."""
        asked = self.row.prompt_message_id
        went = None if asked is None else rows_of.operator_of(self.changes.connection, asked)
        came = self.changes.tools.operators.get(self.inbound.link)
        if went is None or came is None or came == went:
            return ""
        return f"came over {self.inbound.link} ({came}), asked over {went}"

    def _answer(self, *, counted: bool) -> AnswerRow:
        return AnswerRow(
            id=self.changes.tools.ids.next(),
            request_id=self.rows.request.id,
            assignment_id=self.row.id,
            channel="sms",
            actor=self.inbound.sender,
            inbound_id=self.inbound.id,
            text=self.inbound.text,
            decision=self.reading.choice,
            reason=self.reading.reason,
            rule=f"{self.how}:{self.reading.rule}",
            anomaly=self.anomaly,
            counted=counted,
            at=self.changes.now,
        )

    def _note(self, kind: str, outcome: str) -> str:
        """Keep an answer that decides nothing, and tell the request's owner."""
        answer = self._answer(counted=False)
        rows_of.insert_answer(self.changes.connection, answer)
        told = {"anomaly": self.anomaly} if self.anomaly else {}
        self.changes.tell(
            kind,
            self.rows,
            self.row,
            inbound_id=self.inbound.id,
            sender=self.inbound.sender,
            text=self.inbound.text,
            rule=answer.rule,
            **told,
        )
        return outcome

"""What a customer asks for, as it is written in JSON; ``checks`` says whether it can be done."""

from __future__ import annotations

from datetime import datetime

import msgspec

from smsgw.services.choices import Effect
from smsgw.services.requests.settings import Confirmation, Escalation, OnDeadline, VoteSettings


class Person(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Somebody, as a customer writes them."""

    phone: str
    name: str = ""


class AnswerDraft(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An allowed answer: ``key`` is its label unless given, in a vote its number."""

    label: str
    key: str = ""
    effect: Effect = Effect.FOR
    words: list[str] = []


class StepDraft(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One step, as a customer writes it: who is asked at the same time, and the rule.

    Attributes:
        assignees: Whom to ask; nobody where anybody may vote.
        rule: ``all``, ``any`` or such as ``2 of 3``; "" is the preset's.
        reject_ends: Whether one rejection decides; None is true for ``all`` and else false.
        name: What people call it.
        deadline_after: Seconds it may take; None without a limit.
        on_deadline: What it comes to then; None is the request's.
        reminders: Seconds after the question at which who has not answered is asked again.
        escalation: Who is asked besides, and when.
        answers: What may be answered; empty is what the preset allows.
    """

    assignees: list[Person] = []
    rule: str = ""
    reject_ends: bool | None = None
    name: str = ""
    deadline_after: float | None = None
    on_deadline: OnDeadline | None = None
    reminders: list[float] = []
    escalation: list[Escalation] = []
    answers: list[AnswerDraft] = []


class RequestDraft(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A request, as a customer writes it; what is None is its type's, or usual.

    Attributes:
        subject: What is to be decided, in one line.
        steps: In order.
        body: Everything people need to know.
        type: The name of a saved flow that says whatever is left out here.
        preset: The kind of request; ``approval`` unless given.
        reference: The customer's own.
        applicant: Who is told of the outcome by SMS.
        deadline: When it ends, whatever was answered; with its zone.
        on_deadline: What it comes to then.
        confirmation: What a consent needs besides the word, where the value is high.
        allow_change: Whether another answer replaces the first until the step closes.
        urgent: Whether people are asked in quiet hours too.
        vote: How votes are taken.
    """

    subject: str = ""
    steps: list[StepDraft] | None = None
    body: str | None = None
    type: str = ""
    preset: str | None = None
    reference: str = ""
    applicant: Person | None = None
    deadline: datetime | None = None
    on_deadline: OnDeadline | None = None
    confirmation: Confirmation | None = None
    allow_change: bool | None = None
    urgent: bool | None = None
    vote: VoteSettings | None = None

    def over(self, base: RequestDraft) -> RequestDraft:
        """Return what this says, and where it says nothing what ``base`` does."""
        own = msgspec.structs.asdict(self)
        usual = msgspec.structs.asdict(base)
        return RequestDraft(
            **{key: usual[key] if value is None else value for key, value in own.items()}
        )


_decoder = msgspec.json.Decoder(RequestDraft)


def decode(text: str) -> RequestDraft:
    """Return a draft that was kept as JSON."""
    return _decoder.decode(text)

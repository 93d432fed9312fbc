"""Checks what a customer asks for, and turns it into rows. Every error names its field by path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from smsgw.errors import ValidationError
from smsgw.routing.numbers import normalise
from smsgw.services.choices import Choice
from smsgw.services.requests.changes import Composer
from smsgw.services.requests.drafts import Person, RequestDraft, StepDraft
from smsgw.services.requests.model import parse_rule
from smsgw.services.requests.places import ASSIGNEE, own_answers
from smsgw.services.requests.presets import Preset
from smsgw.services.requests.settings import (
    Audience,
    Counts,
    Escalation,
    RequestSettings,
    StepSettings,
    VoteSettings,
    encode,
)
from smsgw.store.ids import IdSource
from smsgw.store.requests import AssignmentRow, RequestRow, RequestRows, StepRow

SUBJECT_MAX = 100
BODY_MAX = 2000
NAME_MAX = 64
REFERENCE_MAX = 128
REASON_MAX = 1000
STEPS_MAX = 20
ASSIGNEES_MAX = 50
VOTERS_MAX = 1000
ANSWERS_MAX = 20
ANSWER_MAX = 32
WORDS_MAX = 50
REMINDERS_MAX = 10
ESCALATIONS_MAX = 5
SECONDS_MIN = 1.0
SECONDS_MAX = 90 * 86_400.0


class Checked(msgspec.Struct):
    """A draft that can be asked: phones normalised, answers told apart."""

    preset: Preset
    draft: RequestDraft
    steps: list[StepDraft]
    answers: list[tuple[Choice, ...]]
    settings: RequestSettings
    applicant: Person


def check(
    draft: RequestDraft, presets: Mapping[str, Preset], composer: Composer, now: int
) -> Checked:
    """Check everything of a new request.

    Args:
        draft: Complete: what its type says is in it.
        presets: By name.
        composer: Knows which phones can be asked.
        now: Milliseconds since the Unix epoch.

    Raises:
        ValidationError: Its field is a path such as ``steps[0].assignees[1].phone``.
    """
    preset = _preset(draft.preset or "approval", presets)
    if not draft.subject.strip():
        raise ValidationError("subject", "empty; say what is to be decided")
    check_length("subject", draft.subject, SUBJECT_MAX)
    check_length("body", draft.body or "", BODY_MAX)
    check_length("reference", draft.reference, REFERENCE_MAX)
    settings = _settings(draft, preset, now)
    applicant = draft.applicant or Person("")
    if draft.applicant is not None:
        applicant = check_person(draft.applicant, "applicant", composer)
    steps = draft.steps or []
    if not 1 <= len(steps) <= STEPS_MAX:
        raise ValidationError("steps", f"{len(steps)} steps, allowed 1 to {STEPS_MAX}")
    if preset.name == "vote" and len(steps) > 1:
        raise ValidationError("steps", f"{len(steps)} steps; a vote has one")
    people = [_Step(f"steps[{place}]", preset, settings, composer) for place in range(len(steps))]
    answers = [place.answers(step) for place, step in zip(people, steps, strict=True)]
    checked = [place.check(step) for place, step in zip(people, steps, strict=True)]
    return Checked(preset, draft, checked, answers, settings, applicant)


def check_length(field: str, text: str, limit: int) -> None:
    """Check a text: PostgreSQL's cannot hold a NUL.

    Raises:
        ValidationError: It has a NUL, or more than ``limit`` characters.
    """
    if len(text) > limit:
        raise ValidationError(field, f"{len(text)} characters, limit {limit}; shorten it")
    if "\0" in text:
        raise ValidationError(field, "has a NUL character; leave it out")


def _preset(name: str, presets: Mapping[str, Preset]) -> Preset:
    if name not in presets:
        known = ", ".join(presets)
        raise ValidationError("preset", f"{name!r} is no preset; write one of {known}")
    return presets[name]


def _settings(draft: RequestDraft, preset: Preset, now: int) -> RequestSettings:
    deadline_at = None
    if draft.deadline is not None:
        if draft.deadline.tzinfo is None:
            raise ValidationError("deadline", "has no zone; write +08:00 or Z at its end")
        deadline_at = int(draft.deadline.timestamp() * 1000)
        ahead = (deadline_at - now) / 1000
        if ahead <= 0:
            raise ValidationError("deadline", f"{-ahead:.0f} s ago; write a time to come")
        _check_seconds("deadline", ahead)
    vote = draft.vote
    if preset.name == "vote":
        vote = vote or VoteSettings()
    elif vote is not None:
        raise ValidationError("vote", f"preset {preset.name} takes no votes; write preset vote")
    if vote is not None:
        _check_vote(vote)
        _check_open(draft, vote)
    return RequestSettings(
        deadline_at=deadline_at,
        on_deadline=draft.on_deadline,
        confirmation=draft.confirmation,
        allow_change=bool(draft.allow_change) or _last_counts(vote),
        urgent=bool(draft.urgent),
        vote=vote,
    )


def _check_vote(vote: VoteSettings) -> None:
    extension = vote.extension
    if vote.audience is Audience.ASSIGNEES:
        if extension:
            raise ValidationError("vote.extension", "is for a vote of anyone; leave it out")
        return
    if not extension:
        raise ValidationError("vote.extension", "empty; write the digits that anyone sends to")
    if not (extension.isascii() and extension.isdigit()):
        raise ValidationError("vote.extension", f"{extension[:20]!r} is not digits only")


def _last_counts(vote: VoteSettings | None) -> bool:
    return vote is not None and vote.counts is Counts.LAST


def _check_open(draft: RequestDraft, vote: VoteSettings) -> None:
    """Refuse for a vote of anyone what needs people who are known."""
    if vote.audience is Audience.ASSIGNEES:
        return
    if draft.allow_change:
        raise ValidationError("allow_change", 'is for assignees; write vote.counts "last"')
    if draft.confirmation is not None:
        raise ValidationError("confirmation", "is for assignees; leave it out in a vote of anyone")
    for place, step in enumerate(draft.steps or []):
        for name in ("assignees", "rule", "reject_ends", "reminders", "escalation"):
            if getattr(step, name) not in ([], "", None):
                raise ValidationError(f"steps[{place}].{name}", "anyone may vote; leave it out")
        for index, answer in enumerate(step.answers):
            if not answer.effect.answers:
                path = f"steps[{place}].answers[{index}].effect"
                raise ValidationError(path, f"{answer.effect} is for assignees; leave it out")


def _check_seconds(field: str, seconds: float) -> None:
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        limits = f"{SECONDS_MIN:.0f} to {SECONDS_MAX:.0f}"
        raise ValidationError(field, f"{seconds:.15g} seconds, allowed {limits}")


def check_person(person: Person, path: str, composer: Composer) -> Person:
    """Return somebody with their phone normalised, if a link serves it.

    Raises:
        ValidationError: Its field begins with ``path``.
    """
    check_length(f"{path}.name", person.name, NAME_MAX)
    phone = normalise(person.phone, f"{path}.phone")
    try:
        composer.sender_for(phone)
    except ValidationError as error:
        raise ValidationError(f"{path}.phone", error.problem) from error
    return Person(phone, person.name.strip())


class _Step:
    """Checks one step."""

    def __init__(
        self, path: str, preset: Preset, settings: RequestSettings, composer: Composer
    ) -> None:
        self.path = path
        self.preset = preset
        self.settings = settings
        self.composer = composer
        vote = settings.vote
        self.anyone = vote is not None and vote.audience is Audience.ANYONE

    def check(self, step: StepDraft) -> StepDraft:
        """Return the step with normalised phones, and its rule written out whole."""
        path = self.path
        check_length(f"{path}.name", step.name, NAME_MAX)
        limit = VOTERS_MAX if self.preset.numbered else ASSIGNEES_MAX
        count = len(step.assignees)
        if not self.anyone and not 1 <= count <= limit:
            raise ValidationError(f"{path}.assignees", f"{count} assignees, allowed 1 to {limit}")
        people = self._people(step.assignees)
        written = step.rule or self.preset.rule
        rule = parse_rule(written, step.reject_ends, count, f"{path}.rule")
        self._check_times(step)
        phones = {person.phone for person in people}
        contacts = [
            self._contact(contact, f"{path}.escalation[{place}]", phones)
            for place, contact in enumerate(step.escalation)
        ]
        return msgspec.structs.replace(
            step,
            assignees=people,
            rule=written,
            reject_ends=rule.reject_ends,
            escalation=contacts,
        )

    def answers(self, step: StepDraft) -> tuple[Choice, ...]:
        """Return the step's own answers, told apart; () for the preset's."""
        path, vote = f"{self.path}.answers", self.settings.vote is not None
        if not step.answers and not self.preset.choices:
            raise ValidationError(path, "empty; write what people may vote for")
        if len(step.answers) > ANSWERS_MAX:
            raise ValidationError(path, f"{len(step.answers)} answers, allowed {ANSWERS_MAX}")
        made = []
        for place, one in enumerate(step.answers):
            check_length(f"{path}[{place}].label", one.label, ANSWER_MAX)
            check_length(f"{path}[{place}].key", one.key, ANSWER_MAX)
            if len(one.words) > WORDS_MAX:
                problem = f"{len(one.words)} words, allowed {WORDS_MAX}"
                raise ValidationError(f"{path}[{place}].words", problem)
            key = one.key or (str(place + 1) if vote else one.label)
            made.append(Choice(key, one.label, one.effect, tuple(one.words)))
        if made:
            own_answers(self.preset, made, path)
        return tuple(made)

    def _people(self, people: Sequence[Person]) -> list[Person]:
        seen: dict[str, int] = {}
        checked = []
        for index, person in enumerate(people):
            where = f"{self.path}.assignees[{index}]"
            one = check_person(person, where, self.composer)
            if one.phone in seen:
                raise ValidationError(
                    f"{where}.phone",
                    f"the same number as assignees[{seen[one.phone]}]; name each phone once "
                    "per step",
                )
            seen[one.phone] = index
            checked.append(one)
        return checked

    def _check_times(self, step: StepDraft) -> None:
        if step.deadline_after is not None:
            _check_seconds(f"{self.path}.deadline_after", step.deadline_after)
        if len(step.reminders) > REMINDERS_MAX:
            problem = f"{len(step.reminders)} reminders, allowed {REMINDERS_MAX}"
            raise ValidationError(f"{self.path}.reminders", problem)
        if len(step.escalation) > ESCALATIONS_MAX:
            problem = f"{len(step.escalation)} contacts, allowed {ESCALATIONS_MAX}"
            raise ValidationError(f"{self.path}.escalation", problem)
        before = 0.0
        for place, after in enumerate(step.reminders):
            field = f"{self.path}.reminders[{place}]"
            _check_seconds(field, after)
            if after <= before:
                raise ValidationError(field, f"{after:g} s is not after {before:g} s before it")
            before = after

    def _contact(self, contact: Escalation, path: str, taken: set[str]) -> Escalation:
        """Return somebody to ask besides; not who is asked in the step, or before."""
        _check_seconds(f"{path}.after", contact.after)
        person = check_person(Person(contact.phone, contact.name), path, self.composer)
        if person.phone in taken:
            raise ValidationError(f"{path}.phone", "is asked in this step already; name another")
        taken.add(person.phone)
        return Escalation(contact.after, person.phone, person.name)


def rows(checked: Checked, account: str, ids: IdSource, now: int) -> RequestRows:
    """Return the rows of a new request, every step waiting."""
    draft = checked.draft
    request = RequestRow(
        id=ids.next(),
        account=account,
        type=draft.type,
        preset=checked.preset.name,
        subject=draft.subject.strip(),
        body=(draft.body or "").strip(),
        reference=draft.reference,
        applicant_name=checked.applicant.name,
        applicant_phone=checked.applicant.phone,
        settings=encode(checked.settings),
        state="open",
        outcome="",
        version=0,
        created_at=now,
    )
    made = RequestRows(request, [], [])
    for place, (step, answers) in enumerate(zip(checked.steps, checked.answers, strict=True)):
        row = _step_row(ids.next(), request.id, place, step, answers)
        made.steps.append(row)
        made.assignments.extend(
            AssignmentRow(
                id=ids.next(),
                request_id=request.id,
                step_id=row.id,
                position=index,
                role=ASSIGNEE,
                name=person.name,
                phone=person.phone,
                state="waiting",
            )
            for index, person in enumerate(step.assignees)
        )
    return made


def _step_row(
    step_id: int, request_id: int, place: int, step: StepDraft, answers: tuple[Choice, ...]
) -> StepRow:
    settings = StepSettings(
        deadline_after=step.deadline_after,
        on_deadline=step.on_deadline,
        reminders=tuple(step.reminders),
        escalation=tuple(step.escalation),
        answers=answers,
    )
    return StepRow(
        id=step_id,
        request_id=request_id,
        position=place,
        name=step.name.strip(),
        rule=step.rule,
        reject_ends=bool(step.reject_ends),
        settings=encode(settings),
        state="waiting",
    )

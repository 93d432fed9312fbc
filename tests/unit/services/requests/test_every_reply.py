"""Random requests, replies, repeats, delays, restarts and delegations against a plain model.

No reply is ever applied to another request or person than the model says, no decision twice, and
every reply is accounted for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from smsgw.errors import ValidationError
from smsgw.services.ledger import SlotPlan
from smsgw.services.requests.drafts import Person
from smsgw.store import inbox
from smsgw.store.inbox import InboundRow
from tests.support.memory import result_of
from tests.support.requests import Office, asking

PHONES = [f"1380000{number:04}" for number in range(1, 6)]
WORDS = {"同意": "yes", "不同意，太贵": "no", "好的": "", "明天再说": "", "批准": "yes"}
RULES = ("all", "any")
HOUR = 3600
LIFE_MS = SlotPlan().life_seconds * 1000

phones = st.sampled_from(PHONES)
people = st.lists(phones, min_size=1, max_size=3, unique=True)
words = st.sampled_from(sorted(WORDS))


@dataclass
class Place:
    """A place of a step: who has it now, and what they said."""

    holder: str
    decision: str = ""


@dataclass
class Asked:
    """A question that a phone got: its number, and the place it stands for."""

    request: int
    step: int
    place: int
    phone: str
    extension: str
    at: int


@dataclass
class Case:
    """A request as somebody with paper and pencil would keep it."""

    rules: list[str]
    steps: list[list[Place]]
    open_step: int | None = 0
    outcome: str = ""

    def answer(self, place: Place, decision: str) -> None:
        place.decision = decision
        self.follow()

    def follow(self) -> None:
        while self.open_step is not None:
            rule_, places = self.rules[self.open_step], self.steps[self.open_step]
            said = [one.decision for one in places]
            if rule_ == "all":
                rejected, approved = "no" in said, all(one == "yes" for one in said)
            else:
                rejected, approved = all(one == "no" for one in said), "yes" in said
            if rejected:
                self.end("rejected")
            elif approved and self.open_step + 1 == len(self.steps):
                self.end("approved")
            elif approved:
                self.open_step += 1
            else:
                return

    def end(self, outcome: str) -> None:
        self.outcome, self.open_step = outcome, None


@dataclass
class Town:
    """What was sent to whom: what a phone can know."""

    asked: list[Asked] = field(default_factory=list)
    read: int = 0


class EveryReply(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self.cases: dict[int, Case] = {}
        self.town = Town()
        self.rows: list[InboundRow] = []

    def teardown(self) -> None:
        self.office.store.close()

    # ---- what happens --------------------------------------------------------------------

    @rule(
        steps=st.lists(
            st.tuples(
                st.sampled_from(RULES), st.lists(phones, min_size=1, max_size=3, unique=True)
            ),
            min_size=1,
            max_size=3,
        )
    )
    def somebody_asks(self, steps: list[tuple[str, list[str]]]) -> None:
        drafts = [asking(*people, rule=rule_) for rule_, people in steps]
        request = self.office.create(*drafts, subject=f"第{len(self.cases)}项")
        places = [[Place(phone) for phone in people] for _, people in steps]
        self.cases[request] = Case([rule_ for rule_, _ in steps], places)
        self.learn()

    @precondition(lambda self: self.town.asked)
    @rule(data=st.data(), text=words)
    def a_phone_answers_its_question(self, data: st.DataObject, text: str) -> None:
        asked = data.draw(st.sampled_from(self.town.asked))
        self.say(asked.phone, text, asked.extension)

    @precondition(lambda self: self.town.asked)
    @rule(data=st.data(), phone=phones, text=words)
    def a_phone_writes_to_a_number_it_saw_elsewhere(
        self, data: st.DataObject, phone: str, text: str
    ) -> None:
        asked = data.draw(st.sampled_from(self.town.asked))
        self.say(phone, text, asked.extension)

    @rule(phone=phones, text=words)
    def a_phone_answers_without_the_extension(self, phone: str, text: str) -> None:
        self.say(phone, text, "")

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def the_carrier_repeats_itself(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.rows))
        before = self.recorded(row)
        count = len(self.office.events), len(self.office.composer.sent)
        assert result_of(self.office.engine.reply(row)) == before.outcome
        assert (len(self.office.events), len(self.office.composer.sent)) == count

    @precondition(lambda self: self.open_places())
    @rule(data=st.data(), decision=st.sampled_from(["yes", "no"]))
    def somebody_decides_at_a_console(self, data: st.DataObject, decision: str) -> None:
        request, case, place = data.draw(st.sampled_from(self.open_places()))
        row = self.present(request, place.holder, case.open_step or 0)
        result_of(self.office.engine.decide(request, int(row["id"]), decision))
        case.answer(place, decision)
        self.learn()

    @precondition(lambda self: self.open_places())
    @rule(data=st.data(), phone=phones)
    def somebody_hands_it_on(self, data: st.DataObject, phone: str) -> None:
        request, case, place = data.draw(st.sampled_from(self.open_places()))
        step = case.open_step or 0
        row = self.present(request, place.holder, step)
        given = self.office.engine.delegate(request, int(row["id"]), Person(phone))
        if any(one.holder == phone for one in case.steps[step]):
            try:
                result_of(given)
            except ValidationError:
                return
            raise AssertionError("asked twice in a step")
        result_of(given)
        place.holder = phone
        self.learn()

    @precondition(lambda self: self.open_cases())
    @rule(data=st.data())
    def somebody_withdraws_it(self, data: st.DataObject) -> None:
        request, case = data.draw(st.sampled_from(self.open_cases()))
        result_of(self.office.engine.withdraw(request))
        case.end("withdrawn")

    @precondition(lambda self: self.open_cases())
    @rule(data=st.data())
    def everybody_is_asked_again(self, data: st.DataObject) -> None:
        request, _ = data.draw(st.sampled_from(self.open_cases()))
        result_of(self.office.engine.resend(request, None))
        self.learn()

    @rule(seconds=st.sampled_from([1, 20, 700, HOUR, 30 * HOUR, 40 * 24 * HOUR]))
    def time_passes(self, seconds: int) -> None:
        self.office.time.advance(seconds)

    @rule()
    def it_is_started_again(self) -> None:
        result_of(self.office.engine.timers.stop())
        self.office.restarted()

    # ---- what must hold ------------------------------------------------------------------

    @invariant()
    def every_request_is_as_the_model_says(self) -> None:
        for request, case in self.cases.items():
            shown = self.office.show(request)
            assert (shown["outcome"] or "") == case.outcome
            assert (shown["state"] == "open") == (case.open_step is not None)
            for step, places in zip(shown["steps"], case.steps, strict=True):
                now = [one for one in step["assignees"] if one["state"] != "delegated"]
                now.sort(key=lambda one: step["assignees"].index(one))
                said = {one["phone"]: one["decision"] or "" for one in now}
                assert said == {one.holder: one.decision for one in places}
                for one in step["assignees"]:
                    counted = [answer for answer in one["answers"] if answer["counted"]]
                    assert len(counted) == (1 if one["decision"] else 0)

    @invariant()
    def every_reply_is_accounted_for(self) -> None:
        for row in self.rows[-3:]:
            recorded = self.recorded(row)
            assert recorded.outcome
            assert recorded.handled_at is not None

    # ---- how it is checked ---------------------------------------------------------------

    def say(self, phone: str, text: str, extension: str) -> None:
        """Send a reply, and apply to the model what it may do there and nothing else."""
        self.office.time.advance(30)
        expected = self.expected(phone, extension)
        may_be_lost = [] if extension else self.asked_by_name(phone)
        row = self.office.stored(phone, text, extension)
        self.rows.append(row)
        outcome = result_of(self.office.engine.reply(row))
        decision = WORDS[text]
        if expected is not None and decision and self.is_live(phone, extension):
            assert outcome == "decided" or self.is_echo(row), outcome
        if outcome == "decided":
            target = expected
            if target is None:
                assert may_be_lost, (phone, text, extension)
                assert len(may_be_lost) == 1
                target = may_be_lost[0]
            case, place = target
            assert decision
            assert place.holder == phone
            case.answer(place, decision)
        self.learn()

    def expected(self, phone: str, extension: str) -> tuple[Case, Place] | None:
        """The place that a clear word from a phone to a number decides, if any."""
        if not extension:
            return None
        for asked in reversed(self.town.asked):
            if (asked.phone, asked.extension) == (phone, extension):
                case = self.cases[asked.request]
                place = case.steps[asked.step][asked.place]
                is_open = case.open_step == asked.step and not place.decision
                return (case, place) if is_open and place.holder == phone else None
        return None

    def is_live(self, phone: str, extension: str) -> bool:
        """Whether a question's number has not been forgotten since it was asked last."""
        asked = max(
            one.at for one in self.town.asked if (one.phone, one.extension) == (phone, extension)
        )
        return self.office.time.ms - asked < LIFE_MS

    def asked_by_name(self, phone: str) -> list[tuple[Case, Place]]:
        """What a phone has open: only a single one can be meant without its number."""
        return [(case, place) for _, case, place in self.open_places() if place.holder == phone]

    def is_echo(self, row: InboundRow) -> bool:
        return self.recorded(row).outcome in ("repeated", "late", "already", "inbox", "stranger")

    def learn(self) -> None:
        """Read what phones got: every question names its number."""
        sent = self.office.composer.sent
        for one in sent[self.town.read :]:
            if one.extension and ("待审批：" in one.text) and one.request_id is not None:
                case = self.cases.get(one.request_id)
                self.note(one.request_id, case, one.to, one.extension)
        self.town.read = len(sent)

    def note(self, request: int, case: Case | None, phone: str, extension: str) -> None:
        steps = self.office.show(request)["steps"]
        for at, step in enumerate(steps):
            for row in step["assignees"]:
                if (row["phone"], row["extension"]) == (phone, extension):
                    place = next(
                        index
                        for index, _ in enumerate(step["assignees"])
                        if self.position(step, row) == index
                    )
                    asked = Asked(request, at, place, phone, extension, self.office.time.ms)
                    if asked not in self.town.asked[-1:]:
                        self.town.asked.append(asked)

    def position(self, step: dict[str, object], row: dict[str, object]) -> int:
        """The place that a row belongs to: where its chain of delegations began."""
        rows = {one["id"]: one for one in step["assignees"]}  # type: ignore[attr-defined]
        while row["delegated_from"]:
            row = rows[row["delegated_from"]]
        firsts = [one for one in rows.values() if not one["delegated_from"]]
        return firsts.index(row)

    def open_cases(self) -> list[tuple[int, Case]]:
        return [(key, case) for key, case in self.cases.items() if case.open_step is not None]

    def open_places(self) -> list[tuple[int, Case, Place]]:
        return [
            (key, case, place)
            for key, case in self.open_cases()
            for place in case.steps[case.open_step or 0]
            if not place.decision
        ]

    def present(self, request: int, phone: str, step: int) -> dict[str, str]:
        rows = self.office.show(request)["steps"][step]["assignees"]
        return next(one for one in rows if one["phone"] == phone and one["state"] != "delegated")

    def recorded(self, row: InboundRow) -> InboundRow:
        with self.office.store.transaction() as connection:
            found = inbox.get(connection, row.id)
        assert found is not None
        return found


def test_every_reply_finds_its_request_or_nothing() -> None:
    run_state_machine_as_test(EveryReply, settings=settings(stateful_step_count=20))

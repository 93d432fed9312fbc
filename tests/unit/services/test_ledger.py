from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection

from smsgw.errors import ConfigError, Conflict
from smsgw.services.ledger import (
    ASSIGNMENT,
    CONVERSATION,
    Allocation,
    ConversationsExhausted,
    Owner,
    SlotPlan,
    SlotPlans,
    allocate,
    check_plan,
    find,
    release,
)
from smsgw.store import slots
from tests.support.memory import ACCESS, ANN, BOB, MemoryStore
from tests.support.store import NOW

PLAN = SlotPlan(prefix="7", digits=1, life_seconds=100, cool_down_seconds=50)
SHORT = SlotPlan(digits=1, life_seconds=100, cool_down_seconds=50, short_cool_down_seconds=10)


@pytest.fixture
def connection() -> Iterator[Connection]:
    store = MemoryStore()
    with store.transaction() as connection:
        yield connection
    store.close()


def ask(
    connection: Connection,
    number: int,
    now: int = NOW,
    plan: SlotPlan = SHORT,
    phone: str = ANN,
    **options: int,
) -> Allocation:
    """Give out an extension for assignment ``number``."""
    return allocate(connection, phone, ACCESS, plan, now, Owner(ASSIGNMENT, number), **options)


def end(connection: Connection, slot_id: int, number: int, now: int) -> bool:
    return release(connection, slot_id, Owner(ASSIGNMENT, number), now)


def fill(connection: Connection, plan: SlotPlan = SHORT, now: int = NOW) -> list[int]:
    """Give out every extension, one per second; their slot ids."""
    return [ask(connection, n + 1, now + 1000 * n, plan).slot_id for n in range(plan.capacity)]


def test_an_extension_is_the_prefix_and_the_digits_and_maps_back(connection: Connection) -> None:
    given = allocate(connection, ANN, ACCESS, PLAN, NOW, Owner(CONVERSATION, 5))
    assert len(given.extension) == 2
    assert given.extension.startswith("7")
    found = find(connection, ANN, ACCESS, given.extension, NOW)
    assert found is not None
    assert (found.slot.owner, found.slot.owner_id, found.live) == (CONVERSATION, 5, True)
    assert found.slot.plan == PLAN.name
    assert (given.generation, given.shortened) == (1, False)
    assert given.expires_at == NOW + 100_000


def test_a_slot_may_live_for_another_time_than_the_plan_s(connection: Connection) -> None:
    given = ask(connection, 5, life_seconds=7)
    assert given.expires_at == NOW + 7000
    assert find(connection, ANN, ACCESS, given.extension, NOW + 56_999) is not None
    assert find(connection, ANN, ACCESS, given.extension, NOW + 57_000) is None


def test_another_phone_or_access_number_has_its_own_slots(connection: Connection) -> None:
    given = ask(connection, 5)
    assert find(connection, BOB, ACCESS, given.extension, NOW) is None
    assert find(connection, ANN, "10690002", given.extension, NOW) is None


def test_a_released_slot_still_maps_until_it_has_cooled(connection: Connection) -> None:
    given = ask(connection, 5)
    assert end(connection, given.slot_id, 5, NOW)
    assert not end(connection, given.slot_id, 5, NOW)
    cooling = find(connection, ANN, ACCESS, given.extension, NOW + 49_999)
    assert cooling is not None
    assert not cooling.live
    assert find(connection, ANN, ACCESS, given.extension, NOW + 50_000) is None


def test_a_slot_that_ran_out_cools_too(connection: Connection) -> None:
    given = ask(connection, 5)
    late = find(connection, ANN, ACCESS, given.extension, NOW + 149_999)
    assert late is not None
    assert not late.live
    assert find(connection, ANN, ACCESS, given.extension, NOW + 150_000) is None


def test_somebody_elses_slot_is_not_released(connection: Connection) -> None:
    given = ask(connection, 5)
    assert not end(connection, given.slot_id, 6, NOW)
    assert not release(connection, given.slot_id, Owner(CONVERSATION, 5), NOW)


def test_extensions_never_used_go_first_then_the_one_that_ended_first(
    connection: Connection,
) -> None:
    ids = fill(connection)
    assert len(set(ids)) == 10
    for place in (3, 1, 2):
        assert end(connection, ids[place], place + 1, NOW + 10_000 + 100 * (5 - place))
    later = NOW + 80_000
    again = [ask(connection, 90 + n, later).slot_id for n in range(3)]
    assert again == [ids[3], ids[2], ids[1]]


def test_exhaustion_cuts_a_cool_down_short_and_says_so(connection: Connection) -> None:
    ids = fill(connection)
    end(connection, ids[4], 5, NOW + 20_000)
    with pytest.raises(ConversationsExhausted, match="all 10 extensions"):
        ask(connection, 90, NOW + 29_999)
    given = ask(connection, 90, NOW + 30_000)
    assert (given.slot_id, given.shortened, given.generation) == (ids[4], True, 2)


def test_live_slots_are_never_given_out_again(connection: Connection) -> None:
    fill(connection)
    with pytest.raises(ConversationsExhausted):
        ask(connection, 90, NOW + 20_000)


def test_a_plan_gives_out_no_number_that_begins_with_a_static_extension(
    connection: Connection,
) -> None:
    plan = dataclasses.replace(SHORT, digits=2, taken=frozenset({"8", "80", "15", "123"}))
    assert plan.capacity == 100 - 10 - 1
    extensions = set()
    for number in range(plan.capacity):
        extensions.add(ask(connection, number, NOW, plan).extension)
    assert len(extensions) == 89
    assert not [one for one in extensions if one.startswith(("8", "15"))]
    assert "12" in extensions
    with pytest.raises(ConversationsExhausted, match="all 89"):
        ask(connection, 90, NOW, plan)


def test_what_became_static_is_not_given_out_again(connection: Connection) -> None:
    ids = fill(connection)
    old = slots.get(connection, ids[0])
    assert old is not None
    end(connection, ids[0], 1, NOW + 10_000)
    plan = dataclasses.replace(SHORT, taken=frozenset({old.extension}))
    with pytest.raises(ConversationsExhausted):
        ask(connection, 90, NOW + 80_000, plan)
    assert ask(connection, 90, NOW + 80_000).extension == old.extension


def test_who_lost_a_race_takes_another_extension(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody commits between our look and our write: here, inside the look."""
    look = slots.used
    first: list[Allocation] = []

    def overtaken(connection: Connection, phone: str, access_number: str) -> set[str]:
        seen = look(connection, phone, access_number)
        if not first:
            monkeypatch.setattr(slots, "used", look)
            first.append(ask(connection, 1))
        return seen

    monkeypatch.setattr(slots, "used", overtaken)
    second = ask(connection, 2)
    assert second.extension != first[0].extension
    assert (second.generation, first[0].generation) == (1, 1)


def test_who_lost_a_race_for_a_used_one_takes_the_next(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(connection)
    for place in (0, 1):
        end(connection, ids[place], place + 1, NOW + 10_000 + place)
    look = slots.least_recent

    def overtaken(*args: object, **options: object) -> slots.SlotRow | None:
        seen = look(*args, **options)  # type: ignore[arg-type]
        monkeypatch.setattr(slots, "least_recent", look)
        ask(connection, 50, NOW + 80_000)
        return seen

    monkeypatch.setattr(slots, "least_recent", overtaken)
    given = ask(connection, 51, NOW + 80_000)
    assert (given.slot_id, given.generation) == (ids[1], 2)


def test_who_loses_every_race_is_told_to_try_again(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection)
    monkeypatch.setattr(slots, "reuse", lambda *_: False)
    with pytest.raises(Conflict, match="try again"):
        ask(connection, 90, NOW + 900_000)


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (SlotPlan(prefix="12345", digits=6, number_digits_max=18), "19 digits, limit 18"),
        (SlotPlan(prefix="7a"), "other characters"),
        (SlotPlan(prefix="７"), "other characters"),
        (SlotPlan(digits=0), "allowed 1 to 6"),
        (SlotPlan(digits=7), "allowed 1 to 6"),
        (SlotPlan(prefix="70", taken=frozenset({"7"})), r"begins with a static one \(7\)"),
        (SlotPlan(digits=1, taken=frozenset("0123456789")), "begins with a static one"),
    ],
)
def test_a_plan_that_does_not_fit_is_an_error_with_its_path(plan: SlotPlan, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        check_plan(plan, ACCESS, "links.cmcc.slot_digits")
    assert caught.value.path == "links.cmcc.slot_digits"


DIGITS = st.text("0123", max_size=2)


@given(st.builds(SlotPlan, prefix=DIGITS, digits=st.integers(1, 2)), st.data())
def test_capacity_and_overlap_are_what_counting_says(plan: SlotPlan, data: st.DataObject) -> None:
    other = data.draw(st.builds(SlotPlan, prefix=DIGITS, digits=st.integers(1, 2)))
    taken = data.draw(st.frozensets(st.text("0123", min_size=1, max_size=4), max_size=5))
    all_of = {
        each: {f"{each.prefix}{number:0{each.digits}d}" for number in range(10**each.digits)}
        for each in (plan, other)
    }
    assert plan.overlaps(other) == bool(all_of[plan] & all_of[other]) == other.overlaps(plan)
    free = [one for one in all_of[plan] if not one.startswith(tuple(taken))]
    assert dataclasses.replace(plan, taken=taken).capacity == len(free)


def test_the_plan_is_the_first_purpose_s_that_has_one_and_the_access_number_s() -> None:
    plans = SlotPlans(
        SlotPlan(digits=2),
        {name: SlotPlan(name, prefix=prefix) for name, prefix in (("vote", "8"), ("van", "6"))},
        digits_max={ACCESS: 18},
        taken={ACCESS: ["80"]},
    )
    assert plans.plan(ACCESS, "van", "vote").name == "van"
    assert plans.plan(ACCESS, "", "vote").name == "vote"
    assert plans.plan(ACCESS, "survey").name == "conversations"
    vote = plans.plan(ACCESS, "vote")
    assert (vote.prefix, vote.number_digits_max, vote.taken) == ("8", 18, frozenset({"80"}))
    elsewhere = plans.plan("1069", "vote")
    assert (elsewhere.number_digits_max, elsewhere.taken) == (20, frozenset())
    assert [one.name for one in plans.all(ACCESS)] == ["conversations", "vote", "van"]


def test_slots_are_counted_for_the_gauges(connection: Connection) -> None:
    given = ask(connection, 5, plan=PLAN)
    ask(connection, 6, plan=PLAN, phone=BOB)
    end(connection, given.slot_id, 5, NOW)
    assert slots.counts(connection, NOW) == (1, 1)
    assert slots.counts(connection, NOW + 120_000) == (0, 1)


STATIC = ("05", "3", "77")
"""Extension 3 is the plan's own form; 05 and 77 are of the others'."""

PLANS = {
    "plain": SlotPlan("plain", "", 1, 20, 100, 50, 10, taken=frozenset(STATIC)),
    "vote": SlotPlan("vote", "7", 1, 20, 60, 20, 30, taken=frozenset(STATIC)),
    "again": SlotPlan("again", "", 1, 20, 30, 80, 5, taken=frozenset(STATIC)),
}
"""``again`` shares the numbers of ``plain``, with other times."""

Key = tuple[str, str, str]


@dataclasses.dataclass
class Known:
    """What the model knows of an extension that was given out."""

    owner: Owner
    slot_id: int
    generation: int
    ends: int
    cools: int
    cools_until: int


class LedgerAgainstModel(RuleBasedStateMachine):
    """A live slot is never given to a second owner, and every reply finds its owner.

    Two phones, two access numbers, three plans of which two share numbers, static extensions, two
    kinds of owner with the same ids.
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.now = NOW
        self.next_id = 1
        self.known: dict[Key, Known] = {}

    def teardown(self) -> None:
        self.every_reply_finds_its_owner()
        self.store.close()

    def numbers_of(self, plan: SlotPlan) -> list[str]:
        numbers = [f"{plan.prefix}{number}" for number in range(10)]
        return [one for one in numbers if not one.startswith(STATIC)]

    @rule(
        phone=st.sampled_from([ANN, ANN, BOB]),
        access=st.sampled_from([ACCESS, ACCESS, "1069"]),
        name=st.sampled_from(sorted(PLANS)),
        kind=st.sampled_from([ASSIGNMENT, CONVERSATION]),
        life=st.sampled_from([None, 5]),
        count=st.integers(1, 10),
    )
    def give(
        self, phone: str, access: str, name: str, kind: str, life: int | None, count: int
    ) -> None:
        for _ in range(count):
            self.give_one((phone, access), name, kind, life)

    def give_one(self, of: tuple[str, str], name: str, kind: str, life: int | None) -> None:
        (phone, access), owner = of, Owner(kind, self.next_id)
        self.next_id += 1
        plan = PLANS[name]
        candidates = {one: self.known.get((phone, access, one)) for one in self.numbers_of(plan)}
        ended = {one: was for one, was in candidates.items() if was and was.ends <= self.now}
        cooled = {one: was for one, was in ended.items() if was.cools_until <= self.now}
        short = self.now - plan.short_cool_down_seconds * 1000
        soon = {one: was for one, was in ended.items() if was.ends <= short}
        with self.store.transaction() as connection:
            try:
                given = allocate(
                    connection, phone, access, plan, self.now, owner, life_seconds=life
                )
            except ConversationsExhausted:
                assert None not in candidates.values()
                assert not cooled
                assert not soon
                return
        extension, was = given.extension, candidates[given.extension]
        if None in candidates.values():
            assert was is None
        else:
            allowed = cooled or soon
            assert extension in allowed
            assert allowed[extension].ends == min(one.ends for one in allowed.values())
        assert given.shortened == bool(was and was.cools_until > self.now)
        assert given.generation == (was.generation + 1 if was else 1)
        ends = self.now + (plan.life_seconds if life is None else life) * 1000
        cools = plan.cool_down_seconds * 1000
        known = Known(owner, given.slot_id, given.generation, ends, cools, ends + cools)
        self.known[phone, access, extension] = known

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        known = self.known[key]
        other = CONVERSATION if known.owner.kind == ASSIGNMENT else ASSIGNMENT
        released = known.cools_until != known.ends + known.cools or known.ends < self.now
        with self.store.transaction() as connection:
            assert not release(connection, known.slot_id, Owner(other, known.owner.id), self.now)
            if not released and release(connection, known.slot_id, known.owner, self.now):
                known.ends, known.cools_until = self.now, self.now + known.cools

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule()
    def every_reply_finds_its_owner(self) -> None:
        with self.store.transaction() as connection:
            for key, known in self.known.items():
                found = find(connection, *key, self.now)
                if self.now < known.cools_until:
                    assert found is not None
                    assert (found.slot.owner, found.slot.owner_id) == known.owner
                    assert found.live == (self.now < known.ends)
                else:
                    assert found is None


def test_the_ledger_agrees_with_its_model() -> None:
    run_state_machine_as_test(
        LedgerAgainstModel, settings=settings(max_examples=25, stateful_step_count=25)
    )

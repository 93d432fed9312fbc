from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection

from smsgw.errors import ConfigError, Conflict
from smsgw.services.conversations import (
    ConversationsExhausted,
    SlotPlan,
    allocate,
    check_plan,
    find,
    release,
)
from smsgw.store import slots
from tests.support.requests import ACCESS, ANN, BOB, MemoryStore
from tests.support.store import NOW

PLAN = SlotPlan(prefix="7", digits=1, life_seconds=100, cool_down_seconds=50)
SHORT = SlotPlan(digits=1, life_seconds=100, cool_down_seconds=50, short_cool_down_seconds=10)


@pytest.fixture
def connection() -> Iterator[Connection]:
    store = MemoryStore()
    with store.transaction() as connection:
        yield connection
    store.close()


def fill(connection: Connection, plan: SlotPlan = SHORT, now: int = NOW) -> list[int]:
    """Give out every extension, one per second; their slot ids."""
    return [
        allocate(connection, ANN, ACCESS, plan, now + 1000 * n, n + 1).slot_id for n in range(10)
    ]


def test_an_extension_is_the_prefix_and_the_digits_and_maps_back(connection: Connection) -> None:
    given = allocate(connection, ANN, ACCESS, PLAN, NOW, 5)
    assert len(given.extension) == 2
    assert given.extension.startswith("7")
    found = find(connection, ANN, ACCESS, given.extension, NOW)
    assert found is not None
    assert (found.slot.assignment_id, found.live) == (5, True)
    assert (given.generation, given.shortened) == (1, False)


def test_another_phone_or_access_number_has_its_own_slots(connection: Connection) -> None:
    given = allocate(connection, ANN, ACCESS, PLAN, NOW, 5)
    assert find(connection, BOB, ACCESS, given.extension, NOW) is None
    assert find(connection, ANN, "10690002", given.extension, NOW) is None


def test_a_released_slot_still_maps_until_it_has_cooled(connection: Connection) -> None:
    given = allocate(connection, ANN, ACCESS, PLAN, NOW, 5)
    assert release(connection, given.slot_id, 5, PLAN, NOW)
    assert not release(connection, given.slot_id, 5, PLAN, NOW)
    cooling = find(connection, ANN, ACCESS, given.extension, NOW + 49_999)
    assert cooling is not None
    assert not cooling.live
    assert find(connection, ANN, ACCESS, given.extension, NOW + 50_000) is None


def test_a_slot_that_ran_out_cools_too(connection: Connection) -> None:
    given = allocate(connection, ANN, ACCESS, PLAN, NOW, 5)
    late = find(connection, ANN, ACCESS, given.extension, NOW + 149_999)
    assert late is not None
    assert not late.live
    assert find(connection, ANN, ACCESS, given.extension, NOW + 150_000) is None


def test_somebody_elses_slot_is_not_released(connection: Connection) -> None:
    given = allocate(connection, ANN, ACCESS, PLAN, NOW, 5)
    assert not release(connection, given.slot_id, 6, PLAN, NOW)


def test_extensions_never_used_go_first_then_the_one_that_ended_first(
    connection: Connection,
) -> None:
    ids = fill(connection)
    assert len(set(ids)) == 10
    for place in (3, 1, 2):
        assert release(connection, ids[place], place + 1, SHORT, NOW + 10_000 + 100 * (5 - place))
    later = NOW + 80_000
    assert [allocate(connection, ANN, ACCESS, SHORT, later, 90 + n).slot_id for n in range(3)] == [
        ids[3],
        ids[2],
        ids[1],
    ]


def test_exhaustion_cuts_a_cool_down_short_and_says_so(connection: Connection) -> None:
    ids = fill(connection)
    release(connection, ids[4], 5, SHORT, NOW + 20_000)
    with pytest.raises(ConversationsExhausted, match="all 10 extensions"):
        allocate(connection, ANN, ACCESS, SHORT, NOW + 29_999, 90)
    given = allocate(connection, ANN, ACCESS, SHORT, NOW + 30_000, 90)
    assert (given.slot_id, given.shortened, given.generation) == (ids[4], True, 2)


def test_live_slots_are_never_given_out_again(connection: Connection) -> None:
    fill(connection)
    with pytest.raises(ConversationsExhausted):
        allocate(connection, ANN, ACCESS, SHORT, NOW + 20_000, 90)


def test_a_slot_taken_by_somebody_else_meanwhile_is_a_conflict(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(connection)
    release(connection, ids[0], 1, SHORT, NOW)
    monkeypatch.setattr(slots, "reuse", lambda *_: False)
    with pytest.raises(Conflict):
        allocate(connection, ANN, ACCESS, SHORT, NOW + 90_000, 90)


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (SlotPlan(prefix="12345", digits=6, number_digits_max=18), "19 digits, limit 18"),
        (SlotPlan(prefix="7a"), "other characters"),
        (SlotPlan(prefix="７"), "other characters"),
        (SlotPlan(digits=0), "allowed 1 to 6"),
        (SlotPlan(digits=7), "allowed 1 to 6"),
    ],
)
def test_a_plan_that_does_not_fit_is_an_error_with_its_path(plan: SlotPlan, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        check_plan(plan, ACCESS, "links.cmcc.slot_digits")
    assert caught.value.path == "links.cmcc.slot_digits"


def test_slots_are_counted_for_the_gauges(connection: Connection) -> None:
    given = allocate(connection, ANN, ACCESS, PLAN, NOW, 5)
    allocate(connection, BOB, ACCESS, PLAN, NOW, 6)
    release(connection, given.slot_id, 5, PLAN, NOW)
    assert slots.counts(connection, NOW) == (1, 1)
    assert slots.counts(connection, NOW + 120_000) == (0, 1)


class LedgerAgainstModel(RuleBasedStateMachine):
    """A live slot is never given to a second question, and every reply finds its question."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.now = NOW
        self.next_assignment = 1
        self.live: dict[tuple[str, str], tuple[int, int, int]] = {}  # -> assignment, slot, expiry
        self.cooling: dict[tuple[str, str], tuple[int, int]] = {}  # -> assignment, until
        self.used: set[tuple[str, str]] = set()

    def teardown(self) -> None:
        self.used = {(phone, str(number)) for phone in (ANN, BOB) for number in range(10)}
        self.every_reply_finds_its_question()
        self.store.close()

    @rule(phone=st.sampled_from([ANN, BOB]))
    def ask(self, phone: str) -> None:
        assignment, self.next_assignment = self.next_assignment, self.next_assignment + 1
        with self.store.transaction() as connection:
            try:
                given = allocate(connection, phone, ACCESS, SHORT, self.now, assignment)
            except ConversationsExhausted:
                mine = [key for key in self.live if key[0] == phone]
                fresh = [
                    key
                    for key, (_, until) in self.cooling.items()
                    if key[0] == phone and until - 40_000 > self.now
                ]
                assert len(mine) + len(fresh) == 10
                return
        key = (phone, given.extension)
        assert key not in self.live
        if key in self.cooling:
            assert given.shortened
            del self.cooling[key]
        self.live[key] = (assignment, given.slot_id, self.now + 100_000)
        self.used.add(key)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.live)))
        assignment, slot_id, _ = self.live.pop(key)
        with self.store.transaction() as connection:
            assert release(connection, slot_id, assignment, SHORT, self.now)
        self.cooling[key] = (assignment, self.now + 50_000)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.now += seconds * 1000
        for key, (assignment, _, expiry) in list(self.live.items()):
            if expiry <= self.now:
                del self.live[key]
                self.cooling[key] = (assignment, expiry + 50_000)
        self.cooling = {key: one for key, one in self.cooling.items() if one[1] > self.now}

    @invariant()
    def every_reply_finds_its_question(self) -> None:
        with self.store.transaction() as connection:
            for phone, extension in self.used:
                found = find(connection, phone, ACCESS, extension, self.now)
                seen = (found.slot.assignment_id, found.live) if found else None
                if (phone, extension) in self.live:
                    assert seen == (self.live[phone, extension][0], True)
                elif (phone, extension) in self.cooling:
                    assert seen == (self.cooling[phone, extension][0], False)
                else:
                    assert seen is None


def test_the_ledger_agrees_with_its_model() -> None:
    run_state_machine_as_test(LedgerAgainstModel, settings=settings(stateful_step_count=40))

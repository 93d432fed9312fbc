from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from smsgw.errors import NotAllowed, RateLimited, StoreError, UnknownAccount
from smsgw.services.access import form, roles
from smsgw.services.access.callers import (
    BAN_SECONDS,
    FAILURES_MAX,
    FRESH_SECONDS,
    KEPT_SECONDS,
    NOTED_SECONDS,
    Configured,
)
from smsgw.store import tokens
from tests.support.access import HERE, PLAIN, THERE, Door
from tests.support.memory import result_of


def test_a_token_of_the_configuration_is_an_admin_of_its_account(door: Door) -> None:
    caller = door.admit(PLAIN)
    assert (caller.name, caller.account, caller.below) == ("office", "oa", ())
    assert caller.scopes == roles.SCOPES.keys()


def test_a_token_is_its_department_and_scopes(door: Door) -> None:
    made = door.make(name="desk", account="tv", roles=["viewer"], scopes=["links:read"])
    caller = door.admit(made)
    assert (caller.name, caller.account, caller.token_id) == ("desk", "tv", int(made["id"]))
    assert caller.scopes == roles.ROLES["viewer"] | {"links:read"}
    caller.check("links:read")
    for scope in ("messages:send", ""):
        with pytest.raises(NotAllowed):
            caller.check(scope)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("a-token-of-22-letters", "not known"),
        ("\udcff", "not known"),
        ("sgw_" + "0" * 49, "mistyped"),
        ("sgw_" + "0" * 43 + "0fP5yl", "not known"),
    ],
)
def test_a_wrong_token_is_nobodys(door: Door, token: str, why: str) -> None:
    with pytest.raises(UnknownAccount, match=why):
        door.admit(token)


def test_a_mistyped_token_costs_no_look_into_the_store(door: Door) -> None:
    with pytest.raises(UnknownAccount):
        door.admit("sgw_" + "0" * 49)
    assert door.asked == 0
    with pytest.raises(UnknownAccount):
        door.admit(form.new_token())
    assert door.asked == 1


class TestTheStoreIsAsked:
    def test_once_in_a_while_however_many_requests_come(self, door: Door) -> None:
        made = door.make()
        for _ in range(100):
            door.admit(made)
        assert door.asked == 1
        door.time.advance(FRESH_SECONDS)
        for _ in range(100):
            door.admit(made)
        assert door.asked == 2

    def test_so_a_revocation_elsewhere_holds_within_seconds(self, door: Door) -> None:
        other = Door()
        other.store.close()
        other.store = door.store
        made = door.make()
        other.admit(made)
        door.revoke(made)
        with pytest.raises(UnknownAccount, match="revoked"):
            door.admit(made)
        other.admit(made)
        other.time.advance(KEPT_SECONDS)
        with pytest.raises(UnknownAccount, match="revoked"):
            other.admit(made)

    def test_a_clock_that_is_set_back_makes_nothing_last_longer(self, door: Door) -> None:
        made = door.make()
        door.admit(made)
        result_of(door.store.run(lambda c: _end(c, made)))
        door.time.rightNow -= 3600
        with pytest.raises(UnknownAccount):
            door.admit(made)

    def test_those_who_come_meanwhile_wait_for_the_same_answer(self, door: Door) -> None:
        made = door.make()
        held = Held(door)
        calls = [Deferred.fromCoroutine(door.access.admit(made["token"], HERE)) for _ in range(3)]
        assert (door.asked, [one.called for one in calls]) == (1, [False] * 3)
        held.let_go()
        assert {result_of(one).name for one in calls} == {"n"}

    def test_what_was_asked_before_a_change_here_is_not_believed_after_it(self, door: Door) -> None:
        made = door.make()
        held = Held(door)
        early = Deferred.fromCoroutine(door.access.admit(made["token"], HERE))
        door.revoke(made)
        held.let_go()
        early.addErrback(lambda failure: failure.trap(UnknownAccount))
        with pytest.raises(UnknownAccount):
            door.admit(made)

    def test_a_token_of_the_configuration_stays_good_while_that_is_read_again(
        self, door: Door
    ) -> None:
        held = Held(door)
        early = Deferred.fromCoroutine(door.access.admit(PLAIN, HERE))
        door.access.configure([Configured(name="o", account="oa", role="viewer", token=PLAIN)], ())
        held.let_go()
        assert result_of(early).name == "office"
        caller = door.admit(PLAIN)
        assert (caller.name, caller.scopes) == ("o", roles.ROLES["viewer"])
        door.access.configure([], ())
        with pytest.raises(UnknownAccount):
            door.admit(PLAIN)

    def test_while_it_is_away_a_token_of_the_configuration_stays_good(self, door: Door) -> None:
        made = door.make()
        door.admit(made)
        held = Held(door, StoreError("away"))
        assert door.admit(PLAIN).name == "office"
        door.time.advance(FRESH_SECONDS)
        assert door.admit(made).name == "n"
        door.time.advance(KEPT_SECONDS)
        with pytest.raises(StoreError):
            door.admit(made)
        assert door.admit(PLAIN).name == "office"
        held.let_go()


class TestRefusals:
    def test_an_expired_token(self, door: Door) -> None:
        ends = door.time() + 10
        made = door.make(expires_at=_iso(ends))
        door.admit(made)
        door.time.advance(9.5)
        door.admit(made)
        door.time.advance(0.5)
        with pytest.raises(UnknownAccount, match="expired"):
            door.admit(made)

    @pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"])
    def test_its_networks_are_where_it_may_be_used(self, door: Door, host: str) -> None:
        made = door.make(networks=["10.0.0.0/8", "2001:db8::1"])
        door.admit(made, host)

    @pytest.mark.parametrize("host", [THERE, "127.0.0.1", "2001:db8::2", "", "x"])
    def test_and_nowhere_else_which_the_chain_keeps_once_a_minute(
        self, door: Door, host: str
    ) -> None:
        made = door.make(networks=["10.0.0.0/8", "2001:db8::1"])
        with capturedLogs() as logs:
            for _ in range(3):
                with pytest.raises(NotAllowed, match="may not be used from"):
                    door.admit(made, host)
        refused = ("n", "token.refused", "tv", {"address": host})
        assert door.audited()[1:] == [refused]
        assert len(logs) == 1
        door.time.advance(NOTED_SECONDS)
        with pytest.raises(NotAllowed):
            door.admit(made, host)
        assert door.audited()[1:] == [refused, refused]

    def test_too_many_requests(self, door: Door) -> None:
        made = door.make(rate=2)
        other = door.make(name="m")
        door.admit(made)
        door.admit(made)
        with pytest.raises(RateLimited, match="2 requests a second"):
            door.admit(made)
        door.admit(other)
        door.time.advance(1)
        door.admit(made)

    def test_a_new_rate_counts_from_the_next_look_on(self, door: Door) -> None:
        made = door.make(rate=1)
        door.admit(made)
        door.change(made, rate=3)
        for _ in range(3):
            door.admit(made)

    def test_of_an_address_with_many_wrong_tokens_only_new_ones(self, door: Door) -> None:
        used, unused = door.make(), door.make(name="m")
        door.admit(used)
        with capturedLogs() as logs:
            for _ in range(FAILURES_MAX):
                with pytest.raises(UnknownAccount):
                    door.admit("wrong")
            for _ in range(3):
                with pytest.raises(RateLimited, match="too many wrong tokens"):
                    door.admit("wrong")
        assert len(logs) == 1
        asked = door.asked
        with pytest.raises(RateLimited):
            door.admit(unused)
        assert door.asked == asked
        door.admit(used)
        door.admit(unused, THERE)
        door.time.advance(BAN_SECONDS)
        door.admit(unused)


class TestDepartments:
    def test_those_below_are_known_once_they_have_a_token(self, door: Door) -> None:
        top = door.make()
        assert door.admit(top).below == ()
        door.make(account="tv/news/foreign")
        door.make(account="tv/news")
        door.make(account="tv2")
        below = ("tv/news", "tv/news/foreign")
        assert door.admit(top).below == below
        assert door.admit(top).accounts_of("tv") == ("tv", *below)
        assert door.admit(top).accounts_of("tv/news") == below
        assert door.admit(top).accounts_of("tv/news/foreign") == below[1:]
        for other in ("tv2", "tv/sports", "", "oa"):
            with pytest.raises(NotAllowed):
                door.admit(top).accounts_of(other)

    def test_of_a_token_of_the_configuration_too_and_those_it_names(self) -> None:
        door = Door(accounts=("oa/hr", "crm"))
        assert door.admit(PLAIN).below == ("oa/hr",)
        door.make(account="oa/it")
        assert door.admit(PLAIN).below == ("oa/hr", "oa/it")
        door.close()


def test_the_last_use_is_noted_to_the_minute(door: Door) -> None:
    made = door.make()
    assert door.shown(made)["last_used_at"] is None
    first = door.time()
    for _ in range(50):
        door.admit(made)
        door.time.advance(1)
    assert door.shown(made)["last_used_at"] == _iso(first)
    door.time.advance(10)
    later = door.time()
    door.admit(made)
    door.time.advance(1)
    assert door.shown(made)["last_used_at"] == _iso(later)


def test_no_token_is_kept_or_written_anywhere(door: Door) -> None:
    made = door.make(networks=["10.0.0.0/8"])
    with capturedLogs() as logs:
        with pytest.raises(NotAllowed):
            door.admit(made)
        for _ in range(FAILURES_MAX - 1):
            with pytest.raises(UnknownAccount):
                door.admit(made["token"][:-1])
    dump = "\n".join(_lines(door))
    for secret in (made["token"], PLAIN):
        assert secret not in dump
        assert secret not in repr(logs)
        assert secret not in repr(vars(door.access._callers))
    assert made["prefix"] in dump


class Held:
    """The store's answers wait until they are let go, or fail."""

    def __init__(self, door: Door, problem: Exception | None = None) -> None:
        self._door = door
        self._waiting: list[tuple[Deferred[Any], Any]] = []
        self._read: Callable[[Any], Any] = door.store.read
        held = (lambda fn: fail(problem)) if problem is not None else self._hold
        door.store.read = held  # type: ignore[method-assign]

    def _hold(self, fn: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self._waiting.append((answer, result_of(self._read(fn))))
        return answer

    def let_go(self) -> None:
        self._door.store.read = self._read  # type: ignore[method-assign]
        for answer, value in self._waiting:
            answer.callback(value)


def _end(connection: Any, made: dict[str, Any]) -> None:
    row = tokens.get(connection, int(made["id"]))
    assert row is not None
    tokens.change(connection, row, revoked_at=1)


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _lines(door: Door) -> list[str]:
    raw: Any = door.store._connection.connection.dbapi_connection
    return list(raw.iterdump())

"""Who may come in by one of our ports."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from smsgw.transport import gate as module
from smsgw.transport.gate import (
    BAN_SECONDS,
    FAILURES_MAX,
    GOOD_MAX,
    NAME_FAILURES_MAX,
    TOLD_SECONDS,
    Gate,
)

HOST, OTHER = "192.0.2.1", "192.0.2.2"


class Counted:
    def __init__(self) -> None:
        self.reasons: list[tuple[str, str]] = []

    def turned_away(self, door: str, reason: str) -> None:
        self.reasons.append((door, reason))


def make(**kwargs: Any) -> tuple[Gate, Clock, Counted]:
    clock, counted = Clock(), Counted()
    allow = kwargs.pop("allow", lambda host: True)
    gate = Gate("smpp", clock, allow, kwargs.pop("limit", 5), observer=counted, **kwargs)
    return gate, clock, counted


def lines(logged: Any) -> list[str]:
    return [formatEvent(event) for event in logged]


def test_only_allowed_hosts_come_in():
    gate, _, counted = make(allow=lambda host: host == HOST)
    assert gate.admits(HOST)
    with capturedLogs() as logged:
        assert not gate.admits(OTHER)
    assert lines(logged) == [f"smpp: {OTHER} was turned away: it is in no network of allow"]
    assert counted.reasons == [("smpp", "address")]


def test_connections_are_limited_in_all_and_for_each_address():
    gate, _, counted = make(limit=3, limit_of_one=2)
    assert [gate.admits(HOST) for _ in range(3)] == [True, True, False]
    assert [gate.admits(OTHER) for _ in range(2)] == [True, False]
    assert counted.reasons == [("smpp", "full_for_address"), ("smpp", "full")]
    gate.left(HOST)
    assert gate.admits(OTHER)
    for host in (HOST, OTHER, OTHER):
        gate.left(host)
    assert not gate._open


def test_addresses_of_one_ipv6_customer_count_together():
    gate, _, _ = make(limit_of_one=2)
    assert [gate.admits(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert gate.admits("2001:db8:0:1::1")
    gate, _, _ = make(limit_of_one=1)
    assert gate.admits("::ffff:192.0.2.1")
    assert not gate.admits(HOST)
    assert gate.admits("no:address")


def test_a_scan_is_one_line_a_minute_that_counts_the_others():
    gate, clock, counted = make(allow=lambda host: False)
    with capturedLogs() as logged:
        for n in range(1000):
            gate.admits(f"10.0.{n // 250}.{n % 250}")
        clock.advance(TOLD_SECONDS)
        gate.admits(OTHER)
    assert lines(logged) == [
        "smpp: 10.0.0.0 was turned away: it is in no network of allow",
        f"smpp: {OTHER} was turned away: it is in no network of allow;"
        " 999 more since the last such line",
    ]
    assert len(counted.reasons) == 1001


def test_wrong_logins_ban_an_address_with_one_line():
    gate, clock, counted = make()
    with capturedLogs() as logged:
        for n in range(FAILURES_MAX):
            assert gate.admits(HOST)
            gate.failed(HOST, f"n{n}")
            gate.left(HOST)
        assert [gate.admits(HOST) for _ in range(20)] == [False] * 20
    assert lines(logged) == [
        f"smpp: {HOST} is banned for {BAN_SECONDS:g} s: its logins were wrong too often",
        f"smpp: {HOST} was turned away: its logins were wrong too often",
    ]
    assert counted.reasons == [("smpp", "banned")] * 20
    assert gate.admits(OTHER)
    clock.advance(BAN_SECONDS)
    assert gate.admits(HOST)


def test_a_right_login_makes_an_addresss_wrong_ones_forgotten():
    gate, _, _ = make()
    for _ in range(10):
        for _ in range(FAILURES_MAX - 1):
            gate.failed(HOST)
        gate.succeeded(HOST, "acme")
    assert gate.admits(HOST)


def test_a_name_guessed_from_many_addresses_is_good_only_where_it_was():
    gate, clock, counted = make()
    gate.succeeded(HOST, "acme")
    gate.failed(HOST, "acme")  # a known address does not count against the name
    with capturedLogs() as logged:
        for n in range(NAME_FAILURES_MAX):
            assert gate.may_try(f"10.0.0.{n}", "acme")
            gate.failed(f"10.0.0.{n}", "acme")
    assert len(logged) == 1
    assert not gate.may_try(OTHER, "acme")
    assert counted.reasons == [("smpp", "name")]
    assert gate.may_try(HOST, "acme")
    assert gate.may_try(OTHER, "other")
    clock.advance(BAN_SECONDS)
    assert gate.may_try(OTHER, "acme")


def test_known_addresses_are_bounded():
    gate, _, _ = make()
    for n in range(GOOD_MAX + 10):
        gate.succeeded(f"h{n}", "acme")
    assert len(gate._good) == GOOD_MAX


@pytest.mark.parametrize("reason", module.REASONS)
def test_every_reason_has_words(reason):
    gate, _, counted = make()
    with capturedLogs() as logged:
        gate.turned_away(HOST, reason, 7)
    assert "{" not in lines(logged)[0]
    assert counted.reasons == [("smpp", reason)]


def test_another_size_holds_from_the_next_connection_on() -> None:
    gate, _, counted = make(limit=1)
    assert gate.admits(HOST)
    assert not gate.admits(OTHER)
    gate.resize(3, 1)
    assert gate.admits(OTHER)
    assert not gate.admits(HOST)
    assert counted.reasons == [("smpp", "full"), ("smpp", "full_for_address")]

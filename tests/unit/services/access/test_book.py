from __future__ import annotations

from typing import Any

import pytest

from smsgw.errors import Conflict, NotAllowed, NotFound, ValidationError
from smsgw.services.access import form
from tests.support.access import Door, caller
from tests.support.memory import result_of

TV = caller("tv", "admin")
NEWS = caller("tv/news", "department-admin")
NEVER_KEPT = ("token", "digest")


def names(door: Door, account: str, **filters: Any) -> list[str]:
    asked = {"revoked": False, "before": None, "limit": 50, **filters}
    return [one["name"] for one in result_of(door.access.tokens.list(account, **asked))]


def test_a_token_is_shown_once(door: Door) -> None:
    made = door.make(name="desk", rate=5, daily=100, networks=["10.0.0.0/8"], scopes=["links:read"])
    assert form.is_whole(made["token"])
    shown = door.shown(made)
    assert made == {**shown, "token": made["token"]}
    assert shown["prefix"] == made["token"][:10]
    assert (shown["name"], shown["account"], shown["state"]) == ("desk", "tv", "active")
    assert (shown["roles"], shown["scopes"]) == (["viewer"], ["links:read"])
    assert (shown["networks"], shown["rate"], shown["daily"]) == (["10.0.0.0/8"], 5, 100)
    assert (shown["created_by"], shown["version"], shown["expires_at"]) == ("console", 1, None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " n"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "gateway"}, "name"),
        ({"name": "13800001001"}, "name"),
        ({"account": "tv//x"}, "account"),
        ({"roles": ["boss"]}, "roles[0]"),
        ({"roles": []}, "roles"),
        ({"scopes": ["links:read", "x"]}, "scopes[1]"),
        ({"networks": ["10.0.0.0/8", "10.0.0.1/8"]}, "networks[1]"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(
    door: Door, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        door.make(**fields)
    assert caught.value.field == field
    assert names(door, "") == []
    assert door.audited() == []


def test_a_name_is_given_once_in_a_department_until_it_is_revoked(door: Door) -> None:
    first = door.make()
    with pytest.raises(Conflict, match="'n'"):
        door.make()
    door.make(account="tv/news")
    door.revoke(first)
    door.make()
    assert names(door, "tv") == ["n"]
    assert names(door, "tv", revoked=True) == ["n", "n"]
    assert names(door, "tv", revoked=True, before=int(first["id"])) == []
    assert len(names(door, "")) == 2


class TestNobodyGivesWhatHeHasNot:
    def test_neither_another_department(self, door: Door) -> None:
        door.make(TV, account="tv/news")
        assert door.make(TV, name="m", account="")["account"] == "tv"
        for account in ("tv", "tv/sports", "oa"):
            with pytest.raises(NotAllowed):
                door.make(NEWS, account=account)

    def test_nor_another_scope(self, door: Door) -> None:
        door.make(NEWS, account="tv/news", roles=["sender"])
        for power in ({"roles": ["admin"]}, {"scopes": ["ported:write"]}):
            with pytest.raises(NotAllowed, match="ported:write"):
                door.make(NEWS, name="m", account="tv/news", **power)

    def test_nor_changes_or_revokes_what_can_do_more(self, door: Door) -> None:
        strong = door.make(TV, account="tv/news", roles=["admin"])
        for work in (door.revoke, door.change):
            with pytest.raises(NotAllowed):
                work(strong, NEWS)
        weak = door.make(TV, name="m", account="tv/news")
        with pytest.raises(NotAllowed):
            door.change(weak, NEWS, roles=["admin"])
        assert door.change(weak, NEWS, roles=["sender"])["roles"] == ["sender"]
        assert door.revoke(weak, NEWS)["state"] == "revoked"

    def test_and_what_is_beside_or_above_is_not_there(self, door: Door) -> None:
        beside = door.make(account="tv/sports")
        for made in (door.make(), beside, {"id": "17"}):
            for work in (door.revoke, door.change):
                with pytest.raises(NotFound):
                    work(made, NEWS)
        with pytest.raises(NotFound):
            result_of_show(door, "tv/news", beside)


class TestChanges:
    def test_hold_at_once_and_what_is_not_given_stays(self, door: Door) -> None:
        made = door.make(rate=5)
        door.admit(made).check("messages:read")
        changed = door.change(made, roles=["operator"], daily=7)
        assert (changed["rate"], changed["daily"], changed["version"]) == (5, 7, 2)
        door.admit(made).check("links:read")
        with pytest.raises(NotAllowed):
            door.admit(made).check("messages:read")

    def test_an_end_is_set_and_taken_away(self, door: Door) -> None:
        made = door.make(expires_at="2030-01-01T00:00:00Z")
        assert door.change(made, rate=1)["expires_at"] == "2030-01-01T00:00:00.000+00:00"
        assert door.change(made, expires_at=None)["expires_at"] is None
        with pytest.raises(ValidationError):
            door.change(made, expires_at="2020-01-01T00:00:00Z")

    def test_an_expired_one_is_changed_without_ado(self, door: Door) -> None:
        made = door.make(expires_at="2030-01-01T00:00:00Z")
        door.time.rightNow = 2_000_000_000.0
        assert door.change(made, rate=1)["state"] == "expired"

    def test_only_over_the_version_that_was_seen(self, door: Door) -> None:
        made = door.make()
        door.change(made, rate=1, version=1)
        with pytest.raises(Conflict, match="at version 2, not 1"):
            door.change(made, rate=2, version=1)
        door.revoke(made)
        with pytest.raises(Conflict, match="was revoked"):
            door.change(made, rate=2)


def test_revoked_twice_is_revoked_once(door: Door) -> None:
    made = door.make()
    first = door.revoke(made)
    door.time.advance(10)
    assert door.revoke(made, TV) == first
    assert first["revoked_by"] == "console"


def test_every_change_is_in_the_chain(door: Door) -> None:
    made = door.make(TV, networks=["10.0.0.0/8"])
    door.change(made, TV, roles=["sender"], rate=3)
    door.revoke(made, TV)
    door.revoke(made, TV)
    who = {"name": "n", "by_token": "0"}
    power = {"roles": ["viewer"], "scopes": [], "networks": ["10.0.0.0/8"]}
    limits = {"rate": 0, "daily": 0, "expires_at": None}
    was = {"roles": ["viewer"], "rate": 0}
    assert door.audited() == [
        ("tv-admin", "token.created", "tv", {**power, **limits, **who}),
        ("tv-admin", "token.changed", "tv", {"roles": ["sender"], "rate": 3, "was": was, **who}),
        ("tv-admin", "token.revoked", "tv", who),
    ]


def result_of_show(door: Door, account: str, made: dict[str, Any]) -> Any:
    from tests.support.access import done

    return done(door.access.tokens.show(account, int(made["id"])))

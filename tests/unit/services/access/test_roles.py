from __future__ import annotations

import pytest

from smsgw.errors import ValidationError
from smsgw.services.access import departments, roles


def test_every_scope_of_a_role_is_one() -> None:
    for scopes in roles.ROLES.values():
        assert scopes <= roles.SCOPES.keys()
    assert roles.ROLES["admin"] == roles.SCOPES.keys()


def test_duties_are_apart() -> None:
    assert "requests:decide" not in roles.ROLES["sender"]
    assert "messages:send" not in roles.ROLES["approver"]
    assert not {"messages:read", "inbound:read", "requests:read"} & roles.ROLES["operator"]
    for role in ("viewer", "auditor"):
        assert all(scope.endswith(":read") for scope in roles.ROLES[role])
    assert not {"ported:write", "links:control"} & roles.ROLES["department-admin"]


def test_roles_and_scopes_add_up_and_unknown_ones_give_nothing() -> None:
    both = roles.scopes_of(["approver"], ["links:read"])
    assert both == {"requests:read", "requests:decide", "links:read"}
    assert roles.scopes_of(["boss"], ["all"]) == frozenset()


@pytest.mark.parametrize(
    ("given", "field"),
    [((["boss"], []), "roles[0]"), ((["viewer"], ["links:read", "x"]), "scopes[1]")],
)
def test_an_unknown_one_is_named(given: tuple[list[str], list[str]], field: str) -> None:
    with pytest.raises(ValidationError, match="is none of") as caught:
        roles.check(*given)
    assert caught.value.field == field


def test_departments_are_a_tree() -> None:
    accounts = ["tv", "tv/news", "tv/news/foreign", "tv2", "tv/newsroom", "oa", "Tv/news"]
    assert departments.below("tv", accounts) == ("tv/news", "tv/news/foreign", "tv/newsroom")
    assert departments.below("tv/news", accounts) == ("tv/news/foreign",)
    assert departments.below("oa", accounts) == ()
    assert departments.is_within("tv/news", "tv")
    assert departments.is_within("anything", "")
    assert not departments.is_within("tv", "tv/news")
    assert not departments.is_within("tv2", "tv")


@pytest.mark.parametrize("name", ["tv", "tv/news", "新闻中心/国际部", "a b/c"])
def test_a_department_may_be_called_so(name: str) -> None:
    departments.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "/", "tv/", "/tv", "tv//news", " tv", "tv/ news", "a\nb", "x" * 65]
)
def test_and_not_so(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        departments.check_name(name)
    assert caught.value.field == "account"

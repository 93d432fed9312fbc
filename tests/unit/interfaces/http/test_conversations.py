"""``/v1/conversations`` and ``/v1/slots`` before the services, without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from smsgw.interfaces.http import conversations, slots
from tests.support.conversations import Desk
from tests.support.endpoints import Endpoints
from tests.support.memory import ACCESS, ANN, BOB


class Api(Endpoints):
    """The endpoints of both, and whose token is used."""

    def __init__(self) -> None:
        self.desk = Desk()
        front: Any = SimpleNamespace(conversations=self.desk.conversations, slots=self.desk.slots)
        super().__init__([*conversations.routes(front), *slots.routes(front)], "crew")

    def open(self, to: str = ANN, **fields: Any) -> Any:
        status, opened, headers = self.call(
            "POST", "/v1/conversations", {"to": to, "reference": "job-17", **fields}
        )
        assert status == 201
        assert headers["Location"] == f"/v1/conversations/{opened['id']}"
        return opened


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.desk.store.close()


def test_a_conversation_is_opened_used_shown_and_ended(api: Api) -> None:
    opened = api.open(text="几点到？", valid_for=60, **{"class": "notice"})
    assert opened["sender_number"] == ACCESS + opened["extension"]
    path = f"/v1/conversations/{opened['id']}"
    status, sent, headers = api.call("POST", f"{path}/messages", {"text": "在吗"})
    assert status == 202
    assert headers["Location"] == f"/v1/messages/{sent['message_id']}"
    api.desk.reply(ANN, "下午三点", opened)
    status, shown, _ = api.call("GET", path)
    assert (status, [one["text"] for one in shown["replies"]]) == (200, ["下午三点"])
    status, ended, _ = api.call("POST", f"{path}/end", {})
    assert (status, ended["state"]) == (200, "ended")
    status, problem, _ = api.call("POST", f"{path}/messages", {"text": "在吗"})
    assert (status, problem["type"]) == (409, "urn:smsgw:problem:conflict")
    assert [one.text for one in api.desk.composer.sent] == ["几点到？", "在吗"]


def test_another_account_finds_nothing(api: Api) -> None:
    path = f"/v1/conversations/{api.open()['id']}"
    calls = [("GET", path, None), ("POST", f"{path}/end", {})]
    for method, place, body in [*calls, ("POST", f"{path}/messages", {"text": "x"})]:
        assert api.call(method, place, body, account="other")[0] == 404
    assert api.call("GET", "/v1/conversations", account="other")[1]["conversations"] == []
    assert api.call("GET", "/v1/slots", account="other")[1] == {"slots": [], "next": None}


def test_lists_come_in_pages(api: Api) -> None:
    ids = [api.open(phone)["id"] for phone in (ANN, BOB, ANN)]
    for path, name in (("/v1/conversations", "conversations"), ("/v1/slots", "slots")):
        status, first, _ = api.call("GET", path, limit="2")
        assert (status, len(first[name])) == (200, 2)
        rest = api.call("GET", path, limit="2", cursor=first["next"])[1]
        assert (len(rest[name]), rest["next"]) == (1, None)
    found = api.call("GET", "/v1/conversations", to=f"+86{ANN}", reference="job-17")[1]
    assert [one["id"] for one in found["conversations"]] == [ids[2], ids[0]]
    found = api.call("GET", "/v1/slots", phone=BOB, access_number=ACCESS)[1]
    assert [one["conversation_id"] for one in found["slots"]] == [ids[1]]


def test_a_recipient_whose_extensions_are_all_in_use_is_a_conflict_that_says_so(api: Api) -> None:
    for _ in range(10):
        api.open()
    status, problem, _ = api.call(
        "POST", "/v1/conversations", {"to": ANN, "reference": "job-18", "text": "几点到？"}
    )
    assert (status, problem["type"]) == (409, "urn:smsgw:problem:exhausted")
    assert "all 10 extensions" in problem["detail"]
    assert api.desk.composer.sent == []
    full = api.call("GET", "/v1/slots/capacity")[1]
    assert full["capacity"][0]["left"] == 0
    assert full["busiest"][0]["live"] == 10


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reference": "r"}, "to"),
        ({"to": "12", "reference": "r"}, "to"),
        ({"to": ANN}, "reference"),
        ({"to": ANN, "reference": ""}, "reference"),
        ({"to": ANN, "reference": "r", "valid_for": 0}, "valid_for"),
        ({"to": ANN, "reference": "r", "valid_for": "1h"}, "valid_for"),
        ({"to": ANN, "reference": "r", "text": ""}, "text"),
        ({"to": ANN, "reference": "r", "text": "too long"}, "text"),
        ({"to": ANN, "reference": "r", "class": "slow"}, "class"),
        ({"to": ANN, "reference": "r", "extension": "1"}, "extension"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(api: Api, body: Any, field: str) -> None:
    status, problem, _ = api.call("POST", "/v1/conversations", body)
    assert (status, [one["field"] for one in problem["errors"]]) == (422, [field])
    assert api.call("GET", "/v1/slots")[1]["slots"] == []


def test_a_phone_that_is_none_is_no_filter(api: Api) -> None:
    status, problem, _ = api.call("GET", "/v1/slots", phone="12")
    assert (status, problem["errors"][0]["field"]) == (422, "phone")

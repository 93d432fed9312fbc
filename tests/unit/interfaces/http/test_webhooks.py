"""``/v1/webhooks`` before the services, without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from smsgw.interfaces.http import webhooks
from smsgw.services.webhooks import book
from tests.support.endpoints import Endpoints
from tests.support.receivers import verified
from tests.support.webhooks import ACCOUNT, BUSY, URL, Exchange


class Api(Endpoints):
    """The endpoints, and what they stand on."""

    def __init__(self) -> None:
        self.exchange = Exchange().start()
        front: Any = SimpleNamespace(webhooks=self.exchange.webhooks)
        super().__init__(webhooks.routes(front), ACCOUNT)

    def make(self, **fields: Any) -> Any:
        status, made, headers = self.call("POST", "/v1/webhooks", {"url": URL, **fields})
        assert status == 201, made
        assert headers["Location"] == f"/v1/webhooks/{made['id']}"
        return made

    def audited(self) -> list[str]:
        from smsgw.store import audit

        page = self.exchange.store.read(lambda c: audit.page(c))
        found: list[Any] = []
        page.addCallback(found.extend)
        return [row.action for row in found]


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.exchange.close()


def test_a_webhook_is_made_shown_changed_and_removed(api: Api) -> None:
    made = api.make(kinds=["request.*", "message.sent"])
    assert made["secret"].startswith("whsec_")
    path = f"/v1/webhooks/{made['id']}"
    shown = api.get(path)
    assert shown == {key: value for key, value in made.items() if key != "secret"}
    assert (shown["state"], shown["kinds"]) == ("active", ["message.sent", "request.*"])
    changed = api.post(f"{path}/change", {"kinds": []})
    assert (changed["kinds"], changed["url"]) == ([], URL)
    changed = api.post(f"{path}/change", {"url": "https://other.example/"})
    assert changed["url"] == "https://other.example/"
    assert api.post(f"{path}/pause")["state"] == "paused"
    assert api.post(f"{path}/resume", {})["state"] == "active"
    assert api.post(f"{path}/remove")["removed"] is True
    assert api.call("GET", path)[0] == 404
    assert api.audited() == [
        "webhook.created",
        "webhook.changed",
        "webhook.changed",
        "webhook.paused",
        "webhook.resumed",
        "webhook.removed",
    ]


def test_no_answer_but_the_first_shows_a_secret(api: Api) -> None:
    made = api.make()
    path = f"/v1/webhooks/{made['id']}"
    rotated = api.post(f"{path}/rotate")
    assert rotated["secret"] not in (made["secret"], None)
    assert rotated["old_secret_until"]
    answers = [api.get(path), api.get("/v1/webhooks"), api.post(f"{path}/change", {})]
    for answer in [*answers, api.post(f"{path}/test")]:
        assert "whsec_" not in str(answer)


def test_both_secrets_sign_until_the_old_one_is_over(api: Api) -> None:
    made = api.make()
    path = f"/v1/webhooks/{made['id']}"
    rotated = api.post(f"{path}/rotate", {"overlap": 60})

    def signers() -> list[bool]:
        api.exchange.happen(1)
        post = api.exchange.receivers.to()[-1]
        both = (made["secret"], rotated["secret"])
        return [verified(secret, post.headers, post.body) for secret in both]

    assert signers() == [True, True]
    api.exchange.advance(61)
    assert signers() == [False, True]
    again = api.post(f"{path}/rotate", {"overlap": 0})
    assert again["old_secret_until"] is None
    assert signers() == [False, False]


def test_a_test_says_what_became_of_it_paused_or_not(api: Api) -> None:
    made = api.make()
    path = f"/v1/webhooks/{made['id']}"
    api.post(f"{path}/pause")
    outcome = api.post(f"{path}/test")
    assert (outcome["delivered"], outcome["status"], outcome["problem"]) == (True, 200, "")
    (post,) = api.exchange.receivers.to()
    assert verified(made["secret"], post.headers, post.body)
    (event,) = post.events
    assert (event["kind"], event["subject_id"]) == ("webhook.test", made["id"])
    api.exchange.receivers.answers[URL] = [BUSY]
    outcome = api.post(f"{path}/test", {})
    assert (outcome["delivered"], outcome["result"]) == (False, "refused")
    assert outcome["problem"] == BUSY.problem


def test_another_account_finds_nothing(api: Api) -> None:
    path = f"/v1/webhooks/{api.make()['id']}"
    calls: list[tuple[str, str, Any]] = [("GET", path, None), ("GET", f"{path}/dead-letters", None)]
    for action in ("change", "remove", "pause", "resume", "rotate", "test"):
        calls.append(("POST", f"{path}/{action}", {}))
    calls.append(("POST", f"{path}/replay", {"after": "0"}))
    calls.append(("POST", f"{path}/replay", {"dead_letter": "all"}))
    for method, place, body in calls:
        assert api.call(method, place, body, account="other")[0] == 404, place
    assert api.call("GET", "/v1/webhooks", account="other")[1]["webhooks"] == []
    assert api.call("GET", "/v1/webhooks/x")[0] == 404


def test_lists_come_in_pages(api: Api) -> None:
    ids = [api.make()["id"] for _ in range(3)]
    first = api.get("/v1/webhooks", limit="2")
    assert [one["id"] for one in first["webhooks"]] == [ids[2], ids[1]]
    rest = api.get("/v1/webhooks", limit="2", cursor=first["next"])
    assert ([one["id"] for one in rest["webhooks"]], rest["next"]) == ([ids[0]], None)


def test_dead_letters_are_listed_and_had_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from smsgw.services.webhooks import subscribers

    monkeypatch.setattr(subscribers, "LOOK_SECONDS", 3600.0)
    made = api.make()
    path = f"/v1/webhooks/{made['id']}"
    api.exchange.receivers.answers[URL] = [BUSY]
    api.exchange.happen(1, 2)
    api.exchange.advance(26 * 3600)
    page = api.get(f"{path}/dead-letters")
    (letter,) = page["dead_letters"]
    assert (letter["events"], letter["why"], page["next"]) == (2, BUSY.problem, None)
    assert api.get(path)["dead_events"] == 2
    status, shown, _ = api.call("POST", f"{path}/replay", {"dead_letter": letter["id"]})
    assert (status, shown["dead_events"], shown["replays"]) == (202, 0, 1)
    assert api.refused(f"{path}/replay", {"dead_letter": letter["id"]})[0] == 404
    assert api.call("POST", f"{path}/replay", {"dead_letter": "all"})[0] == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "http://receiver.example/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": URL, "kinds": ["request"]}, "kinds[0]"),
        ({"url": URL, "kinds": ["request.*", "order.*"]}, "kinds[1]"),
        ({"url": URL, "kinds": ["*"]}, "kinds[0]"),
        ({"url": URL, "kinds": "request.*"}, "kinds"),
        ({"url": URL, "kinds": ["request.*"] * 51}, "kinds"),
        ({"url": URL, "secret": "mine"}, "secret"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(api: Api, body: Any, field: str) -> None:
    status, named, _ = api.refused("/v1/webhooks", body)
    assert (status, named) == (422, field)
    assert api.get("/v1/webhooks")["webhooks"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"after": "1", "dead_letter": "all"}, ""),
        ({"until": "5"}, ""),
        ({"after": "x"}, "after"),
        ({"after": "9" * 18}, "after"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-22T18:00:00"}, "since"),
        ({"since": "2100-01-01T00:00:00Z"}, "since"),
        ({"after": "0", "until": "x"}, "until"),
        ({"dead_letter": "first"}, "dead_letter"),
        ({"dead_letter": "all", "until": "5"}, "until"),
    ],
)
def test_a_wrong_replay_is_refused_with_its_field(api: Api, body: Any, field: str) -> None:
    path = f"/v1/webhooks/{api.make()['id']}"
    api.exchange.happen(1)
    assert api.refused(f"{path}/replay", body)[:2] == (422, field)


def test_limits_are_conflicts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/v1/webhooks/{api.make()['id']}"
    api.exchange.happen(1)
    monkeypatch.setattr(book, "WEBHOOKS_MAX", 1)
    assert api.refused("/v1/webhooks", {"url": URL})[0] == 409
    api.post(f"{path}/pause")
    monkeypatch.setattr(book, "REPLAYS_MAX", 1)
    api.post(f"{path}/replay", {"after": "0"})
    assert api.refused(f"{path}/replay", {"after": "0"})[0] == 409
    assert api.refused(f"{path}/rotate", {"overlap": -1})[:2] == (422, "overlap")
    assert api.refused(f"{path}/rotate", {"overlap": 1e12})[:2] == (422, "overlap")

"""Deliveries on a clock that goes when told to, and a store in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from twisted.internet.defer import Deferred

from smsgw.services.webhooks import lane as lane_module
from smsgw.services.webhooks import subscribers
from smsgw.services.webhooks.posting import Outcome, Result
from smsgw.store import wanted
from tests.support.memory import result_of
from tests.support.webhooks import ACCOUNT, BUSY, OK, URL, AwayStore, Exchange, later

OTHER = "https://other.example/hook"
HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    exchange = Exchange().start()
    yield exchange
    exchange.close()


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days pass quickly: everything is looked at once an hour."""
    monkeypatch.setattr(subscribers, "LOOK_SECONDS", HOUR)


def test_events_arrive_in_order_with_what_the_pull_side_shows(exchange: Exchange) -> None:
    webhook = exchange.create()
    exchange.happen(1, 2, 3)
    (post,) = exchange.receivers.to()
    assert [event["data"] for event in post.events] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert set(post.events[0]) == {"id", "at", "kind", "account", "subject_id", "data"}
    assert post.id.startswith("msg_")
    exchange.happen(4)
    assert exchange.receivers.subjects() == [1, 2, 3, 4]
    shown = exchange.show(webhook)
    assert shown["cursor"] == exchange.receivers.to()[1].events[0]["id"]
    assert shown["delivered_at"]
    assert exchange.counts == [("delivered", 3), ("delivered", 1)]


def test_only_what_happens_from_its_making_on_is_delivered(exchange: Exchange) -> None:
    exchange.happen(1)
    exchange.create()
    exchange.happen(2)
    assert exchange.receivers.subjects() == [2]


def test_a_webhook_gets_its_accounts_events_and_nobodys(exchange: Exchange) -> None:
    exchange.create()
    exchange.happen(1, account="other")
    exchange.happen(2, account="")
    exchange.happen(3)
    assert exchange.receivers.subjects() == [2, 3]


def test_a_webhook_gets_the_kinds_it_names(exchange: Exchange) -> None:
    exchange.create(URL, "request.*", "message.delivered")
    for subject, kind in enumerate(
        ["message.sent", "request.closed", "requests.odd", "message.delivered", "request.created"]
    ):
        exchange.happen(subject, kind=kind)
    assert exchange.receivers.subjects() == [1, 3, 4]


def test_many_events_go_out_a_hundred_at_a_time(exchange: Exchange) -> None:
    webhook = exchange.create()
    exchange.happen(*range(250))
    assert [len(post.events) for post in exchange.receivers.to()] == [100, 100, 50]
    assert exchange.receivers.subjects() == list(range(250))
    assert len({post.id for post in exchange.receivers.to()}) == 3
    assert exchange.show(webhook)["cursor"] == exchange.receivers.to()[-1].events[-1]["id"]


def test_a_batch_has_a_size(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "BODY_OCTETS_MAX", 500)
    exchange.create()
    exchange.happen(*range(10))
    assert exchange.receivers.subjects() == list(range(10))
    assert all(len(post.body) < 520 for post in exchange.receivers.to())
    assert len(exchange.receivers.to()) > 2


def test_one_that_hangs_delays_nobody(exchange: Exchange) -> None:
    exchange.create()
    exchange.create(OTHER)
    hanging = later()
    exchange.receivers.answers[URL] = [hanging, OK]
    for subject in range(5):
        exchange.happen(subject)
    assert exchange.receivers.subjects(OTHER) == [0, 1, 2, 3, 4]
    assert exchange.receivers.subjects() == [0]
    assert exchange.subscribers.oldest_seconds > 0.0
    hanging.callback(OK)
    assert exchange.receivers.subjects() == [0, 1, 2, 3, 4]
    assert exchange.subscribers.oldest_seconds == 0.0


def test_what_fails_is_tried_again_under_the_same_id_with_growing_pauses(
    exchange: Exchange,
) -> None:
    webhook = exchange.create()
    exchange.receivers.answers[URL] = [BUSY, BUSY, BUSY, OK]
    exchange.happen(1)
    exchange.happen(2)
    shown = exchange.show(webhook)
    assert (shown["attempts"], shown["problem"]) == (1, BUSY.problem)
    assert shown["failing_since"]
    assert shown["next_attempt_at"]
    for pause in (5.0, 30.0, 120.0):
        count = len(exchange.receivers.posts)
        exchange.advance(pause - 1)
        assert len(exchange.receivers.posts) == count
        exchange.advance(1.1)
    first, second, third, fourth, rest = exchange.receivers.to()
    assert first.id == second.id == third.id == fourth.id != rest.id
    assert first.body == fourth.body
    assert first.headers["webhook-timestamp"] != fourth.headers["webhook-timestamp"]
    assert rest.subjects == [2]
    shown = exchange.show(webhook)
    assert (shown["attempts"], shown["problem"], shown["failing_since"]) == (0, "", None)


def test_a_receiver_says_when_to_come_back(exchange: Exchange) -> None:
    exchange.create()
    exchange.receivers.answers[URL] = [msgspec.structs.replace(BUSY, retry_after=400.0), OK]
    exchange.happen(1)
    exchange.advance(399)
    assert len(exchange.receivers.posts) == 1
    exchange.advance(2)
    assert len(exchange.receivers.posts) == 2


@pytest.mark.usefixtures("rarely")
def test_after_a_day_events_are_dead_letters_and_can_be_had_again(exchange: Exchange) -> None:
    webhook = exchange.create()
    webhook_id = int(webhook["id"])
    exchange.receivers.answers[URL] = [BUSY]
    exchange.happen(*range(120))
    exchange.advance(12 * HOUR)
    exchange.happen(500)
    exchange.advance(10 * HOUR)
    assert exchange.show(webhook)["dead_events"] == 0
    exchange.advance(3 * HOUR)
    shown = exchange.show(webhook)
    assert shown["dead_events"] == 120
    (letter,) = exchange.ask(
        exchange.webhooks.dead_letters(ACCOUNT, webhook_id, before=None, limit=9)
    )
    assert (letter["events"], letter["why"]) == (120, BUSY.problem)
    exchange.advance(13 * HOUR)
    (letter,) = exchange.ask(
        exchange.webhooks.dead_letters(ACCOUNT, webhook_id, before=None, limit=9)
    )
    assert letter["events"] == 121  # of one outage there is one
    exchange.receivers.posts.clear()
    exchange.receivers.answers[URL] = [OK]
    exchange.happen(600)
    exchange.advance(2 * HOUR)
    assert exchange.receivers.subjects() == [600]
    exchange.ask(exchange.webhooks.replay_dead(ACCOUNT, webhook_id))
    assert exchange.receivers.subjects() == [600, *range(120), 500]
    shown = exchange.show(webhook)
    assert (shown["dead_events"], shown["replays"], shown["failing_since"]) == (0, 0, None)
    exchange.happen(601)
    assert exchange.receivers.subjects()[-1] == 601


@pytest.mark.usefixtures("rarely")
def test_a_replay_that_fails_for_a_day_is_a_dead_letter_again(exchange: Exchange) -> None:
    webhook = exchange.create()
    webhook_id = int(webhook["id"])
    exchange.happen(*range(3))
    exchange.receivers.answers[URL] = [BUSY]
    before = exchange.receivers.to()[0].events[0]["id"]
    exchange.ask(exchange.webhooks.replay(ACCOUNT, webhook_id, after=int(before)))
    assert exchange.show(webhook)["replays"] == 1
    exchange.advance(26 * HOUR)
    shown = exchange.show(webhook)
    assert (shown["replays"], shown["dead_events"]) == (0, 2)
    exchange.receivers.posts.clear()
    exchange.receivers.answers[URL] = [OK]
    exchange.ask(exchange.webhooks.replay_dead(ACCOUNT, webhook_id))
    exchange.ask(exchange.webhooks.resume(ACCOUNT, webhook_id))
    assert exchange.receivers.subjects() == [1, 2]


def test_a_replay_by_time_or_id_goes_beside_the_new_events(exchange: Exchange) -> None:
    webhook = exchange.create()
    webhook_id = int(webhook["id"])
    exchange.happen(*range(300))
    exchange.advance(60)
    exchange.happen(300)
    events = [event for post in exchange.receivers.to() for event in post.events]
    exchange.receivers.posts.clear()
    exchange.ask(
        exchange.webhooks.replay(
            ACCOUNT, webhook_id, after=int(events[9]["id"]), until=int(events[19]["id"])
        )
    )
    assert exchange.receivers.subjects() == list(range(10, 20))
    first = exchange.receivers.to()[0]
    exchange.receivers.posts.clear()
    since = datetime.fromtimestamp(exchange.time.seconds() - 30, UTC)
    exchange.ask(exchange.webhooks.replay(ACCOUNT, webhook_id, since=since))
    assert exchange.receivers.subjects() == [300]
    assert exchange.receivers.to()[0].id != first.id
    exchange.receivers.posts.clear()
    held = later()
    exchange.receivers.answers[URL] = [held, OK]
    exchange.ask(exchange.webhooks.replay(ACCOUNT, webhook_id, after=0))
    exchange.happen(301)
    exchange.happen(302)
    held.callback(OK)
    found = exchange.receivers.subjects()
    assert found[:100] == list(range(100))
    assert found[100:102] == [301, 302]  # what is new waits for one batch at most
    assert found[102:] == list(range(100, 301))


@pytest.mark.usefixtures("rarely")
def test_410_pauses_and_a_resume_goes_on_where_it_was(exchange: Exchange) -> None:
    webhook = exchange.create()
    gone = Outcome(Result.GONE, 410, "the receiver answered 410: it wants no more")
    exchange.receivers.answers[URL] = [gone, OK]
    exchange.happen(1)
    exchange.happen(2)
    exchange.advance(DAY)
    assert len(exchange.receivers.posts) == 1
    shown = exchange.show(webhook)
    assert (shown["state"], shown["reason"]) == ("paused", gone.problem)
    assert exchange.subscribers.paused == 1
    exchange.ask(exchange.webhooks.resume(ACCOUNT, int(webhook["id"])))
    assert exchange.receivers.subjects() == [1, 1, 2]
    assert exchange.receivers.to()[0].id == exchange.receivers.to()[1].id


@pytest.mark.usefixtures("rarely")
def test_a_paused_webhook_is_left_alone_and_gets_everything_later(exchange: Exchange) -> None:
    webhook_id = int(exchange.create()["id"])
    exchange.ask(exchange.webhooks.pause(ACCOUNT, webhook_id))
    exchange.happen(1, 2)
    exchange.advance(2 * DAY)
    assert exchange.receivers.posts == []
    exchange.ask(exchange.webhooks.resume(ACCOUNT, webhook_id))
    assert exchange.receivers.subjects() == [1, 2]


def test_a_pause_while_a_post_is_on_its_way_keeps_what_it_delivered(exchange: Exchange) -> None:
    webhook_id = int(exchange.create()["id"])
    held = later()
    exchange.receivers.answers[URL] = [held, OK]
    exchange.happen(1)
    exchange.happen(2)
    exchange.ask(exchange.webhooks.pause(ACCOUNT, webhook_id))
    held.callback(OK)
    assert exchange.receivers.subjects() == [1]
    exchange.ask(exchange.webhooks.resume(ACCOUNT, webhook_id))
    assert exchange.receivers.subjects() == [1, 2]


def test_another_url_is_tried_at_once_with_the_same_batch(exchange: Exchange) -> None:
    webhook_id = int(exchange.create()["id"])
    exchange.receivers.answers[URL] = [BUSY]
    exchange.happen(1)
    exchange.ask(exchange.webhooks.change(ACCOUNT, webhook_id, url=OTHER))
    assert exchange.receivers.subjects(OTHER) == [1]
    assert exchange.receivers.to(OTHER)[0].id == exchange.receivers.to(URL)[0].id


def test_a_url_changed_while_the_old_one_fails_is_tried_at_once(exchange: Exchange) -> None:
    webhook_id = int(exchange.create()["id"])
    held = later()
    exchange.receivers.answers[URL] = [held]
    exchange.happen(1)
    exchange.ask(exchange.webhooks.change(ACCOUNT, webhook_id, url=OTHER))
    assert exchange.receivers.subjects(OTHER) == []
    held.callback(BUSY)
    assert exchange.receivers.subjects(OTHER) == [1]


def test_other_kinds_hold_for_what_is_not_acknowledged_yet(exchange: Exchange) -> None:
    webhook_id = int(exchange.create(URL, "message.*")["id"])
    exchange.receivers.answers[URL] = [BUSY, OK]
    exchange.happen(1, kind="message.sent")
    exchange.happen(2, kind="request.closed")
    exchange.ask(exchange.webhooks.change(ACCOUNT, webhook_id, kinds=["request.*"]))
    first, second = exchange.receivers.to()
    assert (first.subjects, second.subjects) == ([1], [2])
    assert first.id != second.id


@pytest.mark.usefixtures("rarely")
def test_a_removed_webhook_gets_nothing_more(exchange: Exchange) -> None:
    webhook_id = int(exchange.create()["id"])
    held = later()
    exchange.receivers.answers[URL] = [held]
    exchange.happen(1)
    exchange.ask(exchange.webhooks.remove(ACCOUNT, webhook_id))
    exchange.happen(2)
    held.callback(OK)
    exchange.advance(DAY)
    assert exchange.receivers.subjects() == [1]


def test_the_next_process_goes_on_where_the_last_one_was(exchange: Exchange) -> None:
    exchange.create()
    exchange.receivers.answers[URL] = [OK, later()]
    exchange.happen(1)
    exchange.happen(2)
    exchange.happen(3)
    after = Exchange(exchange.store, exchange.time).start()  # as after kill -9
    assert after.receivers.subjects() == [2, 3]
    assert after.receivers.to()[0].id == exchange.receivers.to()[1].id
    result_of(after.stop())


def test_a_pause_goes_on_over_a_restart(exchange: Exchange) -> None:
    exchange.create()
    exchange.receivers.answers[URL] = [BUSY]
    exchange.happen(1)
    after = Exchange(exchange.store, exchange.time).start()
    assert after.receivers.posts == []
    after.advance(5.1)
    assert after.receivers.subjects() == [1]
    result_of(after.stop())


def test_a_stop_waits_for_an_answer_and_records_it(exchange: Exchange) -> None:
    webhook = exchange.create()
    held = later()
    exchange.receivers.answers[URL] = [held]
    exchange.happen(1)
    exchange.happen(2)
    stopped = exchange.stop()
    assert not stopped.called
    held.callback(OK)
    assert stopped.called
    assert exchange.receivers.subjects() == [1]
    assert exchange.show(webhook)["cursor"] == exchange.receivers.to()[0].events[0]["id"]


def test_a_stop_gives_up_what_hangs(exchange: Exchange) -> None:
    exchange.create()
    held: Deferred[Outcome] = later()
    exchange.subscribers._cancel = lambda: held.callback(Outcome(Result.CANCELED))
    exchange.receivers.answers[URL] = [held]
    exchange.happen(1)
    stopped = exchange.stop()
    exchange.advance(3)
    assert stopped.called
    assert ("canceled", 1) not in exchange.counts


def test_a_database_that_is_away_is_waited_for(exchange: Exchange) -> None:
    exchange.create()
    held = later()
    exchange.receivers.answers[URL] = [held, OK]
    exchange.happen(1)
    assert isinstance(exchange.store, AwayStore)
    exchange.store.away = True
    held.callback(OK)
    exchange.advance(60)
    assert len(exchange.receivers.posts) == 1
    exchange.store.away = False
    exchange.advance(10)
    first, again = exchange.receivers.to()
    assert (first.id, first.body) == (again.id, again.body)
    exchange.happen(2)
    assert exchange.receivers.subjects() == [1, 1, 2]


def test_what_others_do_is_passed_over_for_good(exchange: Exchange) -> None:
    webhook = exchange.create(URL, "request.*")
    exchange.happen(*range(50))
    exchange.advance(31)
    assert int(exchange.show(webhook)["cursor"]) > int(webhook["cursor"])
    assert exchange.receivers.posts == []
    exchange.happen(77, kind="request.closed")
    assert exchange.receivers.subjects() == [77]


def test_few_of_very_many_events_are_found(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wanted, "WINDOW", 20)
    webhook_id = int(exchange.create(URL, "request.*")["id"])
    exchange.ask(exchange.webhooks.pause(ACCOUNT, webhook_id))
    for subject in range(5):
        exchange.happen(*range(100))
        exchange.happen(subject, kind="request.closed")
    exchange.happen(*range(100))
    exchange.ask(exchange.webhooks.resume(ACCOUNT, webhook_id))
    assert exchange.receivers.subjects() == [0, 1, 2, 3, 4]
    exchange.receivers.posts.clear()
    exchange.ask(exchange.webhooks.replay(ACCOUNT, webhook_id, after=0))
    assert exchange.receivers.subjects() == [0, 1, 2, 3, 4]


def test_what_waits_is_counted(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange.create()
    exchange.create(OTHER)
    exchange.receivers.answers[URL] = [BUSY]
    exchange.happen(*range(150))
    exchange.advance(61)
    assert exchange.subscribers.backlog == 150
    assert exchange.subscribers.oldest_seconds > 60
    monkeypatch.setattr(subscribers, "LOOK_SECONDS", HOUR)
    exchange.advance(2 * DAY)
    assert (exchange.subscribers.backlog, exchange.subscribers.dead) == (0, 150)

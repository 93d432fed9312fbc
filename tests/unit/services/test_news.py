from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from twisted.internet.defer import Deferred, fail

from smsgw.errors import Overloaded, StoreError
from smsgw.model import Event
from smsgw.services import news
from smsgw.services.news import News, Watch
from smsgw.store import events
from tests.support.memory import MemoryStore, Time, result_of


class Room:
    """Those who wait, and what happens."""

    def __init__(self, shared: bool = False) -> None:
        self.time = Time()
        self.store = MemoryStore(self.time)
        self.news = News(self.store, self.time, shared=shared)

    def watch(self, account: str = "oa", below: Sequence[str] = (), *kinds: str) -> Watch:
        return result_of(Deferred.fromCoroutine(self.news.watch(account, below, kinds)))

    def happen(self, kind: str, account: str = "oa", here: bool = True) -> None:
        event = Event(kind, 7, account)
        self.store.run(partial(events.append, now_ms=1, events=[event]))
        if here:
            self.news.committed()


def said(waiting: Deferred[bool]) -> bool | None:
    found: bool | None = getattr(waiting, "result", None)
    return found


def test_who_waits_is_told_of_what_concerns_them_and_of_nothing_else() -> None:
    room = Room()
    mine, below = room.watch().heard(30), room.watch("desk", ["oa"]).heard(30)
    theirs = room.watch("crm").heard(30)
    closed = room.watch("oa", (), "request.*", "message.sent").heard(30)
    room.happen("message.queued")
    assert said(mine) is None
    room.time.advance(news.GAP_SECONDS)
    assert [said(one) for one in (mine, below, theirs, closed)] == [True, True, None, None]
    room.happen("request.closed")
    room.time.advance(news.GAP_SECONDS)
    assert [said(theirs), said(closed)] == [None, True]
    room.happen("carrier.odd", "")
    room.time.advance(news.GAP_SECONDS)
    assert said(theirs) is True


def test_what_was_recorded_before_is_no_news_and_time_ends_the_waiting() -> None:
    room = Room()
    room.happen("message.queued")
    watch = room.watch()
    assert watch.tail > 0
    waiting = watch.heard(30)
    room.news.committed()
    room.time.advance(29)
    assert said(waiting) is None
    room.time.advance(1)
    assert said(waiting) is False


def test_nobody_who_waits_is_nobody_to_ask_for() -> None:
    room = Room()
    room.happen("message.queued")
    assert not room.time.getDelayedCalls()
    watch = room.watch()
    room.happen("message.queued")
    watch.end()
    room.time.advance(1)
    assert not room.time.getDelayedCalls()


def test_what_other_processes_record_is_heard_too() -> None:
    room = Room(shared=True)
    watch = room.watch()
    waiting = watch.heard(30)
    room.time.advance(news.SHARED_LOOK_SECONDS)
    room.happen("message.queued", here=False)
    assert said(waiting) is None
    room.time.advance(news.SHARED_LOOK_SECONDS)
    assert said(waiting) is True
    watch.end()
    room.time.advance(news.SHARED_LOOK_SECONDS)
    assert not room.time.getDelayedCalls()


def test_so_many_may_wait_and_an_account_leaves_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(news, "ACCOUNT_WATCHES_MAX", 2)
    monkeypatch.setattr(news, "WATCHES_MAX", 3)
    room = Room()
    first, _ = room.watch(), room.watch()
    with pytest.raises(Overloaded):
        room.watch()
    room.watch("crm")
    with pytest.raises(Overloaded):
        room.watch("desk")
    first.end()
    first.end()
    room.watch()


def test_a_stop_lets_everybody_go() -> None:
    room = Room()
    waiting = room.watch().heard(30)
    room.happen("message.queued")
    room.news.stop()
    assert said(waiting) is False
    assert said(room.watch().heard(30)) is False
    assert not room.time.getDelayedCalls()


def test_a_database_that_is_away_is_asked_again_at_the_next_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room()
    waiting = room.watch().heard(30)
    with monkeypatch.context() as away:
        away.setattr(room.store, "read", lambda fn: fail(StoreError("away")))
        room.happen("message.queued")
        room.time.advance(news.GAP_SECONDS)
    room.happen("message.queued")
    room.time.advance(news.GAP_SECONDS)
    assert said(waiting) is True

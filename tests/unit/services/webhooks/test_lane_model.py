"""Random receivers, changes and crashes: nothing is lost, nothing overtakes, repeats are known."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import StoreError
from smsgw.services.webhooks.posting import Outcome, Result
from tests.support.memory import Time
from tests.support.receivers import Post
from tests.support.webhooks import ACCOUNT, URL, AwayStore, Exchange, Receivers

REFUSED = Outcome(Result.REFUSED, 500, "the receiver answered 500")
TIMED_OUT = Outcome(Result.TIMED_OUT, 0, "no answer within 10 s")
DELIVERED = Outcome(Result.DELIVERED, 204)


class Moody(Receivers):
    """Takes a post or not, and answers or not: whether it took it, only its ledger says."""

    def __init__(self, chance: random.Random, ledger: list[Post]) -> None:
        super().__init__()
        self.chance = chance
        self.ledger = ledger
        self.calm = False

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        mood = 1.0 if self.calm else self.chance.random()
        if mood > 0.2:
            self.ledger.append(Post("", headers, body))
        return TIMED_OUT if mood < 0.4 else REFUSED if mood < 0.5 else DELIVERED


@given(st.integers(0, 2**32))
def test_every_event_comes_once_for_who_takes_each_id_once(seed: int) -> None:
    chance = random.Random(seed)
    ledger: list[Post] = []
    time = Time()
    store = AwayStore(time)

    def begin() -> Exchange:
        exchange = Exchange(store, time)
        exchange.tools.poster = exchange.receivers = Moody(chance, ledger)
        return exchange.start()

    exchange = begin()
    webhook_id = int(exchange.create()["id"])
    happened = 0
    for _ in range(40):
        step = chance.random()
        if step < 0.5:
            count = chance.choice((1, 3, 150))
            exchange.happen(*range(happened, happened + count))
            happened += count
        elif step < 0.7:
            exchange.advance(chance.choice((1.0, 40.0, 700.0)))
        elif step < 0.8:  # as after kill -9: the one before does nothing more
            store.away = True
            for lane in exchange.subscribers._lanes.values():
                lane.stop()
            exchange.stop()
            store.away = False
            exchange = begin()
        elif step < 0.9:
            store.away = True
            exchange.advance(1.0)
            store.away = False
        else:
            change = exchange.webhooks.pause if step < 0.95 else exchange.webhooks.resume
            exchange.ask(change(ACCOUNT, webhook_id))
    exchange.receivers.calm = True  # type: ignore[attr-defined]
    exchange.ask(exchange.webhooks.resume(ACCOUNT, webhook_id))
    exchange.advance(60.0)
    taken: dict[str, bytes] = {}
    subjects: list[int] = []
    for post in ledger:
        if post.id not in taken:
            subjects += post.subjects
        assert taken.setdefault(post.id, post.body) == post.body
    assert subjects == list(range(happened))
    shown = exchange.ask(exchange.webhooks.show(ACCOUNT, webhook_id))
    assert (shown["url"], shown["dead_events"], shown["problem"]) == (URL, 0, "")
    exchange.close()


def test_the_store_of_these_tests_can_be_away() -> None:
    store = AwayStore(Time())
    store.away = True
    failures: list[StoreError] = []
    store.run(lambda connection: None).addErrback(lambda failure: failures.append(failure.value))
    assert len(failures) == 1
    store.close()

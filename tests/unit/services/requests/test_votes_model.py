"""Votes in any order, twice, over restarts and a close: what counts is what a dict says."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from smsgw.services.ledger import SlotPlans
from smsgw.services.requests.counting import Cast, CountVotes
from smsgw.services.requests.drafts import AnswerDraft, StepDraft
from smsgw.services.requests.presets import PRESETS
from smsgw.services.requests.settings import Audience, Counts, VoteSettings
from smsgw.store import inbox
from smsgw.store.inbox import InboundRow
from tests.support.memory import ACCESS, ANN, BOB, EVE
from tests.support.requests import Office, result_of

PLANS = SlotPlans(digits_max={ACCESS: 20, "10690002": 20})
TEXTS = {"1": "1", "投2": "2", "乙": "2", "随便": "", "９": ""}

messages = st.tuples(
    st.just("message"),
    st.sampled_from([ANN, BOB, EVE]),
    st.sampled_from(sorted(TEXTS)),
    st.sampled_from(sorted(PLANS.digits_max)),
)
steps = st.one_of(
    messages,
    messages,
    messages,
    st.tuples(st.just("read"), st.lists(st.integers(0, 30), min_size=1, max_size=6)),
    st.tuples(st.just("reply"), st.integers(0, 30)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("close")),
)


@given(st.lists(steps, max_size=40), st.sampled_from(list(Counts)))
def test_every_vote_is_counted_once_and_for_whom_it_was(
    script: list[tuple[object, ...]], counts: Counts
) -> None:
    o = Office(plans=PLANS)
    step = StepDraft(answers=[AnswerDraft("甲"), AnswerDraft("乙")])
    settings = VoteSettings(audience=Audience.ANYONE, extension="88", counts=counts)
    vote = o.create(step, preset="vote", vote=settings)
    counting = CountVotes(PRESETS)
    rows: list[InboundRow] = []
    votes: dict[str, str] = {}
    unclear = late = 0
    is_open = True
    for what, *details in script:
        if what == "message":
            phone, text, access = (str(one) for one in details)
            rows.append(o.stored(phone, text, "88", access_number=access))
            choice = TEXTS[text]
            late += not is_open
            unclear += is_open and not choice
            if is_open and choice and (counts is Counts.LAST or phone not in votes):
                votes[phone] = choice
        elif what == "read" and rows:
            (places,) = details
            batch = [rows[place % len(rows)] for place in places]  # type: ignore[attr-defined]
            once = list({row.id: row for row in batch}.values())
            result_of(o.store.batch(counting, [Cast(row, o.time.ms) for row in once]))
        elif what == "reply" and rows:
            result_of(o.engine.reply(rows[int(details[0]) % len(rows)]))  # type: ignore[call-overload]
        elif what == "restart":
            o.restarted()
        elif what == "close" and is_open:
            is_open = False
            result_of(o.engine.close(vote))
    for row in rows:
        result_of(o.engine.reply(row))

    request = o.show(vote)
    given_votes = Counter(votes.values())
    answers = {one["key"]: one["count"] for one in request["steps"][0]["answers"]}
    assert answers == {key: given_votes[key] for key in ("1", "2")}
    found = [request["vote"][key] for key in ("votes", "unclear", "late")]
    assert found == [len(votes), unclear, late]
    with o.store.transaction() as connection:
        assert inbox.unhandled(connection) == []
        handled = inbox.page(connection, limit=100)
    outcomes = Counter(row.outcome for row in handled)
    assert (outcomes["unclear"], outcomes["late"]) == (unclear, late)
    assert sum(outcomes.values()) == len(rows)
    assert set(outcomes) <= {"decided", "repeated", "unclear", "late"}

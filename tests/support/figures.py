"""What a gateway could be asked: made up, with something in every place."""

from __future__ import annotations

from smsgw.protocols.traffic import Flow, Tally
from smsgw.services.figures import Figures, LinkFigures, Pool, Stored


def link_figures(name: str = "cmcc") -> LinkFigures:
    answers, waits = Tally((0.1, 1.0)), Tally((0.1, 1.0))
    for seconds in (0.05, 0.5, 7.0):
        answers.add(seconds)
    waits.add(0.5)
    return LinkFigures(
        name=name,
        window=32,
        in_flight=3,
        rate=None,
        silent_seconds=2.5,
        connect_failures=4,
        decode_errors=1,
        flows=[Flow("CMPP_SUBMIT", "sent", 20, 4000)],
        answers=answers,
        limited={"window full": 1.5, "throttled": 0.0},
        queues={"realtime": (7, 12.5)},
        waits={"realtime": waits},
        retries={"throttle": 2},
        statuses={"delivered": 5},
    )


def figures() -> Figures:
    return Figures(
        links=[link_figures()],
        accepted={"bulk": 1000},
        segments={"ucs2": 1200},
        delivery={"bulk": Tally((1.0,))},
        parts_waiting=2,
        incomplete={"expired": 1, "evicted": 0},
        ported=11,
        slots_in_use=5,
        rows_queued=6,
        webhook_backlog=7,
        webhook_oldest=2.5,
        webhook_dead=3,
        webhooks_paused=1,
        stored=Stored(4, {"cmcc": 9}, [Pool("10690001", "default/vote", 1000, 40)], 4096, 8192),
    )

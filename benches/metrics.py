"""What metrics cost: nanoseconds of each message's life, and milliseconds of a scrape.

    python benches/metrics.py [--messages 200000] [--batch 16] [--links 3,40] [--message-us 62]

Every place where something is counted for a message of one part, from its acceptance over HTTP to
the report that it was delivered, is done as the gateway does it, in batches as large as a window.
What the loop itself takes is measured and taken off. The share is of the processor time that the
gateway spends on such a message (benches/README.md).
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gateway_machine import environment

from smsgw.delivery.sender import WAIT_SECONDS
from smsgw.errors import Disposition
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.model import MessageClass, MessageStatus
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.traffic import Tally, Traffic
from smsgw.services.figures import Figures, LinkFigures

LINK = "cmcc"
CLASS = MessageClass.NOTICE
SUBMIT, SUBMIT_RESP = bytes.fromhex("000000b000000004"), 0x80000004
DELIVER, DELIVER_RESP = 0x00000005, bytes.fromhex("0000001880000005")
COMMITS = 3
"""Of a batch: accepted, sent, delivered; each is counted once."""

Step = Callable[[int], None]


def steps(batch: int) -> dict[str, Step]:
    """Return what is counted where; each step counts one batch."""
    metrics = Metrics()
    metrics.expect([LINK])
    traffic = Traffic()
    waits, delivery = Tally(WAIT_SECONDS), {str(CLASS): Tally(WAIT_SECONDS)}
    accepted, segments, statuses = Counter[str](), Counter[int](), Counter[str]()
    submits = [SUBMIT + bytes(168)] * batch
    answers = [DELIVER_RESP + bytes(16)] * batch
    received = traffic.received[SUBMIT_RESP], traffic.received[DELIVER]
    kinds = [(str(CLASS), MessageStatus.DELIVERED)] * batch

    def over_http(at: int) -> None:
        metrics.http_answered("POST", "/v1/messages", 202, 0.002)

    def at_acceptance(at: int) -> None:
        for _ in range(batch):
            accepted[CLASS] += 1
            segments[8] += 1

    def before_the_submit(at: int) -> None:
        for _ in range(batch):
            waits.add(0.2)

    def on_the_wire(at: int) -> None:
        traffic.count_sent(submits)
        for sums in received:
            for _ in range(batch):
                sums[0] += 1
                sums[1] += 24
        traffic.count_sent(answers)

    def at_the_answer(at: int) -> None:
        for _ in range(batch):
            traffic.answers.add(0.01)
        for disposition, count in Counter([Disposition.ACCEPTED] * batch).items():
            metrics.submits(LINK, disposition, count)

    def at_the_report(at: int) -> None:
        metrics.inbound(LINK, "report", batch)
        for _ in range(batch):
            statuses[MessageStatus.DELIVERED] += 1
        metrics.reported(LINK, "matched", batch)
        for (kind, status), count in Counter(kinds).items():
            metrics.finished(kind, status, count)
        for kind, _ in kinds:
            delivery[kind].add(1.5)

    def at_commits(at: int) -> None:
        for _ in range(COMMITS):
            metrics.committed(batch, 0.002)

    return {
        "HTTP request, one for each batch": over_http,
        "acceptance: class, coding": at_acceptance,
        "first submit: time in the queue": before_the_submit,
        "four PDUs: commands, octets": on_the_wire,
        "answer: its time, its result": at_the_answer,
        "report: status, fate, end, delivery time": at_the_report,
        "three commits": at_commits,
    }


def nanoseconds(step: Step, batches: int) -> float:
    """Return what one batch of a step takes, the best of three."""

    def nothing(at: int) -> None:
        return

    def loop(what: Step) -> int:
        began = time.thread_time_ns()
        for at in range(batches):
            what(at)
        return time.thread_time_ns() - began

    return min(loop(step) - loop(nothing) for _ in range(3)) / batches


def scrape_milliseconds(links: int) -> tuple[float, int]:
    """Return what one scrape of a gateway with so many busy links takes, and its octets."""
    metrics = Metrics()
    names = [f"link{number}" for number in range(links)]
    metrics.expect(names)
    commands = CARRIERS["cmpp"].codec.names
    figures = Figures(links=[_figures(name, commands) for name in names])
    metrics.watch(lambda: figures)
    took = []
    for _ in range(10):
        began = time.thread_time()
        shown, _ = metrics.exposition()
        took.append(time.thread_time() - began)
    return min(took) * 1000, len(shown)


def _figures(name: str, commands: dict[int, str]) -> LinkFigures:
    traffic = Traffic()
    for command in (0x1, 0x4, 0x8, 0x80000005, 0x80000008):
        traffic.count_sent([bytes(4) + command.to_bytes(4, "big")])
    for command in (0x80000001, 0x80000004, 0x5, 0x80000008, 0x8):
        traffic.count_received(command, 24)
    return LinkFigures(
        name=name,
        window=16,
        in_flight=3,
        rate=100.0,
        silent_seconds=1.0,
        connect_failures=0,
        decode_errors=0,
        flows=list(traffic.flows(commands)),
        answers=traffic.answers,
        limited={"window full": 1.0, "nothing to send": 2.0, "not bound": 3.0},
        queues={str(kind): (5, 1.0) for kind in MessageClass},
        waits={str(kind): Tally(WAIT_SECONDS) for kind in MessageClass},
        retries={"throttle": 1, "not sent": 0},
        statuses={"delivered": 5, "undelivered": 1},
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--links", default="3,40")
    parser.add_argument("--message-us", type=float, default=62.0)
    asked = parser.parse_args()
    print(environment(Path()))
    total = 0.0
    for name, step in steps(asked.batch).items():
        each = nanoseconds(step, asked.messages // asked.batch) / asked.batch
        total += each
        print(f"{name:42} {each:7.0f} ns a message")
    share = total / (asked.message_us * 1000)
    print(f"{'all':42} {total:7.0f} ns a message: {share:.1%} of {asked.message_us:g} µs")
    for links in map(int, asked.links.split(",")):
        milliseconds, octets = scrape_milliseconds(links)
        print(f"{f'a scrape, {links} links':42} {milliseconds:7.1f} ms, {octets} octets")


if __name__ == "__main__":
    main()

"""The whole gateway: HTTP, durable SQLite, carrier, response, report, final state, beside others.

    python benches/gateway.py [--batch 1,100,1000] [--seconds 8] [--repeats 1] [--check]
    python benches/gateway.py --batch 100 --rate 30000        latency: requests come on time
    python benches/gateway.py --processes 2 [--server URL]    one process, and then two
    python benches/gateway.py --stored 10000,10000000         what a past costs
    python benches/gateway.py --peers --jasmin-venv VENV      and Kannel and Jasmin, over SMPP

The gateway is started as a user starts it; this process is its carrier and all its customers. A
message counts when the gateway has answered its report, which it does only after the commit.
Latency is shown of the open loop only (``--rate``): a closed loop's is its queue.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gateway_carriers import CARRIERS
from gateway_daemons import Gateway, Missing, Smsgw, threads_of
from gateway_load import Hook, Ledger, Load, Loop, listen, recipients
from gateway_machine import environment
from gateway_nodes import Apart, Shared
from gateway_peers import Jasmin, Kannel
from gateway_stored import stored

CONNECTIONS = {1: 256, 10: 32, 100: 32, 1000: 8}
IN_FLIGHT = {1: 5_000}
IN_FLIGHT_OTHERWISE = 20_000
OPEN_LOOP_IN_FLIGHT = 60_000
BIND_SECONDS = 15.0
KEPT_UP = 0.97

HEAD = (
    f"{'':20}{'batch':>5}{'conns':>6}{'in flight':>10}{'window':>7}{'msg/s':>9}"
    f"{'CPU':>7}{'reactor':>8}{'writer':>7}{'others':>7}{'load':>6}"
    f"{'accept p50':>11}{'p99':>8}{'to SUBMIT p50':>14}{'p99':>8}"
    f"{'bytes':>7}{'MiB':>6}{'refused':>8}"
)


@dataclass
class Figures:
    """One run, in messages a second, CPU microseconds a message, milliseconds.

    Attributes:
        shares: How many submits came over each connection to the carrier that was used.
        beside: What to compare it with.
    """

    rate: float
    cpu: list[float]
    load: float
    accept: tuple[float, float]
    sent: tuple[float, float]
    refused: int
    rss: float
    shares: list[int]
    stages: dict[str, float]
    octets: float = 0.0
    beside: str = ""


@dataclass
class Shape:
    """What is asked of a run."""

    batch: int
    connections: int
    in_flight: int
    window: int
    rate: float
    seconds: float
    warm_up: float
    report_after: float
    check: bool

    def by(self, nodes: int) -> Shape:
        """Return what is asked of so many processes: of each as much as of one."""
        in_flight = self.in_flight if self.rate else self.in_flight * nodes
        return replace(self, connections=self.connections * nodes, in_flight=in_flight)


def measure(gateway: Any, shape: Shape) -> Figures:
    """Start the gateway, load it, kill it with everything in flight, check what it left."""
    loop = Loop()
    people = recipients(2 * shape.in_flight // shape.batch * shape.batch)
    ledger = Ledger(shape.batch, [number for number, _ in people], shape.check)
    carrier = CARRIERS[getattr(gateway, "protocol", "smpp")]
    binds: list[Any] = []
    port = listen(loop, lambda sock: binds.append(carrier(loop, sock, ledger, shape.report_after)))
    gateway.hook_port = listen(loop, lambda sock: Hook(loop, sock))
    try:
        ports = gateway.ports(port, shape.window, loop.run)
        loop.run(lambda: bool(binds), BIND_SECONDS)
        loop.run(lambda: False, 0.5)
        if not binds:
            raise Missing(f"{gateway.title}: it never logged in at the carrier")
        requests = [
            gateway.request(people[n : n + shape.batch]) for n in range(0, len(people), shape.batch)
        ]
        load = Load(
            loop,
            ports,
            ledger,
            requests,
            connections=shape.connections,
            in_flight=shape.in_flight,
            rate=shape.rate,
        )
        loop.run(lambda: False, shape.warm_up)
        figures = timed(gateway, shape, loop, ledger, load)
        figures.shares = [bind.submits for bind in binds if bind.submits]
    finally:
        gateway.kill()
        loop.close()
    if isinstance(gateway, Smsgw):
        figures.octets = gateway.octets()
        if shape.check:
            check(gateway, ledger, carrier.message_id)
    return figures


def timed(gateway: Gateway, shape: Shape, loop: Loop, ledger: Ledger, load: Load) -> Figures:
    ledger.forget_times()
    acked, began, before, own = len(ledger.acked), time.perf_counter(), gateway.cpu(), own_cpu()
    stages = stages_of(gateway)
    loop.run(lambda: False, shape.seconds)
    after, seconds = gateway.cpu(), time.perf_counter() - began
    done = len(ledger.acked) - acked
    if not done:
        problem = load.problem.decode(errors="replace") or f"{ledger.submits} submits came"
        raise Missing(f"{gateway.title}: no report was answered; {problem}")
    spent = {thread: after[thread] - before.get(thread, 0.0) for thread in after}
    by_stage = {name: one - stages.get(name, 0.0) for name, one in stages_of(gateway).items()}
    return Figures(
        done / seconds,
        [seconds / done * 1e6 for seconds in by_thread(gateway, spent)],
        (own_cpu() - own) / done * 1e6,
        quantiles(ledger.accepts if shape.rate else []),
        quantiles(ledger.sents if shape.rate else []),
        ledger.refused,
        gateway.rss_mib(),
        [],
        {name: seconds / done * 1e6 for name, seconds in by_stage.items()},
    )


def stages_of(gateway: Gateway) -> dict[str, float]:
    """Return the CPU seconds of each stage, where they are counted."""
    return gateway.stages() if isinstance(gateway, Smsgw) else {}


def by_thread(gateway: Gateway, spent: dict[int, float]) -> list[float]:
    """Return the CPU seconds of all threads; of ours also the reactor, the writer, the others.

    The main thread is the reactor, and the busiest of the others the writer.
    """
    if not isinstance(gateway, Smsgw):
        return [spent[0]]
    reactor = writer = rest = 0.0
    for process in gateway.processes:
        threads = [spent.get(one, 0.0) for one in threads_of(process.pid) if one != process.pid]
        busiest, *others = sorted(threads, reverse=True)
        reactor += spent[process.pid]
        writer += busiest
        rest += sum(others)
    return [spent[0], reactor, writer, rest]


def own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def quantiles(seconds: list[float]) -> tuple[float, float]:
    """Return median and 99th percentile in milliseconds."""
    if not seconds:
        return (float("nan"), float("nan"))
    ordered = sorted(seconds)
    return (statistics.median(ordered) * 1000, ordered[len(ordered) * 99 // 100] * 1000)


# ---- what is left in the file -------------------------------------------------------------------


def check(gateway: Smsgw, ledger: Ledger, message_id: str) -> None:
    """Exit unless all that was acknowledged before the kill is stored, in its final state."""
    found = gateway.rows(
        "SELECT m.id, m.status, s.carrier_message_id FROM message m"
        " LEFT JOIN segment s ON s.message_id = m.id"
        f" WHERE m.id > {gateway.stored_until}"
    )
    ids = {message_id for message_id, _, _ in found}
    accepted = {int(one) for body in ledger.accepted for one in ids_of(body)}
    status = {carriers: status for _, status, carriers in found}
    lost = len(accepted - ids)
    unfinished = sum(status.get(message_id % number) != "delivered" for number in ledger.acked)
    doubled = len(ledger.acked) - len(set(ledger.acked))
    print(
        f"  check after kill -9: {len(accepted):,} accepted, {lost} not in the database;"
        f" {len(ledger.acked):,} reports answered, {unfinished} without final state,"
        f" {doubled} answered twice"
    )
    if lost or unfinished:
        sys.exit(1)


def ids_of(body: bytes) -> list[str]:
    answer = json.loads(body)
    return answer["ids"] if "ids" in answer else [answer["id"]]


# ---- printing -----------------------------------------------------------------------------------


def row(title: str, shape: Shape, one: Figures) -> str:
    cpu = [*one.cpu, *[float("nan")] * (4 - len(one.cpu))]
    text = (
        f"{title:20}{shape.batch:5}{shape.connections:6}{shape.in_flight:10,}{shape.window:7,}"
        f"{one.rate:9,.0f}{cpu[0]:7.1f}{cpu[1]:8.1f}{cpu[2]:7.1f}{cpu[3]:7.1f}{one.load:6.1f}"
        f"{one.accept[0]:11.1f}{one.accept[1]:8.1f}{one.sent[0]:14.1f}{one.sent[1]:8.1f}"
        f"{one.octets:7,.0f}{one.rss:6.0f}{one.refused:8,}"
    ).replace("nan", "  -")
    for thread, whole in (("reactor", cpu[1]), ("writer", cpu[2])):
        found = {n: us for n, us in one.stages.items() if n.startswith(thread)}
        if found:
            found[f"{thread} rest"] = whole - sum(found.values())
            text += f"\n  {thread}: " + ", ".join(
                f"{name.partition(' ')[2]} {us:.1f}" for name, us in found.items()
            )
    if len(one.shares) > 1:
        text += f"\n  submits of each connection: {', '.join(f'{n:,}' for n in one.shares)}"
    if one.rate < KEPT_UP * shape.rate:
        text += f"\n  the gateway did not keep up with {shape.rate:,.0f} messages/s"
    return text


def shape_of(options: argparse.Namespace, batch: int) -> Shape:
    in_flight = options.in_flight or IN_FLIGHT.get(batch, IN_FLIGHT_OTHERWISE)
    if options.rate and not options.in_flight:
        in_flight = OPEN_LOOP_IN_FLIGHT
    return Shape(
        batch,
        options.connections or CONNECTIONS.get(batch, 16),
        in_flight,
        options.window,
        options.rate,
        options.seconds,
        options.warm_up,
        options.report_after / 1000,
        options.check,
    )


Make = Callable[[Path], Any]


def gateways(options: argparse.Namespace) -> list[tuple[Make, int]]:
    """Return how to make each gateway in a folder, with its batch sizes, in turn."""
    batches = [int(one) for one in options.batch.split(",")]
    makes: list[Make] = []
    for server in ["", options.server] if options.server else [""]:
        if options.stored:
            counts = [int(one) for one in options.stored.split(",")]
            makes += stored(options.protocol, counts, server)
            continue
        makes.append(
            partial(Smsgw, protocol=options.protocol, server=server, stages=options.stages)
        )
        if options.processes > 1:
            nodes: Any = partial(Shared, server=server) if server else Apart
            makes.append(partial(nodes, protocol=options.protocol, nodes=options.processes))
    ours = [(make, batch) for make in makes for batch in batches]
    if not options.peers:
        return ours
    over_smpp: list[tuple[Make, int]] = [(partial(Smsgw, protocol="smpp"), n) for n in batches]
    theirs: list[tuple[Make, int]] = [
        (partial(Kannel, spool=False), 1),
        (partial(Kannel, spool=True), 1),
        (partial(Jasmin, venv=options.jasmin_venv), 1),
    ]
    return [*over_smpp, *theirs]


def main() -> None:
    options = arguments()
    best: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(environment(folder, options.server))
        print(
            "µs of CPU a message: the gateway's, of that its reactor's, its writer's and other"
            " threads', and this process's;\nms from a request to its answer and to the submits"
            f" of its messages; {'open' if options.rate else 'closed'} loop,"
            f" {options.seconds:g} s after {options.warm_up:g} s, reports after"
            f" {options.report_after:g} ms\n{HEAD}",
            flush=True,
        )
        for turn in range(options.repeats):
            for number, (make, batch) in enumerate(gateways(options)):
                run(make, shape_of(options, batch), folder / f"{turn}-{number}", best)
    compare(best)
    if options.peers:
        ratios({title: one.rate for title, one in best.items()})


def run(make: Make, shape: Shape, folder: Path, best: dict[str, Figures]) -> None:
    try:
        gateway = make(folder)
    except Missing as error:
        print(f"left out: {error}", flush=True)
        return
    shape = shape.by(gateway.nodes)
    try:
        figures = measure(gateway, shape)
    except Missing as error:
        print(f"left out: {error}", flush=True)
        return
    finally:
        gateway.drop()
    print(row(gateway.title, shape, figures), flush=True)
    title = f"{gateway.title} x {shape.batch}"
    if gateway.beside:
        figures.beside = f"{gateway.beside} x {shape.batch}"
    if title not in best or figures.rate > best[title].rate:
        best[title] = figures


def compare(best: dict[str, Figures]) -> None:
    """Print the figures of some of ours as multiples of another's, best runs of each."""
    for title, one in best.items():
        other = best.get(one.beside)
        if other is not None:
            print(
                f"{title} / {one.beside}: messages/s {one.rate / other.rate:.2f},"
                f" CPU a message {one.cpu[0] / other.cpu[0]:.2f}"
            )


def ratios(best: dict[str, float]) -> None:
    """Print our rates as multiples of the others', best runs of each."""
    others = {title: rate for title, rate in best.items() if not title.startswith("smsgw")}
    for title, rate in best.items():
        if title not in others:
            for other, theirs in others.items():
                print(f"{title} / {other}: {rate / theirs:.1f}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", default="1,100,1000", help="messages in a request")
    parser.add_argument("--connections", type=int, default=0, help="0: by batch")
    parser.add_argument("--in-flight", type=int, default=0, help="messages; 0: by batch")
    parser.add_argument("--window", type=int, default=2048, help="of the link")
    parser.add_argument("--rate", type=float, default=0.0, help="open loop: messages a second")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--report-after", type=float, default=20.0, help="ms after the response")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--protocol", choices=sorted(CARRIERS), default="cmpp")
    parser.add_argument("--server", default="", help="PostgreSQL too: postgresql://USER@HOST/NAME")
    parser.add_argument("--stages", action="store_true", help="CPU of the gateway by stage")
    parser.add_argument("--processes", type=int, default=1, help="of ours, beside one")
    parser.add_argument("--stored", default="", help="finished messages before; first to compare")
    parser.add_argument("--check", action="store_true", help="compare with the database")
    parser.add_argument("--peers", action="store_true", help="Kannel and Jasmin too, over SMPP")
    parser.add_argument("--jasmin-venv", type=Path, default=None)
    parser.add_argument("--folder", default=None, help="where the databases go; names the disk")
    return parser.parse_args()


if __name__ == "__main__":
    main()

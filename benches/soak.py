"""Four links through a whole gateway at a fixed rate while everything goes wrong all the time.

    python benches/soak.py [--minutes 10] [--rate 200] [--fault loss=1% ...]

Two processes: this one is the gateway, with its store on disk; the child simulates the carriers and
their faults. Messages come at the same pace whatever the links do. Every minute, after one to warm
up, a line says where things stand; at the end faults cease, what waits is finished, and the account
is checked:

- every submit ended in exactly one outcome (a late answer may resolve an unknown one, once);
- every message is in a state that makes sense, and none reached a phone twice unmarked;
- every reply of a phone was taken, once;
- memory did not grow after warm-up, and no timer, socket or Deferred is left.

Exit code 1 when one of these does not hold.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from soak_carriers import LINKS, LOGIN, SECRET, Child
from soak_ledger import Ledger
from sqlalchemy import text as sql
from twisted.internet import reactor as installed
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater, react

from smsgw.daemon.assembly import Assembly, make_gateway
from smsgw.daemon.config import load
from smsgw.errors import Disposition
from smsgw.protocols.registry import CARRIERS
from smsgw.services.gateway import NewMessage

reactor: Any = installed

TOKEN, ACCOUNT = "soak-token-0123456789", "newsroom"
PHONES = 1000
TICK = 0.05
DRAIN_SECONDS = 300.0
GROWTH_MAX = 0.25
"""Of memory since the end of the warm-up: the database's caches fill for some minutes more."""

SECOND_HALF_GROWTH_MAX = 0.05
DEFERREDS_MAX = 20
"""What the run itself and the reactor's threads may hold at the end."""

CONFIG = """\
[gateway]
database = "soak.db"

[http]
listen = "127.0.0.1:0"

[delivery]
unknown_wait = "10s"
on_unknown = "resend"

[tokens.soak]
token = "{token}"
account = "{account}"
"""

LINK = """
[links.{name}]
protocol = "{protocol}"
operator = "{name}"
host = "127.0.0.1"
port = {port}
login = "{login}"
secret = "{secret}"
access_number = "{number}"
binds = 2
window = 64
rate = 1000
response_timeout = "5s"
"""

LISTENER = """
[links.{name}.listener]
listen = "127.0.0.1:0"
login = "smg"
secret = "{secret}"
"""


# ---- the gateway -------------------------------------------------------------------------------


class Soak:
    """One run.

    Args:
        options: The command line.
        folder: For the configuration and the store.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.ledger = Ledger()
        self.child = Child()
        self.sent = self.refused = 0
        self.rss: list[float] = []
        self.problems: list[str] = []
        self._sending = 0
        self._began = 0.0
        self.gateway: Assembly

    async def run(self) -> int:
        await self._start()
        warm_up, every = self.options.warm_up, self.options.every
        seconds = warm_up + self.options.minutes * 60
        load_ = LoopingCall(self._offer)
        self._began = reactor.seconds()
        load_.start(TICK).addErrback(lambda failure: failure.printTraceback())
        print(self._head(), flush=True)
        due = warm_up or every
        while due <= seconds + every / 2:
            await deferLater(reactor, max(0.0, self._began + due - reactor.seconds()))
            await self._line()
            due += every
        load_.stop()
        self._memory()
        await self._drain()
        await self._check()
        await self._stop()
        for problem in self.problems:
            print(f"WRONG: {problem}")
        print("nothing is wrong" if not self.problems else f"{len(self.problems)} things are wrong")
        return 1 if self.problems else 0

    async def _start(self) -> None:
        script = str(Path(__file__).with_name("soak_carriers.py"))
        arguments = [sys.executable, script, "--seed", str(self.options.seed)]
        for fault in self.options.fault:
            arguments += ["--fault", fault]
        reactor.spawnProcess(self.child, sys.executable, arguments, env=None)
        ports = await self.child.heard()
        config = CONFIG.format(token=TOKEN, account=ACCOUNT)
        for name, (protocol, _, _, number) in LINKS.items():
            values = {"name": name, "protocol": protocol, "port": ports[name], "number": number}
            config += LINK.format(login=LOGIN, secret=SECRET, **values)
            if CARRIERS[protocol].peer_dials:
                config += LISTENER.format(name=name, secret=SECRET)
            elif CARRIERS[protocol].session.heartbeat_pdu is not None:
                config += 'heartbeat_interval = "5s"\n'
        path = self.folder / "soak.toml"
        path.write_text(config)
        self.gateway = make_gateway(load(path), reactor)
        for link in self._links().values():
            self.ledger.watch(link)
        await self.gateway.start()
        for name, link in self._links().items():
            if link.listener_port:
                self.child.tell(f"dial {name} {link.listener_port}")

    def _links(self) -> dict[str, Any]:
        control = self.gateway.gateway.control
        return {name: entry.link for name, entry in control.entries.items()}

    def _offer(self) -> None:
        """Send what is due by now, whatever became of what was sent before."""
        due = int((reactor.seconds() - self._began) * self.options.rate * len(LINKS)) - self.sent
        batch = []
        for _ in range(due):
            prefix = [*LINKS.values()][self.sent % len(LINKS)][2]
            phone = f"{prefix}{self.sent // len(LINKS) % PHONES:04d}"
            batch.append(NewMessage(to=phone, text=f"第{self.sent}条"))
            self.sent += 1
        if batch:
            self._sending += 1
            accepted = Deferred.fromCoroutine(self.gateway.gateway.send(ACCOUNT, batch))
            accepted.addBoth(self._accepted, len(batch))

    def _accepted(self, result: Any, count: int) -> None:
        self._sending -= 1
        if not isinstance(result, list):
            self.refused += count
            self.problems.append(f"{count} messages were refused: {result}")

    # ---- where things stand ------------------------------------------------------------------

    def _head(self) -> str:
        return (
            "     s   messages    submits   accepted    retry  final  unknown   late  resent"
            "   open waiting carriers  RSS MB sockets timers Deferreds"
        )

    async def _line(self) -> None:
        ledger, outcomes = self.ledger, self.ledger.outcomes
        self.rss.append(rss())
        carriers = await self._carriers()
        waiting = sum(link["queue"]["queued"] for link in self.gateway.gateway.links())
        print(
            f"{reactor.seconds() - self._began:6.0f} {self.sent:10} {ledger.submits:10}"
            f" {outcomes[Disposition.ACCEPTED]:10} {outcomes[Disposition.RETRY]:8}"
            f" {outcomes[Disposition.FINAL]:6} {outcomes[Disposition.UNKNOWN]:8} {ledger.late:6}"
            f" {ledger.resent:7} {ledger.open:6} {waiting:7} {carriers:8} {self.rss[-1]:7.1f}"
            f" {len(sockets()):7} {len(reactor.getDelayedCalls()):6} {deferreds():9}",
            flush=True,
        )

    async def _carriers(self) -> int:
        """Reports and replies that the gateway has not acknowledged."""
        self.child.tell("waiting")
        waiting: int = await self.child.heard()
        return waiting

    def _memory(self) -> None:
        start, middle, end = self.rss[0], self.rss[len(self.rss) // 2], self.rss[-1]
        print(
            f"RSS after warm-up {start:.1f}, middle {middle:.1f}, end {end:.1f} MB:"
            f" {end / start - 1:+.1%}, second half {end / middle - 1:+.1%}"
        )
        for before, limit in ((start, GROWTH_MAX), (middle, SECOND_HALF_GROWTH_MAX)):
            if end / before - 1 > limit:
                self.problems.append(f"memory grew by {end / before - 1:.1%}, limit {limit:.0%}")

    # ---- the end -----------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let the carriers behave, and wait until nothing is on its way."""
        self.child.tell("quiet")
        began, states = reactor.seconds(), Counter[str]()
        while reactor.seconds() - began < DRAIN_SECONDS:
            await deferLater(reactor, 2.0)
            states = await self._states()
            waits = sum(states[one] for one in ("scheduled", "queued", "sending", "unknown"))
            waits += await self._carriers()
            if not waits and not self._sending and not self.ledger.open:
                break
        else:
            self.problems.append(f"after {DRAIN_SECONDS:g} s messages still wait: {dict(states)}")
        await deferLater(reactor, 10.0)  # what phones said last
        print(f"finished {reactor.seconds() - began:.0f} s after the last message: {dict(states)}")

    async def _states(self) -> Counter[str]:
        statement = (
            "SELECT COALESCE(s.state, m.status), COUNT(*) FROM message m"
            " LEFT JOIN segment s ON s.message_id = m.id GROUP BY 1"
        )
        return Counter(dict(await self._rows(statement)))

    async def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        database = self.gateway.gateway._database
        rows = await database.read(lambda c: c.execute(sql(statement)).all())
        return [tuple(row) for row in rows]

    async def _check(self) -> None:
        self.child.tell("account")
        told = await self.child.heard()
        ledger, wrong = self.ledger, self.problems.append
        ended = sum(ledger.outcomes.values())
        outcomes = {one.value: count for one, count in ledger.outcomes.items()}
        print(f"submits {ledger.submits}, with exactly one outcome {ended - ledger.doubled}")
        print(f"outcomes {outcomes}, late answers {ledger.late}, resent {ledger.resent}")
        print(f"results {json.dumps(dict(ledger.reasons.most_common()))}")
        for name, counts in told["counts"].items():
            print(f"{name}: {json.dumps(dict(sorted(counts.items())))}")
        if ended != ledger.submits or ledger.open or ledger.doubled:
            wrong(f"{ledger.open} submits have no outcome, {ledger.doubled} more than one")
        stored = sum((await self._states()).values())
        if stored != self.sent - self.refused:
            wrong(f"{self.sent} messages were sent, {stored} are stored")
        await self._check_phones(dict(told["shown"]))
        typed = sum(counts.get("type", 0) for counts in told["counts"].values())
        lost = sum(counts.get("loss mo", 0) for counts in told["counts"].values())
        ((inbound,),) = await self._rows("SELECT COUNT(*) FROM inbound")
        print(f"phones wrote {typed}, lost by the carrier {lost}, stored {inbound}")
        if inbound != typed - lost:
            wrong(f"{typed - lost} replies came, {inbound} are stored")

    async def _check_phones(self, shown: dict[int, int]) -> None:
        """A phone that showed a message twice: the store must know that it may have."""
        twice = {number for number, count in shown.items() if count > 1}
        marked = {
            int(one[1:-1])
            for (one,) in await self._rows(
                "SELECT m.text FROM message m JOIN segment s ON s.message_id = m.id"
                " WHERE s.possible_duplicate"
            )
        }
        taken = {
            int(one[1:-1])
            for (one,) in await self._rows(
                "SELECT m.text FROM message m JOIN segment s ON s.message_id = m.id"
                " WHERE s.state IN ('sent', 'delivered')"
            )
        }
        print(f"on phones {len(shown)}, twice {len(twice)}, marked as possible {len(marked)}")
        if twice - marked:
            some = ", ".join(f"第{number}条" for number in sorted(twice - marked)[:5])
            self.problems.append(f"{len(twice - marked)} were doubled in silence: {some}")
        if taken - shown.keys():
            some = ", ".join(f"第{number}条" for number in sorted(taken - shown.keys())[:5])
            self.problems.append(f"{len(taken - shown.keys())} never reached a phone: {some}")

    async def _stop(self) -> None:
        await self.gateway.stop()
        self.child.transport.closeStdin()
        await self.child.ended
        await deferLater(reactor, 0.1)
        gc.collect()
        timers, left = reactor.getDelayedCalls(), sockets()
        pending = deferreds()
        print(f"left behind: {len(timers)} timers, {len(left)} sockets, {pending} Deferreds")
        if timers or left:
            self.problems.append(f"left behind: {timers} {left}")
        if pending > DEFERREDS_MAX:
            self.problems.append(f"left behind: {pending} Deferreds")


def rss() -> float:
    """This process's resident memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def sockets() -> list[Any]:
    open_ = {*reactor.getReaders(), *reactor.getWriters()}
    return [one for one in open_ if isinstance(one, tcp.Connection | tcp.Port)]


def deferreds() -> int:
    return sum(1 for one in gc.get_objects() if type(one) is Deferred and not one.called)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=200.0, help="messages/s for each link")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two lines")
    parser.add_argument("--warm-up", type=float, default=60.0, help="seconds before")
    parser.add_argument("--fault", action="append", default=[], help="instead of the usual ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for the store; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        codes: list[int] = []
        soak = Soak(options, Path(folder))
        try:
            react(lambda r: Deferred.fromCoroutine(soak.run()).addCallback(codes.append))
        except SystemExit as end:
            sys.exit(end.code or codes[0])


if __name__ == "__main__":
    main()

"""A live show's vote: phones of three carriers send their votes at once, some of them twice.

    python benches/mo.py [--votes 200000] [--duplicates 0.05] [--server URL] [--kill]

The gateway is started as a user starts it; this process is its three carriers (CMPP, SMGP, SGIP)
and all phones. Half of the duplicates are the carrier's, of the very PDU; half have another id.
Some phones vote again for somebody else, which must not count; some texts nobody can read. A
message is durable when its carrier has the answer, and applied when it is counted.

At the end the vote is closed and the account checked: the tally, each phone's ballot and what
became of each message, against what the phones sent. Exit code 1 when one of these does not hold.
With ``--kill`` the gateway is killed (kill -9) in the middle and started again.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway_daemons import TOKEN, Smsgw
from gateway_machine import environment
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater, react
from twisted.internet.threads import deferToThread

from smsgw.model import MoMessage
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.faults import Faults
from smsgw.simulator.ismg import Ismg
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint

reactor: Any = installed

LOGIN, SECRET, EXTENSION = "901234", "s3cret", "88"
LINKS = {
    "mobile": ("cmpp", "3.0", "10690001"),
    "telecom": ("smgp", "3.0", "10690002"),
    "unicom": ("sgip", "1.2", "10690003"),
}
"""Link, which is also the operator, -> protocol, version, number."""

PREFIXES = {
    "mobile": "134 135 136 137 138 139 147 150 151 152 157 158 159 178 182 183 184 187 188 198",
    "telecom": "133 149 153 173 177 180 181 189 191 193 199",
    "unicom": "130 131 132 145 155 156 166 175 176 185 186",
}
PHONES = 10_000
"""Of each prefix: 1xx0000xxxx."""

SINGERS = ("张三", "李四", "王五", "赵六")
WAYS = ("{n}", "{n} ", "投{n}", "我选{n}号", "{name}", "投{name}！", "{n}{name}")
UNREADABLE = ("今晚真好看", "99", "都喜欢")
AGAIN, UNCLEAR = 0.02, 0.01
"""How many vote a second time, for somebody else; how many write what nobody can read."""

LATER = 300
"""Messages of a carrier between one and what follows it."""

WAITING = 1000
"""Messages that a carrier has in hand."""

QUIET_SECONDS = 120.0
"""So long without progress, and the run is given up."""

_KEPT: list[socket.socket] = []

LINK = """
[links.{name}]
protocol = "{protocol}"
operator = "{name}"
host = "127.0.0.1"
port = {port}
login = "{login}"
secret = "{secret}"
access_number = "{number}"
"""

LISTENER = """
[links.{name}.listener]
listen = "127.0.0.1:{listener}"
login = "smg"
secret = "{secret}"
"""


class Show:
    """What the phones send, and what must come of it.

    Args:
        votes: Phones that vote.
        duplicates: The share of messages that come twice, with another id.
        again: The share of phones that vote again.
        seed: Which.

    Attributes:
        sent: Messages without the repeats.
        ballots: Phone -> the key of its vote.
        outcomes: Messages by what must become of them.
    """

    def __init__(self, votes: int, duplicates: float, again: float, seed: int) -> None:
        self.votes, self.duplicates, self.again = votes, duplicates, again
        self.sent = self.repeated = 0
        self.ballots: dict[str, str] = {}
        self.outcomes: Counter[str] = Counter()
        self._random = random.Random(seed)

    def of(self, name: str, count: int) -> Iterator[MoMessage]:
        """Yield what one carrier's phones send."""
        later: list[tuple[int, str, str]] = []
        turn = 0
        for turn, phone in enumerate(_phones(name, count)):
            while later and later[0][0] <= turn:
                yield self._message(name, *later.pop(0)[1:])
            text = self._vote(phone)
            yield self._message(name, phone, text)
            lot = self._random.random()
            if lot < self.duplicates:
                self.repeated += 1
                later.append((turn + LATER, phone, text))
            elif lot < self.duplicates + self.again:
                later.append((turn + LATER, phone, self._vote(phone)))
        for _, phone, text in later:
            yield self._message(name, phone, text)

    def _vote(self, phone: str) -> str:
        draw = self._random
        self.sent += 1
        if draw.random() < UNCLEAR:
            self.outcomes["unclear"] += 1
            return draw.choice(UNREADABLE)
        others = [n for n in range(1, len(SINGERS) + 1) if str(n) != self.ballots.get(phone)]
        number = draw.choice(others)
        self.outcomes["repeated" if phone in self.ballots else "decided"] += 1
        self.ballots.setdefault(phone, str(number))
        return draw.choice(WAYS).format(n=number, name=SINGERS[number - 1])

    def _message(self, name: str, phone: str, text: str) -> MoMessage:
        number = LINKS[name][2] + EXTENSION
        return MoMessage(
            sender=phone, destination=number, coding=8, content=text.encode("utf-16-be")
        )


def _phones(name: str, count: int) -> Iterator[str]:
    prefixes = PREFIXES[name].split()
    for place in range(count):
        yield f"{prefixes[place % len(prefixes)]}0000{place // len(prefixes):04}"


class Voting(Smsgw):
    """Our gateway with three links."""

    def configure(self, port: int, window: int) -> None:
        """Write the configuration; the links are in ``more``."""
        head = f'[gateway]\ndatabase = "{self.database}"\n\n[http]\nlisten = "127.0.0.1:0"\n'
        token = f'\n[tokens.bench]\ntoken = "{TOKEN}"\naccount = "newsroom"\n'
        (self.folder / "bench.toml").write_text(head + token + self.more)


class Run:
    """One burst.

    Args:
        options: The command line.
        folder: For the database.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        again = 0.0 if options.kill else AGAIN
        self.options = options
        self.show = Show(options.votes, options.duplicates / 2, again, options.seed)
        self.gateway = Voting(folder / "gateway", "three", server=options.server)
        self.carriers: dict[str, Ismg] = {}
        self.feeds: dict[str, Iterator[MoMessage]] = {}
        self.acknowledged = self.doubled = 0
        self.rss: list[float] = []
        self._port = 0
        self._spent = 0.0  # CPU seconds of processes that were killed
        self._problems: list[str] = []

    async def run(self) -> bool:
        await self._start()
        vote = (await self._call("POST", "/v1/requests", VOTE))["id"]
        await self._all_up()
        watch = LoopingCall(self._look)
        watch.start(0.2)
        cpu, began, own = self.gateway.cpu()[0], time.perf_counter(), time.process_time()
        await self._burst()
        durable = time.perf_counter() - began
        await self._applied(vote)
        applied = time.perf_counter() - began
        spent, own = self._spent + self.gateway.cpu()[0] - cpu, time.process_time() - own
        watch.stop()
        came = self.acknowledged
        print(
            f"{came:,} MO, of them {self.show.repeated + self.doubled:,} repeats:"
            f" {came / durable:,.0f}/s durable, {came / applied:,.0f}/s applied,"
            f" {spent / came * 1e6:.0f} µs of CPU each (this process {own / came * 1e6:.0f});"
            f" RSS {self.rss[0]:.0f} MiB at the start, {max(self.rss):.0f} at most,"
            f" {self.rss[-1]:.0f} at the end",
            flush=True,
        )
        closed = await self._call("POST", f"/v1/requests/{vote}/close", {})
        await self._stop()
        self._check(closed)
        return not self._problems

    async def _start(self) -> None:
        more = ""
        for place, (name, (protocol, version, number)) in enumerate(LINKS.items()):
            faults = Faults.of(f"duplicate.mo={self.options.duplicates / 2:%}", seed=place)
            self.carriers[name] = Ismg(
                CARRIERS[protocol],
                _account(protocol, version, self.options.window),
                listen_endpoint(reactor, "127.0.0.1", 0),
                reactor,
                activity=self._note,
                faults=faults,
            )
            port = await self.carriers[name].start()
            more += LINK.format(
                name=name, protocol=protocol, port=port, login=LOGIN, secret=SECRET, number=number
            )
            if CARRIERS[protocol].peer_dials:
                listener = _free_port()
                more += LISTENER.format(name=name, listener=listener, secret=SECRET)
                there = dial_endpoint(reactor, "127.0.0.1", listener)
                login = _account(protocol, version, self.options.window, "smg")
                self.carriers[name].dials(there, login)
            share = self.show.votes * len(PREFIXES[name].split()) // 42
            self.feeds[name] = self.show.of(name, share)
        self.gateway.more = more
        await self._launch()

    async def _launch(self) -> None:
        def launch() -> int:
            return self.gateway.open(0, 0, lambda there, seconds: time.sleep(seconds))

        self._port = await deferToThread(launch)

    async def _all_up(self) -> None:
        while not all(one["up"] for one in (await self._call("GET", "/v1/links"))["links"]):
            await _pause(0.1)

    async def _burst(self) -> None:
        """Bring everything, as fast as it is taken."""
        feeds, killed, moved_at, moved = dict(self.feeds), not self.options.kill, 0.0, -1
        while feeds or any(one.waiting for one in self.carriers.values()):
            for name, feed in list(feeds.items()):
                if not _feed(self.carriers[name], feed):
                    del feeds[name]
            if not killed and self.acknowledged > self.show.votes // 2:
                killed = True
                self._spent += self.gateway.cpu()[0]
                self.gateway.kill()
                await self._launch()
            if moved != self.acknowledged:
                moved, moved_at = self.acknowledged, time.monotonic()
            elif time.monotonic() - moved_at > QUIET_SECONDS:
                sys.exit(f"nothing was taken for {QUIET_SECONDS:.0f} s")
            await _pause(0.001)

    async def _applied(self, vote: str) -> None:
        """Wait until all of it is counted."""
        deadline = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < deadline:
            shown = (await self._call("GET", f"/v1/requests/{vote}"))["vote"]
            wanted = self.show.outcomes
            if (shown["votes"], shown["unclear"]) == (wanted["decided"], wanted["unclear"]):
                return
            await _pause(0.05)
        self._problems.append("not all of it was counted")

    async def _stop(self) -> None:
        self.gateway.kill()
        for one in self.carriers.values():
            await one.stop()

    def _look(self) -> None:
        if self.gateway.processes:
            self.rss.append(self.gateway.rss_mib())

    def _note(self, what: str, pdu: str, details: dict[str, Any]) -> None:
        if what == "acknowledged":
            self.acknowledged += 1
        elif what == "fault":
            self.doubled += 1
            self.acknowledged += 1  # the answer to the second one is as good as that to the first

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self._port}{path}"
        asked = urllib.request.Request(url, data, headers, method=method)

        def call() -> Any:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.load(answer)

        return await deferToThread(call)

    # ---- the account ---------------------------------------------------------------------

    def _check(self, closed: Any) -> None:
        show, rows = self.show, self.gateway.rows
        answers = closed["steps"][0]["answers"]
        tally = {one["key"]: one["count"] for one in answers}
        self._compare("tally", tally, dict(Counter(show.ballots.values())))
        ballots: Any = dict(rows("SELECT phone, choice FROM ballot"))
        self._compare("ballots", ballots, show.ballots)
        outcomes: Any = dict(rows("SELECT outcome, COUNT(*) FROM inbound GROUP BY outcome"))
        wanted = {key: count for key, count in show.outcomes.items() if count}
        self._compare("messages", outcomes, wanted)
        (waiting,) = rows("SELECT COUNT(*) FROM inbound WHERE handled_at IS NULL")[0]
        self._compare("messages nobody has read", waiting, 0)
        (free,) = rows("SELECT COUNT(*) FROM inbound_part WHERE inbound_id IS NULL")[0]
        self._compare("parts of no message", free, 0)
        for problem in self._problems:
            print(f"WRONG: {problem}")
        if not self._problems:
            print(f"exact: {tally}, {wanted}", flush=True)

    def _compare(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            shown = (f"{str(one)[:200]}" for one in (found, wanted))
            self._problems.append(f"{what}: {' instead of '.join(shown)}")


VOTE = {
    "preset": "vote",
    "subject": "今晚的歌王",
    "vote": {"audience": "anyone", "extension": EXTENSION, "counts": "first"},
    "steps": [{"answers": [{"label": name} for name in SINGERS]}],
}


def _feed(carrier: Ismg, feed: Iterator[MoMessage]) -> bool:
    """Give a carrier as much as it may have in hand; False when there is no more."""
    for _ in range(WAITING - carrier.waiting):
        message = next(feed, None)
        if message is None:
            return False
        carrier.deliver(message)
    return True


def _account(protocol: str, version: str, window: int, name: str = LOGIN) -> Any:
    carrier = CARRIERS[protocol]
    return carrier.account(name=name, secret=SECRET, version=version, window=window)


def _free_port() -> int:
    """Return a port that the kernel gives to nobody else: it stays bound here, unused."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    _KEPT.append(kept)
    return int(kept.getsockname()[1])


def _pause(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds)


async def vote(_: Any, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        print(environment(Path(name), options.server), flush=True)
        run = Run(options, Path(name))
        try:
            exact = await run.run()
        finally:
            run.gateway.kill()
            run.gateway.drop()
        if not exact:
            sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--votes", type=int, default=200_000)
    parser.add_argument("--duplicates", type=float, default=0.05)
    parser.add_argument("--window", type=int, default=256, help="of the carriers' deliveries")
    parser.add_argument(
        "--server", default="", help="PostgreSQL instead: postgresql://USER@HOST/NAME"
    )
    parser.add_argument("--kill", action="store_true", help="kill -9 in the middle")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where the database goes")
    options = parser.parse_args()
    react(lambda r: Deferred.fromCoroutine(vote(r, options)))


if __name__ == "__main__":
    main()

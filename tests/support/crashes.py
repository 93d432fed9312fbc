"""A town whose daemon is killed again and again under load, and the accounts of both ends of it."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import treq
from sqlalchemy import Engine, text
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from smsgw.model import MessageClass, Segment
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.faults import Faults
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.text.udh import split_header
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from tests.support.daemon import ACCESS, CONFIG, LOGINS, TOKEN
from tests.support.nursery import Nursery
from tests.support.ports import free_port
from tests.support.rigs import make_account

PREFIXES = {"cmpp": "138", "smgp": "189", "sgip": "186"}
MT_PREFIXES = list(PREFIXES.values())
BATCH = 20
CUSTOMERS = 2
PAUSE = 0.01
"""What a customer waits before the next batch, and the phones before the next text."""

UNTAKEN_MAX = 100
"""Texts that nobody has taken yet: so many, and phones wait, or a slow machine never gets done."""

UNKNOWN_WAIT = 1.0
DELIVERY = f"""
[delivery]
unknown_wait = {UNKNOWN_WAIT}
"""
TOKENS = re.compile("消息[0-9]{6}")

Part = tuple[str, int]
"""The text's token, and which part of the message."""


def words_of(number: int) -> str:
    """A text of one to three parts, in each of which its token can be read."""
    return f"消息{number:06}" * (1, 1, 1, 10, 20)[number % 5]


def part_of(segment: Segment) -> Part:
    """Which part of which message a segment is."""
    header, body = (None, segment.content)
    if segment.udhi:
        header, body, _ = split_header(segment.content)
    (token,) = set(TOKENS.findall(body.decode("utf-16-be")))
    joint = header.concatenation if header is not None else None
    return token, joint.sequence if joint is not None else 1


class Carriers:
    """Three simulated carriers, and what they did.

    Attributes:
        received: How often each part reached its phone.
        written: Texts that phones sent, by the parts the customer has not acknowledged.
        unreported: Reports that the customer has not acknowledged.
    """

    def __init__(self) -> None:
        self.received: Counter[Part] = Counter()
        self.written: Counter[str] = Counter()
        self.unreported = 0
        self._all: dict[str, Ismg] = {}

    async def start(self) -> dict[str, int]:
        """Listen; returns what a configuration must know."""
        ports = {"listener": free_port()}
        for name, login in LOGINS.items():
            self._all[name] = Ismg(
                CARRIERS[name],
                make_account(CARRIERS[name], login),
                listen_endpoint(reactor, "127.0.0.1", 0),
                reactor,
                behaviour=Behaviour(report_after=0.02),
                activity=self._note,
            )
            ports[name] = await self._all[name].start()
        there = dial_endpoint(reactor, "127.0.0.1", ports["listener"])
        self._all["sgip"].dials(there, make_account(CARRIERS["sgip"], "smg"))
        return ports

    async def stop(self) -> None:
        for ismg in self._all.values():
            await ismg.stop()

    def write(self, number: int) -> None:
        """Let a phone send a text."""
        name = list(PREFIXES)[number % len(PREFIXES)]
        phone = self._all[name].phones.get(f"{PREFIXES[name]}00009{number % 1000:03}")
        for message in phone.write(ACCESS[name], words_of(number)):
            self.written[TOKENS.findall(message.content.decode("utf-16-be", "ignore"))[0]] += 1
            self._all[name].deliver(message)

    def hang_up(self) -> None:
        """Drop every connection."""
        for ismg in self._all.values():
            ismg.hang_up()

    def use(self, *faults: str) -> None:
        """Break so from now on."""
        for ismg in self._all.values():
            ismg.faults.use(Faults.of(*faults))

    def idle(self) -> bool:
        """Whether the customer has acknowledged all reports and texts."""
        return not self.unreported and not any(self.written.values())

    def _note(self, what: str, pdu: str, details: dict[str, Any]) -> None:
        if what == "submit" and details["result"] == 0:
            self.received[part_of(details["segment"])] += 1
            self.unreported += 1
        elif what == "acknowledged" and details["code"] == 0:
            if details["what"] == "report":
                self.unreported -= 1
            else:
                content = details["mo"].content.decode("utf-16-be", "ignore")
                self.written[TOKENS.findall(content)[0]] -= 1


SEGMENTS = (
    "SELECT m.text, s.part, s.state, s.possible_duplicate FROM segment s"
    " JOIN message m ON m.id = s.message_id"
)


def untrue_segments(
    rows: Sequence[tuple[Any, ...]], received: Mapping[tuple[str, int], int]
) -> Iterator[str]:
    """What the rows of :data:`SEGMENTS` say and the phones do not."""
    for words, number, state, doubtful in rows:
        part = (TOKENS.findall(words)[0], number)
        count = received.get(part, 0)
        if count > 1 and not doubtful:
            yield f"part {part} reached the phone {count} times and is not marked"
        if count == 0 and state == "delivered":
            yield f"part {part} never reached the phone and is {state}"


class CrashTown:
    """Carriers, customers and the daemon between them, which is killed all the time.

    Args:
        folder: For the configuration and what the daemon writes.
        engine: Looks at the daemon's database from outside.
        store: The configuration's lines about it.
        lots: Who gets what.
        link: Lines of the configuration that every link has.
        valid_for: Seconds in which a message must be sent.
        prelude: Python that the daemon's process begins with.

    Attributes:
        carriers: Their end of it.
        promised: The customers' end: id and text of each message that was answered with 202.
        refused: How many requests were answered with something else.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        store: str = 'database = "smsgw.db"',
        *,
        lots: random.Random | None = None,
        link: str = "",
        valid_for: float = 86_400,
        prelude: str = "",
    ) -> None:
        self.carriers = Carriers()
        self.promised: dict[int, str] = {}
        self.refused: Counter[int] = Counter()
        self.nursery: Nursery
        self._config = folder / "smsgw.toml"
        self._engine = engine
        self._store = store
        self._lots = lots or random.Random(1)
        self._prelude = prelude
        self._link = link
        self._valid_for = valid_for
        self._url = ""
        self._numbers: Iterator[int] = iter(range(1_000_000))
        self._loading = False
        self._pool = HTTPConnectionPool(reactor)
        self._running: list[Deferred[None]] = []

    async def __aenter__(self) -> CrashTown:
        ports = await self.carriers.start()
        text = CONFIG.format(token=TOKEN, **ports) + DELIVERY
        text = text.replace("\naccess_number", f"\n{self._link}\naccess_number")
        self._config.write_text(text.replace('database = "smsgw.db"', self._store))
        self.nursery = Nursery(self._config, self._prelude)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.rest()
        await self.nursery.end()
        await self._pool.closeCachedConnections()
        await self.carriers.stop()
        self._engine.dispose()

    # ---- load ----------------------------------------------------------------------------

    def load(self) -> None:
        """Let customers send batches and phones write, whatever becomes of the daemon."""
        self._loading = True
        work = [self._customer() for _ in range(CUSTOMERS)] + [self._phones()]
        self._running = [Deferred.fromCoroutine(one) for one in work]

    async def rest(self) -> None:
        """Let all of them stop."""
        self._loading = False
        await DeferredList(self._running)

    async def _customer(self) -> None:
        while self._loading:
            if self._url:
                await self._send()
            await deferLater(reactor, PAUSE)

    async def _phones(self) -> None:
        while self._loading:
            if self.carriers.written.total() < UNTAKEN_MAX:
                self.carriers.write(next(self._numbers))
            await deferLater(reactor, PAUSE)

    async def _send(self) -> None:
        texts = [words_of(next(self._numbers)) for _ in range(BATCH)]
        messages = [
            {
                "to": f"{self._lots.choice(MT_PREFIXES)}0000{self._lots.randrange(100):04}",
                "text": text,
                "valid_for": self._valid_for,
                "class": self._lots.choice(list(MessageClass)),
            }
            for text in texts
        ]
        try:
            response = await treq.post(
                self._url + "/v1/messages",
                json={"messages": messages},
                headers={"Authorization": f"Bearer {TOKEN}"},
                pool=self._pool,
            )
            answer = await response.json()
        except Exception:
            return  # killed: whether they were accepted nobody knows
        if response.code == 202:
            self.promised.update(zip(map(int, answer["ids"]), texts, strict=True))
        else:
            self.refused[response.code] += 1

    # ---- the daemon ----------------------------------------------------------------------

    async def live(self, seconds: float, reached: bool = False) -> None:
        """Start the daemon, and kill -9 it so long after, whatever it is at.

        Args:
            seconds: How long after its start, or after it took something from a customer.
            reached: Count from then: on a busy machine it would never come so far.
        """
        listening = self.start()
        if reached:
            await listening
            before = len(self.promised)
            await self.until(lambda: len(self.promised) > before)
        await deferLater(reactor, seconds)
        self._url = ""
        self.nursery.run.kill()
        assert await self.nursery.run.ended == -9, self.nursery.log[-3:]

    def start(self) -> Deferred[str]:
        """Start the daemon; fires when customers can reach it."""
        return self.nursery.start().listening.addCallback(self._listening)

    async def stop(self) -> None:
        """Let the daemon end in order."""
        self._url = ""
        self.nursery.run.terminate()
        assert await self.nursery.run.ended == 0

    async def replace(self) -> None:
        """Kill the daemon; from now on none has a prelude."""
        self._url = ""
        await self.nursery.end()
        self.nursery = Nursery(self._config)

    async def finish(self) -> None:
        """Start the daemon until nothing is under way anywhere."""
        await self.rest()
        await self.start()
        await self.until(lambda: self.settled("sent", "queued"))
        await self.stop()
        await deferLater(reactor, UNKNOWN_WAIT + 0.05)  # a start sends again what is unknown then
        await self.start()
        await self.until(lambda: self.settled("sent", "queued", "unknown"))
        await self.stop()

    def _listening(self, url: str) -> str:
        self._url = url
        return url

    def settled(self, *states: str) -> bool:
        """Whether nothing waits, and no segment is in one of these states."""
        if not self.carriers.idle() or self.rows("SELECT 1 FROM queue LIMIT 1"):
            return False
        return not self.rows(f"SELECT 1 FROM segment WHERE state IN {states} LIMIT 1")

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something; the test's own time limit ends it."""
        while not holds():
            await deferLater(reactor, 0.03)

    # ---- the accounts --------------------------------------------------------------------

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database says, read from outside."""
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def problems(self) -> list[str]:
        """What the two ends do not agree on."""
        repeated = sum(count > 1 for count in self.carriers.received.values())
        print(
            f"{len(self.promised)} messages promised, {len(self.carriers.received)} parts"
            f" received, {repeated} more than once, {len(self.carriers.written)} texts written"
        )
        return [*self._messages(), *self._segments(), *self._reports(), *self._texts()]

    def _messages(self) -> Iterator[str]:
        stored = {
            row[0]: row[1:] for row in self.rows("SELECT id, text, status, reason FROM message")
        }
        for message_id, words in self.promised.items():
            if message_id not in stored or stored[message_id][0] != words:
                yield f"message {message_id} was accepted and is not stored as it was sent"
        known = {words for words, _, _ in stored.values()}
        tokens = {TOKENS.findall(words)[0] for words in known}
        for token, part in self.carriers.received:
            if token not in tokens:
                yield f"part {part} of {token} reached a phone and is not stored"
        for message_id, (_, status, reason) in stored.items():
            explained = status == "expired" and "unknown" in reason
            if status != "delivered" and not explained:
                yield f"message {message_id} ended as {status} {reason!r}"

    def _segments(self) -> Iterator[str]:
        rows = self.rows(SEGMENTS)
        yield from untrue_segments(rows, self.carriers.received)
        parts = sum(row[0] for row in self.rows("SELECT parts FROM message"))
        if len(rows) != parts:
            yield f"{len(rows)} segments of {parts} parts"

    def _reports(self) -> Iterator[str]:
        """A report may only be parked when the answer before it was lost with a run."""
        repeated = sum(count - 1 for count in self.carriers.received.values())
        ((given_up,),) = self.rows("SELECT count(*) FROM segment WHERE state = 'expired'")
        ((parked,),) = self.rows("SELECT count(*) FROM parked_report")
        if parked > repeated + given_up:
            yield (
                f"{parked} reports are parked, {repeated} submits were repeated"
                f" and {given_up} given up"
            )

    def _texts(self) -> Iterator[str]:
        inbox: defaultdict[str, list[str]] = defaultdict(list)
        for (words,) in self.rows("SELECT text FROM inbound"):
            inbox[TOKENS.findall(words)[0]].append(words)
        for token in self.carriers.written:
            if inbox[token] != [words_of(int(token[2:]))]:
                yield f"{token} was written once and is {len(inbox[token])} times in the inbox"

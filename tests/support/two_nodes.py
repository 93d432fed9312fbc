"""Two daemons on one PostgreSQL database and one carrier, and the accounts of both ends of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.store.address import Server
from smsgw.transport.endpoints import listen_endpoint
from tests.support.crashes import SEGMENTS, TOKENS, UNTAKEN_MAX, part_of, untrue_segments, words_of
from tests.support.daemon import TOKEN
from tests.support.nursery import Nursery, Run
from tests.support.rigs import make_account
from tests.support.stores import execute

BINDS = 2
LEASE = 3.0
BATCH = 20
PAUSE = 0.02
UNKNOWN_WAIT = 1.0

CONFIG = f"""\
[gateway]
database = "{{database}}"
lease = {LEASE}

[http]
listen = "127.0.0.1:0"

[tokens.test]
token = "{TOKEN}"
account = "newsroom"

[delivery]
unknown_wait = {UNKNOWN_WAIT}

[links.mobile]
protocol = "cmpp"
host = "127.0.0.1"
port = {{port}}
login = "901234"
secret = "s3cret"
access_number = "10690001"
binds = {{binds}}
"""


class TwoNodes:
    """A carrier, two daemons, and customers of each.

    Attributes:
        received: How often each part reached its phone.
        promised: Id and text of each message that was answered with 202, by daemon.
        binds_seen: The most connections that the carrier had at once.
    """

    def __init__(self, folder: Path, server: Server, binds: int = BINDS) -> None:
        self.received: Counter[tuple[str, int]] = Counter()
        self.promised: list[dict[int, str]] = [{}, {}]
        self.written: Counter[str] = Counter()
        self.unreported = 0
        self.binds_seen = 0
        self.nurseries: list[Nursery] = []
        self.urls = ["", ""]
        self._folder = folder
        self._server = server
        self._binds = binds
        self._numbers: Iterator[int] = iter(range(1_000_000))
        self._loading = False
        self._running: list[Deferred[None]] = []
        self._pool = HTTPConnectionPool(reactor)
        self._lots = random.Random(1)
        self._carrier = Ismg(
            CARRIERS["cmpp"],
            make_account(CARRIERS["cmpp"], "901234"),
            listen_endpoint(reactor, "127.0.0.1", 0),
            reactor,
            behaviour=Behaviour(report_after=0.02),
            activity=self._note,
        )

    async def __aenter__(self) -> TwoNodes:
        config = self._folder / "smsgw.toml"
        port = await self._carrier.start()
        config.write_text(
            CONFIG.format(database=self._server, port=port, binds=self._binds), encoding="utf-8"
        )
        self.nurseries = [Nursery(config), Nursery(config)]
        starts = [Deferred.fromCoroutine(self.start(place)) for place in (0, 1)]
        await gatherResults(starts)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.rest()
        for nursery in self.nurseries:
            await nursery.end()
        await self._pool.closeCachedConnections()
        await self._carrier.stop()

    # ---- the daemons ---------------------------------------------------------------------

    async def start(self, place: int) -> None:
        """Start a daemon, and wait until customers can reach it."""
        run = self.nurseries[place].start()
        run.ended.addCallback(self._ended, run)
        self.urls[place] = await run.listening

    def _ended(self, code: int, run: Run) -> int:
        if not run.listening.called:
            said = [nursery.log[-3:] for nursery in self.nurseries]
            run.listening.errback(AssertionError(f"ended with {code}: {said}"))
        return code

    async def kill(self, place: int) -> None:
        """kill -9."""
        self.urls[place] = ""
        self.nurseries[place].run.kill()
        assert await self.nurseries[place].run.ended == -9, self.nurseries[place].log[-3:]

    async def stop(self, place: int) -> None:
        """Let a daemon end in order."""
        self.urls[place] = ""
        self.nurseries[place].run.terminate()
        assert await self.nurseries[place].run.ended == 0

    # ---- load ----------------------------------------------------------------------------

    def load(self) -> None:
        """Let customers of both daemons send batches, and phones write."""
        self._loading = True
        work = [self._customer(0), self._customer(1), self._phones()]
        self._running = [Deferred.fromCoroutine(one) for one in work]

    async def rest(self) -> None:
        """Let all of them stop."""
        self._loading = False
        await DeferredList(self._running)

    async def _customer(self, place: int) -> None:
        while self._loading:
            if self.urls[place]:
                await self.send(place)
            await deferLater(reactor, PAUSE)

    async def _phones(self) -> None:
        while self._loading:
            if self.written.total() < UNTAKEN_MAX:
                self.write(next(self._numbers))
            await deferLater(reactor, PAUSE)

    def write(self, number: int) -> None:
        """Let a phone send a text."""
        phone = self._carrier.phones.get(f"13800009{number % 1000:03}")
        for message in phone.write("10690001", words_of(number)):
            self.written[_token(message.content)] += 1
            self._carrier.deliver(message)

    async def send(self, place: int, count: int = BATCH) -> None:
        """Send one batch to a daemon."""
        texts = [words_of(next(self._numbers)) for _ in range(count)]
        messages = [
            {"to": f"1380000{self._lots.randrange(100):04}", "text": text} for text in texts
        ]
        try:
            response = await treq.post(
                self.urls[place] + "/v1/messages",
                json={"messages": messages},
                headers={"Authorization": f"Bearer {TOKEN}"},
                pool=self._pool,
            )
            answer = await response.json()
        except Exception:
            return  # killed: whether they were accepted nobody knows
        if response.code == 202:
            self.promised[place].update(zip(map(int, answer["ids"]), texts, strict=True))

    def _note(self, what: str, pdu: str, details: dict[str, Any]) -> None:
        if what == "bind":
            self.binds_seen = max(self.binds_seen, self.binds_now())
        elif what == "submit" and details["result"] == 0:
            self.received[part_of(details["segment"])] += 1
            self.unreported += 1
        elif what == "acknowledged" and details["code"] == 0:
            if details["what"] == "report":
                self.unreported -= 1
            else:
                self.written[_token(details["mo"].content)] -= 1

    def binds_now(self) -> int:
        """How many connections the carrier has."""
        return len(self._carrier._listener.connections)

    # ---- the accounts --------------------------------------------------------------------

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something; the test's own time limit ends it."""
        while not holds():
            await deferLater(reactor, 0.03)

    def settled(self) -> bool:
        """Whether nothing is under way anywhere."""
        if self.unreported or any(self.written.values()):
            return False
        return not self.rows("SELECT 1 FROM message WHERE final_at IS NULL LIMIT 1")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database says, read from outside."""
        return execute(self._server, sql)

    def problems(self) -> list[str]:
        """What the two ends do not agree on."""
        return [*self._messages(), *self._segments(), *self._texts()]

    def _messages(self) -> Iterator[str]:
        stored = {row[0]: row[1:] for row in self.rows("SELECT id, text, status FROM message")}
        for message_id, words in {**self.promised[0], **self.promised[1]}.items():
            if stored.get(message_id, ("",))[0] != words:
                yield f"message {message_id} was accepted and is not stored as it was sent"
            elif stored[message_id][1] != "delivered":
                yield f"message {message_id} ended as {stored[message_id][1]}"

    def _segments(self) -> Iterator[str]:
        return untrue_segments(self.rows(SEGMENTS), self.received)

    def _texts(self) -> Iterator[str]:
        inbox = Counter(words for (words,) in self.rows("SELECT text FROM inbound"))
        for token in self.written:
            words = words_of(int(token[2:]))
            if inbox[words] != 1:
                yield f"{token} was written once and is {inbox[words]} times in the inbox"


def _token(content: bytes) -> str:
    return str(TOKENS.findall(content.decode("utf-16-be", "ignore"))[0])

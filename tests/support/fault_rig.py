"""A link and a simulated gateway that breaks, joined by real sockets; their time is the test's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogPublisher, globalLogPublisher

from smsgw.errors import Disposition
from smsgw.model import Segment, SubmitResult
from smsgw.protocols.carrier import Carrier
from smsgw.simulator.faults import Faults
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Inbound, Link
from smsgw.transport.listener import PeerListener
from tests.support.reactor import carried, until
from tests.support.rigs import NUMBERS, make_account

OUR_NUMBER = "10690001042"
T, N, C = 10.0, 3, 5.0
"""Answer timeout, heartbeats unanswered, silence before a heartbeat."""

NOTICED_WITHIN = C + N * T
"""Seconds from a peer's last octet until it is known to be dead."""

STEP = 0.5


class FaultRig:
    """One carrier, both ends, and an account of what became of each submit.

    Args:
        carrier: What both speak.
        faults: As ``smsgw simulate --fault`` takes them.
        login: More settings of the link's account.

    Attributes:
        results: Submit number -> every result that came for it, in order.
        got: What the gateway brought; each was acknowledged.
        happened: What the gateway did: "bind", "submit", "fault" ...
        broken: Which faults it made: "loss answer" ...
        logged: Everything that was logged.
    """

    def __init__(
        self, carrier: Carrier, *faults: str, behaviour: Behaviour | None = None, **login: Any
    ) -> None:
        self.carrier = carrier
        self.phone = NUMBERS[carrier.name]
        self.clock = Clock()
        self.results: dict[int, list[SubmitResult]] = {}
        self.got: list[Inbound] = []
        self.happened: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.logged: list[LogEvent] = []
        self._faults = Faults.of(*faults, seed=7)
        self._behaviour = behaviour
        self._login = {"response_timeout": T, "heartbeat_tries": N, **login}
        if carrier.name != "sgip":  # it has no heartbeat
            self._login.setdefault("heartbeat_interval", C)
        self._waiting: list[tuple[Segment, int]] = []
        self._publisher: LogPublisher = globalLogPublisher

    async def __aenter__(self) -> FaultRig:
        self._publisher.addObserver(self.logged.append)
        self.ismg = Ismg(
            self.carrier,
            make_account(self.carrier, response_timeout=T),
            listen_endpoint(reactor, "127.0.0.1", 0),
            self.clock,
            behaviour=self._behaviour,
            activity=self._note,
            faults=self._faults,
        )
        port = await self.ismg.start()
        listener = None
        if self.carrier.peer_dials:
            endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
            listener = PeerListener(endpoint, make_account(self.carrier, "smg"), lambda host: True)
        self.link = Link(
            "one",
            self.carrier,
            make_account(self.carrier, **self._login),
            dial_endpoint(reactor, "127.0.0.1", port),
            self.clock,
            listener=listener,
        )
        self.link.on_results = self._take_results
        self.link.on_free = self._pump
        self.link.on_inbound = self._take_inbound
        await self.link.listen()
        if self.link.listener_port is not None:
            there = dial_endpoint(reactor, "127.0.0.1", self.link.listener_port)
            self.ismg.dials(there, make_account(self.carrier, "smg", response_timeout=T))
        self.link.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        stopped = self.link.stop()
        gone = Deferred.fromCoroutine(self.ismg.stop())
        await self.until(lambda: stopped.called and gone.called)
        self._publisher.removeObserver(self.logged.append)
        assert self.clock.getDelayedCalls() == []

    # ---- what a test does ----------------------------------------------------------------

    def submit(self, count: int = 1) -> None:
        """Ask for so many more submits, each with a text of its own."""
        for number in range(len(self.results), len(self.results) + count):
            self.results[number] = []
            text = f"第{number}条".encode("utf-16-be")
            self._waiting.append((Segment(self.phone, OUR_NUMBER, 8, text), number))
        self._pump()

    async def bound(self) -> None:
        """Wait until the link is bound, without letting time pass."""
        await self.until(lambda: self.bind["phase"] == "bound")

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait for something without letting time pass; the test's limit ends it."""
        await until(holds, self.clock)

    async def pass_time(self, seconds: float, step: float = STEP) -> None:
        """Let time pass in steps, and what is due meanwhile reach the other side."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await carried(self.clock)

    async def pass_until(self, holds: Callable[[], Any], limit: float) -> float:
        """Let time pass until something holds; return how long it took."""
        began = self.clock.seconds()
        while not holds():
            passed = self.clock.seconds() - began
            assert passed <= limit, f"not within {limit:g} s: {self.bind}, {self.broken}"
            await self.pass_time(STEP)
        return self.clock.seconds() - began

    async def settled(self, limit: float = 600.0) -> None:
        """Let time pass until every submit has a result."""
        await self.pass_until(lambda: all(self.results.values()), limit)

    async def recovers(self) -> None:
        """Nothing breaks any more: sooner or later, and then for good, submits are accepted.

        Later means: once a peer that is gone was noticed, and the pause before the next bind over.
        """
        self.ismg.faults.use(Faults())
        limit = self.clock.seconds() + NOTICED_WITHIN + 90.0
        dispositions: list[Disposition] = []
        while dispositions != [Disposition.ACCEPTED]:
            assert self.clock.seconds() < limit, f"still {dispositions}: {self.bind}"
            await self.pass_until(lambda: self.link.up, 90.0)
            number = len(self.results)
            self.submit()
            await self.settled(limit=90.0)
            dispositions = self.dispositions(number)
        self.check()

    # ---- what a test looks at ------------------------------------------------------------

    @property
    def bind(self) -> dict[str, str]:
        """Where the link's connection is, and why."""
        state: dict[str, str] = self.link.state()["binds"][0]
        return state

    @property
    def reports(self) -> list[str]:
        """The ids of the reports that came."""
        return [item.report.carrier_message_id for item in self.got if item.report is not None]

    def dispositions(self, number: int) -> list[Disposition]:
        return [result.disposition for result in self.results[number]]

    def outcomes(self) -> Counter[Disposition]:
        """How often each disposition was the first word on a submit."""
        return Counter(self.dispositions(number)[0] for number in self.results)

    def check(self) -> None:
        """Every submit has one outcome, was sent at most once, and nothing was a surprise to us.

        A second result may only resolve an unknown one, once.
        """
        unknown = Disposition.UNKNOWN
        for number in self.results:
            found = self.dispositions(number)
            assert len(found) == 1 or (len(found) == 2 and found[0] is unknown is not found[1]), (
                f"submit {number} ended as {found}"
            )
        texts = Counter(segment.content for segment in self.ismg.submits)
        assert max(texts.values(), default=1) == 1, "sent twice without being asked to"
        assert self.link.in_flight == 0
        assert self.tracebacks == []

    @property
    def tracebacks(self) -> list[LogEvent]:
        return [event for event in self.logged if event.get("log_failure") is not None]

    # ---- inside --------------------------------------------------------------------------

    def _pump(self) -> None:
        taken = self.link.submit_many(self._waiting)
        del self._waiting[:taken]

    def _take_results(self, results: list[tuple[Any, SubmitResult]]) -> None:
        for number, result in results:
            self.results[number].append(result)

    def _take_inbound(self, batch: list[Inbound]) -> None:
        self.got += batch
        for item in batch:
            item.acknowledge(0)

    def _note(self, what: str, pdu: str, details: dict[str, Any]) -> None:
        self.happened[what] += 1
        if what == "fault":
            self.broken[f"{details['fault']} {details['of']}"] += 1

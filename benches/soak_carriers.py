"""The carriers of the soak bench: simulated gateways in a process of their own.

Run by ``soak.py``, which writes commands to stdin, a line each, and reads answers as lines of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.protocol import ProcessProtocol, Protocol
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.faults import Faults
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.simulator.script import Reply
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint

reactor: Any = installed

LOGIN, SECRET = "901234", "s3cret"
REPLY_EVERY = 50
"""One message in so many is replied to."""

LINKS = {
    "mobile": ("cmpp", "3.0", "1380000", "10690001"),
    "telecom": ("smgp", "3.0", "1890000", "10690002"),
    "unicom": ("sgip", "1.2", "1860000", "10690003"),
    "broadnet": ("smpp", "3.4", "1920000", "10690004"),
}
"""Link, which is also the operator, -> protocol, version, first digits of its phones, number."""

FAULTS = (
    "delay=0.2@5%",
    "delay.answer=7@0.1%",
    "loss=0.5%",
    "reorder=2%",
    "duplicate=1%",
    "sequence=0.2%",
    "throttle=0.01%",
    "truncate=0.02%",
    "oversize=0.005%",
    "garbage=0.005%",
    "disconnect=0.01%",
    "disconnect.login=10%",
    "garbage.login=5%",
    "loss.login=5%",
    "stall=3@0.01%",
    "half-open=0.002%",
)


def account(protocol: str, version: str, name: str = LOGIN) -> Any:
    kinds: dict[str, Any] = {"name": name, "secret": SECRET, "window": 64, "response_timeout": 5.0}
    return CARRIERS[protocol].account(version=version, **kinds)


class Carriers(Protocol):
    """The simulated gateways. Reads commands from stdin, a line each, and answers on stdout.

    Args:
        faults: What goes wrong.
        seed: How.
    """

    def __init__(self, faults: Sequence[str], seed: int) -> None:
        self._faults, self._seed = faults, seed
        self._ismgs: dict[str, Ismg] = {}
        self._buffer = b""
        self._replies = 0
        self.counts: dict[str, Counter[str]] = {}
        self.shown: Counter[int] = Counter()
        self.ended: Deferred[None] = Deferred()

    async def start(self) -> None:
        ports = {}
        for place, (name, (protocol, version, _, _)) in enumerate(LINKS.items()):
            carrier, self.counts[name] = CARRIERS[protocol], Counter()
            faults = self._faults or FAULTS
            self._ismgs[name] = Ismg(
                carrier,
                account(protocol, version),
                listen_endpoint(reactor, "127.0.0.1", 0),
                reactor,
                behaviour=Behaviour(report_after=0.5),
                activity=self._noting(name),
                script=self._reply,
                faults=Faults.of(*faults, seed=self._seed + place),
            )
            ports[name] = await self._ismgs[name].start()
        StandardIO(self)
        self._say(ports)

    def dataReceived(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode().partition(" ")
            if word == "dial":
                name, port = rest.split()
                there = dial_endpoint(reactor, "127.0.0.1", int(port))
                self._ismgs[name].dials(there, account(LINKS[name][0], LINKS[name][1], "smg"))
            elif word == "quiet":
                for ismg in self._ismgs.values():
                    ismg.faults.use(Faults())
            elif word == "waiting":
                self._say(sum(ismg.waiting for ismg in self._ismgs.values()))
            else:
                self._say({"counts": self.counts, "shown": list(self.shown.items())})

    def connectionLost(self, reason: Any = None) -> None:
        if not self.ended.called:
            self.ended.callback(None)

    def _say(self, what: Any) -> None:
        self.transport.write(json.dumps(what).encode() + b"\n")  # type: ignore[union-attr]

    def _reply(self, sender: str, text: str) -> Sequence[Reply]:
        if int(text[1:-1]) // len(LINKS) % REPLY_EVERY:
            return ()
        self._replies += 1
        return [Reply(f"收到{self._replies}")]

    def _noting(self, name: str) -> Callable[[str, str, dict[str, Any]], None]:
        counts, shown = self.counts[name], self.shown

        def note(what: str, pdu: str, details: dict[str, Any]) -> None:
            counts[what] += 1
            if what == "fault":
                counts[f"{details['fault']} {details['of']}"] += 1
            elif what == "read":
                shown[int(details["text"][1:-1])] += 1

        return note


async def carry(_: Any, faults: Sequence[str], seed: int) -> None:
    carriers = Carriers(faults, seed)
    await carriers.start()
    await carriers.ended


class Child(ProcessProtocol):
    """The process with the carriers."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self._lines: DeferredQueue[Any] = DeferredQueue()
        self._buffer = b""

    def outReceived(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._lines.put(json.loads(line))

    def errReceived(self, data: bytes) -> None:
        sys.stderr.write(data.decode(errors="replace"))

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(None)

    def tell(self, line: str) -> None:
        self.transport.write(line.encode() + b"\n")

    async def heard(self) -> Any:
        return await self._lines.get()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    react(lambda r: Deferred.fromCoroutine(carry(r, options.fault, options.seed)))


if __name__ == "__main__":
    main()

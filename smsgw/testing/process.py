"""The process of a simulation: carriers, phones and the gateway, told what to do on its stdin.

It ends with its stdin, so it never outlives the tests.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import stdio
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from smsgw.daemon.assembly import Assembly, make_gateway
from smsgw.daemon.config import load
from smsgw.interfaces.cli.stage import Stage
from smsgw.testing.wire import Order, Told

REPORT_AFTER = 0.01
"""Seconds after which the carriers report a message delivered."""

LOOK_EVERY = 0.002


class Maker:
    """What :class:`Stage` makes its gateway with, and keeps of it."""

    assembly: Assembly

    def load(self, path: Path) -> Any:
        """Read a configuration."""
        return load(path)

    def route_table(self, path: Path, phone: str) -> Any:
        raise AssertionError("a stage asks for no routes")

    def make_gateway(self, config: Any, reactor: Any) -> Assembly:
        """Wire a gateway without starting it."""
        self.assembly = make_gateway(config, reactor)
        return self.assembly


class Run:
    """One gateway with its carriers.

    Args:
        reactor: The reactor.
        show: Told what phones show.
    """

    def __init__(self, reactor: Any, show: Callable[[Told], None]) -> None:
        self._reactor = reactor
        self._show = show
        self._folder = tempfile.TemporaryDirectory(prefix="smsgw-test-")
        self._maker = Maker()
        self.stage = Stage(reactor, Path(self._folder.name), self._maker, self._activity)
        for carrier in self.stage.carriers.values():
            carrier.behaviour.report_after = REPORT_AFTER

    async def start(self) -> None:
        """Start all, and wait until every link is up."""
        await self.stage.start()
        while not all(link["up"] for link in self._maker.assembly.gateway.links()):
            await deferLater(self._reactor, LOOK_EVERY)

    async def stop(self) -> None:
        """Stop all, and forget everything."""
        await self.stage.stop()
        self._folder.cleanup()

    def _activity(self, carrier: str, what: str, pdu: str, details: dict[str, Any]) -> None:
        if what == "read":
            phone = details["phone"]
            parts = self.stage.carriers[carrier].phones.get(phone).inbox[-1].parts
            self._show(Told(0, "", "", "", phone, details["sender"], details["text"], parts))


class Control(LineReceiver):
    """Takes orders.

    Args:
        reactor: The reactor.

    Attributes:
        ended: Fires when whoever gave the orders is gone, and nothing runs any more.
    """

    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def __init__(self, reactor: Any) -> None:
        self.ended: Deferred[None] = Deferred()
        self._reactor = reactor
        self._run: Run | None = None

    def lineReceived(self, line: bytes) -> None:
        order = msgspec.json.decode(line, type=Order)
        work = Deferred.fromCoroutine(self._obey(order))
        work.addErrback(lambda failure: Told(order.number, failure.getErrorMessage()))
        work.addCallback(self._tell)

    def connectionLost(self, reason: Failure | None = None) -> None:
        Deferred.fromCoroutine(self._stop()).chainDeferred(self.ended)

    async def _obey(self, order: Order) -> Told:
        if order.do == "start":
            self._run = Run(self._reactor, self._tell)
            await self._run.start()
            return Told(order.number, "", self._run.stage.url, self._run.stage.token)
        if order.do == "stop":
            await self._stop()
        elif self._run is None:
            return Told(order.number, "no gateway is started")
        else:
            self._run.stage.carriers[order.carrier].send(order.phone, order.to, order.text)
        return Told(order.number)

    async def _stop(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            await run.stop()

    def _tell(self, told: Told) -> None:
        if self.transport is not None:
            self.transport.write(msgspec.json.encode(told) + b"\n")


def main(reactor: Any) -> Deferred[None]:
    """Run until stdin ends."""
    control = Control(reactor)
    stdio.StandardIO(control, reactor=reactor)
    return control.ended


if __name__ == "__main__":
    react(main)

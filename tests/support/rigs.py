"""A link joined to a simulated gateway on 127.0.0.1, for any carrier."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Inbound, Link
from smsgw.transport.listener import PeerListener

NUMBERS = {
    "cmpp": "13800001001",
    "smgp": "18900001002",
    "sgip": "18600001003",
    "smpp": "13900001004",
}
SECRET = "s3cret"


def make_account(carrier: Carrier, name: str = "901234", **kinds: Any) -> Account:
    kinds.setdefault("version", carrier.codec.default_version)
    return carrier.account(name=name, secret=kinds.pop("secret", SECRET), **kinds)


class Rig:
    """One carrier, both ends."""

    def __init__(
        self,
        carrier: Carrier,
        *,
        behaviour: Behaviour | None = None,
        binds: int = 1,
        account: Account | None = None,
    ) -> None:
        self.carrier = carrier
        self.phone = NUMBERS[carrier.name]
        self.account = account or make_account(carrier)
        self.behaviour = behaviour
        self.binds = binds
        self.got: list[Inbound] = []
        self.seen: list[tuple[str, str]] = []
        self.acknowledge = True

    async def start(self) -> None:
        self.ismg = Ismg(
            self.carrier,
            make_account(self.carrier),
            listen_endpoint(reactor, "127.0.0.1", 0),
            reactor,
            behaviour=self.behaviour,
            activity=lambda what, pdu, details: self.seen.append((what, pdu)),
        )
        self.port = port = await self.ismg.start()
        listener = None
        if self.carrier.peer_dials:
            endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
            listener = PeerListener(endpoint, make_account(self.carrier, "smg"), lambda host: True)
        self.link = Link(
            self.carrier.name,
            self.carrier,
            self.account,
            dial_endpoint(reactor, "127.0.0.1", port),
            reactor,
            binds=self.binds,
            listener=listener,
        )
        self.link.on_inbound = self._take
        await self.link.listen()
        if self.link.listener_port is not None:
            there = dial_endpoint(reactor, "127.0.0.1", self.link.listener_port)
            self.ismg.dials(there, make_account(self.carrier, "smg"))
        self.link.start()

    async def stop(self) -> None:
        await self.link.stop()
        await self.ismg.stop()

    async def until(self, holds: Any) -> None:
        """Wait for something; the test's own time limit ends it."""
        while not holds():
            await deferLater(reactor, 0.005)

    def _take(self, batch: list[Inbound]) -> None:
        self.got += batch
        if self.acknowledge:
            for item in batch:
                item.acknowledge(0)


__all__ = ["NUMBERS", "SECRET", "Rig", "make_account"]

"""A whole gateway before one simulated carrier that breaks, in real time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from smsgw.protocols.carrier import Carrier
from smsgw.simulator.faults import Faults
from smsgw.simulator.ismg import Ismg
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from tests.support.gateways import ACCOUNT, Inside, NewMessage, one_link
from tests.support.raw_peer import until
from tests.support.rigs import NUMBERS, make_account


class FaultTown(Inside):
    """One carrier with faults and the gateway before it.

    Attributes:
        submits: (text, result) of each submit the carrier took or refused.
    """

    def __init__(self, folder: Path, carrier: Carrier, *faults: str) -> None:
        self.carrier = carrier
        self.phone = NUMBERS[carrier.name]
        self.submits: list[tuple[str, int]] = []
        self._folder = folder
        self._faults = Faults.of(*faults)

    async def __aenter__(self) -> FaultTown:
        self.ismg = Ismg(
            self.carrier,
            make_account(self.carrier),
            listen_endpoint(reactor, "127.0.0.1", 0),
            reactor,
            activity=self._note,
            faults=self._faults,
        )
        port = await self.ismg.start()
        config = self._folder / "smsgw.toml"
        config.write_text(one_link(self.carrier.name, port, self.carrier.peer_dials))
        await self.open(config)
        if self.carrier.peer_dials:
            there = dial_endpoint(reactor, "127.0.0.1", self.assembly.listener_port("one"))
            self.ismg.dials(there, make_account(self.carrier, "smg"))
        await until(lambda: self.gateway.links()[0]["up"])
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
        await self.ismg.stop()

    async def send(self, *outgoing: NewMessage) -> Sequence[int]:
        return await self.gateway.send(ACCOUNT, outgoing)

    def _note(self, what: str, pdu: str, details: dict[str, Any]) -> None:
        if what == "submit":
            text = details["segment"].content.decode("utf-16-be")
            self.submits.append((text, details["result"]))

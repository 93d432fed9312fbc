"""Three simulated carriers and the real gateway between them, for the demo."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import msgspec

from smsgw.interfaces.cli.program import Assembled, Program
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.simulator.phones import Activity
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint

LOOPBACK = "127.0.0.1"

CONFIG = """\
[gateway]
database = "demo.db"

[http]
listen = "127.0.0.1:0"

[tokens.demo]
token = "{token}"
account = "newsroom"

[links.mobile]
protocol = "cmpp"
version = "3.0"
host = "127.0.0.1"
port = {ports[mobile]}
login = "901234"
secret = "file:demo.secret"
access_number = "10690001"
service_id = "HELP"

[links.telecom]
protocol = "smgp"
host = "127.0.0.1"
port = {ports[telecom]}
login = "106900"
secret = "file:demo.secret"
access_number = "10690002"

[links.unicom]
protocol = "sgip"
host = "127.0.0.1"
port = {ports[unicom]}
login = "sp12345"
secret = "file:demo.secret"
access_number = "10690003"
node = 3010012345
corp_id = "12345"

[links.unicom.listener]
listen = "127.0.0.1:0"
login = "smg"
secret = "file:demo.secret"
"""

SHARED_SECRET = "demo-secret"


class Part(msgspec.Struct, frozen=True):
    """One carrier of the demo."""

    title: str
    protocol: str
    login: str


PARTS = {
    "mobile": Part("China Mobile", "cmpp", "901234"),
    "telecom": Part("China Telecom", "smgp", "106900"),
    "unicom": Part("China Unicom", "sgip", "sp12345"),
}


class Stage:
    """Everything the demo runs.

    Args:
        reactor: The reactor.
        folder: An empty folder for the configuration and the database.
        program: What makes the gateway.
        activity: (carrier, what, PDU name, details), for everything the carriers see.

    Attributes:
        carriers: The simulated gateways, by link name.
        token: The bearer token of the HTTP API.
        config_path: The configuration that was written.
    """

    def __init__(self, reactor: Any, folder: Path, program: Program, activity: Any) -> None:
        self._reactor = reactor
        self._folder = folder
        self._program = program
        self._gateway: Assembled | None = None
        self.token = secrets.token_urlsafe(24)
        self.config_path = folder / "smsgw.toml"
        self.carriers = {
            name: self._carrier(part, _named(name, activity)) for name, part in PARTS.items()
        }

    @property
    def url(self) -> str:
        """Where the HTTP API listens."""
        return self._gateway.url if self._gateway is not None else ""

    async def start(self) -> dict[str, int]:
        """Start carriers and gateway; returns the carriers' ports."""
        ports = {name: await ismg.start() for name, ismg in self.carriers.items()}
        (self._folder / "demo.secret").write_text(SHARED_SECRET)
        self.config_path.write_text(CONFIG.format(token=self.token, ports=ports))
        config = self._program.load(self.config_path)
        self._gateway = self._program.make_gateway(config, self._reactor)
        await self._gateway.start()
        for name, ismg in self.carriers.items():
            if ismg.carrier.peer_dials:
                port = self._gateway.listener_port(name)
                login = _login(ismg.carrier, "smg")
                ismg.dials(dial_endpoint(self._reactor, LOOPBACK, port), login)
        return ports

    async def stop(self) -> None:
        """Stop gateway and carriers."""
        if self._gateway is not None:
            await self._gateway.stop()
        for ismg in self.carriers.values():
            await ismg.stop()

    def _carrier(self, part: Part, activity: Activity) -> Ismg:
        carrier = CARRIERS[part.protocol]
        return Ismg(
            carrier,
            _login(carrier, part.login),
            listen_endpoint(self._reactor, LOOPBACK, 0),
            self._reactor,
            behaviour=Behaviour(report_after=0.3),
            activity=activity,
        )


def _login(carrier: Carrier, name: str) -> Account:
    version = carrier.codec.default_version
    return carrier.account(name=name, secret=SHARED_SECRET, version=version)


def _named(name: str, activity: Any) -> Activity:
    return lambda what, pdu, details: activity(name, what, pdu, details)

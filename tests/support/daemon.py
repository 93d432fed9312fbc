"""The daemon as a real process, with simulated carriers in the test's own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from tests.support.delivery import empty_database
from tests.support.ports import free_port
from tests.support.rigs import SECRET, make_account

TOKEN = "test-token-0123456789"
LOGINS = {"cmpp": "901234", "smgp": "106900", "sgip": "sp12345"}
ACCESS = {"cmpp": "10690001", "smgp": "10690002", "sgip": "10690003"}

CONFIG = """\
[gateway]
database = "smsgw.db"

[http]
listen = "127.0.0.1:0"

[tokens.test]
token = "{token}"
account = "newsroom"

[links.mobile]
protocol = "cmpp"
host = "127.0.0.1"
port = {cmpp}
login = "901234"
secret = "s3cret"
access_number = "10690001"

[links.telecom]
protocol = "smgp"
host = "127.0.0.1"
port = {smgp}
login = "106900"
secret = "s3cret"
access_number = "10690002"

[links.unicom]
protocol = "sgip"
host = "127.0.0.1"
port = {sgip}
login = "sp12345"
secret = "s3cret"
access_number = "10690003"
node = 3010012345
corp_id = "12345"

[links.unicom.listener]
listen = "127.0.0.1:{listener}"
login = "smg"
secret = "s3cret"
"""


class Daemon(ProcessProtocol):
    """One run of ``smsgw run``."""

    def __init__(self) -> None:
        self.listening: Deferred[str] = Deferred()
        self.ended: Deferred[int] = Deferred()
        self.log = ""
        self.pid = 0

    def errReceived(self, data: bytes) -> None:
        self.log += data.decode(errors="replace")
        for line in self.log.splitlines():
            if '"url"' in line and not self.listening.called:
                self.listening.callback(json.loads(line)["url"])

    def processEnded(self, reason: Failure) -> None:
        code = 0 if reason.check(ProcessDone) else (reason.value.exitCode or -reason.value.signal)
        if not self.listening.called:
            self.listening.errback(AssertionError(f"ended with {code}: {self.log}"))
        self.ended.callback(code)

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


class Town:
    """Three carriers with phones, a configuration, and the daemon between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "smsgw.toml"
        self.database = folder / "smsgw.db"
        self.activity: list[tuple[str, str, str, dict[str, Any]]] = []
        self.on_activity: Any = lambda name, what, details: None
        self.carriers: dict[str, Ismg] = {}
        self.daemon: Daemon | None = None
        self.url = ""
        self.token = TOKEN
        self.program = ["-m", "smsgw"]
        self._pool = HTTPConnectionPool(reactor, persistent=False)

    async def start(self, example: Path | None = None) -> None:
        """Start carriers and daemon, with our configuration or one of ``examples/``."""
        self.database.write_bytes(empty_database())
        ports = {}
        for name, login in LOGINS.items():
            self.carriers[name] = Ismg(
                CARRIERS[name],
                make_account(CARRIERS[name], login),
                listen_endpoint(reactor, "127.0.0.1", 0),
                reactor,
                behaviour=Behaviour(report_after=0.05),
                activity=self._activity_of(name),
            )
            ports[name] = await self.carriers[name].start()
        listener = free_port()
        there = dial_endpoint(reactor, "127.0.0.1", listener)
        self.carriers["sgip"].dials(there, make_account(CARRIERS["sgip"], "smg"))
        if example is None:
            self.config.write_text(CONFIG.format(token=TOKEN, listener=listener, **ports))
        else:
            text = example.read_text(encoding="utf-8").replace("7890", str(ports["cmpp"]))
            self.config.write_text('[http]\nlisten = "127.0.0.1:0"\n' + text)
        await self.run()

    async def run(self) -> None:
        """Start the daemon, and wait until its links are up."""
        self.daemon = Daemon()
        arguments = [sys.executable, *self.program, "run", "-c", str(self.config)]
        environment = {**os.environ, "API_TOKEN": TOKEN, "CMCC_SECRET": SECRET}
        process = reactor.spawnProcess(self.daemon, sys.executable, arguments, env=environment)
        self.daemon.pid = process.pid
        self.url = await self.daemon.listening
        await self.until(self._links_up)

    async def stop(self) -> None:
        if self.daemon is not None and not self.daemon.ended.called:
            self.daemon.terminate()
            await self.daemon.ended
        for ismg in self.carriers.values():
            await ismg.stop()

    async def get(self, path: str) -> Any:
        return await self._call("GET", path, None)

    async def post(self, path: str, body: Any) -> Any:
        return await self._call("POST", path, body)

    async def until(self, holds: Any) -> None:
        """Wait for something; the test's own time limit ends it."""
        while not await holds():
            await deferLater(reactor, 0.02)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database file says, read from outside."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

    def _activity_of(self, name: str) -> Any:
        def note(what: str, pdu: str, details: dict[str, Any]) -> None:
            self.activity.append((name, what, pdu, details))
            self.on_activity(name, what, details)

        return note

    async def _links_up(self) -> bool:
        return all(link["up"] for link in (await self.get("/v1/links"))["links"])

    async def _call(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        options = {} if body is None else {"json": body}
        response = await treq.request(
            method, self.url + path, headers=headers, pool=self._pool, **options
        )
        content = await response.content()
        assert response.code < 500, content
        return json.loads(content)

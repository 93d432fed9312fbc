"""The gateways that gateway.py measures, each started as its user starts it: ours is here.

A gateway here is an object with ``open(carrier_port, window, wait)``, which starts its processes
and returns the HTTP port, ``request(messages)``, which writes one request, and ``kill()``. Others
are in gateway_peers.py, several of ours in gateway_nodes.py, one with a past in gateway_stored.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from gateway_load import HOST

TICKS = os.sysconf("SC_CLK_TCK")
STAGES_SECONDS = 5.0
TOKEN = "bench-token-0123456789"

CONFIG = """\
[gateway]
database = "{database}"
{node}

[http]
listen = "127.0.0.1:0"

[tokens.bench]
token = "{token}"

[links.bench]
protocol = "{protocol}"
host = "127.0.0.1"
port = {port}
login = "900001"
secret = "s3cret"
access_number = "10690001"
operator = "mobile"
window = {window}
"""


class Missing(Exception):
    """A gateway that cannot be had here; the text says why in one line."""


class Gateway:
    """Processes in a folder of their own.

    Attributes:
        title: What it is called in a table.
        beside: The title of what it is to be compared with in the same run, "" for nothing.
        nodes: How many processes of ours share the load.
        hook_port: Where reports may be brought to.
    """

    title = ""
    beside = ""
    nodes = 1
    hook_port = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []

    def open(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> int:
        """Start, with the carrier at ``port``; return the port for HTTP."""
        raise NotImplementedError

    def ports(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> list[int]:
        """Start every node; return the port for HTTP of each."""
        return [self.open(port, window, wait)]

    def start(self, command: Sequence[str], log: str, **environ: str) -> Path:
        path = self.folder / log
        with path.open("wb") as output:
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env={**os.environ, **environ},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
        return path

    def kill(self) -> None:
        """End them as a power cut would: nothing is finished, nothing tidied up."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def drop(self) -> None:
        """Leave nothing behind, once it was killed."""
        shutil.rmtree(self.folder)

    def cpu(self) -> dict[int, float]:
        """Return the CPU seconds of every thread, and of all together under 0."""
        threads: dict[int, float] = {0: 0.0}
        for process in self.processes:
            threads[0] += used(f"/proc/{process.pid}/stat")
            for thread in threads_of(process.pid):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    threads[thread] = used(f"/proc/{process.pid}/task/{thread}/stat")
        return threads

    def rss_mib(self) -> float:
        pages = sum(
            int(Path(f"/proc/{one.pid}/statm").read_text().split()[1]) for one in self.processes
        )
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Smsgw(Gateway):
    """Ours: ``python -m smsgw run``, one link, one database; ``more`` ends its configuration.

    Its database is a file, or one of its own on the PostgreSQL ``server``, dropped in the end.
    With ``stages`` it counts what each stage of the message path costs (gateway_stages.py).

    Attributes:
        stored_until: The id of the last message that was in the database before the start.
    """

    stored_until = 0

    def __init__(
        self,
        folder: Path,
        protocol: str,
        more: str = "",
        server: str = "",
        node: int = 0,
        stages: bool = False,
    ) -> None:
        super().__init__(folder)
        self.more = more
        self.node = node
        self.counts_stages = stages
        self.title = f"smsgw {'pg' if server else ''} ({protocol})".replace("  ", " ")
        self.protocol = protocol
        self.server = server
        self.name = f"smsgw_bench_{os.getpid()}"
        if server:
            self.on_server(f"CREATE DATABASE {self.name}")

    @property
    def database(self) -> str:
        """What the configuration says of it."""
        return f"{self.server.rpartition('/')[0]}/{self.name}" if self.server else "bench.db"

    def on_server(self, statement: str) -> None:
        """Run a statement beside our database."""
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what the database says."""
        if self.server:
            with psycopg.connect(self.database) as connection:
                return connection.execute(statement).fetchall()
        connection = sqlite3.connect(self.folder / "bench.db")
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def octets(self) -> float:
        """Return how large the database is, by its messages."""
        size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        if self.server:
            size = f"SELECT pg_database_size('{self.name}')"
        (octets,), (messages,) = *self.rows(size), *self.rows("SELECT count(*) FROM message")
        return float(octets / messages)

    def drop(self) -> None:
        """Leave nothing on the server, nor on the disk."""
        super().drop()
        if self.server:
            self.on_server(f"DROP DATABASE {self.name} WITH (FORCE)")

    def open(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> int:
        self.configure(port, window)
        return self.launch("log", wait)

    def configure(self, port: int, window: int) -> None:
        """Write the configuration."""
        config = CONFIG.format(
            token=TOKEN,
            protocol=self.protocol,
            port=port,
            window=window,
            database=self.database,
            node="" if self.server else f"node = {self.node}",
        )
        (self.folder / "bench.toml").write_text(config + self.more)

    def launch(self, name: str, wait: Callable[[Callable[[], bool], float], None]) -> int:
        """Start a process that logs to ``name``; return its port for HTTP."""
        program = ["-m", "smsgw"]
        if self.counts_stages:
            program = [str(Path(__file__).with_name("gateway_stages.py")), "stages"]
        log = self.start([sys.executable, *program, "run", "-c", "bench.toml"], name)
        match = wait_for(r"listening for HTTP on http://[^:]+:(\d+)", log, self, wait)
        return int(match[1])

    def stages(self) -> dict[str, float]:
        """Return the CPU seconds of each stage so far; nothing unless it counts them."""
        if not self.counts_stages:
            return {}
        path = self.folder / "stages"
        path.unlink(missing_ok=True)
        self.processes[0].send_signal(signal.SIGUSR1)
        until = time.monotonic() + STAGES_SECONDS
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.001)
        counted: dict[str, float] = json.loads(path.read_text())
        return counted

    def request(self, messages: Sequence[tuple[str, str]]) -> bytes:
        bodies = [{"to": to, "text": text} for to, text in messages]
        asked: Mapping[str, Any] = bodies[0] if len(bodies) == 1 else {"messages": bodies}
        body = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()
        return (
            f"POST /v1/messages HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


def threads_of(pid: int) -> list[int]:
    """Return the ids of a process's threads; its own is the main thread's."""
    return [int(one) for one in os.listdir(f"/proc/{pid}/task")]


def used(stat: str) -> float:
    """Return user and system seconds of a ``/proc/…/stat``."""
    fields = Path(stat).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def alive(gateway: Gateway) -> None:
    for process in gateway.processes:
        if process.poll() is not None:
            logs = sorted(gateway.folder.glob("*log")) + sorted(gateway.folder.glob("*.out"))
            last = " / ".join(log.read_text(errors="replace").strip()[-300:] for log in logs)
            raise Missing(f"{type(gateway).__name__}: ended with {process.returncode}: {last}")


def wait_for(pattern: str, log: Path, gateway: Gateway, wait: Callable[..., None]) -> re.Match[str]:
    def there() -> bool:
        alive(gateway)
        return re.search(pattern, log.read_text(errors="replace")) is not None

    poll(there, wait, f"{gateway.title}: its log never said {pattern!r}")
    match = re.search(pattern, log.read_text(errors="replace"))
    assert match is not None
    return match


def poll(there: Callable[[], bool], wait: Callable[..., None], problem: str) -> None:
    deadline = time.monotonic() + 30
    while not there():
        if time.monotonic() > deadline:
            raise Missing(problem)
        wait(lambda: False, 0.05)

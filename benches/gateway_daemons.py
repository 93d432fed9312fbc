"""The gateways that gateway.py measures, each started as its user starts it: ours, Kannel, Jasmin.

A gateway here is an object with ``open(carrier_port, window, wait)``, which starts its processes
and returns the HTTP port, ``request(messages)``, which writes one request, and ``kill()``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from gateway_load import HOST

TICKS = os.sysconf("SC_CLK_TCK")
TOKEN = "bench-token-0123456789"

CONFIG = """\
[gateway]
database = "{database}"

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

KANNEL = """\
group = core
admin-port = {admin}
smsbox-port = {box}
admin-password = bench
box-allow-ip = "127.0.0.1"
log-level = 3
log-file = "{folder}/bearerbox.log"
dlr-storage = internal
{store}

group = smsc
smsc = smpp
smsc-id = bench
host = 127.0.0.1
port = {port}
smsc-username = "bench"
smsc-password = "s3cret"
system-type = ""
transceiver-mode = 1
max-pending-submits = {window}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-level = 3
log-file = "{folder}/smsbox.log"
max-pending-requests = 4096

group = sendsms-user
username = bench
password = bench

group = sms-service
keyword = default
text = ""
max-messages = 0
"""

JASMIN = """\
[amqp-broker]
spec = {spec}
vhost = {vhost}
[smpp-server]
port = {smpps}
[smpp-server-pb]
port = {smpps_pb}
[client-management]
port = {clients}
[router]
port = {router}
[jcli]
port = {jcli}
authentication = False
[http-api]
port = {http}
"""

JASMIN_SET_UP = """\
group -a|gid bench|ok
user -a|username bench|password bench|gid bench|uid bench|ok
smppccm -a|cid bench|host 127.0.0.1|port {port}|username bench|password s3cret|{limits}|ok
mtrouter -a|type defaultroute|connector smppc(bench)|rate 0.0|ok
smppccm -1 bench
"""


class Missing(Exception):
    """A gateway that cannot be had here; the text says why in one line."""


class Gateway:
    """Processes in a folder of their own."""

    title = ""
    hook_port = 0  # where reports may be brought to

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []

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

    def cpu(self) -> dict[int, float]:
        """Return the CPU seconds of every thread, and of all together under 0."""
        threads: dict[int, float] = {0: 0.0}
        for process in self.processes:
            threads[0] += used(f"/proc/{process.pid}/stat")
            for thread in os.listdir(f"/proc/{process.pid}/task"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    threads[int(thread)] = used(f"/proc/{process.pid}/task/{thread}/stat")
        return threads

    def rss_mib(self) -> float:
        pages = sum(
            int(Path(f"/proc/{one.pid}/statm").read_text().split()[1]) for one in self.processes
        )
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Smsgw(Gateway):
    """Ours: ``python -m smsgw run``, one link, one database; ``more`` ends its configuration.

    Its database is a file, or one of its own on the PostgreSQL ``server``, dropped in the end.
    """

    def __init__(self, folder: Path, protocol: str, more: str = "", server: str = "") -> None:
        super().__init__(folder)
        self.more = more
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
        return float(octets) / messages

    def drop(self) -> None:
        """Leave nothing on the server."""
        if self.server:
            self.on_server(f"DROP DATABASE {self.name} WITH (FORCE)")

    def open(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> int:
        config = CONFIG.format(
            token=TOKEN,
            protocol=self.protocol,
            port=port,
            window=window,
            database=self.database,
        )
        (self.folder / "bench.toml").write_text(config + self.more)
        command = [sys.executable, "-m", "smsgw", "run", "-c", "bench.toml"]
        log = self.start(command, "log")
        match = wait_for(r"listening for HTTP on http://[^:]+:(\d+)", log, self, wait)
        return int(match[1])

    def request(self, messages: Sequence[tuple[str, str]]) -> bytes:
        bodies = [{"to": to, "text": text} for to, text in messages]
        asked: Mapping[str, Any] = bodies[0] if len(bodies) == 1 else {"messages": bodies}
        body = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()
        return (
            f"POST /v1/messages HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


class Kannel(Gateway):
    """bearerbox and smsbox; ``spool`` keeps what waits in files, else it is only in memory."""

    def __init__(self, folder: Path, spool: bool) -> None:
        self.boxes = [shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in BOXES]
        if not all(self.boxes):
            raise Missing("Kannel: no bearerbox and smsbox on PATH (Debian package kannel)")
        super().__init__(folder)
        self.title = f"Kannel, {'spool' if spool else 'memory'}"
        self.spool = spool

    def open(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> int:
        admin, box, http = free_ports(3)
        (self.folder / "spool").mkdir()
        store = f'store-type = spool\nstore-location = "{self.folder}/spool"'
        config = KANNEL.format(
            admin=admin,
            box=box,
            http=http,
            port=port,
            window=window,
            folder=self.folder,
            store=store if self.spool else "",
        )
        (self.folder / "kannel.conf").write_text(config)
        for program, listens in zip(self.boxes, (box, http), strict=True):
            self.start([str(program), "-v", "4", "kannel.conf"], f"{Path(str(program)).name}.out")
            wait_for_port(listens, self, wait)
        return http

    def request(self, messages: Sequence[tuple[str, str]]) -> bytes:
        ((to, text),) = messages
        path = (
            "/cgi-bin/sendsms?username=bench&password=bench&from=10690001&coding=2&charset=UTF-8"
            f"&dlr-mask=31&dlr-url={quote(f'http://{HOST}:{self.hook_port}/', safe='')}"
            f"&to={to}&text={quote(text)}"
        )
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


BOXES = ("bearerbox", "smsbox")


class Jasmin(Gateway):
    """jasmind from a venv of its own; RabbitMQ and Redis must run on this machine's usual ports."""

    def __init__(self, folder: Path, venv: Path | None) -> None:
        if venv is None or not (venv / "bin" / "jasmind.py").exists():
            raise Missing("Jasmin: no --jasmin-venv with jasmind.py (python -m venv; pip install)")
        for name, port in (("RabbitMQ", 5672), ("Redis", 6379)):
            if not listens(port):
                raise Missing(f"Jasmin: {name} does not listen on {HOST}:{port}")
        super().__init__(folder)
        (version,) = venv.glob("lib/*/site-packages/[jJ]asmin-*.dist-info")
        self.title = version.name.removesuffix(".dist-info").replace("-", " ").capitalize()
        self.venv = venv
        self.vhost = f"bench-{os.getpid()}-{folder.name}"
        self.broker("add_vhost", self.vhost)
        self.broker("set_permissions", "-p", self.vhost, "guest", ".*", ".*", ".*")

    def broker(self, *command: str) -> None:
        """Give it queues of its own, since what a run leaves in them starts the next."""
        try:
            subprocess.run(["rabbitmqctl", "-q", *command], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Missing(f"Jasmin: rabbitmqctl {command[0]} failed: {error}") from None

    def open(
        self, port: int, window: int, wait: Callable[[Callable[[], bool], float], None]
    ) -> int:
        for name in ("etc/jasmin/store", "var/log/jasmin", "etc/jasmin/resource"):
            (self.folder / name).mkdir(parents=True)
        (spec,) = self.venv.glob("lib/*/site-packages/txamqp/specs/standard/amqp0-9-1*.xml")
        names = ("smpps", "smpps_pb", "clients", "router", "jcli", "http")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        (self.folder / "jasmin.cfg").write_text(JASMIN.format(spec=spec, vhost=self.vhost, **ports))
        command = [str(self.venv / "bin" / "python"), str(self.venv / "bin" / "jasmind.py")]
        command += ["-c", "jasmin.cfg", "--enable-dlr-lookup", "--enable-dlr-thrower"]
        self.start(command, "log", ROOT_PATH=str(self.folder))
        wait_for_port(ports["jcli"], self, wait)
        wait_for_port(ports["http"], self, wait)
        limits = "submit_throughput 0|dlr_msgid 0"
        self.set_up(ports["jcli"], JASMIN_SET_UP.format(port=port, limits=limits))
        return ports["http"]

    def kill(self) -> None:
        """Let it end by itself: killed, it leaves a lock in /tmp and never starts again."""
        for process in self.processes:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        super().kill()
        self.broker("delete_vhost", self.vhost)

    def set_up(self, port: int, commands: str) -> None:
        """Type the commands into its console, each at its prompt."""
        with socket.create_connection((HOST, port), 5) as console:
            console.settimeout(5)
            for line in ["", *commands.replace("|", "\n").splitlines()]:
                console.sendall(line.encode() + b"\r\n")
                seen = b""
                while not seen.rstrip().endswith((b"jcli :", b">")):
                    try:
                        more = console.recv(65536)
                    except TimeoutError:
                        more = b""
                    if not more:
                        raise Missing(f"Jasmin: no prompt after {line!r}: {seen!r}")
                    seen += more

    def request(self, messages: Sequence[tuple[str, str]]) -> bytes:
        ((to, text),) = messages
        path = (
            "/send?username=bench&password=bench&from=10690001&coding=8&dlr=yes&dlr-level=2"
            f"&dlr-url=http://{HOST}:{self.hook_port}/&dlr-method=GET&to={to}"
            f"&hex-content={text.encode('utf-16-be').hex()}"
        )
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def used(stat: str) -> float:
    """Return user and system seconds of a ``/proc/…/stat``."""
    fields = Path(stat).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def alive(gateway: Gateway) -> None:
    for process in gateway.processes:
        if process.poll() is not None:
            logs = sorted(gateway.folder.glob("*log")) + sorted(gateway.folder.glob("*.out"))
            last = " / ".join(log.read_text(errors="replace").strip()[-300:] for log in logs)
            raise Missing(f"{type(gateway).__name__}: ended with {process.returncode}: {last}")


def wait_for_port(port: int, gateway: Gateway, wait: Callable[..., None]) -> None:
    def there() -> bool:
        alive(gateway)
        return listens(port)

    poll(there, wait, f"{gateway.title}: nothing listens on its port")


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

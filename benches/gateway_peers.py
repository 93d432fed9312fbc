"""What gateway.py measures ours beside: Kannel and Jasmin, started as their users start them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from gateway_daemons import Gateway, Missing, alive, poll
from gateway_load import HOST

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


def wait_for_port(port: int, gateway: Gateway, wait: Callable[..., None]) -> None:
    def there() -> bool:
        alive(gateway)
        return listens(port)

    poll(there, wait, f"{gateway.title}: nothing listens on its port")

"""How many requests a second the HTTP API takes, beside bare twisted.web in the same run.

    python benches/http_api.py [--seconds 3] [--connections 32] [--repeats 3] [--folder .]

Each server is a process of its own, and the client another: it posts the same octets over
connections that stay open, the next as soon as the last is answered. Bare twisted.web reads the
body and answers 202. The gateway answers 202 once the messages are committed (SQLite, fsync); its
link goes nowhere, so nothing of what is measured is sending.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from gateway_machine import environment
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Site

TOKEN = "0123456789abcdef0123456789abcdef"
PHONE = "13800001001"
TEXT = "三号演播室 19:30 直播，请提前半小时到场"
CONFIG = f"""\
[gateway]
database = "bench.db"

[http]
listen = "127.0.0.1:0"

[tokens.bench]
token = "{TOKEN}"
account = "newsroom"

[links.nowhere]
protocol = "cmpp"
host = "127.0.0.1"
port = 9
login = "901234"
secret = "s3cret"
access_number = "10690001"
"""


# ---- the servers' processes --------------------------------------------------------------


class Taken(Resource):
    """Reads what is posted, and answers 202."""

    def __init__(self) -> None:
        super().__init__()
        self.isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        request.content.read()
        request.setResponseCode(202)
        request.setHeader(b"content-type", b"application/json")
        return b'{"id":"912323204410769408"}'


def serve() -> None:
    """Listen with twisted.web alone, and say where."""
    port = reactor.listenTCP(0, Site(Taken()), interface="127.0.0.1")  # type: ignore[attr-defined]
    print(f"http://127.0.0.1:{port.getHost().port}", flush=True)
    reactor.run()  # type: ignore[attr-defined]


def bare() -> tuple[subprocess.Popen[str], int]:
    """Start twisted.web alone; returns it and its port."""
    words = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline().rpartition(":")[2])


def gateway(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Start the gateway on a fresh database; returns it and its port."""
    config = folder / "smsgw.toml"
    config.write_text(CONFIG)
    words = [sys.executable, "-m", "smsgw", "run", "-c", str(config)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if '"url"' in line:
            return process, int(msgspec.json.decode(line)["url"].rpartition(":")[2])
    raise SystemExit(f"the gateway ended with {process.wait()}")


# ---- the client --------------------------------------------------------------------------


class Poster(Protocol):
    """One connection: posts, reads the answer by its length, posts again until the time is over.

    Attributes:
        done: Fires with how many were answered.
    """

    def __init__(self, octets: bytes, until: float) -> None:
        self.done: Deferred[int] = Deferred()
        self._octets = octets
        self._until = until
        self._count = 0
        self._data = b""

    def connectionMade(self) -> None:
        self._post()

    def _post(self) -> None:
        assert self.transport is not None
        if time.perf_counter() < self._until:
            self.transport.write(self._octets)
            return
        self.transport.loseConnection()
        self.done.callback(self._count)

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 202"):
            self.done.errback(SystemExit(f"answered {head[:40]!r} {body[:200]!r}"))
            return
        self._data = b""
        self._count += 1
        self._post()


def octets_of(messages: int) -> bytes:
    """Return a request with one message, or a batch."""
    one = {"to": PHONE, "text": TEXT, "class": "notice"}
    body = msgspec.json.encode({"messages": [one] * messages} if messages > 1 else one)
    head = (
        "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def posted(port: int, messages: int, options: argparse.Namespace) -> float:
    """Return requests a second."""
    began = time.perf_counter()
    posters = [
        Poster(octets_of(messages), began + options.seconds) for _ in range(options.connections)
    ]
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    for one in posters:
        await connectProtocol(endpoint, one)
    counts = await gatherResults([one.done for one in posters], consumeErrors=True)
    return sum(counts) / (time.perf_counter() - began)


CASES = {"single": 1, "batch of 10": 10, "batch of 100": 100, "batch of 1000": 1000}


async def measure(options: argparse.Namespace) -> None:
    """Print the table."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        print(environment(Path(name)), flush=True)
        for turn in range(options.repeats):
            for place, (case, messages) in enumerate(CASES.items()):
                folder = Path(name) / f"{turn}-{place}"
                folder.mkdir()
                both = []
                for process, port in (bare(), gateway(folder)):
                    try:
                        both.append(await posted(port, messages, options))
                    finally:
                        process.terminate()
                        process.wait()
                found[case].append((both[0], both[1]))
    print(f"\n{options.connections} connections, {options.seconds:g} s each\n")
    print("| POST /v1/messages | bare requests/s | requests/s | messages/s | requests/s / bare |")
    print("|---|---|---|---|---|")
    for case, messages in CASES.items():
        alone, ours = (statistics.median(one) for one in zip(*found[case], strict=True))
        print(
            f"| {case} | {alone:,.0f} | {ours:,.0f} | {ours * messages:,.0f} | {ours / alone:.2f} |"
        )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", default=".")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    react(lambda _: Deferred.fromCoroutine(measure(options)))


if __name__ == "__main__":
    main()

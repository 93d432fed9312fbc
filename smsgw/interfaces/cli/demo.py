"""``smsgw demo``: the main job on real sockets, in one command and under half a minute.

Three simulated carriers and the real gateway, the same assembly as the daemon. An approval goes out
over HTTP to three phones, one of each carrier; their answers come back to it. Exit code 0 only when
every reply reached the right request and person and every part's status report was matched.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from smsgw.interfaces.cli.in_reactor import done
from smsgw.interfaces.cli.program import Program
from smsgw.interfaces.cli.stage import PARTS, Stage
from smsgw.interfaces.cli.story import APPROVERS, LAST, SUBJECT, approval, assignee, judge, narrate
from smsgw.simulator.script import in_turn

Json = dict[str, Any]

FINISH_WITHIN = 60.0
"""Seconds the whole conversation may take."""

LOOK_EVERY = 0.1
ANSWER_AFTER = 0.5

WORDS = {"yes": "同意", "no": "不同意"}

COLUMNS = ("approver", "carrier", "extension", "delivered", "answer", "reason", "matched by")

METRICS = (
    "smsgw_links_up",
    "smsgw_submits_total",
    "smsgw_reports_total",
    "smsgw_inbound_total",
    "smsgw_replies_total",
    "smsgw_messages_finished_total",
    "smsgw_requests_finished_total",
)


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running, to explore; Ctrl-C ends it.")
@click.option("--json", "as_json", is_flag=True, help="Print only the final record, as JSON.")
@click.pass_obj
def demo(program: Program, keep: bool, as_json: bool) -> None:
    """Send an approval over three simulated carriers and watch the replies find it.

    Exit codes: 0 every reply and report was matched, 1 not.
    """
    code = done(partial(_perform, program=program, keep=keep, as_json=as_json))
    sys.exit(1 if code is None else code)


async def _perform(reactor: Any, program: Program, keep: bool, as_json: bool) -> int:
    """Play once; returns the exit code. Ctrl-C closes everything before the reactor goes."""
    ended = False

    def end() -> Deferred[int]:
        nonlocal ended
        ended = True
        playing.cancel()
        return playing

    with tempfile.TemporaryDirectory(prefix="smsgw-demo-") as folder:
        performance = _Demo(reactor, Path(folder), program, as_json)
        playing = Deferred.fromCoroutine(performance.play(keep))
        reactor.addSystemEventTrigger("before", "shutdown", end)
        try:
            return await playing
        except Exception:
            if not ended:
                raise
            return 1  # what was waited for was cut short


class _Demo:
    """One performance."""

    def __init__(self, reactor: Any, folder: Path, program: Program, as_json: bool) -> None:
        self._reactor = reactor
        self._as_json = as_json
        self._console = Console(quiet=as_json)
        self._stage = Stage(reactor, folder, program, self._activity)
        self._pool = HTTPConnectionPool(reactor)
        self._agent = Agent(reactor, pool=self._pool)
        self._began = reactor.seconds()
        for name, approver in APPROVERS.items():
            answers = () if name == LAST else approver.answers
            script = in_turn(*answers, after=ANSWER_AFTER)
            self._stage.carriers[name].phone(approver.phone, script)

    async def play(self, keep: bool) -> int:
        """Run the story; returns the exit code."""
        try:
            self._open(await self._stage.start())
            record = await self._story()
            self._show(record)
            if self._as_json:
                click.echo(json.dumps(record, ensure_ascii=False, indent=2))
            if keep:
                await self._stay()
            return 0 if record["ok"] else 1
        finally:
            await self._pool.closeCachedConnections()
            await self._stage.stop()

    async def _story(self) -> Json:
        await self._until(self._links_up)
        created = await self._http("POST", "/v1/requests", approval())
        path = f"/v1/requests/{created['id']}"
        self._say(f"[bold]request {created['id']}[/] created over HTTP: {SUBJECT}")
        await self._until(lambda: self._decided(path, set(APPROVERS) - {LAST}))
        await self._answer_last(path)
        await self._until(lambda: self._decided(path, set(APPROVERS)))
        await self._until(self._all_final)
        return await self._record(path)

    async def _answer_last(self, path: str) -> None:
        last = APPROVERS[LAST]
        sender = assignee(await self._http("GET", path), last)["sender_number"]
        for text in last.answers:
            self._activity(LAST, "type", "", {"phone": last.phone, "text": text})
            self._stage.carriers[LAST].send(last.phone, sender, text)

    async def _record(self, path: str) -> Json:
        request = await self._http("GET", path)
        messages = [
            await self._http("GET", f"/v1/messages/{one['id']}") for one in await self._messages()
        ]
        inbound = (await self._http("GET", "/v1/inbound"))["inbound"]
        metrics = (await self._fetch("GET", "/metrics")).decode().splitlines()
        return {
            **judge(request, messages, inbound),
            "metrics": [line for line in metrics if _matters(line)],
            "seconds": round(self._reactor.seconds() - self._began, 2),
        }

    # ---- waiting -------------------------------------------------------------------------

    async def _until(self, holds: Callable[[], Any]) -> None:
        while not await holds():
            if self._reactor.seconds() - self._began > FINISH_WITHIN:
                return
            await deferLater(self._reactor, LOOK_EVERY)

    async def _links_up(self) -> bool:
        return all(link["up"] for link in (await self._http("GET", "/v1/links"))["links"])

    async def _decided(self, path: str, names: set[str]) -> bool:
        request = await self._http("GET", path)
        return all(assignee(request, APPROVERS[name])["decision"] for name in names)

    async def _all_final(self) -> bool:
        messages = await self._messages()
        return len(messages) >= len(APPROVERS) and all(one["final_at"] for one in messages)

    # ---- HTTP ----------------------------------------------------------------------------

    async def _messages(self) -> list[Json]:
        found: list[Json] = (await self._http("GET", "/v1/messages?limit=100"))["messages"]
        return found

    async def _http(self, method: str, path: str, body: Json | None = None) -> Any:
        return json.loads(await self._fetch(method, path, body))

    async def _fetch(self, method: str, path: str, body: Json | None = None) -> bytes:
        headers = Headers({"Authorization": [f"Bearer {self._stage.token}"]})
        producer = None
        if body is not None:
            headers.addRawHeader("Content-Type", "application/json")
            producer = FileBodyProducer(BytesIO(json.dumps(body).encode()))
        url = (self._stage.url + path).encode()
        response = await self._agent.request(method.encode(), url, headers, producer)
        content: bytes = await readBody(response)
        if response.code >= 400:
            raise click.ClickException(f"{method} {path}: {response.code} {content.decode()}")
        return content

    # ---- telling -------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        at = self._reactor.seconds() - self._began
        self._console.print(f"[dim]{at:5.2f}s[/] {text}", highlight=False, soft_wrap=True)

    def _activity(self, name: str, what: str, pdu: str, details: Json) -> None:
        told = narrate(what, pdu, details)
        if told:
            self._say(f"[cyan]{PARTS[name].title:<13}[/] {told}")

    def _open(self, ports: dict[str, int]) -> None:
        for name, part in PARTS.items():
            where = f"{part.protocol.upper()} gateway on 127.0.0.1:{ports[name]}"
            self._say(f"[cyan]{part.title:<13}[/] {where}")
        self._say(f"[cyan]{'smsgw':<13}[/] HTTP API on {self._stage.url}")

    def _show(self, record: Json) -> None:
        request = record["request"]
        title = f"request {request['id']}: {SUBJECT}: {request['outcome']}"
        table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for heading in COLUMNS:
            table.add_column(heading, no_wrap=heading != "reason", overflow="fold")
        for one in record["approvers"]:
            table.add_row(
                one["name"],
                one["carrier"].removeprefix("China "),
                one["extension"],
                "yes" if one["delivered"] else "no",
                WORDS.get(one["answer"] or "", "-"),
                one["reason"] or "-",
                f"{one['matched_by']}" + ("" if one["correct"] else " [red]WRONG[/]"),
            )
        self._console.print(table)
        for line in record["metrics"]:
            self._console.print(f"  {line}", highlight=False, markup=False)
        verdict = (
            f"{record['replies_mapped']} of {record['replies']} replies mapped to the request, "
            f"{record['segments_reported']} of {record['segments']} segments reported delivered, "
            f"{record['seconds']} s"
        )
        word = "[green]OK[/]" if record["ok"] else "[red]FAILED[/]"
        self._console.print(f"{word}: {verdict}", highlight=False, soft_wrap=True)

    async def _stay(self) -> None:
        console = Console(stderr=self._as_json)
        header = f"Authorization: Bearer {self._stage.token}"
        console.print(f"\nStill running. Configuration: {self._stage.config_path}")
        for path in ("/v1/requests", "/v1/messages", "/v1/inbound", "/v1/links", "/metrics"):
            line = f"  curl -H '{header}' {self._stage.url}{path}"
            console.print(line, soft_wrap=True, highlight=False)
        console.print("Ctrl-C ends it.")
        with contextlib.suppress(CancelledError):
            await Deferred()


def _matters(line: str) -> bool:
    return line.startswith(METRICS) and not line.endswith(" 0.0")

"""A request that goes through several steps, and what every phone in it saw."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.simulator.script import Reply, Script
from smsgw.store.address import Server
from tests.support.daemon import Town
from tests.support.nursery import Nursery
from tests.support.processes import Command
from tests.support.stores import execute

LEASE = 1.0
UNKNOWN_WAIT = 1.0
"""Seconds, as in the configuration: so long what a daemon left behind is waited for."""

RESTED = 2.5
"""So long a daemon is let be that has nothing more to do."""

SUBJECT = "外景转播车外借"
BODY = "新闻部借用三号外景转播车，2 天。"
NAMED = f"《{SUBJECT}》"


class Person(NamedTuple):
    """Somebody who is asked, or told."""

    carrier: str
    phone: str
    name: str

    @property
    def shown(self) -> dict[str, str]:
        return {"phone": self.phone, "name": self.name}


class Seen(NamedTuple):
    """One whole message on a phone's screen, and whose network it came from."""

    carrier: str
    sender: str
    text: str


def question(code: str, *, again: bool = False) -> str:
    """What somebody is asked; ``again`` when it is a reminder."""
    head = "提醒 待审批" if again else "待审批"
    return f"{head}：{SUBJECT}\n{BODY}\n回复 同意 {code} 或 不同意+原因"


def code_in(text: str) -> str:
    found = re.search(r"同意 (\d{4})", text)
    assert found is not None, text
    return found[1]


class Flow(Town):
    """One request between three carriers, and a daemon that stops and starts again.

    Args:
        folder: For its files.
        server: PostgreSQL instead of a file.

    Attributes:
        written: What phones sent: their number and the text, in order.
    """

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        super().__init__(folder)
        self.path = ""
        self.written: list[tuple[str, str]] = []
        self._server = server
        self._nursery: Nursery | None = None

    async def __aenter__(self) -> Flow:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    # ---- the phones ----------------------------------------------------------------------

    def seen(self, person: Person) -> list[Seen]:
        """All that a phone saw, over whichever carrier, oldest first."""
        return [
            Seen(carrier, details["sender"], details["text"])
            for carrier, what, _, details in self.activity
            if what == "read" and details["phone"] == person.phone
        ]

    async def sees(self, person: Person, count: int) -> Seen:
        """Wait for a phone's message of that number, counted from 1."""

        async def has() -> bool:
            return len(self.seen(person)) >= count

        await self.until(has)
        return self.seen(person)[count - 1]

    def write(self, person: Person, to: str, text: str, over: str = "") -> None:
        """Let a phone write, over its own carrier unless said otherwise."""
        self.written.append((person.phone, text))
        self.carriers[over or person.carrier].send(person.phone, to, text)

    def agree(self, person: Person, asked: Seen | None = None, over: str = "") -> None:
        """Let a phone consent as the question says that it saw last, or the one that is given."""
        asked = asked or self.seen(person)[-1]
        text = f"同意 {code_in(asked.text)}"
        self.write(person, asked.sender, text, over or asked.carrier)

    def consents(self, person: Person) -> Script:
        """Return what lets a phone consent whenever it is asked."""

        def answer(sender: str, text: str) -> Sequence[Reply]:
            if re.search(r"同意 \d{4}", text):
                self.write(person, sender, f"同意 {code_in(text)}")
            return ()

        return answer

    # ---- the request ---------------------------------------------------------------------

    async def ask(self, body: dict[str, Any]) -> None:
        created = await self.post("/v1/requests", body)
        assert "id" in created, created
        self.path = f"/v1/requests/{created['id']}"

    async def shown(self) -> dict[str, Any]:
        request: dict[str, Any] = await self.get(self.path)
        return request

    async def assignee(self, person: Person) -> dict[str, Any]:
        """The assignee as the API shows it."""
        (found,) = [
            one
            for step in (await self.shown())["steps"]
            for one in step["assignees"]
            if one["phone"] == person.phone
        ]
        return dict(found)

    async def reaches(self, step: int, state: str) -> None:
        async def is_there() -> bool:
            return bool((await self.shown())["steps"][step]["state"] == state)

        await self.until(is_there)

    async def handled(self) -> None:
        """Wait until every text a phone sent was read, and each message has its end."""

        async def is_quiet() -> bool:
            inbound = (await self.get("/v1/inbound?limit=500"))["inbound"]
            messages = (await self.get("/v1/messages?limit=500"))["messages"]
            return (
                self.rows("SELECT COUNT(*) FROM inbound_part") == [(len(self.written),)]
                and all(one["handled_at"] for one in inbound)
                and all(one["final_at"] for one in messages)
            )

        await self.until(is_quiet)

    # ---- the daemon ----------------------------------------------------------------------

    async def run(self) -> None:
        """Start the daemon, and wait until its links are up."""
        if self._nursery is None:
            text = self.config.read_text(encoding="utf-8")
            if self._server is not None:
                place = f'database = "{self._server}"\nlease = {LEASE}\n'
                text = text.replace('database = "smsgw.db"\n', place)
            text += f"\n[delivery]\nunknown_wait = {UNKNOWN_WAIT}\n"
            self.config.write_text(text, encoding="utf-8")
            self._nursery = Nursery(self.config)
        self.daemon = self._nursery.start()
        await self.up()

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return execute(self._server, sql) if self._server else super().rows(sql, *values)

    async def up(self) -> None:
        """Wait until the daemon's links are up."""

        async def is_listening() -> bool:
            assert not self.daemon.ended.called, self._nursery.log[-3:]
            return bool(self.daemon.url)

        await self.until(is_listening)
        self.url = self.daemon.url
        await self.until(self._links_up)

    async def again(self, seconds: float) -> None:
        """Stop the daemon after so long, and start another."""
        await self.pass_time(seconds)
        self.daemon.terminate()
        assert await self.daemon.ended == 0
        await self.run()

    async def stop(self) -> None:
        await super().stop()
        if self._nursery is not None:
            await self._nursery.end()

    async def down(self, *, kill: bool = False) -> None:
        """Stop the daemon once it has nothing under way, or end it with kill -9."""
        await self.handled()
        if kill:
            self.daemon.kill()
        else:
            self.daemon.terminate()
        assert await self.daemon.ended == (-9 if kill else 0)

    async def killed_after(self, count: int) -> bool:
        """End the daemon with kill -9 when so many things have happened at the carriers.

        Then another starts. One that has nothing more to do is ended too. Tells whether the request
        is still open.
        """
        left = count

        def happened(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.daemon.kill()

        self.on_activity = happened
        rested = reactor.callLater(RESTED, self.daemon.kill)
        assert await self.daemon.ended == -9
        if rested.active():
            rested.cancel()
        self.on_activity = lambda *_: None
        self.daemon = self._nursery.start()
        return self.rows("SELECT state FROM request") == [("open",)]

    def tracebacks(self) -> list[dict[str, object]]:
        """What any of the daemons logged that nobody expected."""
        return [line for line in self._nursery.log if "Traceback" in str(line)]

    async def pass_time(self, seconds: float) -> None:
        await deferLater(reactor, seconds)

    # ---- what is left of it --------------------------------------------------------------

    async def evidence(self, repeats: int = 0) -> dict[str, Any]:
        """Return the evidence after it was verified, by itself and against the database.

        Args:
            repeats: How many texts came again; no entry vouches for one that came after the
                first was read.
        """
        document: dict[str, Any] = await self.get(f"{self.path}/evidence")
        file = self.folder / "evidence.json"
        file.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        verify = Command("audit", "verify", "-c", self.config, "--evidence", file)
        assert await verify.ended == 0, verify.out + verify.err
        notes = [line for line in verify.out.splitlines() if line.startswith("note:")]
        assert [line for line in notes if "nothing vouches for inbound_part:pdu" not in line] == []
        assert len(notes) <= repeats, verify.out
        return document

    async def events(self) -> list[dict[str, Any]]:
        """Everything that happened, oldest first."""
        found: list[dict[str, Any]] = []
        page = await self.get("/v1/events?limit=500")
        while page["events"]:
            found += page["events"]
            page = await self.get(f"/v1/events?limit=500&after={page['next']}")
        return found

    async def counted(self, kind: str) -> Counter[str]:
        """How often an event tells of each assignee."""
        told = [one["data"] for one in await self.events() if one["kind"] == kind]
        return Counter(one["phone"] for one in told)

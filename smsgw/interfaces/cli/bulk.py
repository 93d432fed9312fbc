"""``smsgw send --file``: a text to everybody in a CSV file, to be broken off and gone on with.

Nobody is sent a text twice. Before a batch is posted the journal says so; after any end but a plain
refusal (no answer, a busy gateway, a kill) the next thing done is to ask the gateway whether it
has the batch's first row: batches are accepted all or none, and each row has its own reference.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import click

from smsgw.interfaces.cli.client import Api, Failed, Invalid, Json, TimedOut, Unreachable
from smsgw.interfaces.cli.journal import Journal
from smsgw.interfaces.cli.sheet import BadRow, Recipient

BATCH_ROWS_MIN, BATCH_ROWS_MAX = 100, 1000
BATCH_OCTETS_MAX = 900_000
"""The API takes 1 MiB."""

ROW_OCTETS = 250
"""What a row has around its text, at most."""

STEPS = 50
"""Batches a run aims at, so that its progress can be seen."""

PATIENCE = 600.0
"""Seconds that a batch waits for a gateway that is busy or away."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
LOST_PAUSE = 5.0
"""A call whose answer was lost may still be at work; it is looked up after so long."""

CLOCKS_DIFFER = timedelta(days=1)
PAGE = 500

_BUSY = frozenset({429, 503})
_IN_PROGRESS = 409
"""With Retry-After: the same call, by its Idempotency-Key, is still at work."""

_FIELD = re.compile(r"messages\[(\d+)\]\.?(.*)")
_OF_THE_ROW = ("to", "text")


class Shown(Protocol):
    """Who is told how far a run is."""

    def advance(self, rows: int) -> None:
        """So many more rows are done."""
        ...

    def say(self, line: str) -> None:
        """Something that happened meanwhile."""
        ...


class Clock(NamedTuple):
    """What a run needs of time; tests give their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Bulk:
    """One run.

    Args:
        api: The gateway.
        journal: Of this file.
        common: The members that every message has.
        shown: Who is told.
        skip_bad: Leave out rows the gateway refuses.

    Attributes:
        refused: The rows the gateway does not accept.
    """

    def __init__(
        self,
        api: Api,
        journal: Journal,
        common: Json,
        shown: Shown,
        skip_bad: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._api = api
        self._journal = journal
        self._common = common
        self._shown = shown
        self._skip_bad = skip_bad
        self._clock = clock or Clock()
        self._reached = False
        self.refused: list[BadRow] = []

    def run(self, rows: Sequence[Recipient]) -> None:
        """Send whatever of ``rows`` was not accepted yet.

        Raises:
            Failed: Not all were; the same run goes on from there.
        """
        if self._journal.doubtful is not None:
            lines = set(self._journal.doubtful[0])
            self._send([row for row in rows if row.line in lines], doubtful=True)
        done = self._journal.accepted.keys() | {one.line for one in self.refused}
        for batch in batches([row for row in rows if row.line not in done]):
            self._send(batch)

    def _send(self, batch: list[Recipient], doubtful: bool = False) -> None:
        """Have one batch accepted, however long it takes within our patience."""
        give_up = self._clock.monotonic() + PATIENCE
        pause = FIRST_PAUSE
        while batch:
            try:
                if not (doubtful and self._was_accepted(batch)):
                    self._post(batch)
                return
            except Failed as error:
                kept = self._without_refused(batch, error)
                if kept is not None:
                    batch, doubtful = kept, False
                    continue
                self._wait(error, pause, give_up)
                pause = min(2 * pause, LONGEST_PAUSE)
                doubtful = True

    def _post(self, batch: Sequence[Recipient]) -> None:
        lines = [row.line for row in batch]
        messages = [
            {
                "to": row.to,
                "text": row.text,
                "ref": self._journal.reference(row.line),
                **self._common,
            }
            for row in batch
        ]
        headers = {"Idempotency-Key": self._journal.key(lines)}
        self._journal.begin(lines, self._clock.now().isoformat(timespec="seconds"))
        answer = self._api.post("/v1/messages", {"messages": messages}, headers)
        ids = answer.get("ids")
        if not isinstance(ids, list) or len(ids) != len(batch):
            raise Failed("what answers is not smsgw: it sent no id for each message")
        self._accepted(lines, ids)

    def _accepted(self, lines: Sequence[int], ids: Sequence[str]) -> None:
        self._journal.accept(lines, ids)
        self._reached = True
        self._shown.advance(len(lines))

    def _was_accepted(self, batch: Sequence[Recipient]) -> bool:
        """Whether the gateway has the batch; its ids are taken over then."""
        first = self._find(batch[0])
        self._reached = True
        if first is None:
            return False
        ids = [first]
        for row in batch[1:]:
            found = self._find(row)
            if found is None:
                raise Failed(f"line {row.line}: not with the gateway, though its batch is")
            ids.append(found)
        self._shown.say(f"{len(batch)} rows had been accepted before")
        self._accepted([row.line for row in batch], ids)
        return True

    def _find(self, row: Recipient) -> str | None:
        """Return the id of the message for a row, if there is one since its batch was begun."""
        reference = self._journal.reference(row.line)
        _, since = self._journal.doubtful or ([], "")
        oldest = datetime.fromisoformat(since) - CLOCKS_DIFFER
        asked: Json = {"to": row.to, "limit": PAGE}
        while True:
            page = self._api.get("/v1/messages", asked)
            for one in page["messages"]:
                if one["ref"] == reference:
                    return str(one["id"])
            asked["cursor"] = page.get("next")
            if not asked["cursor"] or _time(page["messages"][-1]) < oldest:
                return None

    def _without_refused(self, batch: list[Recipient], error: Failed) -> list[Recipient] | None:
        """Return the rows the gateway did not find at fault; None when it found no row.

        Raises:
            Invalid: It did, and they may not be left out.
        """
        found = [_FIELD.fullmatch(str(one.get("field", ""))) for one in error.errors]
        if not found or not all(found):
            return None
        wrong: dict[int, BadRow] = {}
        only_rows = True
        for match, one in zip(found, error.errors, strict=True):
            assert match is not None
            line = batch[int(match[1])].line
            wrong[line] = BadRow(line, f"{match[2]}: {one['problem']}")
            only_rows &= match[2] in _OF_THE_ROW
        if not self._skip_bad or not only_rows:
            refused = Invalid("\n".join(map(str, wrong.values())))
            refused.status = error.status
            raise refused
        for bad in wrong.values():
            self._shown.say(f"{bad}; left out")
        self.refused.extend(wrong.values())
        self._shown.advance(len(wrong))
        return [row for row in batch if row.line not in wrong]

    def _wait(self, error: Failed, pause: float, give_up: float) -> None:
        """Wait for a gateway that is busy or away; raises what cannot be waited for."""
        self._reached |= error.status > 0
        away = isinstance(error, Unreachable) and self._reached
        at_work = error.status == _IN_PROGRESS and error.retry_after is not None
        if error.status not in _BUSY and not away and not at_work:
            raise error
        seconds = pause if error.retry_after is None else max(error.retry_after, FIRST_PAUSE)
        if away:
            seconds = max(pause, LOST_PAUSE)
        if self._clock.monotonic() + seconds > give_up:
            raise TimedOut(f"{error.message}; given up after {PATIENCE:.0f} s") from None
        self._shown.say(f"{error.message}; trying again in {seconds:g} s")
        self._clock.sleep(seconds)


def batches(rows: Sequence[Recipient]) -> Iterator[list[Recipient]]:
    """Give the rows in pieces that one call takes."""
    most = min(max(len(rows) // STEPS, BATCH_ROWS_MIN), BATCH_ROWS_MAX)
    batch: list[Recipient] = []
    octets = 0
    for row in rows:
        size = ROW_OCTETS + len(json.dumps(row.text))
        if batch and (len(batch) == most or octets + size > BATCH_OCTETS_MAX):
            yield batch
            batch, octets = [], 0
        batch.append(row)
        octets += size
    if batch:
        yield batch


class Lines:
    """Progress for logs and pipes: a line on standard error for each tenth."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done, self._step = total, done, max(total // 10, 1)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, rows: int) -> None:
        """See :class:`Shown`."""
        before, self._done = self._done, self._done + rows
        if before // self._step != self._done // self._step:
            self.say(f"{self._done} of {self._total}")

    def say(self, line: str) -> None:
        """See :class:`Shown`."""
        click.echo(line, err=True)


class Bar:
    """Progress for a terminal, on standard error; ``console`` is rich's own."""

    def __init__(self, total: int, done: int, console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            "sending",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=total, completed=done)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def advance(self, rows: int) -> None:
        """See :class:`Shown`."""
        self._progress.advance(self._task, rows)

    def say(self, line: str) -> None:
        """See :class:`Shown`."""
        self._progress.console.print(line, markup=False, highlight=False)


def _time(message: Json) -> datetime:
    return datetime.fromisoformat(message["created_at"])

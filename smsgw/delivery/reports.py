"""Status reports: found their segment or parked, committed, and only then answered.

A report may overtake the answer that names its segment, and may come twice; the store knows what to
do with both. One that the store could not keep is not answered: the carrier brings it again.

Where a carrier's ids are text, its reports may spell them otherwise than its answers: which way is
learned (:mod:`smsgw.store.report_ids`). A report parked before its link's way was known is looked
for now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import commit_rows, log_failure
from smsgw.errors import StoreError
from smsgw.store import report_ids, reports
from smsgw.store.database import Database
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.store.reports import REPORTS, Reported, ReportFate, ReportRow
from smsgw.transport.link import Inbound

SWEEP_SECONDS = 30.0
LOOK_BACK_MS = 120_000
"""A report parked longer ago has been looked for in every form after its answer came or failed."""

SWEEP_ROWS = 1000


class Reports:
    """Takes the reports of all links.

    Args:
        database: Open before :meth:`start`.
        reactor: Its clock and timer.
        on_changes: Told which messages got a new status, after the commit.
        on_fates: Told how many reports of a link were matched, parked, duplicate or conflict.
        on_unmatched: Told now and then how many reports are parked of each link that has any.
        text_ids: Links whose carriers' ids are text.
        on_queued: Given what is queued for another link, because it was not delivered.

    Attributes:
        statuses: By link, how many reports said what; repeated ones are not counted.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        reactor: IReactorTime,
        on_changes: Callable[[list[StatusChange]], None] = lambda changes: None,
        on_fates: Callable[[str, ReportFate, int], None] = lambda link, fate, count: None,
        on_unmatched: Callable[[Mapping[str, int]], None] = lambda counts: None,
        text_ids: Collection[str] = (),
        on_queued: Callable[[list[QueuedSegment]], None] = lambda items: None,
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._on_changes = on_changes
        self._on_fates = on_fates
        self._on_unmatched = on_unmatched
        self._on_queued = on_queued
        self._text_ids = text_ids
        self.statuses: dict[str, Counter[str]] = {}
        self._forms: dict[str, str] = {}
        self._timer: IDelayedCall | None = None
        self._stopped = False

    async def start(self) -> None:
        """Read how links spell ids, and begin to look after what is parked."""
        await self._sweep()

    def stop(self) -> None:
        """Stop the timer."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def form_of(self, link: str) -> str:
        """How a link's reports spell the ids of its answers: "as given", "decimal of hex"."""
        return self._forms.get(link, report_ids.AS_GIVEN)

    def take(self, link: str, items: Sequence[Inbound]) -> Deferred[None]:
        """Record one link's reports and answer them; fires when that is done."""
        return Deferred.fromCoroutine(self._take(link, items))

    async def _take(self, link: str, items: Sequence[Inbound]) -> None:
        at = int(self._reactor.seconds() * 1000)
        any_form = link in self._text_ids
        rows: list[ReportRow] = []
        taken: list[Inbound] = []
        for item in items:
            report = item.report
            if report is not None:
                taken.append(item)
                rows.append(
                    ReportRow(
                        link,
                        report.carrier_message_id,
                        report.to,
                        report.status,
                        report.stat,
                        report.error,
                        at,
                        any_form,
                    )
                )
        outcomes = await commit_rows(self._database.writer, REPORTS, rows, self._reactor)
        fates: Counter[ReportFate] = Counter()
        statuses = self.statuses.setdefault(link, Counter())
        for item, row, outcome in zip(taken, rows, outcomes, strict=True):
            if outcome is not None:
                item.acknowledge(0)
                fates[outcome.fate] += 1
                if outcome.fate is not ReportFate.DUPLICATE:
                    statuses[row.status] += 1
                if outcome.learned:
                    self._learned(link, outcome.learned)
        for fate, count in fates.items():
            self._on_fates(link, fate, count)
        self._follow([outcome for outcome in outcomes if outcome is not None])

    def _follow(self, outcomes: Sequence[Reported]) -> None:
        moved = [item for outcome in outcomes if outcome.moved for item in outcome.moved]
        if moved:
            self._on_queued(moved)
        changes = [change for outcome in outcomes for change in outcome.changes]
        if changes:
            self._on_changes(changes)

    def _learned(self, link: str, form: str) -> None:
        if self._forms.get(link) != form:
            self._forms[link] = form
            told = "link {link}: its reports name the ids of its answers as {form}"
            self.log.info(told, event="reports.form_learned", link=link, form=form)

    # ---- what is parked ------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Look once more for what is parked, count it, and come back later."""
        try:
            counts = await self._database.read(reports.unmatched_counts)
            links = sorted(link for link in counts if link in self._text_ids)
            if links and await self._match_parked(links):
                counts = await self._database.read(reports.unmatched_counts)
            for link, form in (await self._database.read(report_ids.stored)).items():
                self._learned(link, form.name)
            self._on_unmatched(counts)
        except StoreError as error:
            told = "parked reports could not be read: {why}"
            self.log.error(told, event="reports.not_read", why=str(error))
        finally:
            if not self._stopped:
                self._timer = self._reactor.callLater(SWEEP_SECONDS, self._sweep_again)

    async def _match_parked(self, links: Sequence[str]) -> bool:
        since = int(self._reactor.seconds() * 1000) - LOOK_BACK_MS
        match = partial(reports.match_parked, links=links, since=since, limit=SWEEP_ROWS)
        found = await self._database.writer.run(match)
        self._follow(found)
        return bool(found)

    def _sweep_again(self) -> None:
        swept = Deferred.fromCoroutine(self._sweep())
        swept.addErrback(partial(log_failure, self.log))

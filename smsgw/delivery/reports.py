"""Status reports: found their segment or parked, committed, and only then answered.

A report may overtake the answer that names its segment, and may come twice; the store knows what to
do with both. One that the store could not keep is not answered: the carrier brings it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from smsgw.delivery.commits import commit_rows
from smsgw.store.outbox import REPORTS, ReportFate, ReportRow
from smsgw.store.progress import StatusChange
from smsgw.store.writer import Writer
from smsgw.transport.link import Inbound


class Reports:
    """Takes the reports of all links.

    Args:
        writer: Where to.
        reactor: Its clock.
        on_changes: Told which messages got a new status, after the commit.
        on_fates: Told how many reports of a link were matched, parked, duplicate or conflict.
    """

    def __init__(
        self,
        writer: Writer,
        reactor: IReactorTime,
        on_changes: Callable[[list[StatusChange]], None] = lambda changes: None,
        on_fates: Callable[[str, ReportFate, int], None] = lambda link, fate, count: None,
    ) -> None:
        self._on_fates = on_fates
        self._writer = writer
        self._reactor = reactor
        self._on_changes = on_changes

    def take(self, link: str, items: Sequence[Inbound]) -> Deferred[None]:
        """Record one link's reports and answer them; fires when that is done."""
        return Deferred.fromCoroutine(self._take(link, items))

    async def _take(self, link: str, items: Sequence[Inbound]) -> None:
        at = int(self._reactor.seconds() * 1000)
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
                    )
                )
        outcomes = await commit_rows(self._writer, REPORTS, rows, self._reactor)
        changes: list[StatusChange] = []
        fates: Counter[ReportFate] = Counter()
        for item, outcome in zip(taken, outcomes, strict=True):
            if outcome is not None:
                item.acknowledge(0)
                fates[outcome.fate] += 1
                changes += outcome.changes
        for fate, count in fates.items():
            self._on_fates(link, fate, count)
        if changes:
            self._on_changes(changes)

"""What links tell as it happens: logins, ends, outcomes, what came in."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from smsgw.errors import Disposition
from smsgw.interfaces.metrics.families import Families
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.states import Ending

REPORT_RESULTS = ("matched", "parked", "duplicate", "conflict")
CODES_MAX = 200
"""Codes of one link that are told apart; a peer that makes them up must not fill us."""


class LinkMetrics(Families):
    """Implements :class:`smsgw.transport.observer.LinkObserver`.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._bind_counts: dict[str, int] = {}
        gauge, counter = self._gauge, self._counter
        self._up = gauge("smsgw_links_up", "1 while a bind of the link is logged in.", "link")
        self._binds = gauge("smsgw_binds", "Logged-in connections.", "link")
        self._stopped = gauge("smsgw_links_stopped", "1 while people keep it stopped.", "link")
        self._logins = counter(
            "smsgw_logins_total", "Logins: accepted, or what a refusal was about.", "link", "result"
        )
        self._disconnects = counter(
            "smsgw_disconnects_total", "Logged-in connections that ended.", "link", "reason"
        )
        self._submits = counter(
            "smsgw_submits_total", "Submits by what their answer means.", "link", "result"
        )
        self._errors = counter(
            "smsgw_submit_errors_total", "Submits that were not accepted, by code.", "link", "code"
        )
        self._unlisted = counter(
            "smsgw_unlisted_results_total", "Answers whose result is in no table.", "link", "code"
        )
        self._mistakes = counter("smsgw_peer_mistakes_total", "Wrong PDUs from the peer.", "link")
        self._inbound = counter("smsgw_inbound_total", "Delivers: mo or report.", "link", "kind")
        self._reports = counter(
            "smsgw_reports_total", "Status reports by what became of them.", "link", "result"
        )
        self._unmatched = gauge(
            "smsgw_unmatched_reports", "Status reports that wait for their segment.", "link"
        )
        self._probes = counter(
            "smsgw_probes_total", "Probes of a link, by whether they came back.", "link", "result"
        )
        self._probe_seconds = gauge(
            "smsgw_probe_round_trip_seconds", "How long the last probe took to come back.", "link"
        )
        self._probe_success = gauge(
            "smsgw_probe_last_success_timestamp_seconds",
            "When a probe last came back, in seconds since the Unix epoch.",
            "link",
        )

    def _expect_link(self, link: str) -> None:
        self._set_binds(link, 0)
        self._stopped.of(link)
        self._unmatched.of(link).set(0)
        self._mistakes.of(link)
        for result in ("accepted", *RefusalKind):
            self._logins.of(link, result)
        for ending in Ending:
            self._disconnects.of(link, ending)
        for disposition in Disposition:
            self._submits.of(link, disposition.value)
        for result in REPORT_RESULTS:
            self._reports.of(link, result)
        for kind in ("mo", "report"):
            self._inbound.of(link, kind)
        for result in ("ok", "failed"):
            self._probes.of(link, result)

    def forget_link(self, link: str) -> None:
        """Show nothing of a link's present state any more: there is no such link."""
        self._bind_counts.pop(link, None)
        for family in (self._up, self._binds, self._stopped, self._unmatched):
            family.forget(link)

    def link_stopped(self, link: str, stopped: bool) -> None:
        """People stopped a link, or started it again."""
        self._stopped.of(link).set(1 if stopped else 0)

    # ---- connections ---------------------------------------------------------------------

    def bound(self, link: str) -> None:
        """One more connection of ``link`` is logged in."""
        self._logins.of(link, "accepted").inc()
        self._set_binds(link, self._bind_counts.get(link, 0) + 1)

    def unbound(self, link: str, ending: Ending) -> None:
        """A logged-in connection of ``link`` ended."""
        self._disconnects.of(link, ending).inc()
        self._set_binds(link, max(0, self._bind_counts.get(link, 0) - 1))

    def bind_refused(self, link: str, kind: RefusalKind) -> None:
        """A login was refused."""
        self._logins.of(link, kind).inc()

    def mistake(self, link: str, problem: str) -> None:
        """The peer sent something wrong."""
        self._mistakes.of(link).inc()

    def _set_binds(self, link: str, count: int) -> None:
        self._bind_counts[link] = count
        self._binds.of(link).set(count)
        self._up.of(link).set(1 if count else 0)

    # ---- submits and what comes back -----------------------------------------------------

    def submits(self, link: str, disposition: Disposition, count: int) -> None:
        """So many submits got this outcome."""
        self._submits.of(link, disposition.value).inc(count)

    def not_taken(self, link: str, code: str, count: int) -> None:
        """So many submits were not accepted, with this code or for this reason of ours."""
        self._errors.of(link, self._errors.among(link, code, CODES_MAX)).inc(count)

    def unlisted(self, link: str, code: str) -> None:
        """An answer had a result that no table lists."""
        self._unlisted.of(link, code).inc()

    def inbound(self, link: str, kind: str, count: int) -> None:
        """So many ``mo`` or ``report`` came in."""
        self._inbound.of(link, kind).inc(count)

    def reported(self, link: str, result: str, count: int = 1) -> None:
        """So many reports were ``matched``, ``parked``, a ``duplicate`` or a ``conflict``."""
        self._reports.of(link, result).inc(count)

    def unmatched(self, counts: Mapping[str, int]) -> None:
        """So many status reports of each link wait for their segment; of all others none."""
        for link in self._unmatched.known() - counts.keys():
            self._unmatched.of(link).set(0)
        for link, count in counts.items():
            self._unmatched.of(link).set(count)

    def probed(self, link: str, seconds: float | None) -> None:
        """A link's probe came back after so long; None: it did not."""
        self._probes.of(link, "failed" if seconds is None else "ok").inc()
        if seconds is not None:
            self._probe_seconds.of(link).set(seconds)
            self._probe_success.of(link).set_to_current_time()

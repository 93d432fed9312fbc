"""Every metric of the gateway, on an injected registry; the only importer of prometheus_client.

Methods are named after what happened and take counts: one call per batch. Labels are names from
the configuration and values of our enums, never a phone number or a message id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Generic, Protocol, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

import smsgw
from smsgw.errors import Disposition
from smsgw.model import MessageClass, MessageStatus

REPORT_RESULTS = ("matched", "parked", "duplicate", "conflict")
POST_RESULTS = ("delivered", "refused", "gone", "timed_out", "unreachable", "forbidden")
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

M = TypeVar("M", Counter, Gauge)


class _Family(Generic[M]):
    """A labelled metric whose children are looked up once."""

    def __init__(self, metric: M) -> None:
        self._metric: M = metric
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *labels: str) -> M:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child

    def known(self) -> set[str]:
        """Return the first label of every child."""
        return {labels[0] for labels in self._children}


class WebhookState(Protocol):
    """How webhooks are (:class:`smsgw.services.webhooks.subscribers.Subscribers`)."""

    backlog: int
    dead: int
    paused: int

    @property
    def oldest_seconds(self) -> float:
        """How long the event waits that waits the longest."""
        ...


class _LimitedSeconds(Collector):
    """The seconds links were held up, by cause: asked for at each scrape, so always up to date."""

    def __init__(self) -> None:
        self.watched: dict[str, Callable[[], Mapping[str, float]]] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "smsgw_seconds_limited",
            "Time a link spent held up, by cause.",
            labels=("link", "cause"),
        )
        for link, seconds in self.watched.items():
            for cause, value in seconds().items():
                family.add_metric((link, cause), value)
        yield family


class Metrics:
    """What the gateway counts. Implements :class:`smsgw.transport.observer.LinkObserver`.

    Args:
        registry: Where the metrics are registered; None for a new one.
        version: For ``smsgw_build_info``.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(
        self, registry: CollectorRegistry | None = None, version: str = smsgw.__version__
    ) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._bind_counts: dict[str, int] = {}

        def gauge(name: str, text: str, *labels: str) -> _Family[Gauge]:
            return _Family(Gauge(name, text, labels, registry=self.registry))

        def counter(name: str, text: str, *labels: str) -> _Family[Counter]:
            return _Family(Counter(name, text, labels, registry=self.registry))

        self._limited = _LimitedSeconds()
        self.registry.register(self._limited)
        self._up = gauge("smsgw_links_up", "1 while a bind of the link is logged in.", "link")
        self._binds = gauge("smsgw_binds", "Logged-in connections.", "link")
        self._window = gauge("smsgw_window_in_use", "Unanswered submits.", "link")
        self._unbinds = counter("smsgw_unbinds_total", "Logged-in connections lost.", "link")
        self._refusals = counter("smsgw_bind_refusals_total", "Logins refused.", "link", "code")
        self._submits = counter(
            "smsgw_submits_total", "Submits by what their answer means.", "link", "result"
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
        self._customer_binds = gauge(
            "smsgw_customer_binds", "Logged-in connections of a customer.", "customer"
        )
        self._customer_submits = counter(
            "smsgw_customer_submits_total",
            "A customer's submits by their answer.",
            "customer",
            "result",
        )
        self._customer_deliveries = counter(
            "smsgw_customer_deliveries_total",
            "Reports and messages that a customer acknowledged.",
            "customer",
        )
        self._accepted = counter("smsgw_messages_accepted_total", "Messages accepted.", "class")
        self._finished = counter(
            "smsgw_messages_finished_total", "Messages that reached a final status.", "status"
        )
        self._replies = counter("smsgw_replies_total", "Replies by their outcome.", "outcome")
        self._requests = counter("smsgw_requests_finished_total", "Requests closed.", "outcome")
        self._slots = Gauge(
            "smsgw_slots_in_use", "Extensions that are live.", registry=self.registry
        )
        self._ran_out = counter(
            "smsgw_slots_ran_out_total",
            "Extensions needed when none was free: a cool-down shortened, or none (exhausted).",
            "outcome",
        )
        self._posts = counter(
            "smsgw_webhook_deliveries_total", "Webhooks called, by what became of it.", "result"
        )
        self._webhooks = {
            "backlog": Gauge(
                "smsgw_webhook_backlog_events",
                "Events that wait for an acknowledgement.",
                registry=self.registry,
            ),
            "oldest_seconds": Gauge(
                "smsgw_webhook_oldest_seconds",
                "Age of the oldest event that is posted and not acknowledged.",
                registry=self.registry,
            ),
            "dead": Gauge(
                "smsgw_webhook_dead_events", "Events that are dead letters.", registry=self.registry
            ),
            "paused": Gauge(
                "smsgw_webhooks_paused", "Webhooks that are paused.", registry=self.registry
            ),
        }
        self._queued = Gauge(
            "smsgw_store_queued_rows", "Rows that wait for a commit.", registry=self.registry
        )
        self._commits = Histogram(
            "smsgw_store_commit_seconds",
            "Time of one group commit.",
            buckets=COMMIT_SECONDS,
            registry=self.registry,
        )
        self._rows = Counter("smsgw_store_rows_total", "Rows committed.", registry=self.registry)
        info = Gauge(
            "smsgw_build_info",
            "Always 1; its label says what runs.",
            ["version"],
            registry=self.registry,
        )
        info.labels(version).set(1)

    def exposition(self) -> bytes:
        """Return every metric in Prometheus's text form."""
        return generate_latest(self.registry)

    # ---- set up --------------------------------------------------------------------------

    def expect(self, links: Iterable[str]) -> None:
        """Show the series of these links, and every closed set of labels, before they move."""
        for link in links:
            self._set_binds(link, 0)
            self._unmatched.of(link).set(0)
            for disposition in Disposition:
                self._submits.of(link, disposition.value)
            for result in REPORT_RESULTS:
                self._reports.of(link, result)
            for kind in ("mo", "report"):
                self._inbound.of(link, kind)
        for message_class in MessageClass:
            self._accepted.of(message_class)
        for outcome in ("shortened", "exhausted"):
            self._ran_out.of(outcome)
        for result in POST_RESULTS:
            self._posts.of(result)

    def watch_window(self, link: str, in_use: Callable[[], int]) -> None:
        """Ask ``in_use`` at each scrape how many submits of a link are unanswered."""
        self._window.of(link).set_function(in_use)

    def watch_limits(self, link: str, seconds: Callable[[], Mapping[str, float]]) -> None:
        """Ask ``seconds`` at each scrape how long a link was held up, by cause."""
        self._limited.watched[link] = seconds

    def watch_slots(self, in_use: Callable[[], int]) -> None:
        """Ask ``in_use`` at each scrape how many extensions are live."""
        self._slots.set_function(in_use)

    def watch_writer(self, queued: Callable[[], int]) -> None:
        """Ask ``queued`` at each scrape how many rows wait for a commit."""
        self._queued.set_function(queued)

    def watch_webhooks(self, subscribers: WebhookState) -> None:
        """Ask ``subscribers`` at each scrape."""
        for name, metric in self._webhooks.items():
            metric.set_function(partial(getattr, subscribers, name))

    # ---- links: LinkObserver -------------------------------------------------------------

    def bound(self, link: str) -> None:
        """One more connection of ``link`` is logged in."""
        self._set_binds(link, self._bind_counts.get(link, 0) + 1)

    def unbound(self, link: str, reason: str) -> None:
        """A logged-in connection of ``link`` ended."""
        self._unbinds.of(link).inc()
        self._set_binds(link, max(0, self._bind_counts.get(link, 0) - 1))

    def bind_refused(self, link: str, code: int, text: str) -> None:
        """A login was refused."""
        self._refusals.of(link, str(code)).inc()

    def submits(self, link: str, disposition: Disposition, count: int) -> None:
        """So many submits got this outcome."""
        self._submits.of(link, disposition.value).inc(count)

    def unlisted(self, link: str, code: str) -> None:
        """An answer had a result that no table lists."""
        self._unlisted.of(link, code).inc()

    def inbound(self, link: str, kind: str, count: int) -> None:
        """So many ``mo`` or ``report`` came in."""
        self._inbound.of(link, kind).inc(count)

    def mistake(self, link: str, problem: str) -> None:
        """The peer sent something wrong."""
        self._mistakes.of(link).inc()

    # ---- customers -----------------------------------------------------------------------

    def customer_bound(self, customer: str, binds: int) -> None:
        """A customer has so many connections now."""
        self._customer_binds.of(customer).set(binds)

    def customer_submitted(self, customer: str, result: str, count: int = 1) -> None:
        """So many submits of a customer were answered so."""
        self._customer_submits.of(customer, result).inc(count)

    def customer_acknowledged(self, customer: str, count: int = 1) -> None:
        """A customer took so many reports and messages."""
        self._customer_deliveries.of(customer).inc(count)

    # ---- messages and requests -----------------------------------------------------------

    def accepted(self, message_class: MessageClass | str, count: int = 1) -> None:
        """So many messages were accepted."""
        self._accepted.of(str(message_class)).inc(count)

    def finished(self, status: MessageStatus | str, count: int = 1) -> None:
        """So many messages reached this final status."""
        self._finished.of(str(status)).inc(count)

    def reported(self, link: str, result: str, count: int = 1) -> None:
        """So many reports were ``matched``, ``parked``, a ``duplicate`` or a ``conflict``."""
        self._reports.of(link, result).inc(count)

    def unmatched(self, counts: Mapping[str, int]) -> None:
        """So many status reports of each link wait for their segment; of all others none."""
        for link in self._unmatched.known() - counts.keys():
            self._unmatched.of(link).set(0)
        for link, count in counts.items():
            self._unmatched.of(link).set(count)

    def replied(self, outcome: str, count: int = 1) -> None:
        """So many replies had this outcome (``decided``, ``asked_back``, ``inbox``, …)."""
        self._replies.of(outcome).inc(count)

    def request_finished(self, outcome: str, count: int = 1) -> None:
        """So many requests ended so (``approved``, ``rejected``)."""
        self._requests.of(outcome).inc(count)

    def slots_ran_out(self, outcome: str) -> None:
        """An extension was needed that was not free: ``shortened`` or ``exhausted``."""
        self._ran_out.of(outcome).inc()

    def posted(self, result: str, events: int) -> None:
        """A webhook was called: ``delivered``, ``refused``, ``timed_out``, …."""
        self._posts.of(result).inc()

    # ---- store ---------------------------------------------------------------------------

    def committed(self, rows: int, seconds: float) -> None:
        """A group of rows was committed; fits ``Writer.on_commit``."""
        self._commits.observe(seconds)
        self._rows.inc(rows)

    def _set_binds(self, link: str, count: int) -> None:
        self._bind_counts[link] = count
        self._binds.of(link).set(count)
        self._up.of(link).set(1 if count else 0)

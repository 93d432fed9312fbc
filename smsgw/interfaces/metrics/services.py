"""What customers, requests, webhooks, ports, the store and the process tell as it happens."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from smsgw.interfaces.metrics.families import Families
from smsgw.model import FINAL_RANK, STATUS_RANK, MessageClass, MessageStatus
from smsgw.protocols.traffic import Tally

POST_RESULTS = ("delivered", "refused", "gone", "timed_out", "unreachable", "forbidden")
REQUEST_OUTCOMES = ("approved", "rejected", "expired", "withdrawn")
DECIDED = ("approved", "rejected")
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
COMMIT_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)
HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
DECISION_SECONDS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200)


class ServiceMetrics(Families):
    """What happens beside the links.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._make_people()
        self._make_doors()
        self._make_process()

    def _make_people(self) -> None:
        counter = self._counter
        self._finished = counter(
            "smsgw_messages_finished_total",
            "Messages that reached a final status.",
            "class",
            "status",
        )
        self._replies = counter("smsgw_replies_total", "Replies by their outcome.", "outcome")
        self._requests = counter("smsgw_requests_finished_total", "Requests closed.", "outcome")
        self._decisions = self._times(
            "smsgw_decision_seconds",
            "Time from a request to its decision.",
            DECISION_SECONDS,
            "outcome",
        )
        self._ran_out = counter(
            "smsgw_slots_ran_out_total",
            "Extensions needed when none was free: a cool-down shortened, or none (exhausted).",
            "outcome",
        )
        self._posts = counter(
            "smsgw_webhook_deliveries_total", "Webhooks called, by what became of it.", "result"
        )

    def _make_doors(self) -> None:
        gauge, counter = self._gauge, self._counter
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
        self._turned_away = counter(
            "smsgw_turned_away_total",
            "Connections to our ports that were closed, by why.",
            "door",
            "reason",
        )
        labels = ("method", "route", "status")
        self._answers = counter("smsgw_http_requests_total", "HTTP requests answered.", *labels)
        self._answer_times = self._times(
            "smsgw_http_request_seconds",
            "Time from a whole HTTP request to its answer.",
            HTTP_SECONDS,
            "method",
            "route",
        )
        self._answered: dict[tuple[str, str, int], tuple[Callable[[], None], Tally]] = {}

    def _make_process(self) -> None:
        self._commits = self._times(
            "smsgw_store_commit_seconds", "Time of one group commit.", COMMIT_SECONDS
        ).of()
        self._commit_rows = self._times(
            "smsgw_store_commit_rows", "Rows of one group commit.", COMMIT_ROWS
        ).of()
        self._lags = self._times(
            "smsgw_reactor_lag_seconds", "How late the reactor called back.", LAG_SECONDS
        ).of()
        self._worst_lag = self._number(
            "smsgw_reactor_lag_max_seconds", "The longest of the last minute."
        )
        self._reloads = self._counter(
            "smsgw_config_reloads_total", "Configurations read again, by result.", "result"
        )
        self._reload_success = self._number(
            "smsgw_config_reload_success",
            "1 when the configuration in force is the one that was read last.",
        )
        self._purges = self._counter(
            "smsgw_purged_rows_total",
            "Rows that were old enough to lose their texts, or to be deleted.",
            "kind",
        )
        self._reload_time = self._number(
            "smsgw_config_reload_time_seconds",
            "When the configuration in force was read, in seconds since the Unix epoch.",
        )

    def _expect_services(self) -> None:
        for result in ("ok", "refused"):
            self._reloads.of(result)
        for outcome in ("shortened", "exhausted"):
            self._ran_out.of(outcome)
        for result in POST_RESULTS:
            self._posts.of(result)
        for outcome in REQUEST_OUTCOMES:
            self._requests.of(outcome)
        for outcome in DECIDED:
            self._decisions.of(outcome)
        for message_class in MessageClass:
            for status, rank in STATUS_RANK.items():
                if rank == FINAL_RANK:
                    self._finished.of(message_class, status)

    # ---- messages and requests -----------------------------------------------------------

    def finished(self, message_class: str, status: MessageStatus, count: int = 1) -> None:
        """So many messages of a class reached this final status."""
        self._finished.of(str(message_class), str(status)).inc(count)

    def replied(self, outcome: str, count: int = 1) -> None:
        """So many replies had this outcome (``decided``, ``asked_back``, ``inbox``, …)."""
        self._replies.of(outcome).inc(count)

    def request_finished(self, outcome: str, seconds: float) -> None:
        """A request ended so (``approved``, ``rejected``, …), so long after it was made."""
        self._requests.of(outcome).inc()
        if outcome in DECIDED:
            self._decisions.of(outcome).add(seconds)

    def slots_ran_out(self, outcome: str) -> None:
        """An extension was needed that was not free: ``shortened`` or ``exhausted``."""
        self._ran_out.of(outcome).inc()

    def posted(self, result: str, events: int) -> None:
        """A webhook was called: ``delivered``, ``refused``, ``timed_out``, …."""
        self._posts.of(result).inc()

    # ---- doors ---------------------------------------------------------------------------

    def customer_bound(self, customer: str, binds: int) -> None:
        """A customer has so many connections now."""
        self._customer_binds.of(customer).set(binds)

    def customer_submitted(self, customer: str, result: str, count: int = 1) -> None:
        """So many submits of a customer were answered so."""
        self._customer_submits.of(customer, result).inc(count)

    def customer_acknowledged(self, customer: str, count: int = 1) -> None:
        """A customer took so many reports and messages."""
        self._customer_deliveries.of(customer).inc(count)

    def turned_away(self, door: str, reason: str) -> None:
        """A connection to a port of ours was closed: :data:`smsgw.transport.gate.REASONS`."""
        self._turned_away.of(door, reason).inc()

    def http_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered.

        Args:
            method: The route's; "other" where there is no such route.
            route: Its template, never the path; "none" where there is no such route.
            status: As in HTTP.
            seconds: From the whole request to the answer.
        """
        key = (method, route, status)
        known = self._answered.get(key)
        if known is None:
            count = self._answers.of(method, route, str(status)).inc
            known = self._answered[key] = count, self._answer_times.of(method, route)
        known[0]()
        known[1].add(seconds)

    # ---- store and process ---------------------------------------------------------------

    def committed(self, rows: int, seconds: float) -> None:
        """A group of rows was committed; fits ``Writer.on_commit``."""
        self._commits.add(seconds)
        self._commit_rows.add(rows)

    def purged(self, kind: str, count: int) -> None:
        """So many rows were old enough to lose their texts, or to be deleted."""
        self._purges.of(kind).inc(count)

    def lagged(self, seconds: float) -> None:
        """The reactor called back so much later than it was asked to."""
        self._lags.add(seconds)

    def watch_lag(self, worst: Callable[[], float]) -> None:
        """Ask ``worst`` at each scrape for the longest lag of the last minute."""
        self._worst_lag.set_function(worst)

    def reloaded(self, result: str, at: float) -> None:
        """The configuration was read: ``ok`` is in force now, ``refused`` changed nothing.

        The first time, at the start, counts as no reload.
        """
        if result != "start":
            self._reloads.of(result).inc()
        self._reload_success.set(0 if result == "refused" else 1)
        if result != "refused":
            self._reload_time.set(at)

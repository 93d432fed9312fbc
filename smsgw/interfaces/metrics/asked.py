"""Metrics that are asked for at each scrape: nothing is spent on them while nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from smsgw.interfaces.metrics.families import times_of
from smsgw.protocols.traffic import Tally
from smsgw.services.figures import Figures, LinkFigures

Values = Iterable[tuple[Sequence[str], float]]
Tallies = Iterable[tuple[Sequence[str], Tally]]


class Asked(Collector):
    """Everything a gateway can be asked at any moment.

    Attributes:
        figures: What to ask; a gateway's, once there is one.
    """

    def __init__(self) -> None:
        self.figures: Callable[[], Figures] = Figures

    def describe(self) -> Iterator[Metric]:
        """Yield the families without anything in them."""
        return _families(Figures())

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they are now."""
        return _families(self.figures())


def _families(now: Figures) -> Iterator[Metric]:
    yield from _links(now.links)
    yield from _queues(now.links)
    yield from _messages(now)
    yield from _stored(now)
    yield from _webhooks(now)


def _links(links: Sequence[LinkFigures]) -> Iterator[Metric]:
    yield _gauge(
        "smsgw_window_size",
        "Submits that may be unanswered when all connections are there.",
        [((one.name,), one.window) for one in links],
        "link",
    )
    yield _gauge(
        "smsgw_window_in_use",
        "Unanswered submits.",
        [((one.name,), one.in_flight) for one in links],
        "link",
    )
    yield _gauge(
        "smsgw_rate_limit",
        "Submits a second in force now; +Inf without a limit.",
        [((one.name,), float("inf") if one.rate is None else one.rate) for one in links],
        "link",
    )
    yield _gauge(
        "smsgw_silent_seconds",
        "How long the carrier has sent nothing at all.",
        [((one.name,), one.silent_seconds) for one in links],
        "link",
    )
    yield _counter(
        "smsgw_limited_seconds",
        "Time a link spent held up, by cause.",
        [((one.name, cause), value) for one in links for cause, value in one.limited.items()],
        "link",
        "cause",
    )
    yield _counter(
        "smsgw_connect_failures",
        "Times no connection could be made.",
        [((one.name,), one.connect_failures) for one in links],
        "link",
    )
    yield _counter(
        "smsgw_decode_errors",
        "PDUs, or streams, that could not be read.",
        [((one.name,), one.decode_errors) for one in links],
        "link",
    )
    flows = [((one.name, f.command, f.direction), f) for one in links for f in one.flows]
    labels = ("link", "command", "direction")
    pdus: Values = [(values, flow.pdus) for values, flow in flows]
    yield _counter("smsgw_pdus", "PDUs by command and direction.", pdus, *labels)
    octets: Values = [(values, flow.octets) for values, flow in flows]
    yield _counter("smsgw_pdu_octets", "Octets by command and direction.", octets, *labels)
    answers: Tallies = [((one.name,), one.answers) for one in links]
    yield times_of("smsgw_submit_seconds", "Time from a submit to its answer.", ("link",), answers)
    yield _counter(
        "smsgw_retries",
        "Segments that were to be sent again, by what the refusal was about.",
        [((one.name, cause), n) for one in links for cause, n in one.retries.items()],
        "link",
        "cause",
    )
    yield _counter(
        "smsgw_report_statuses",
        "Status reports by what they say; repeated ones are not counted.",
        [((one.name, status), n) for one in links for status, n in one.statuses.items()],
        "link",
        "status",
    )


def _queues(links: Sequence[LinkFigures]) -> Iterator[Metric]:
    labels = ("link", "class")
    queues = [((one.name, kind), queue) for one in links for kind, queue in one.queues.items()]
    depths: Values = [(values, depth) for values, (depth, _) in queues]
    yield _gauge("smsgw_queue_segments", "Segments that wait to be sent.", depths, *labels)
    ages: Values = [(values, oldest) for values, (_, oldest) in queues]
    yield _gauge("smsgw_queue_oldest_seconds", "How long the oldest of them waits.", ages, *labels)
    waits: Tallies = [
        ((one.name, kind), tally) for one in links for kind, tally in one.waits.items()
    ]
    yield times_of(
        "smsgw_queue_seconds", "Time from acceptance to the first submit.", labels, waits
    )


def _messages(now: Figures) -> Iterator[Metric]:
    accepted: Values = [((kind,), count) for kind, count in now.accepted.items()]
    yield _counter("smsgw_messages_accepted", "Messages accepted.", accepted, "class")
    segments: Values = [((coding,), count) for coding, count in now.segments.items()]
    yield _counter("smsgw_segments_accepted", "Parts of them, by coding.", segments, "coding")
    yield times_of(
        "smsgw_delivery_seconds",
        "Time from acceptance to the report that a message was delivered.",
        ("class",),
        [((kind,), tally) for kind, tally in now.delivery.items()],
    )
    yield _one("smsgw_inbound_parts_waiting", "Parts that wait for others.", now.parts_waiting)
    yield _counter(
        "smsgw_inbound_incomplete",
        "Inbound messages given on with parts missing, by why.",
        [((why,), count) for why, count in now.incomplete.items()],
        "reason",
    )
    yield _one("smsgw_ported_numbers", "Numbers known to have changed operator.", now.ported)
    yield _one("smsgw_slots_in_use", "Extensions that are live.", now.slots_in_use)


def _stored(now: Figures) -> Iterator[Metric]:
    stored = now.stored
    yield _one("smsgw_store_queued_rows", "Rows that wait for a commit.", now.rows_queued)
    yield _one("smsgw_store_octets", "What the database takes.", stored.octets)
    free: Values = [] if stored.octets_free is None else [((), stored.octets_free)]
    yield _gauge("smsgw_store_free_octets", "What is left on the disk of a database file.", free)
    yield _one("smsgw_requests_open", "Requests that wait for answers.", stored.requests_open)
    # Every link there is has a value: an alert on what is missing would never end.
    unknown = dict.fromkeys((one.name for one in now.links), 0) | dict(stored.unknown)
    yield _gauge(
        "smsgw_unknown_segments",
        "Segments whose outcome is not known.",
        [((link,), count) for link, count in unknown.items()],
        "link",
    )
    labels = ("access_number", "plan")
    pools = [((one.access_number, one.plan), one) for one in stored.pools]
    sizes: Values = [(values, pool.extensions) for values, pool in pools]
    yield _gauge("smsgw_slot_pool_size", "Extensions each recipient has.", sizes, *labels)
    most: Values = [(values, pool.busiest) for values, pool in pools]
    yield _gauge(
        "smsgw_slot_pool_busiest", "Those in use of the recipient with the most.", most, *labels
    )


def _webhooks(now: Figures) -> Iterator[Metric]:
    yield _one(
        "smsgw_webhook_backlog_events",
        "Events that wait for an acknowledgement.",
        now.webhook_backlog,
    )
    yield _one(
        "smsgw_webhook_oldest_seconds",
        "Age of the oldest event that is posted and not acknowledged.",
        now.webhook_oldest,
    )
    yield _one("smsgw_webhook_dead_events", "Events that are dead letters.", now.webhook_dead)
    yield _one("smsgw_webhooks_paused", "Webhooks that are paused.", now.webhooks_paused)


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    return _gauge(name, text, [((), value)])


def _gauge(name: str, text: str, values: Values, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family


def _counter(name: str, text: str, values: Values, *labels: str) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family

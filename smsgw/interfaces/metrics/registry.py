"""Every metric of the gateway, on an injected registry; only this folder imports prometheus_client.

Methods are named after what happened and take counts: one call per batch. What can be asked for is
asked for at each scrape. Labels are names from the configuration and values of our enums, never a
phone number or a message id.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import smsgw
from smsgw.interfaces.metrics.asked import Asked
from smsgw.interfaces.metrics.links import LinkMetrics
from smsgw.interfaces.metrics.services import ServiceMetrics
from smsgw.services.figures import Figures


class Metrics(ServiceMetrics, LinkMetrics):
    """What the gateway counts.

    Args:
        registry: Where the metrics are registered; None for a new one.
        version: For ``smsgw_build_info``.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, version: str = smsgw.__version__
    ) -> None:
        super().__init__(registry if registry is not None else CollectorRegistry())
        self._asked = Asked()
        self.registry.register(self._asked)
        ProcessCollector(namespace="smsgw", registry=self.registry)
        info = Gauge(
            "smsgw_build_info",
            "Always 1; its labels say what runs.",
            ["version", "python"],
            registry=self.registry,
        )
        info.labels(version, platform.python_version()).set(1)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return every metric, and the content type of that.

        Args:
            accept: What the scraper takes, as HTTP's header ``Accept`` says it: OpenMetrics where
                it asks for that, else Prometheus's text form.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # the library stumbles over a version that is no number
            encode, content_type = choose_encoder("")
        return encode(_Shown(self.registry)), content_type

    def expect(self, links: Iterable[str]) -> None:
        """Show the series of these links, and every closed set of labels, before they move."""
        for link in links:
            self._expect_link(link)
        self._expect_services()

    def watch(self, figures: Callable[[], Figures]) -> None:
        """Ask ``figures`` at each scrape."""
        self._asked.figures = figures


class _Shown(Collector):
    """A registry without the times at which each counter was made: nobody asks, half the series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family

"""``/healthz`` (the process answers), ``/readyz`` (give it work), ``/metrics``: without token."""

from __future__ import annotations

from http import HTTPStatus

from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.services.gateway import Gateway


def routes(front: Gateway, metrics: Metrics) -> list[Route]:
    """Return the endpoints."""

    async def healthy(call: Call) -> Reply:
        return Reply({"status": "ok"})

    async def ready(call: Call) -> Reply:
        reasons = await front.readiness()
        if reasons:
            content = {"status": "not ready", "reasons": reasons}
            return Reply(content, HTTPStatus.SERVICE_UNAVAILABLE)
        return Reply({"status": "ready"})

    async def scraped(call: Call) -> Reply:
        shown, content_type = metrics.exposition(call.accept)
        return Reply(shown, headers={"Content-Type": content_type})

    return [
        Route("GET", "/healthz", healthy, open=True),
        Route("GET", "/readyz", ready, open=True),
        Route("GET", "/metrics", scraped, open=True),
    ]

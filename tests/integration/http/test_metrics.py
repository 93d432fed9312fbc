"""``/metrics`` over HTTP: in the form that is asked for, and with what HTTP itself did."""

from __future__ import annotations

import gzip

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.support.api import ApiServer
from tests.support.reactor import reactor_test

PLAIN = "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/html", PLAIN),
        ("application/openmetrics-text;version=nonsense", PLAIN),
        ("text/plain;version=1.0.0;escaping=nonsense,;;=,", "text/plain"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5",
            "application/openmetrics-text",
        ),
    ],
)
@reactor_test
async def test_the_form_is_what_the_scraper_asks_for(accept: str, content_type: str) -> None:
    async with ApiServer() as api:
        api.metrics.expect(["cmcc"])
        answer = await api.get("/metrics", token=None, headers={"Accept": accept})
        assert answer.status == 200
        assert (answer.header("content-type") or "").startswith(content_type)
        text = answer.content.decode()
        opened = content_type.startswith("application/openmetrics")
        parse = openmetrics if opened else plain
        assert "smsgw_links_up" in {family.name for family in parse(text)}
        assert text.endswith("# EOF\n") is opened


@reactor_test
async def test_it_is_sent_compressed_to_who_takes_that() -> None:
    async with ApiServer() as api:
        api.metrics.expect(["cmcc"])
        answer = await api.get("/metrics", token=None, headers={"Accept-Encoding": "gzip"})
        whole = answer.content
        if whole.startswith(b"\x1f\x8b"):
            whole = gzip.decompress(whole)
        assert b'smsgw_links_up{link="cmcc"} 0.0' in whole


@reactor_test
async def test_requests_are_counted_by_route_and_never_by_path() -> None:
    async with ApiServer() as api:
        phone = "13800001001"
        await api.get("/v1/messages/1000")
        await api.get("/v1/messages/1001")
        await api.get("/v1/messages", params={"limit": "x"})
        await api.get("/v1/messages", token=None)
        await api.get(f"/{phone}")
        await api.call("DELETE", "/v1/messages")
        await api.post("/v1/messages", json={"to": phone, "text": "您好"})
        shown = (await api.get("/metrics", token=None)).content.decode()

        def counted(method: str, route: str, status: int) -> float | None:
            labels = {"method": method, "route": route, "status": str(status)}
            return api.metrics.registry.get_sample_value("smsgw_http_requests_total", labels)

        assert counted("GET", "/v1/messages/<id>", 404) == 2
        assert counted("GET", "/v1/messages", 400) == 1
        assert counted("GET", "/v1/messages", 401) == 1
        assert counted("other", "none", 404) == 1
        assert counted("other", "none", 405) == 1
        assert counted("POST", "/v1/messages", 202) == 1
        assert phone not in shown
        assert "1000" not in {line.partition("{")[2] for line in shown.splitlines()}
        count = 'smsgw_http_request_seconds_count{method="GET",route="/v1/messages/<id>"} 2.0'
        assert count in shown

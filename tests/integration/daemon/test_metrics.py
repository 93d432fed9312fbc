"""A real gateway exports everything that the shipped dashboards and alerts ask for."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import treq
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from smsgw.protocols.registry import CARRIERS
from tests.support.customers import CustomerTown, until
from tests.support.gateways import ACCOUNT, message
from tests.support.ports import free_port
from tests.support.prometheus import (
    ROOT,
    RULES,
    Prometheus,
    all_expressions,
    not_exported,
    promtool,
    tool,
)
from tests.support.raw_peer import dial
from tests.support.reactor import reactor_test

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"
MOBILE, TELECOM = "13800001001", "18900001002"


async def live(town: CustomerTown) -> None:
    """Let something of everything happen."""
    town.carriers["smgp"].behaviour.result = 140  # in no table: it is tried again
    await town.gateway.send(ACCOUNT, [message(MOBILE), message(TELECOM)])
    request_id = await town.ask(MOBILE)
    person = await town.person(request_id, lambda one: one["prompt_status"] == "delivered")
    town.carriers["cmpp"].send(MOBILE, "10690001" + person["extension"], "同意")
    customer = await town.customer("smpp")
    await customer.submit(MOBILE, "您好")
    peer = await dial(CARRIERS["smpp"], town.port("smpp"), speaks=False)
    peer.say(b"GET / HTTP/1.1\r\n\r\n")
    await until(lambda: town.metric("smsgw_turned_away_total", reason="no_login"))
    await until(lambda: town.metric("smsgw_requests_finished_total", outcome="approved"))
    await until(lambda: customer.reports)
    await until(lambda: town.metric("smsgw_delivery_seconds_count", **{"class": "notice"}))
    await until(lambda: town.metric("smsgw_unlisted_results_total", link="telecom", code="140"))


async def get(url: str, accept: str = "*/*") -> tuple[str, str]:
    """Return what is at an address, and its content type."""
    pool = HTTPConnectionPool(reactor, persistent=False)
    answer = await treq.get(url, headers={"Accept": accept}, pool=pool)
    content = (await answer.content()).decode()
    assert answer.code == 200, content
    return content, answer.headers.getRawHeaders("content-type")[0]


@reactor_test
async def test_everything_the_dashboards_and_alerts_ask_for_is_exported(tmp_path: Path) -> None:
    async with CustomerTown(tmp_path) as town:
        await live(town)
        await get(town.url + "/metrics")  # so that an HTTP request has been counted
        shown, content_type = await get(town.url + "/metrics", ACCEPT)
        assert content_type.startswith("application/openmetrics-text; version=1.0.0")
        series: dict[str, list[dict[str, str]]] = {}
        for family in text_string_to_metric_families(shown):
            for one in family.samples:
                series.setdefault(one.name, []).append(dict(one.labels))
        problems = [
            f"{where}: {problem}"
            for where, expression in all_expressions()
            for problem in not_exported(expression, series)
        ]
        assert problems == []
        for name, kind, labels in documented():
            found = series.get({"counter": name, "gauge": name}.get(kind, f"{name}_bucket"), [])
            own = {frozenset(one) - {"le"} for one in found}
            assert own <= {labels}, name
            assert found or name in RARE, name
        assert MOBILE not in shown
        plain, content_type = await get(town.url + "/metrics")
        assert content_type == "text/plain; version=0.0.4; charset=utf-8"
        if shutil.which("promtool"):  # where it is missing, tests/unit/test_deploy.py insists
            assert promtool("check", "metrics", given=plain.encode()) == ""


def documented() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield name, kind and labels of each metric in the table of docs/operations.md."""
    row = re.compile(r"\| `(smsgw_\w+)` \| (counter|gauge|histogram) \| ([^|]*) \|")
    for line in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").splitlines():
        if found := row.match(line):
            labels = (one.strip() for one in found[3].split(","))
            yield found[1], found[2], frozenset(filter(None, labels))


RARE = {
    "smsgw_probe_last_success_timestamp_seconds",
    "smsgw_probe_round_trip_seconds",
    "smsgw_purged_rows_total",
}
"""What has no series while nobody probes, and nothing is old."""


def test_what_is_not_exported_is_found() -> None:
    series = {"smsgw_binds": [{"link": "a"}], "smsgw_queue_segments": [{"class": "bulk"}]}
    assert not_exported('sum by (link) (smsgw_binds{link=~".*", instance=~".*"})', series) == []
    assert not_exported("smsgw_bind", series) == ["smsgw_bind is not exported"]
    assert not_exported('smsgw_binds{class="x"}', series) == ["smsgw_binds has no label class"]
    assert not_exported('smsgw_binds{link="b"}', series) == ["smsgw_binds: no link is b"]
    assert not_exported("sum by (door) (smsgw_binds)", series) == ["no label door"]


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_real_prometheus_scrapes_it_and_answers_every_panel(tmp_path: Path) -> None:
    prometheus = Prometheus(tool("prometheus"), tmp_path / "prometheus", free_port())
    async with CustomerTown(tmp_path) as town:
        await live(town)
        await prometheus.start(town.url.removeprefix("http://"), RULES)
        try:
            await scraped(prometheus)
            for where, expression in all_expressions():
                assert isinstance(await prometheus.query(expression), list), where
            (up,) = await prometheus.query('up{job="smsgw"}')
            assert up["value"][1] == "1"
            links = await prometheus.query("sum by (link) (smsgw_links_up)")
            assert {one["metric"]["link"] for one in links} == {"mobile", "telecom", "unicom"}
            (approved,) = await prometheus.query(
                'smsgw_requests_finished_total{outcome="approved"}'
            )
            assert approved["value"][1] == "1"
            (target,) = (await prometheus.ask("targets"))["activeTargets"]
            assert (target["health"], target["lastError"]) == ("up", "")
            rules = [r for g in (await prometheus.ask("rules"))["groups"] for r in g["rules"]]
            assert {rule["health"] for rule in rules} == {"ok"}
            firing = {a["labels"]["alertname"] for a in (await prometheus.ask("alerts"))["alerts"]}
            assert "SmsgwDown" not in firing
        finally:
            await prometheus.stop()


async def scraped(prometheus: Any) -> None:
    """Wait until it has scraped twice and gone through its rules."""
    while True:
        try:
            found = await prometheus.query("count_over_time(smsgw_build_info[1m]) >= 2")
            rules = [r for g in (await prometheus.ask("rules"))["groups"] for r in g["rules"]]
            if found and all(rule["health"] != "unknown" for rule in rules):
                return
        except ConnectError:
            pass  # it has not opened its port yet
        await deferLater(reactor, 0.1)

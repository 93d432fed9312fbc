"""What is shipped for Prometheus and Grafana is well-formed, explained, and tested itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from smsgw.interfaces.metrics.registry import Metrics
from tests.support.figures import figures
from tests.support.prometheus import (
    DASHBOARDS,
    DEPLOY,
    ROOT,
    RULES,
    dashboard_expressions,
    promtool,
    rules,
)

ALERTS = [rule for rule in rules() if "alert" in rule]


def panels(path: Path) -> Iterator[dict[str, Any]]:
    board = json.loads(path.read_text(encoding="utf-8"))
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def test_every_alert_says_how_bad_it_is_and_what_happened_and_the_book_what_to_do() -> None:
    book = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert alert["annotations"]["summary"].endswith(".")
        assert f"| `{alert['alert']}` |" in book


def test_every_alert_is_tested_as_firing_and_as_silent() -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus" / "tests.yml").read_text(encoding="utf-8"))
    tested: dict[str, tuple[int, int]] = {}
    for case in tests["tests"]:
        for one in case["alert_rule_test"]:
            tested[one["alertname"]] = (len(one["exp_alerts"]), len(case["input_series"]))
    assert set(tested) == {alert["alert"] for alert in ALERTS}
    for firing, series in tested.values():
        assert 0 < firing < series  # some of the series must not fire


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_a_title_a_description_a_unit_and_a_query(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["schemaVersion"] >= 36
    assert board["uid"] == f"smsgw-{path.stem}"
    variables = {one["name"] for one in board["templating"]["list"]}
    assert {"datasource", "instance"} <= variables
    assert ("link" in variables) is (path.stem == "link")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for target in panel["targets"]:
            assert "$" not in target["expr"] or "instance=~" in target["expr"]
            assert "$link" not in target["expr"] or "link" in variables


def test_no_panel_lies_over_another() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in panels(path):
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= 24
            assert not taken & cells, panel["title"]
            taken |= cells


def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", DEPLOY / "prometheus" / "tests.yml")


def test_prometheus_understands_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    found = [one for path in DASHBOARDS for one in dashboard_expressions(path)]
    recorded = [
        {"record": f"panel:{number}", "expr": expression}
        for number, (_, expression) in enumerate(found)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
    assert f"{len(found)} rules found" in promtool("check", "rules", "--lint=none", file)


def test_prometheus_has_nothing_to_say_about_the_metrics() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc"])
    metrics.watch(figures)
    metrics.not_taken("cmcc", "8", 1)
    metrics.http_answered("GET", "/v1/messages/<id>", 200, 0.002)
    said = promtool("check", "metrics", given=metrics.exposition()[0])
    assert said == ""

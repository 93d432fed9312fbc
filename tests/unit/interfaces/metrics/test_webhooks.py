from __future__ import annotations

from types import SimpleNamespace

from smsgw.interfaces.metrics.registry import POST_RESULTS, Metrics
from smsgw.services.webhooks.posting import Result


def test_webhooks_are_counted_by_what_became_of_them_and_watched() -> None:
    metrics = Metrics()
    state = SimpleNamespace(backlog=7, dead=3, paused=1, oldest_seconds=2.5)
    metrics.watch_webhooks(state)
    metrics.expect([])
    metrics.posted("delivered", 100)
    value = metrics.registry.get_sample_value
    assert value("smsgw_webhook_deliveries_total", {"result": "delivered"}) == 1
    assert value("smsgw_webhook_deliveries_total", {"result": "timed_out"}) == 0
    state.backlog = 8
    assert value("smsgw_webhook_backlog_events") == 8
    assert value("smsgw_webhook_oldest_seconds") == 2.5
    assert value("smsgw_webhook_dead_events") == 3
    assert value("smsgw_webhooks_paused") == 1


def test_every_result_is_known() -> None:
    assert set(POST_RESULTS) == set(Result) - {Result.CANCELED}

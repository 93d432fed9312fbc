from __future__ import annotations

from smsgw.interfaces.metrics.registry import Metrics
from smsgw.interfaces.metrics.services import POST_RESULTS
from smsgw.services.webhooks.posting import Result


def test_webhooks_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()
    metrics.expect([])
    metrics.posted("delivered", 100)
    value = metrics.registry.get_sample_value
    assert value("smsgw_webhook_deliveries_total", {"result": "delivered"}) == 1
    assert value("smsgw_webhook_deliveries_total", {"result": "timed_out"}) == 0


def test_every_result_is_known() -> None:
    assert set(POST_RESULTS) == set(Result) - {Result.CANCELED}

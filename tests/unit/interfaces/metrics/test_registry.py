from __future__ import annotations

from prometheus_client import CollectorRegistry

from smsgw.errors import Disposition
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.model import MessageClass, MessageStatus
from smsgw.transport.observer import LinkObserver


def lines(metrics: Metrics) -> dict[str, float]:
    """Series to value."""
    found = {}
    for line in metrics.exposition().decode().splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[series] = float(value)
    return found


def test_the_links_tell_it_what_they_do() -> None:
    metrics = Metrics()
    observer: LinkObserver = metrics
    observer.bound("cmcc")
    observer.bound("cmcc")
    observer.unbound("cmcc", "the peer closed")
    observer.bind_refused("ctcc", 3, "authentication failed")
    observer.submits("cmcc", Disposition.ACCEPTED, 16)
    observer.submits("cmcc", Disposition.ACCEPTED, 4)
    observer.submits("cmcc", Disposition.UNKNOWN, 1)
    observer.inbound("cmcc", "mo", 2)
    observer.mistake("cmcc", "unknown command")
    observer.unlisted("cmcc", "140")
    found = lines(metrics)
    assert found['smsgw_links_up{link="cmcc"}'] == 1
    assert found['smsgw_binds{link="cmcc"}'] == 1
    assert found['smsgw_unbinds_total{link="cmcc"}'] == 1
    assert found['smsgw_bind_refusals_total{code="3",link="ctcc"}'] == 1
    assert found['smsgw_submits_total{link="cmcc",result="accepted"}'] == 20
    assert found['smsgw_submits_total{link="cmcc",result="unknown"}'] == 1
    assert found['smsgw_inbound_total{kind="mo",link="cmcc"}'] == 2
    assert found['smsgw_peer_mistakes_total{link="cmcc"}'] == 1
    assert found['smsgw_unlisted_results_total{code="140",link="cmcc"}'] == 1


def test_a_link_is_down_when_its_last_bind_is_gone() -> None:
    metrics = Metrics()
    metrics.bound("cmcc")
    metrics.unbound("cmcc", "")
    metrics.unbound("cmcc", "said twice")
    found = lines(metrics)
    assert (found['smsgw_links_up{link="cmcc"}'], found['smsgw_binds{link="cmcc"}']) == (0, 0)


def test_messages_replies_and_requests_are_counted() -> None:
    metrics = Metrics()
    metrics.accepted(MessageClass.BULK, 1000)
    metrics.finished(MessageStatus.DELIVERED, 3)
    metrics.reported("cmcc", "matched", 2)
    metrics.replied("decided")
    metrics.request_finished("approved")
    found = lines(metrics)
    assert found['smsgw_messages_accepted_total{class="bulk"}'] == 1000
    assert found['smsgw_messages_finished_total{status="delivered"}'] == 3
    assert found['smsgw_reports_total{link="cmcc",result="matched"}'] == 2
    assert found['smsgw_replies_total{outcome="decided"}'] == 1
    assert found['smsgw_requests_finished_total{outcome="approved"}'] == 1


def test_the_reports_that_wait_are_shown_by_link_until_none_does() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc"])
    for counts, shown in (({"world": 2}, (0, 2)), ({"cmcc": 1}, (1, 0))):
        metrics.unmatched(counts)
        values = (
            metrics.registry.get_sample_value("smsgw_unmatched_reports", {"link": link})
            for link in ("cmcc", "world")
        )
        assert tuple(values) == shown


def test_extensions_that_ran_out_are_counted_and_shown_before_it_happens() -> None:
    metrics = Metrics()
    metrics.expect([])
    metrics.slots_ran_out("exhausted")
    found = lines(metrics)
    assert found['smsgw_slots_ran_out_total{outcome="exhausted"}'] == 1
    assert found['smsgw_slots_ran_out_total{outcome="shortened"}'] == 0


def test_commits_are_timed_and_their_rows_counted() -> None:
    metrics = Metrics()
    metrics.committed(100, 0.002)
    metrics.committed(1, 0.3)
    found = lines(metrics)
    assert found["smsgw_store_rows_total"] == 101
    assert found["smsgw_store_commit_seconds_count"] == 2
    assert found['smsgw_store_commit_seconds_bucket{le="0.0025"}'] == 1


def test_gauges_are_asked_when_they_are_scraped() -> None:
    metrics = Metrics()
    in_use = {"window": 3, "slots": 5, "queued": 7}
    metrics.watch_window("cmcc", lambda: in_use["window"])
    metrics.watch_slots(lambda: in_use["slots"])
    metrics.watch_writer(lambda: in_use["queued"])
    in_use["window"] = 4
    found = lines(metrics)
    assert found['smsgw_window_in_use{link="cmcc"}'] == 4
    assert found["smsgw_slots_in_use"] == 5
    assert found["smsgw_store_queued_rows"] == 7


def test_expected_links_show_before_anything_happened() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc"])
    found = lines(metrics)
    assert found['smsgw_links_up{link="cmcc"}'] == 0
    assert found['smsgw_submits_total{link="cmcc",result="accepted"}'] == 0
    assert found['smsgw_messages_accepted_total{class="realtime"}'] == 0


def test_the_registry_is_the_callers_and_names_follow_the_style() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, version="1.2.3")
    assert metrics.registry is registry
    assert lines(metrics)['smsgw_build_info{version="1.2.3"}'] == 1
    for family in registry.collect():
        assert family.name.startswith("smsgw_")
        assert family.documentation.endswith(".")


def test_the_time_links_are_held_up_is_asked_for_at_each_scrape() -> None:
    metrics = Metrics()
    spent = {"window full": 1.5, "throttled": 0.0}
    metrics.watch_limits("cmcc", lambda: spent)
    series = 'smsgw_seconds_limited_total{cause="window full",link="cmcc"}'
    assert lines(metrics)[series] == 1.5
    spent["window full"] = 9.0
    found = lines(metrics)
    assert found[series] == 9.0
    assert found['smsgw_seconds_limited_total{cause="throttled",link="cmcc"}'] == 0

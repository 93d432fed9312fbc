from __future__ import annotations

from itertools import pairwise

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from smsgw.errors import Disposition
from smsgw.interfaces.metrics.links import CODES_MAX
from smsgw.interfaces.metrics.registry import Metrics
from smsgw.model import MessageStatus
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.states import Ending
from smsgw.services.figures import Figures
from smsgw.transport.observer import LinkObserver
from tests.support.figures import figures, link_figures

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def lines(metrics: Metrics) -> dict[str, float]:
    """Series to value."""
    found = {}
    for line in metrics.exposition()[0].decode().splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[series] = float(value)
    return found


def test_the_links_tell_it_what_they_do() -> None:
    metrics = Metrics()
    observer: LinkObserver = metrics
    observer.bound("cmcc")
    observer.bound("cmcc")
    observer.unbound("cmcc", Ending.PEER)
    observer.bind_refused("ctcc", RefusalKind.SECRET)
    observer.submits("cmcc", Disposition.ACCEPTED, 16)
    observer.submits("cmcc", Disposition.ACCEPTED, 4)
    observer.submits("cmcc", Disposition.UNKNOWN, 1)
    observer.not_taken("cmcc", "no answer", 1)
    observer.inbound("cmcc", "mo", 2)
    observer.mistake("cmcc", "unknown command")
    observer.unlisted("cmcc", "140")
    found = lines(metrics)
    assert found['smsgw_links_up{link="cmcc"}'] == 1
    assert found['smsgw_binds{link="cmcc"}'] == 1
    assert found['smsgw_logins_total{link="cmcc",result="accepted"}'] == 2
    assert found['smsgw_logins_total{link="ctcc",result="bad secret"}'] == 1
    assert found['smsgw_disconnects_total{link="cmcc",reason="unbound by peer"}'] == 1
    assert found['smsgw_submits_total{link="cmcc",result="accepted"}'] == 20
    assert found['smsgw_submits_total{link="cmcc",result="unknown"}'] == 1
    assert found['smsgw_submit_errors_total{code="no answer",link="cmcc"}'] == 1
    assert found['smsgw_inbound_total{kind="mo",link="cmcc"}'] == 2
    assert found['smsgw_peer_mistakes_total{link="cmcc"}'] == 1
    assert found['smsgw_unlisted_results_total{code="140",link="cmcc"}'] == 1


def test_a_link_is_down_when_its_last_bind_is_gone() -> None:
    metrics = Metrics()
    metrics.bound("cmcc")
    metrics.unbound("cmcc", Ending.LOST)
    metrics.unbound("cmcc", Ending.LOST)
    found = lines(metrics)
    assert (found['smsgw_links_up{link="cmcc"}'], found['smsgw_binds{link="cmcc"}']) == (0, 0)


def test_codes_that_a_peer_makes_up_do_not_fill_it() -> None:
    metrics = Metrics()
    for code in range(CODES_MAX + 50):
        metrics.not_taken("cmcc", str(code), 1)
    metrics.not_taken("cmcc", "7", 1)
    metrics.not_taken("ctcc", "900", 1)
    found = {k: v for k, v in lines(metrics).items() if k.startswith("smsgw_submit_errors_total")}
    assert len(found) == CODES_MAX + 2
    assert found['smsgw_submit_errors_total{code="other",link="cmcc"}'] == 50
    assert found['smsgw_submit_errors_total{code="7",link="cmcc"}'] == 2
    assert found['smsgw_submit_errors_total{code="900",link="ctcc"}'] == 1


def test_messages_replies_and_requests_are_counted() -> None:
    metrics = Metrics()
    metrics.finished("bulk", MessageStatus.DELIVERED, 3)
    metrics.reported("cmcc", "matched", 2)
    metrics.replied("decided")
    metrics.request_finished("approved", 1000.0)
    metrics.request_finished("expired", 9000.0)
    found = lines(metrics)
    assert found['smsgw_messages_finished_total{class="bulk",status="delivered"}'] == 3
    assert found['smsgw_reports_total{link="cmcc",result="matched"}'] == 2
    assert found['smsgw_replies_total{outcome="decided"}'] == 1
    assert found['smsgw_requests_finished_total{outcome="approved"}'] == 1
    assert found['smsgw_requests_finished_total{outcome="expired"}'] == 1
    assert found['smsgw_decision_seconds_sum{outcome="approved"}'] == 1000
    assert 'smsgw_decision_seconds_sum{outcome="expired"}' not in found


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


def test_a_link_that_is_no_more_has_no_present_state() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc", "ctcc"])
    metrics.bound("cmcc")
    metrics.link_stopped("cmcc", True)
    metrics.forget_link("cmcc")
    found = lines(metrics)
    assert 'smsgw_links_up{link="ctcc"}' in found
    gauges = ("links_up", "binds", "links_stopped", "unmatched_reports")
    assert [name for name in gauges if f'smsgw_{name}{{link="cmcc"}}' in found] == []
    assert found['smsgw_logins_total{link="cmcc",result="accepted"}'] == 1  # it did happen
    metrics.bound("cmcc")
    assert lines(metrics)['smsgw_binds{link="cmcc"}'] == 1


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
    assert found["smsgw_store_commit_rows_sum"] == 101
    assert found['smsgw_store_commit_rows_bucket{le="100.0"}'] == 2
    assert found["smsgw_store_commit_seconds_count"] == 2
    assert found['smsgw_store_commit_seconds_bucket{le="0.0025"}'] == 1


def test_http_requests_are_counted_and_timed_by_route() -> None:
    metrics = Metrics()
    metrics.http_answered("GET", "/v1/messages/<id>", 200, 0.002)
    metrics.http_answered("GET", "/v1/messages/<id>", 404, 0.2)
    metrics.http_answered("other", "none", 404, 0.001)
    found = lines(metrics)
    labels = 'method="GET",route="/v1/messages/<id>"'
    assert found[f'smsgw_http_requests_total{{{labels},status="200"}}'] == 1
    assert found['smsgw_http_requests_total{method="other",route="none",status="404"}'] == 1
    assert found[f'smsgw_http_request_seconds_bucket{{le="0.0025",{labels}}}'] == 1
    assert found[f"smsgw_http_request_seconds_count{{{labels}}}"] == 2


def test_what_can_be_asked_for_is_asked_for_at_each_scrape() -> None:
    metrics = Metrics()
    now = [figures()]
    metrics.watch(lambda: now[0])
    found = lines(metrics)
    assert found['smsgw_window_in_use{link="cmcc"}'] == 3
    assert found['smsgw_window_size{link="cmcc"}'] == 32
    assert found['smsgw_rate_limit{link="cmcc"}'] == float("inf")
    assert found['smsgw_limited_seconds_total{cause="window full",link="cmcc"}'] == 1.5
    flow = 'command="CMPP_SUBMIT",direction="sent",link="cmcc"'
    assert found[f"smsgw_pdus_total{{{flow}}}"] == 20
    assert found[f"smsgw_pdu_octets_total{{{flow}}}"] == 4000
    assert found['smsgw_queue_oldest_seconds{class="realtime",link="cmcc"}'] == 12.5
    assert found['smsgw_messages_accepted_total{class="bulk"}'] == 1000
    assert found['smsgw_unknown_segments{link="cmcc"}'] == 9
    assert found['smsgw_slot_pool_busiest{access_number="10690001",plan="default/vote"}'] == 40
    assert found["smsgw_store_free_octets"] == 8192
    assert found["smsgw_webhook_oldest_seconds"] == 2.5
    now[0] = Figures(links=[link_figures("ctcc")], slots_in_use=9)
    found = lines(metrics)
    assert found["smsgw_slots_in_use"] == 9
    assert 'smsgw_window_size{link="cmcc"}' not in found
    assert found['smsgw_unknown_segments{link="ctcc"}'] == 0
    assert "smsgw_store_free_octets" not in found  # a server's disk is not ours to see


def test_a_histogram_counts_up_to_each_bound() -> None:
    metrics = Metrics()
    metrics.watch(figures)
    found = lines(metrics)
    shown = {
        series.split('le="')[1].split('"')[0]: value
        for series, value in found.items()
        if series.startswith("smsgw_submit_seconds_bucket")
    }
    assert shown == {"0.1": 1, "1.0": 2, "+Inf": 3}
    assert found['smsgw_submit_seconds_sum{link="cmcc"}'] == 7.55


def test_expected_links_show_before_anything_happened() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc"])
    found = lines(metrics)
    assert found['smsgw_links_up{link="cmcc"}'] == 0
    assert found['smsgw_submits_total{link="cmcc",result="accepted"}'] == 0
    assert found['smsgw_disconnects_total{link="cmcc",reason="peer silent"}'] == 0
    assert found['smsgw_messages_finished_total{class="realtime",status="expired"}'] == 0
    assert found["smsgw_reactor_lag_seconds_count"] == 0


def test_the_registry_is_the_callers_and_names_follow_the_style() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, version="1.2.3")
    assert metrics.registry is registry
    assert any('version="1.2.3"' in series for series in lines(metrics))
    for family in registry.collect():
        assert family.name.startswith("smsgw_")
        assert family.documentation.endswith(".")


def test_both_forms_are_read_by_the_library_s_own_parsers_and_say_the_same() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc"])
    metrics.watch(figures)
    metrics.not_taken("cmcc", 'a "code"\n\\', 1)  # what a label must escape
    shown, content_type = metrics.exposition()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    opened, opened_type = metrics.exposition(OPENMETRICS)
    assert opened_type.startswith("application/openmetrics-text; version=1.0.0")
    assert opened.endswith(b"# EOF\n")
    assert b"_created" not in shown + opened

    def values(families):
        return {
            (one.name, *sorted(one.labels.items())): one.value
            for family in families
            for one in family.samples
            if "_process_" not in one.name
        }

    assert values(plain(shown.decode())) == values(openmetrics(opened.decode()))


def test_no_series_is_there_twice() -> None:
    metrics = Metrics()
    metrics.expect(["cmcc"])
    metrics.watch(figures)
    shown = metrics.exposition()[0].decode().splitlines()
    series = sorted(line.rpartition(" ")[0] for line in shown if not line.startswith("#"))
    assert [one for one, other in pairwise(series) if one == other] == []

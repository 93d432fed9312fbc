"""What ``smsgw top`` shows: two looks at a gateway, and what happened between them. No I/O.

The numbers are those of ``/metrics``, the reasons those of ``/v1/links`` and ``/readyz``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]
Labels = frozenset[tuple[str, str]]

CLASSES = ("realtime", "interactive", "notice", "bulk")
FAILED = ("undelivered", "expired", "rejected")

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Look(NamedTuple):
    """One look at a gateway.

    Attributes:
        at: When, in seconds of a clock that is never set.
        links: ``GET /v1/links``.
        reasons: Why it is not ready; nothing when it is.
        values: Its metrics, by name.
    """

    at: float
    links: Sequence[Json]
    reasons: Sequence[str]
    values: Mapping[str, Mapping[Labels, float]]

    def sum(self, name: str, **labels: str) -> float:
        """Return a metric over all its series with these labels."""
        wanted = set(labels.items())
        return sum(value for key, value in self.values.get(name, {}).items() if wanted <= key)

    def most(self, name: str, **labels: str) -> float:
        """Return the largest value of a metric's series with these labels; 0 without any."""
        wanted = set(labels.items())
        series = self.values.get(name, {}).items()
        return max((value for key, value in series if wanted <= key), default=0.0)


def values_of(text: str) -> dict[str, dict[Labels, float]]:
    """Read Prometheus's text form; what is no sample is passed over."""
    found: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        if sample := _SAMPLE.fullmatch(line):
            labels = frozenset(_LABEL.findall(sample[2] or ""))
            found.setdefault(sample[1], {})[labels] = float(sample[3])
    return found


def reasons_of(status: int, text: str) -> list[str]:
    """Read what ``/readyz`` said."""
    try:
        reasons = json.loads(text).get("reasons", [])
    except (ValueError, AttributeError):
        return [f"it answered with status {status}"]
    return [str(reason) for reason in reasons]


def board(before: Look, now: Look) -> Json:
    """Return what there is to show, JSON-ready; rates are a second, between the two looks."""
    seconds = max(0.001, now.at - before.at)

    def rate(name: str, **labels: str) -> float:
        passed = now.sum(name, **labels) - before.sum(name, **labels)
        return round(max(0.0, passed) / seconds, 1)  # below 0: it was started again meanwhile

    delivered = rate("smsgw_messages_finished_total", status="delivered")
    return {
        "ready": not now.reasons,
        "reasons": list(now.reasons),
        "links": [_link(one, now, rate) for one in now.links],
        "classes": {kind: _lane(now, **{"class": kind}) for kind in CLASSES},
        "per_second": {
            "accepted": rate("smsgw_messages_accepted_total"),
            "delivered": delivered,
            "failed": round(
                sum(rate("smsgw_messages_finished_total", status=status) for status in FAILED), 1
            ),
            "inbound": rate("smsgw_inbound_total", kind="mo"),
            "http": rate("smsgw_http_requests_total"),
        },
        "webhooks": {
            "waiting": int(now.sum("smsgw_webhook_backlog_events")),
            "oldest_seconds": round(now.sum("smsgw_webhook_oldest_seconds"), 1),
            "dead": int(now.sum("smsgw_webhook_dead_events")),
            "paused": int(now.sum("smsgw_webhooks_paused")),
        },
        "requests_open": int(now.sum("smsgw_requests_open")),
        "slots_in_use": int(now.sum("smsgw_slots_in_use")),
        "unknown": int(now.sum("smsgw_unknown_segments")),
        "rows_queued": int(now.sum("smsgw_store_queued_rows")),
        "lag_seconds": round(now.sum("smsgw_reactor_lag_max_seconds"), 3),
    }


def _link(link: Json, now: Look, rate: Any) -> Json:
    name = str(link["name"])
    binds = link.get("binds", [])
    limit = now.sum("smsgw_rate_limit", link=name)
    return {
        "name": name,
        "state": link.get("state") or ("up" if link.get("up") else "down"),
        "bound": sum(bind.get("phase") == "bound" for bind in binds),
        "binds": len(binds),
        "in_flight": link.get("in_flight"),
        "window": link.get("window"),
        "rate_limit": None if limit == float("inf") or not limit else limit,
        "submits_per_second": rate("smsgw_submits_total", link=name),
        "reports_per_second": rate("smsgw_inbound_total", link=name, kind="report"),
        "inbound_per_second": rate("smsgw_inbound_total", link=name, kind="mo"),
        "silent_seconds": round(now.sum("smsgw_silent_seconds", link=name), 1),
        "unknown": int(now.sum("smsgw_unknown_segments", link=name)),
        "classes": {kind: _lane(now, link=name, **{"class": kind}) for kind in CLASSES},
        "limited_by": _why(link),
    }


def _lane(now: Look, **labels: str) -> Json:
    return {
        "waiting": int(now.sum("smsgw_queue_segments", **labels)),
        "oldest_seconds": round(now.most("smsgw_queue_oldest_seconds", **labels), 1),
    }


def _why(link: Json) -> str:
    limit = link.get("limited_by") or {}
    return ": ".join(filter(None, (limit.get("cause"), limit.get("detail"))))

"""``[retention]``: how long things are kept."""

from __future__ import annotations

from typing import Any

from smsgw.daemon.sections import Section
from smsgw.model import MessageClass
from smsgw.services.retention import DAY_SECONDS, DEFAULT, Retention

LEAST = DAY_SECONDS
"""What is under way, a webhook's retries for one, needs so long."""


def read_retention(section: Section) -> Retention:
    """Return the settings."""
    retention = Retention(
        messages={
            one: _kept(section, str(one), seconds) for one, seconds in DEFAULT.messages.items()
        },
        inbound=_kept(section, "inbound", DEFAULT.inbound),
        requests=_kept(section, "requests", DEFAULT.requests),
        events=_kept(section, "events", DEFAULT.events),
        deliveries=_kept(section, "deliveries", DEFAULT.deliveries),
        records=_kept(section, "records", DEFAULT.records),
    )
    section.finish()
    texts = {
        **{str(key): one for key, one in retention.messages.items()},
        "inbound": retention.inbound,
    }
    for key, seconds in texts.items():
        if retention.records and not 0 < seconds <= retention.records:
            section.add(
                "records", f"is shorter than {key}, whose texts are in them; make it longer"
            )
            break
    least = min((one for one in texts.values() if one), default=0.0)
    if least and not 0 < retention.events <= least:
        problem = "is longer than some texts are kept, and events have texts in them"
        section.problems.warn(section.at("events"), problem)
    return retention


def shown_retention(retention: Retention) -> dict[str, Any]:
    """Return the settings, JSON-ready, as they can be written."""
    return {
        **{str(one): retention.messages[one] for one in MessageClass},
        "inbound": retention.inbound,
        "requests": retention.requests,
        "events": retention.events,
        "deliveries": retention.deliveries,
        "records": retention.records,
    }


def _kept(section: Section, key: str, default: float) -> float:
    """Return how long something is kept, in seconds; 0 is for ever."""
    seconds = section.duration(key, default)
    if 0 < seconds < LEAST:
        section.add(key, f'{seconds:g} seconds are too short; write "1d" or more, or 0 for ever')
        return default
    return seconds

"""``[webhooks]``: which addresses the gateway posts events to."""

from __future__ import annotations

from typing import Any

from smsgw.daemon.sections import Section
from smsgw.services.webhooks.addresses import Rules


def read_webhooks(section: Section) -> Rules:
    """Return the settings."""
    rules = Rules(allow=section.networks("allow"), plain_http=section.flag("plain_http"))
    section.finish()
    return rules


def shown_webhooks(rules: Rules) -> dict[str, Any]:
    """Return the settings, JSON-ready, as they can be written."""
    return {"allow": [str(one) for one in rules.allow], "plain_http": rules.plain_http}

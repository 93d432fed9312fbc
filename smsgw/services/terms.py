"""What a gateway goes by that may change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smsgw.delivery.dispatcher import FAILOVER_AFTER
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.routing.inbound import InboundTable
from smsgw.routing.table import RouteTable
from smsgw.services.ledger import SlotPlans
from smsgw.services.quiet import QuietHours
from smsgw.services.requests.presets import PRESETS, Preset
from smsgw.services.retention import DEFAULT, Retention
from smsgw.services.webhooks.addresses import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a gateway goes by.

    Attributes:
        routes: Which links may carry a message.
        inbound_table: Whose an access number is.
        plans: How extensions are made.
        doubt: What follows when a carrier's answer never came.
        retry: When a refused segment is tried again.
        failover_after: Seconds a link is down before what waits for it takes another one.
        quiet: When nobody is asked.
        presets: The kinds of request, by name; the names never change.
        webhook_rules: Which addresses webhooks may have.
        retention: How long things are kept.
        accept_lost_extension: Whether a clear reply without its extension decides the one open
            item at once.
    """

    routes: RouteTable
    inbound_table: InboundTable
    plans: SlotPlans
    doubt: DoubtPolicy = field(default_factory=DoubtPolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    failover_after: float = FAILOVER_AFTER
    quiet: QuietHours = field(default_factory=QuietHours)
    presets: Mapping[str, Preset] = field(default_factory=lambda: dict(PRESETS))
    webhook_rules: Rules = field(default_factory=Rules)
    retention: Retention = DEFAULT
    accept_lost_extension: bool = False

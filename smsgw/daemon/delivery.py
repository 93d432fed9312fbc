"""``[delivery]``: how patient we are, when another link is tried, and what follows a doubt."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from smsgw.daemon.sections import Section
from smsgw.daemon.settings import DeliverySettings, UnknownSettings
from smsgw.delivery.dispatcher import FAILOVER_AFTER
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.delivery.sender import FAR_SECONDS
from smsgw.model import MessageClass

_CHOICES: tuple[Literal["resend", "fail"], ...] = ("resend", "fail")


def read_delivery(section: Section) -> DeliverySettings:
    """Return the settings; a class without a table of its own has those of all."""
    doubt, retry = DoubtPolicy(), RetryPolicy()
    unknown = _unknown(section, UnknownSettings(doubt.wait_seconds, "resend"))
    classes = {}
    for message_class in MessageClass:
        if section.has(message_class):
            table = section.section(message_class)
            classes[message_class] = _unknown(table, unknown)
            table.finish()
    settings = DeliverySettings(
        unknown_wait=unknown.unknown_wait,
        on_unknown=unknown.on_unknown,
        tries=section.integer("tries", retry.attempts, 1, 100),
        retry_first=section.duration("retry_first", retry.first_seconds, 0.1),
        retry_longest=section.duration("retry_longest", retry.cap_seconds, 0.1),
        retry_quota=section.duration("retry_quota", retry.quota_seconds, 1.0),
        failover_after=section.duration("failover_after", FAILOVER_AFTER, 0.1),
        classes=classes,
    )
    if settings.retry_longest > FAR_SECONDS:
        problem = f"{settings.retry_longest:g} seconds are too long; write at most {FAR_SECONDS:g}"
        section.add("retry_longest", problem)
    section.finish()
    return settings


def shown_delivery(settings: DeliverySettings) -> dict[str, Any]:
    """Return the settings, JSON-ready, as they can be written."""
    shown = dataclasses.asdict(settings)
    classes = shown.pop("classes")
    return shown | {str(message_class): table for message_class, table in classes.items()}


def retry_policy(settings: DeliverySettings) -> RetryPolicy:
    """Return when a refused segment is tried again."""
    return RetryPolicy(
        settings.tries, settings.retry_first, settings.retry_longest, settings.retry_quota
    )


def doubt_policy(settings: DeliverySettings) -> DoubtPolicy:
    """Return what follows an unknown outcome."""
    return DoubtPolicy(
        settings.unknown_wait,
        resend=settings.on_unknown == "resend",
        classes={
            message_class: DoubtPolicy(table.unknown_wait, resend=table.on_unknown == "resend")
            for message_class, table in settings.classes.items()
        },
    )


def _unknown(section: Section, default: UnknownSettings) -> UnknownSettings:
    return UnknownSettings(
        section.duration("unknown_wait", default.unknown_wait, 1.0),
        section.choice("on_unknown", _CHOICES, default.on_unknown),
    )

"""``[probe]``: whether, where and how often the loop is tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from smsgw.daemon.sections import Section
from smsgw.daemon.settings import LinkSettings
from smsgw.errors import ValidationError
from smsgw.routing.numbers import normalise
from smsgw.services.probe import ProbeSettings

EVERY_MIN = 60.0


def read_probe(section: Section, links: Mapping[str, LinkSettings]) -> ProbeSettings:
    """Return the settings; without ``links`` all that send are probed."""
    default = ProbeSettings()
    to = section.text("to", "")
    senders = [name for name, link in links.items() if link.account.sends]
    settings = ProbeSettings(
        to=_phone(section, to) if to else "",
        links=section.choices("links", senders) or tuple(senders),
        every=section.duration("every", default.every, EVERY_MIN),
        wait=section.duration("wait", default.wait, 1.0),
        text=section.text("text", default.text, blank=False),
    )
    if settings.wait > settings.every:
        problem = f"is longer than every ({settings.every:g} s); write at most that"
        section.add("wait", problem)
    section.finish()
    return settings


def shown_probe(settings: ProbeSettings) -> dict[str, Any]:
    """Return the settings, JSON-ready."""
    return {**dataclasses.asdict(settings), "links": list(settings.links)}


def _phone(section: Section, to: str) -> str:
    try:
        return normalise(to)
    except ValidationError as error:
        section.add("to", error.problem)
        return ""

"""What operators do to a gateway that runs: links, what goes over them, configuration, draining."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from smsgw.client.answers import LinkState
from smsgw.client.core import Core, Work, segment
from smsgw.client.messages import Id


class Reloaded(msgspec.Struct, frozen=True):
    """What the configuration's file changes, and whether it is in force now.

    Attributes:
        needs_restart: Keys whose change waits for a restart.
        links: Names of links by what is done to them.
    """

    applied: bool
    changes: list[dict[str, Any]]
    needs_restart: list[str]
    links: dict[str, list[str]]
    warnings: list[str]


class Drained(msgspec.Struct, frozen=True):
    """Whether new work is taken, and how many parts of messages wait or are being sent."""

    draining: bool
    queued: int
    sending: int
    more_in_store: bool


class LinkTrace(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's look at what goes over a link.

    Attributes:
        phone: Which phone's PDUs only, masked; "" for all.
        by: Who may see them.
        ended: Why it is over, or "".
        pdus: How many it has seen.
        seen: PDUs, oldest first; none in lists.
        missed: How many before them are no longer kept.
        next: What ``read`` goes on from.
    """

    id: str
    link: str
    protocol: str
    phone: str
    by: str
    until: datetime
    ended: str
    pdus: int
    seen: list[dict[str, Any]] = []
    missed: int = 0
    next: str = "0"


class _Traces(msgspec.Struct):
    traces: list[LinkTrace]


def stop_link(core: Core, name: str) -> Work[LinkState]:
    """Stop a link until it is started again: it finishes what is in flight, and unbinds."""
    return (yield from core.post(f"/v1/links/{segment(name)}/stop", LinkState))


def start_link(core: Core, name: str) -> Work[LinkState]:
    """Start a link that was stopped."""
    return (yield from core.post(f"/v1/links/{segment(name)}/start", LinkState))


def try_link(core: Core, name: str, to: str, *, long: bool = False) -> Work[str]:
    """Send a fixed text over one link, with ``long`` one of several parts; return its id."""
    body = {"to": to, "long": long}
    return (yield from core.post(f"/v1/links/{segment(name)}/test", Id, body)).id


def trace_link(
    core: Core, name: str, *, phone: str | None = None, seconds: int | None = None
) -> Work[LinkTrace]:
    """Begin to look at what goes over a link; everything of it is in the audit chain.

    Args:
        name: Which link.
        phone: Only what names this phone.
        seconds: For how long, a day at most; ten minutes unless given.
    """
    body = {"phone": phone, "seconds": seconds}
    return (yield from core.post(f"/v1/links/{segment(name)}/traces", LinkTrace, body))


def link_traces(core: Core) -> Work[list[LinkTrace]]:
    """Return who looks at which links."""
    return (yield from core.get("/v1/traces", _Traces)).traces


def read_trace(core: Core, trace_id: str, *, after: str = "0", wait: int = 0) -> Work[LinkTrace]:
    """Return what a trace saw after a number, waiting so many seconds for what is not there yet."""
    asked = {"after": after, "wait": str(wait) if wait else None}
    return (yield from core.get(f"/v1/traces/{segment(trace_id)}", LinkTrace, asked, wait=wait))


def stop_trace(core: Core, trace_id: str) -> Work[LinkTrace]:
    """End a trace."""
    return (yield from core.post(f"/v1/traces/{segment(trace_id)}/stop", LinkTrace))


def reload(core: Core, *, dry_run: bool = False) -> Work[Reloaded]:
    """Have the configuration read again; with ``dry_run`` only say what it would change.

    Raises:
        ApiError: The file is wrong, and nothing changed; ``errors`` has each line.
    """
    return (yield from core.post("/v1/reload", Reloaded, {"dry_run": dry_run}))


def drain(core: Core, *, undo: bool = False) -> Work[Drained]:
    """Take no new work, and go on with what there is; with ``undo`` take it again."""
    return (yield from core.post("/v1/drain", Drained, {"undo": undo}))

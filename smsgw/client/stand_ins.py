"""Stand-ins: who answers for whom."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from smsgw.client.answers import StandIn
from smsgw.client.core import Core, Stream, Work, segment
from smsgw.client.messages import Id


def add(
    core: Core,
    phone: str,
    other_phone: str,
    *,
    kind: Literal["substitute", "second"] | None = None,
    name: str = "",
    start: datetime | None = None,
    until: datetime | None = None,
) -> Work[str]:
    """Say who may answer for ``phone``; return its id.

    Args:
        phone: Whose questions.
        other_phone: Who may answer them.
        kind: ``substitute``, unless given: asked instead; ``second``: the same person's other
            number.
        name: The substitute's.
        start: From when on, with its zone; now unless given.
        until: Until when, with its zone; for ever unless given.
    """
    body = {
        "phone": phone,
        "other_phone": other_phone,
        "kind": kind,
        "name": name,
        "start": start,
        "until": until,
    }
    return (yield from core.post("/v1/stand-ins", Id, body)).id


def list_(core: Core, *, phone: str | None = None, ended: bool = False) -> Stream[StandIn]:
    """Iterate over who stands in for whom, newest first; with ``ended`` also who did."""
    asked = {"phone": phone, "ended": "true" if ended else None}
    yield from core.pages("/v1/stand-ins", "stand_ins", StandIn, asked)


def end(core: Core, stand_in_id: str) -> Work[None]:
    """End one."""
    yield from core.post(f"/v1/stand-ins/{segment(stand_in_id)}/end", Id)

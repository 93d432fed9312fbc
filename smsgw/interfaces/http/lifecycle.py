"""``/v1/links/NAME/stop|start``, ``/v1/reload``, ``/v1/drain``: change what runs, for operators."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.services.gateway import Gateway


class ReloadOrder(msgspec.Struct, forbid_unknown_fields=True):
    """How the configuration is read again.

    Attributes:
        dry_run: Only say what it would change.
    """

    dry_run: bool = False


class DrainOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Whether new work is taken.

    Attributes:
        undo: Take it again.
    """

    undo: bool = False


class LinkState(msgspec.Struct):
    """A link as it is now; with everything else that the list of links says of it."""

    name: str
    up: bool
    state: str


class Reloaded(msgspec.Struct):
    """What the file changes, and whether it is in force now."""

    applied: bool
    changes: list[dict[str, Any]]
    needs_restart: list[str]
    links: dict[str, list[str]]
    warnings: list[str]


class Drained(msgspec.Struct):
    """Whether new work is taken, and how many parts of messages wait or are being sent."""

    draining: bool
    queued: int
    sending: int
    more_in_store: bool


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def stop(call: Call) -> Reply:
        call.nothing()
        once = call.settling(_taken)
        return _taken(await front.control.stop(call.path["id"], call.caller.name, once))

    async def start(call: Call) -> Reply:
        call.nothing()
        once = call.settling(_taken)
        return _taken(await front.control.start(call.path["id"], call.caller.name, once))

    async def reload(call: Call) -> Reply:
        call.parameters()
        order = call.json(ReloadOrder) if call.body else ReloadOrder()
        return Reply(await front.reload(call.caller.name, order.dry_run))

    async def drain(call: Call) -> Reply:
        call.parameters()
        order = call.json(DrainOrder) if call.body else DrainOrder()
        return Reply(await front.drain(call.caller.name, order.undo))

    return [
        Route("POST", "/v1/links/<id>/stop", stop, "links:control"),
        Route("POST", "/v1/links/<id>/start", start, "links:control"),
        Route("POST", "/v1/reload", reload, "gateway:control"),
        Route("POST", "/v1/drain", drain, "gateway:control"),
    ]


def _taken(state: dict[str, Any]) -> Reply:
    return Reply(state, HTTPStatus.ACCEPTED)

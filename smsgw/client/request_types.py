"""Request types: flows saved under a name."""

from __future__ import annotations

import msgspec

from smsgw.client.answers import RequestType
from smsgw.client.core import Core, Stream, Work, segment
from smsgw.client.drafts import Flow


class _Saved(msgspec.Struct):
    version: int


class _Removed(msgspec.Struct):
    name: str


def save(core: Core, name: str, flow: Flow, *, version: int | None = None) -> Work[int]:
    """Save a flow; return its version.

    Args:
        name: Letters, digits, ``_``, ``.`` and ``-``, up to 64.
        flow: What requests of the type need not say.
        version: The one it replaces, 0 for a new one; None replaces whatever is there.
    """
    body = {"name": name, "flow": flow, "version": version}
    return (yield from core.post("/v1/request-types", _Saved, body)).version


def show(core: Core, name: str) -> Work[RequestType]:
    """Return a saved flow."""
    return (yield from core.get(f"/v1/request-types/{segment(name)}", RequestType))


def list_(core: Core) -> Stream[RequestType]:
    """Iterate over saved flows, by name."""
    yield from core.pages("/v1/request-types", "types", RequestType)


def remove(core: Core, name: str) -> Work[None]:
    """Forget a flow; requests made from it stay as they are."""
    yield from core.post(f"/v1/request-types/{segment(name)}/remove", _Removed)

"""Where customers of one protocol connect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IStreamServerEndpoint

from smsgw.protocols.carrier import Carrier


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where customers of one protocol connect.

    Attributes:
        carrier: The protocol.
        endpoint: Where to listen.
        allow: Whether a host may connect.
    """

    carrier: Carrier
    endpoint: IStreamServerEndpoint
    allow: Callable[[str], bool]

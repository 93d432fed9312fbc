"""What a session tells whoever drives it. Small records, made in batches, never raised."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import Any

import msgspec

from smsgw.protocols.layout import Pdu


class RefusalKind(enum.StrEnum):
    """What a refused login is about, the same words for every carrier.

    The first three are mended by people, so trying again soon only risks a lock-out.
    """

    SECRET = "bad secret"
    ADDRESS = "address not allowed"
    VERSION = "version"
    BUSY = "busy"
    OTHER = "other"


class Bound(msgspec.Struct, gc=False):
    """Our login was accepted.

    Attributes:
        version: The protocol version both sides speak from now on.
        warning: Set when the peer's own proof of the secret does not match.
    """

    version: str
    warning: str = ""


class PeerBound(msgspec.Struct, gc=False):
    """A peer logged in to us (server role)."""

    name: str
    version: str


class BindRefused(msgspec.Struct, gc=False):
    """A login was refused: ours by the peer, or the peer's by us.

    Attributes:
        code: The carrier's own status.
        text: Its meaning, from the carrier's table.
        kind: What it is about; BUSY also where the account is still, or too often, logged in.
        version: What to ask for in the next login, where the account leaves the version open.
    """

    code: int
    text: str
    kind: RefusalKind = RefusalKind.OTHER
    version: str = ""


class SubmitAnswered(msgspec.Struct, gc=False):
    """The peer answered a submit.

    Attributes:
        context: What the caller gave with the submit.
        code: The carrier's result.
        carrier_message_id: See :class:`smsgw.model.SubmitResult`.
        late: The answer came after the submit had been given up.
        again: The submit was written more than once, so the answer may be to a later copy.
    """

    context: Any
    code: int
    carrier_message_id: str
    late: bool = False
    again: bool = False


class DeliverAnswered(msgspec.Struct):
    """The SP answered one of our delivers or reports (gateway side)."""

    context: Any
    code: int


class ResponseLost(msgspec.Struct):
    """A request's answer did not come: the outcome is unknown, unless it never left.

    Attributes:
        sequence: The request's own sequence.
        context: What the caller gave with it.
        carrier_message_id: Known without an answer only where it is the sequence itself (SGIP).
        written: Whether its octets were handed to the transport; if not, the peer never saw it.
    """

    sequence: Hashable
    context: Any
    carrier_message_id: str = ""
    written: bool = True


class SubmitReceived(msgspec.Struct, gc=False):
    """A customer submits to us (gateway side). The PDU is the token for ``answer_submit``."""

    pdu: Pdu


class MoReceived(msgspec.Struct, gc=False):
    """An inbound message. The PDU is the token for ``acknowledge``; answer once it is stored."""

    pdu: Pdu
    octets: bytes


class ReportReceived(msgspec.Struct, gc=False):
    """A status report. The PDU is the token for ``acknowledge``; answer once it is stored."""

    pdu: Pdu
    octets: bytes


class PeerMistake(msgspec.Struct, gc=False):
    """The peer sent something wrong; it was answered or dropped as the sheet asks, and we go on."""

    problem: str


class SessionFailed(msgspec.Struct, gc=False):
    """The session cannot go on; close the connection."""

    reason: str


class Unbound(msgspec.Struct, gc=False):
    """The session ended in order: unbind was answered, or the peer asked for it."""

    by_peer: bool


Event = (
    Bound
    | PeerBound
    | BindRefused
    | SubmitAnswered
    | DeliverAnswered
    | ResponseLost
    | SubmitReceived
    | MoReceived
    | ReportReceived
    | PeerMistake
    | SessionFailed
    | Unbound
)

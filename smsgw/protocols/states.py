"""Which inputs are legal in which state of a session: a table, and nothing else decides it."""

from __future__ import annotations

import enum


class Role(enum.Enum):
    """Who opened the connection."""

    CLIENT = "client"
    SERVER = "server"


class Side(enum.Enum):
    """Who is the customer (submits) and who the gateway (delivers)."""

    SP = "sp"
    GATEWAY = "gateway"


class State(enum.StrEnum):
    """Where a session is."""

    OPEN = "open"
    BINDING = "binding"
    BOUND = "bound"
    UNBINDING = "unbinding"
    CLOSED = "closed"


class Input(enum.StrEnum):
    """What can happen to it."""

    BIND = "bind"
    BIND_ACCEPTED = "bind accepted"
    BIND_REFUSED = "bind refused"
    PEER_BIND = "peer's bind"
    REQUEST = "request"
    PEER_REQUEST = "peer's request"
    ANSWER = "peer's answer"
    HEARTBEAT = "peer's heartbeat"
    UNBIND = "unbind"
    UNBIND_ANSWERED = "unbind answered"
    PEER_UNBIND = "peer's unbind"
    FAIL = "failure"
    CONNECTION_LOST = "connection lost"


class Ending(enum.StrEnum):
    """How a session that was bound ended; a few words, fit for counting."""

    OURS = "unbound by us"
    PEER = "unbound by peer"
    SILENT = "peer silent"
    FAULT = "peer's fault"
    LOST = "connection lost"


TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.OPEN, Input.BIND): State.BINDING,
    (State.OPEN, Input.PEER_BIND): State.BOUND,
    (State.OPEN, Input.BIND_REFUSED): State.CLOSED,
    (State.OPEN, Input.PEER_UNBIND): State.CLOSED,
    (State.OPEN, Input.FAIL): State.CLOSED,
    (State.OPEN, Input.CONNECTION_LOST): State.CLOSED,
    (State.BINDING, Input.BIND_ACCEPTED): State.BOUND,
    (State.BINDING, Input.BIND_REFUSED): State.CLOSED,
    (State.BINDING, Input.HEARTBEAT): State.BINDING,
    (State.BINDING, Input.PEER_UNBIND): State.CLOSED,
    (State.BINDING, Input.FAIL): State.CLOSED,
    (State.BINDING, Input.CONNECTION_LOST): State.CLOSED,
    (State.BOUND, Input.REQUEST): State.BOUND,
    (State.BOUND, Input.PEER_REQUEST): State.BOUND,
    (State.BOUND, Input.ANSWER): State.BOUND,
    (State.BOUND, Input.HEARTBEAT): State.BOUND,
    (State.BOUND, Input.UNBIND): State.UNBINDING,
    (State.BOUND, Input.PEER_UNBIND): State.CLOSED,
    (State.BOUND, Input.FAIL): State.CLOSED,
    (State.BOUND, Input.CONNECTION_LOST): State.CLOSED,
    (State.UNBINDING, Input.PEER_REQUEST): State.UNBINDING,
    (State.UNBINDING, Input.ANSWER): State.UNBINDING,
    (State.UNBINDING, Input.HEARTBEAT): State.UNBINDING,
    (State.UNBINDING, Input.UNBIND_ANSWERED): State.CLOSED,
    (State.UNBINDING, Input.PEER_UNBIND): State.CLOSED,
    (State.UNBINDING, Input.FAIL): State.CLOSED,
    (State.UNBINDING, Input.CONNECTION_LOST): State.CLOSED,
    (State.CLOSED, Input.FAIL): State.CLOSED,
    (State.CLOSED, Input.CONNECTION_LOST): State.CLOSED,
}

LOCAL_INPUTS = frozenset({Input.BIND, Input.REQUEST, Input.UNBIND})

"""Ports for listeners whose number somebody must know before they listen, or after they left."""

from __future__ import annotations

import socket
from collections import deque

KEPT = 64
"""So many of the last ports are kept: more than a test asks for."""

_kept: deque[socket.socket] = deque()


def free_port() -> int:
    """Return a port of 127.0.0.1 that is for the caller alone, however late it listens there.

    It stays bound here without listening. So the kernel gives it to nobody who asks for any port,
    and to no connection that goes out; whoever names it and reuses addresses (as Twisted's ports
    do) can listen on it, leave, and come back. Meanwhile who dials it is refused.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    _kept.append(kept)
    if len(_kept) > KEPT:
        _kept.popleft().close()
    return int(kept.getsockname()[1])

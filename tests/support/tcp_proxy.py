"""A TCP proxy on threads of its own, to cut what blocks the reactor's thread meanwhile."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from threading import Thread

from tests.support.ports import free_port


class TcpProxy:
    """Passes everything on to a server, until told otherwise.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        cut_at: The connection over which these octets go to the server is cut.
        after: Only one over which these went before.
        answer: Cut it only when the server has answered them, and keep the answer.
        leave: Be away from then on.
        delay: Seconds by which all that goes to the server is held up.
    """

    def __init__(self, host: str, port: int) -> None:
        self._far = (host, port)
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._silent: socket.socket | None = None
        self.port = free_port()
        self.cut_at = b""
        self.after = b""
        self.answer = False
        self.leave = False
        self.delay = 0.0
        self.back()

    def back(self) -> None:
        """Listen, again on the same port."""
        self._listener = listener = socket.create_server(("127.0.0.1", self.port))
        Thread(target=self._accept, args=(listener,), daemon=True).start()

    @property
    def is_away(self) -> bool:
        """Whether nothing is passed on."""
        return self._listener is None

    def away(self) -> None:
        """Cut every connection and take no more."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in self._open:
            _close(one)
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._far)
                self._open += (near, far)
                for target, ends in ((self._ask, (near, far)), (self._tell, (far, near))):
                    Thread(target=target, args=ends, daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        meant = False
        with suppress(OSError):
            while data := near.recv(65536):
                meant = bool(self.cut_at) and (meant or self.after in data)
                if meant and self.cut_at in data:
                    self.cut_at = b""
                    if not self.answer:
                        self._cut()
                        break
                    self._silent = far
                if self.delay:
                    time.sleep(self.delay)
                far.sendall(data)
        _close(near)
        _close(far)

    def _tell(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                if self._silent is far:
                    self._cut()
                    break
                near.sendall(data)
        _close(near)
        _close(far)

    def _cut(self) -> None:
        if self.leave:
            self.away()


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()

"""What the service manager is told, over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from smsgw.daemon.notify import ServiceManager


class Manager:
    """The other end."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        try:
            while True:
                found.append(self.sock.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.sock.close()


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), **more}


def test_its_life_is_told_in_order(tmp_path: Path, manager: Manager) -> None:
    ours = ServiceManager(environ(tmp_path))
    ours.ready()
    ours.reloading()
    ours.ready()
    ours.stopping()
    first, reloading, again, last = manager.heard()
    assert (first, again, last) == ("READY=1", "READY=1", "STOPPING=1")
    word, _, at = reloading.partition("\nMONOTONIC_USEC=")
    assert word == "RELOADING=1"
    assert at.isdecimal()


def test_an_abstract_socket_is_found() -> None:
    name = f"smsgw-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
    assert manager.heard() == ["READY=1"]
    manager.sock.close()


def test_the_watchdog_is_fed_twice_in_its_time_and_only_while_all_is_well(
    tmp_path: Path, manager: Manager
) -> None:
    clock, alive = Clock(), [True]
    ours = ServiceManager(environ(tmp_path, WATCHDOG_USEC="10000000"))
    ours.feed(clock, lambda: alive[0])
    assert manager.heard() == ["WATCHDOG=1"]
    clock.advance(4.9)
    assert manager.heard() == []
    clock.advance(0.1)
    assert manager.heard() == ["WATCHDOG=1"]
    alive[0] = False
    clock.advance(5.0)
    assert manager.heard() == []
    alive[0] = True
    clock.advance(5.0)
    assert manager.heard() == ["WATCHDOG=1"]
    ours.stop()
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}]
)
def test_without_a_watchdog_of_ours_none_is_fed(
    tmp_path: Path, manager: Manager, more: dict[str, str]
) -> None:
    clock = Clock()
    ours = ServiceManager(environ(tmp_path, **more))
    ours.feed(clock, lambda: True)
    assert (manager.heard(), clock.getDelayedCalls()) == ([], [])
    ours.stop()


def test_nobody_listens_or_nobody_is_named_and_nothing_happens(tmp_path: Path) -> None:
    ServiceManager({}).ready()
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()

"""A gateway with fake carriers in another process, and its phones here; for any thread.

Nothing of it runs in the tests' own process, whatever loop or reactor they have.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Condition, Thread

import msgspec

from smsgw.client import AsyncClient, Client
from smsgw.errors import ValidationError
from smsgw.routing.numbers import normalise, operator_of
from smsgw.simulator.phones import Received
from smsgw.testing.wire import Order, Told

__all__ = ["Phone", "Received", "SimulatedGateway", "Simulation"]

CARRIERS = ("mobile", "telecom", "unicom")
ORDER_SECONDS = 60.0
ARRIVES_WITHIN = 30.0


class Simulation:
    """The process in which gateways run, one after the other; ends with its ``with`` block.

    To start it costs about a second, a gateway in it a fraction of one.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._numbers = count(1)
        self._answers: dict[int, Told] = {}
        self._inboxes: dict[str, list[Received]] = {}
        self._ended = False
        words = [sys.executable, "-m", "smsgw.testing.process"]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the tests; it ends with its stdin
        )
        self._reader = Thread(target=self._read, name="smsgw-simulation", daemon=True)
        self._reader.start()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            with suppress(OSError):  # it ended before
                self._process.stdin.close()
        try:
            self._process.wait(ORDER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @contextmanager
    def gateway(self) -> Iterator[SimulatedGateway]:
        """Start a gateway with an empty database, and stop it at the end; one at a time."""
        with self._changed:
            self._inboxes.clear()
        told = self.order("start")
        gateway = SimulatedGateway(self, told.url, told.token)
        try:
            yield gateway
        finally:
            gateway.client.close()
            self.order("stop")

    def order(
        self, do: str, *, carrier: str = "", phone: str = "", to: str = "", text: str = ""
    ) -> Told:
        """Have the process do something; returns its answer.

        Raises:
            RuntimeError: It cannot, or it has ended.
        """
        order = Order(next(self._numbers), do, carrier, phone, to, text)
        stdin = self._process.stdin
        with self._changed:
            if stdin is None or stdin.closed or self._ended:
                raise RuntimeError("the simulation has ended; see its standard error")
            with suppress(OSError):  # then it has ended, as the other thread is about to see
                stdin.write(msgspec.json.encode(order) + b"\n")
                stdin.flush()
            known = self._changed.wait_for(
                lambda: order.number in self._answers or self._ended, ORDER_SECONDS
            )
            told = self._answers.pop(order.number, None)
        if told is None:
            why = "has ended" if known else f"did not answer for {ORDER_SECONDS:g} s"
            raise RuntimeError(f"the simulation {why}; see its standard error")
        if told.problem:
            raise RuntimeError(f"the simulation cannot {do}: {told.problem}")
        return told

    def inbox(self, phone: str) -> list[Received]:
        """Return what a phone has got, oldest first."""
        with self._changed:
            return list(self._inboxes.get(phone, ()))

    def wait_for(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds, at most so long; what arrives is a time to look."""
        with self._changed:
            self._changed.wait_for(lambda: holds() or self._ended, seconds)

    def _read(self) -> None:
        stdout = self._process.stdout
        for line in stdout or ():
            told = msgspec.json.decode(line, type=Told)
            with self._changed:
                if told.number:
                    self._answers[told.number] = told
                else:
                    received = Received(told.sender, told.text, told.parts)
                    self._inboxes.setdefault(told.phone, []).append(received)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class SimulatedGateway:
    """A real gateway between fake China Mobile, Telecom and Unicom.

    Attributes:
        url: Where its HTTP API listens.
        token: A bearer token of it.
        client: A client of it, for blocking code.
    """

    def __init__(self, simulation: Simulation, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self.client = Client(url, token)
        self._simulation = simulation
        self._phones: dict[str, Phone] = {}

    def async_client(self) -> AsyncClient:
        """Return a client for asyncio code; use it with ``async with``."""
        return AsyncClient(self.url, self.token)

    def phone(self, number: str) -> Phone:
        """Return the phone with a number, switched on.

        Raises:
            ValueError: It is no mobile number, or of none of the three carriers.
        """
        try:
            digits = normalise(number, "number")
        except ValidationError as error:
            raise ValueError(str(error)) from None
        carrier = operator_of(digits).value
        if carrier not in CARRIERS:
            raise ValueError(f"{number} is of operator {carrier}; fake are {', '.join(CARRIERS)}")
        if digits not in self._phones:
            self._phones[digits] = Phone(self._simulation, digits, carrier)
        return self._phones[digits]


class Phone:
    """A fake phone and its owner.

    Attributes:
        number: Its own, 11 digits.
        carrier: ``mobile``, ``telecom`` or ``unicom``.
    """

    def __init__(self, simulation: Simulation, number: str, carrier: str) -> None:
        self.number = number
        self.carrier = carrier
        self._simulation = simulation
        self._read: set[int] = set()  # places in the inbox of what wait_for gave out

    @property
    def inbox(self) -> list[Received]:
        """What it has got, whole messages, oldest first."""
        return self._simulation.inbox(self.number)

    def wait_for(self, words: str = "", timeout: float = ARRIVES_WITHIN) -> Received:
        """Wait for a message that has ``words`` in it, and return it; each only once.

        Raises:
            AssertionError: None came within ``timeout`` seconds.
        """
        self._simulation.wait_for(lambda: self._place(words) is not None, timeout)
        place = self._place(words)
        if place is None:
            got = "".join(f"\n  {one.sender}: {one.text}" for one in self.inbox) or " nothing"
            wanted = f"no message with {words!r}" if words else "no message"
            problem = f"{self.number} got {wanted} within {timeout:g} s; it has got{got}"
            raise AssertionError(problem)
        self._read.add(place)
        return self.inbox[place]

    async def wait_for_async(self, words: str = "", timeout: float = ARRIVES_WITHIN) -> Received:
        """Await a message, as :meth:`wait_for`, while the loop goes on."""
        return await asyncio.to_thread(self.wait_for, words, timeout)

    def reply(self, text: str, to: Received | None = None) -> None:
        """Write back to the number that a message came from, the newest one unless given.

        Raises:
            AssertionError: It has got none.
        """
        if to is None and not self.inbox:
            raise AssertionError(f"{self.number} has got nothing that it could reply to")
        self.write((to or self.inbox[-1]).sender, text)

    def write(self, to: str, text: str) -> None:
        """Write to a number; what is long goes in parts."""
        self._simulation.order("write", carrier=self.carrier, phone=self.number, to=to, text=text)

    def _place(self, words: str) -> int | None:
        for place, one in enumerate(self.inbox):
            if place not in self._read and words in one.text:
                return place
        return None

"""The client for programs that block: Django, Flask, cron, scripts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import httpx

from smsgw.client import conversations, request_types, requests, stand_ins
from smsgw.client import messages as calls
from smsgw.client.core import (
    Core,
    Done,
    Found,
    Outcome,
    Pause,
    Step,
    Stream,
    Work,
    advance,
    trusted_by,
)

P = ParamSpec("P")
T = TypeVar("T")


class Transport:
    """Does what calls ask for, and waits for it."""

    def __init__(self, core: Core) -> None:
        self.core = core
        # No proxy: the gateway is ours, and its messages are nobody else's.
        self._http = httpx.Client(trust_env=False, verify=trusted_by(core.url))

    def run(self, work: Work[T]) -> T:
        """Return what a call comes to."""
        outcome: Outcome = None
        while not isinstance(step := advance(work, outcome), Done):
            outcome = self._do(step)
        return step.value

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Yield what a stream finds."""
        outcome: Outcome = None
        while not isinstance(step := advance(stream, outcome), Done):
            if isinstance(step, Found):
                yield step.item
                outcome = None
            else:
                outcome = self._do(step)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _do(self, step: Step) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._http.send(step)
        except httpx.TransportError as error:
            return error


class Part:
    """Calls that belong together."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport


def _returns(call: Callable[Concatenate[Core, P], Work[T]]) -> Callable[Concatenate[Part, P], T]:
    """Return a call as a method."""

    @wraps(call)
    def method(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._transport.run(call(self._transport.core, *args, **kwargs))

    return method


def _yields(
    call: Callable[Concatenate[Core, P], Stream[T]],
) -> Callable[Concatenate[Part, P], Iterator[T]]:
    """Return a list or a stream as a method."""

    @wraps(call)
    def method(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._transport.iterate(call(self._transport.core, *args, **kwargs))

    return method


class Requests(Part):
    """Asks people by SMS: ``client.requests``."""

    create = _returns(requests.create)
    show = _returns(requests.show)
    list = _yields(requests.list_)
    wait = _returns(requests.wait)
    decide = _returns(requests.decide)
    delegate = _returns(requests.delegate)
    withdraw = _returns(requests.withdraw)
    close = _returns(requests.close)
    resend = _returns(requests.resend)
    digest = _returns(requests.digest)


class RequestTypes(Part):
    """Keeps flows under a name: ``client.request_types``."""

    save = _returns(request_types.save)
    show = _returns(request_types.show)
    list = _yields(request_types.list_)
    remove = _returns(request_types.remove)


class StandIns(Part):
    """Says who answers for whom: ``client.stand_ins``."""

    add = _returns(stand_ins.add)
    list = _yields(stand_ins.list_)
    end = _returns(stand_ins.end)


class Conversations(Part):
    """Gives recipients numbers to answer to: ``client.conversations``."""

    open = _returns(conversations.open_)
    show = _returns(conversations.show)
    list = _yields(conversations.list_)
    send = _returns(conversations.send)
    end = _returns(conversations.end)


class Client(Part):
    """A gateway's HTTP API; any number of threads may use it.

    Every call raises :class:`ApiError` when the gateway says no, and :class:`Unreachable` when
    there is none. What is refused for now, or gets no answer, is tried again for a few seconds.

    Args:
        url: Where the gateway listens; ``SMSGW_URL`` unless given, or this machine's port 8080.
        token: A bearer token; ``SMSGW_TOKEN`` unless given.
        timeout: Seconds to wait for one answer.

    Attributes:
        requests: Asks people.
        request_types: Keeps flows.
        stand_ins: Says who answers for whom.
        conversations: Gives recipients numbers to answer to.

    Raises:
        ValueError: There is no token, or url or token cannot be used.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0
    ) -> None:
        transport = Transport(Core(url, token, timeout))
        super().__init__(transport)
        self.requests = Requests(transport)
        self.request_types = RequestTypes(transport)
        self.stand_ins = StandIns(transport)
        self.conversations = Conversations(transport)

    send = _returns(calls.send)
    send_many = _returns(calls.send_many)
    message = _returns(calls.message)
    messages = _yields(calls.messages)
    cancel = _returns(calls.cancel)
    wait = _returns(calls.wait)
    inbound = _yields(calls.inbound)
    events = _yields(calls.events)
    links = _returns(calls.links)
    explain = _returns(calls.explain)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

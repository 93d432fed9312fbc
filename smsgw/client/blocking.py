"""The client for programs that block: Django, Flask, cron, scripts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

import httpx

from smsgw.client import (
    batches,
    control,
    conversations,
    operating,
    people,
    request_types,
    requests,
    stand_ins,
    tokens,
    webhook_calls,
)
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
    describe,
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

    def method(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._transport.run(call(self._transport.core, *args, **kwargs))

    describe(method, call)
    return method


def _yields(
    call: Callable[Concatenate[Core, P], Stream[T]],
) -> Callable[Concatenate[Part, P], Iterator[T]]:
    """Return a list or a stream as a method."""

    def method(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._transport.iterate(call(self._transport.core, *args, **kwargs))

    describe(method, call, "collections.abc.Iterator")
    return method


class Batches(Part):
    """Sends one text to many: ``client.batches``."""

    create = _returns(batches.create)
    extend = _returns(batches.extend)
    show = _returns(batches.show)
    list = _yields(batches.list_)
    cancel = _returns(batches.cancel)


class People(Part):
    """Knows what is held of a phone: ``client.people``."""

    opt_out = _returns(people.opt_out)
    opt_in = _returns(people.opt_in)
    opt_outs = _yields(people.opt_outs)
    export = _yields(people.export)
    erase = _returns(people.erase)
    hold = _returns(people.hold)
    holds = _yields(people.holds)
    end_hold = _returns(people.end_hold)


class Control(Part):
    """Changes what runs, for operators: ``client.control``."""

    stop_link = _returns(control.stop_link)
    start_link = _returns(control.start_link)
    try_link = _returns(control.try_link)
    trace_link = _returns(control.trace_link)
    link_traces = _returns(control.link_traces)
    read_trace = _returns(control.read_trace)
    stop_trace = _returns(control.stop_trace)
    reload = _returns(control.reload)
    drain = _returns(control.drain)


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
    evidence = _returns(requests.evidence)


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


class Webhooks(Part):
    """Has events posted to URLs: ``client.webhooks``."""

    create = _returns(webhook_calls.create)
    show = _returns(webhook_calls.show)
    list = _yields(webhook_calls.list_)
    change = _returns(webhook_calls.change)
    remove = _returns(webhook_calls.remove)
    pause = _returns(webhook_calls.pause)
    resume = _returns(webhook_calls.resume)
    rotate = _returns(webhook_calls.rotate)
    test = _returns(webhook_calls.test)
    dead_letters = _yields(webhook_calls.dead_letters)
    replay = _returns(webhook_calls.replay)


class Tokens(Part):
    """Says who may use the gateway: ``client.tokens``."""

    create = _returns(tokens.create)
    show = _returns(tokens.show)
    list = _yields(tokens.list_)
    change = _returns(tokens.change)
    revoke = _returns(tokens.revoke)


class Client(Part):
    """A gateway's HTTP API; any number of threads may use it.

    Every call raises :class:`ApiError` when the gateway says no, and :class:`Unreachable` when
    there is none. What is refused for now, or gets no answer, is tried again for a few seconds.

    Args:
        url: Where the gateway listens; ``SMSGW_URL`` unless given, or this machine's port 8080.
        token: A bearer token; ``SMSGW_TOKEN`` unless given.
        timeout: Seconds to wait for one answer.
        account: A department below the token's own that all calls are about; None for its own.

    Attributes:
        requests: Asks people.
        request_types: Keeps flows.
        stand_ins: Says who answers for whom.
        conversations: Gives recipients numbers to answer to.
        webhooks: Has events posted to URLs.
        tokens: Says who may use the gateway.
        batches: Sends one text to many.
        people: Knows what is held of a phone.
        control: Changes what runs, for operators.

    Raises:
        ValueError: There is no token, or url or token cannot be used.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        account: str | None = None,
    ) -> None:
        transport = Transport(Core(url, token, timeout, account=account))
        super().__init__(transport)
        self.requests = Requests(transport)
        self.request_types = RequestTypes(transport)
        self.stand_ins = StandIns(transport)
        self.conversations = Conversations(transport)
        self.webhooks = Webhooks(transport)
        self.tokens = Tokens(transport)
        self.batches = Batches(transport)
        self.people = People(transport)
        self.control = Control(transport)

    send = _returns(calls.send)
    send_many = _returns(calls.send_many)
    message = _returns(calls.message)
    messages = _yields(calls.messages)
    trace = _returns(calls.trace)
    cancel = _returns(calls.cancel)
    wait = _returns(calls.wait)
    inbound = _yields(calls.inbound)
    mark_read = _returns(calls.mark_read)
    stats = _returns(calls.stats)
    events = _yields(calls.events)
    links = _returns(calls.links)
    explain = _returns(calls.explain)
    slots = _yields(operating.slots)
    slots_left = _returns(operating.slots_left)
    customers = _returns(operating.customers)
    unmatched_reports = _yields(operating.unmatched_reports)
    ported = _yields(operating.ported)
    record_ported = _returns(operating.record_ported)
    forget_ported = _returns(operating.forget_ported)
    audit = _yields(operating.audit)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

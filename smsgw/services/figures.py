"""What a gateway can be asked at any moment, for whoever counts and shows. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from smsgw.protocols.traffic import Flow, Tally

if TYPE_CHECKING:
    from smsgw.delivery.sender import Sender
    from smsgw.transport.link import Link


class LinkFigures(msgspec.Struct, kw_only=True, gc=False):
    """One link now. What is counted is counted since the link was made.

    Attributes:
        name: Which.
        window: Submits that may be unanswered when all binds are there.
        in_flight: Submits that are.
        rate: Submits a second in force; None without a limit.
        silent_seconds: How long the carrier has sent nothing.
        connect_failures: How often no connection could be made.
        decode_errors: PDUs, or streams, that could not be read.
        flows: PDUs and octets by command and direction.
        answers: Seconds from submits to their answers.
        limited: Seconds it was held up, by cause.
        queues: By class, about how many segments wait, and the seconds the oldest does.
        waits: By class, seconds from acceptance to the first submit.
        retries: Segments that were to be sent again, by what the refusal was about.
        statuses: Status reports by what they say, repeated ones not counted.
    """

    name: str
    window: int
    in_flight: int
    rate: float | None
    silent_seconds: float
    connect_failures: int
    decode_errors: int
    flows: Sequence[Flow]
    answers: Tally
    limited: Mapping[str, float]
    queues: Mapping[str, tuple[int, float]]
    waits: Mapping[str, Tally]
    retries: Mapping[str, int]
    statuses: Mapping[str, int]


class Pool(msgspec.Struct, frozen=True, gc=False):
    """One range of extensions under an access number.

    Attributes:
        access_number: Which.
        plan: The plans that share the range.
        extensions: How many each recipient has.
        busiest: How many are in use, or cool, of the recipient with the most.
    """

    access_number: str
    plan: str
    extensions: int
    busiest: int


class Stored(msgspec.Struct, frozen=True, gc=False):
    """What only the database knows, as it was looked up last.

    Attributes:
        requests_open: Requests that wait for answers.
        unknown: By link, segments whose outcome is not known.
        pools: The ranges of extensions.
        octets: What the database takes; on a server, with indexes.
        octets_free: What is left on the file's disk; None for a server.
    """

    requests_open: int = 0
    unknown: Mapping[str, int] = {}
    pools: Sequence[Pool] = ()
    octets: int = 0
    octets_free: int | None = None


class Figures(msgspec.Struct, kw_only=True, gc=False):
    """A whole gateway now.

    Attributes:
        links: Each link.
        accepted: Messages accepted so far, by class.
        segments: Their parts, by coding.
        delivery: By class, seconds from acceptance to the report that it was delivered.
        parts_waiting: Parts of inbound messages that wait for others.
        incomplete: Inbound messages given on with parts missing, by why.
        ported: Numbers known to have changed operator.
        slots_in_use: Extensions that are live, as counted last.
        rows_queued: Rows that wait for a commit.
        webhook_backlog: Events that wait for an acknowledgement.
        webhook_oldest: Seconds the oldest of them waits.
        webhook_dead: Events that are dead letters.
        webhooks_paused: Webhooks that are paused.
        stored: What only the database knows.
    """

    links: Sequence[LinkFigures] = ()
    accepted: Mapping[str, int] = {}
    segments: Mapping[str, int] = {}
    delivery: Mapping[str, Tally] = {}
    parts_waiting: int = 0
    incomplete: Mapping[str, int] = {}
    ported: int = 0
    slots_in_use: int = 0
    rows_queued: int = 0
    webhook_backlog: int = 0
    webhook_oldest: float = 0.0
    webhook_dead: int = 0
    webhooks_paused: int = 0
    stored: Stored = Stored()


def figures_of(link: Link, sender: Sender, statuses: Mapping[str, int]) -> LinkFigures:
    """Return one link's figures.

    Args:
        link: Which.
        sender: What sends over it.
        statuses: What its reports said so far.
    """
    traffic, names = link.traffic, link.carrier.codec.names
    return LinkFigures(
        name=link.name,
        window=link.window,
        in_flight=link.in_flight,
        rate=sender.rate,
        silent_seconds=link.silent_seconds,
        connect_failures=link.connect_failures,
        decode_errors=traffic.decode_errors,
        flows=list(traffic.flows(names)),
        answers=traffic.answers,
        limited=sender.limited_seconds(),
        queues=sender.queues(),
        waits=sender.waits,
        retries=sender.retries,
        statuses=statuses,
    )

"""What may go wrong at a simulated gateway, as a record: which fault, how often, to what.

A fault is written ``NAME[.OF]=[SECONDS@]SHARE``::

    loss=10%                 one answer, report or message in ten is never sent
    duplicate.report=1/20    every 20th report is sent twice
    delay.answer=0.5         every answer comes half a second late
    stall=5@1%               after one PDU in a hundred nothing is read for five seconds
    disconnect.login=once    the first login is cut in the middle of its answer

This module decides; :mod:`smsgw.simulator.wire` and :mod:`smsgw.simulator.ismg` do.
"""

from __future__ import annotations

import enum
import math
import random
import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from smsgw.errors import ConfigError

T = TypeVar("T", bound=enum.StrEnum)

STALL_SECONDS = 30.0
"""How long a stall lasts when it does not say."""


class Kind(enum.StrEnum):
    """Every way to break."""

    DELAY = "delay"
    DISCONNECT = "disconnect"
    DUPLICATE = "duplicate"
    GARBAGE = "garbage"
    HALF_OPEN = "half-open"
    LOSS = "loss"
    OVERSIZE = "oversize"
    REORDER = "reorder"
    SEQUENCE = "sequence"
    STALL = "stall"
    THROTTLE = "throttle"
    TRUNCATE = "truncate"


class Of(enum.StrEnum):
    """What a gateway sends that a fault can befall."""

    ANSWER = "answer"
    REPORT = "report"
    MO = "mo"
    LOGIN = "login"


MEANINGS = {
    Kind.DELAY: "comes so many seconds later",
    Kind.DISCONNECT: "is cut in its middle, and the connection with it",
    Kind.DUPLICATE: "comes twice",
    Kind.GARBAGE: "comes after octets that are no PDU",
    Kind.HALF_OPEN: "and everything after it is lost; nothing is ever closed",
    Kind.LOSS: "is never sent",
    Kind.OVERSIZE: "is longer than any PDU may be",
    Kind.REORDER: "comes after the next one",
    Kind.SEQUENCE: "has a sequence that nobody asked with",
    Kind.STALL: "is the last before nothing is read for so many seconds",
    Kind.THROTTLE: "says that the customer is too fast",
    Kind.TRUNCATE: "ends before its last field",
}
"""What befalls the PDU, for people."""

DEFAULTS = {
    Kind.SEQUENCE: frozenset((Of.ANSWER,)),
    Kind.THROTTLE: frozenset((Of.ANSWER,)),
}
USUAL = frozenset((Of.ANSWER, Of.REPORT, Of.MO))
"""What a fault befalls that does not say: all but logins."""

ONLY = {
    Kind.REORDER: USUAL,
    Kind.SEQUENCE: frozenset((Of.ANSWER, Of.LOGIN)),
    Kind.THROTTLE: frozenset((Of.ANSWER,)),
}
"""What a fault cannot befall is missing here; those not listed can befall everything."""

TIMED = {Kind.DELAY, Kind.STALL}

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)%|1/([0-9]{1,9})|(all)|(once)")


class Share(msgspec.Struct, frozen=True):
    """How often; exactly one of the three is set.

    Attributes:
        probability: From 0 to 1, by chance.
        every: The n-th, the 2n-th and so on.
        first: Only the first so many.
    """

    probability: float = 0.0
    every: int = 0
    first: int = 0

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read ``10%``, ``1/20``, ``all`` or ``once``.

        Raises:
            ConfigError: It is none of these.
        """
        match = _SHARE.fullmatch(text)
        percent, every = (match[1], match[2]) if match else (None, None)
        if match is None or (every and int(every) < 1) or (percent and float(percent) > 100):
            wanted = "write 10%, 1/20 (every 20th), once or all"
            raise ConfigError("fault", f"{text!r} is no share; {wanted}")
        if percent:
            return cls(probability=float(percent) / 100)
        return cls(every=int(every)) if every else cls(every=1) if match[3] else cls(first=1)


class Fault(msgspec.Struct, frozen=True):
    """One way to break.

    Attributes:
        kind: What happens.
        share: How often.
        of: To what.
        seconds: How long, for a delay or a stall.
    """

    kind: Kind
    share: Share
    of: frozenset[Of] = USUAL
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``NAME[.OF]=[SECONDS@]SHARE``; see the module's examples.

        Raises:
            ConfigError: A name or a value is unknown; the text says what would be right.
        """
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise ConfigError("fault", f"{text!r}: write NAME=VALUE, such as loss=10%")
        kind_name, dot, of_name = name.partition(".")
        kind = _choose(Kind, kind_name, "a fault")
        of = DEFAULTS.get(kind, USUAL)
        if dot:
            of = frozenset((_choose(Of, of_name, "a thing it can befall", ONLY.get(kind)),))
        try:
            seconds, share = _value(kind, value)
        except ConfigError as error:
            raise ConfigError("fault", f"{name}: {error.problem}") from None
        return cls(kind, share, of, seconds)


class Faults(msgspec.Struct, frozen=True):
    """All that may go wrong at one gateway.

    Attributes:
        faults: Each is tried on every PDU it can befall; several may befall one PDU.
        seed: The same seed and the same traffic break the same things.
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, *texts: str, seed: int = 0) -> Faults:
        """Read several faults.

        Raises:
            ConfigError: One of them cannot be read.
        """
        return cls(tuple(map(Fault.parse, texts)), seed)


class FaultSource:
    """Says of each PDU what befalls it: counts and draws lots.

    Args:
        faults: None = nothing ever breaks.

    Attributes:
        random: The lots; also for what garbage looks like.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.use(faults or Faults())

    def use(self, faults: Faults) -> None:
        """Break other things from now on."""
        self.random = random.Random(faults.seed)
        self._faults = faults.faults
        self._counts = [0] * len(self._faults)

    @property
    def quiet(self) -> bool:
        """Whether nothing ever breaks."""
        return not self._faults

    def strike(self, of: Of, kinds: Iterable[Kind] = tuple(Kind)) -> dict[Kind, Fault]:
        """What befalls the next such thing, among some kinds of fault."""
        found: dict[Kind, Fault] = {}
        for place, fault in enumerate(self._faults):
            if of in fault.of and fault.kind in kinds and self._hits(place, fault.share):
                found[fault.kind] = fault
        return found

    def _hits(self, place: int, share: Share) -> bool:
        self._counts[place] += 1
        count = self._counts[place]
        if share.every:
            return count % share.every == 0
        if share.first:
            return count <= share.first
        return self.random.random() < share.probability


def _choose(choices: type[T], name: str, what: str, allowed: Iterable[T] | None = None) -> T:
    known = sorted(str(one) for one in allowed or choices)
    if name not in known:
        raise ConfigError("fault", f"{name!r} is not {what}: {', '.join(known)}")
    return choices(name)


def _value(kind: Kind, text: str) -> tuple[float, Share]:
    """Read ``[SECONDS@]SHARE``; seconds alone befall everything."""
    seconds_text, at, share_text = text.rpartition("@")
    if kind not in TIMED:
        if at:
            raise ConfigError("fault", f"{text!r} has seconds, which only a delay or a stall takes")
        return 0.0, Share.parse(text)
    if not at and _SHARE.fullmatch(text) is None:
        seconds_text, share_text = text, "all"
    if not seconds_text and kind is Kind.STALL:
        return STALL_SECONDS, Share.parse(share_text)
    try:
        seconds = float(seconds_text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError("fault", f"{text!r} has no seconds; write 0.5 or 0.5@10%")
    return seconds, Share.parse(share_text)

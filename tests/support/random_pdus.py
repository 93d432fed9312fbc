"""Random PDUs made from their own declarations, so that every class of every carrier is covered."""

from __future__ import annotations

import random
from typing import Any

import construct

from smsgw.protocols.carrier import Carrier
from smsgw.protocols.kinds import (
    Choice,
    CText,
    Listed,
    Octets,
    Record,
    Reserved,
    Rest,
    Sized,
    Text,
    Tlv,
    Tlvs,
)
from smsgw.protocols.layout import Pdu

MOST_ITEMS = 4
MOST_OCTETS = 60


def random_pdu(cls: type[Pdu], rng: random.Random) -> Pdu:
    """A PDU whose every field holds some legal value, edges more often than chance has them."""
    return cls(**{name: random_value(subcon, rng) for name, subcon in cls.layout.fields})


def random_value(subcon: Any, rng: random.Random) -> Any:
    """A legal value of one field."""
    if isinstance(subcon, construct.FormatField):
        largest = largest_of(subcon)
        return rng.choice((0, 1, largest, rng.randint(0, largest)))
    if isinstance(subcon, Reserved):
        return _characters(rng, subcon.octets, 0).rstrip("\0")
    if isinstance(subcon, Text):
        return _characters(rng, subcon.octets, 1)
    if isinstance(subcon, CText):
        return _characters(rng, subcon.octets_max - 1, 1)
    if isinstance(subcon, Octets):
        return rng.randbytes(subcon.octets)
    if isinstance(subcon, Sized):
        return rng.randbytes(rng.choice((0, 1, rng.randint(0, MOST_OCTETS))))
    if isinstance(subcon, Rest):
        return rng.randbytes(rng.choice((0, rng.randint(1, 9))))
    if isinstance(subcon, Tlvs):
        return [
            Tlv(rng.randint(0, 0xFFFF), rng.randbytes(rng.choice((0, 1, 20))))
            for _ in range(rng.randint(0, MOST_ITEMS))
        ]
    assert isinstance(subcon, Listed)
    return [_random_item(subcon.item, rng) for _ in range(rng.choice((0, 1, 1, MOST_ITEMS)))]


def largest_of(subcon: Any) -> int:
    """The largest value of a construct integer."""
    return (1 << 8 * int(subcon.sizeof())) - 1


def _random_item(item: Text | Record | Choice, rng: random.Random) -> Any:
    if isinstance(item, Choice):
        item = rng.choice(list(item.records.values()))
    if isinstance(item, Text):
        return random_value(item, rng)
    return item.cls(**{name: random_value(subcon, rng) for name, subcon in item.fields})


def _characters(rng: random.Random, most: int, lowest: int) -> str:
    count = rng.choice((0, most, rng.randint(0, most)))
    return "".join(chr(rng.randint(lowest, 0xFF)) for _ in range(count))


def hostile_octets(carrier: Carrier, version: str, rng: random.Random) -> bytes:
    """What a broken or malicious peer may send: legal PDUs, damaged ones, and noise."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randint(1, 40))
    classes = list(carrier.codec.tables[version].values())
    octets = bytearray(random_pdu(rng.choice(classes), rng).encode())
    if rng.random() < 0.3:
        for _ in range(rng.randint(1, 4)):
            octets[rng.randrange(4, len(octets))] = rng.randrange(256)
    if rng.random() < 0.1:
        del octets[rng.randrange(carrier.codec.header_octets, len(octets) + 1) :]
        octets[:4] = len(octets).to_bytes(4, "big")
    return bytes(octets)

"""The derived codec equals its construct declaration: every PDU, every version, every carrier.

The strategies come from the declarations, so a carrier is covered as soon as it is registered.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import construct
import pytest
from hypothesis import settings

from smsgw.errors import EncodeError, PduError
from smsgw.protocols.kinds import Choice, CText, Listed, Octets, Record, Rest, Sized, Text, Tlvs
from smsgw.protocols.layout import Layout, Pdu
from smsgw.protocols.registry import CARRIERS
from tests.support.random_pdus import largest_of, random_pdu, random_value

REJECTED = object()


def _classes() -> list[type[Pdu]]:
    found: dict[type[Pdu], None] = {}
    for carrier in CARRIERS.values():
        for table in carrier.codec.tables.values():
            found.update(dict.fromkeys(table.values()))
        found.update(dict.fromkeys(carrier.codec.lenient))
    return list(found)


CLASSES = _classes()
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)


def many_seeds(check: Callable[[int], None]) -> Callable[[], None]:
    """As many as the profile of hypothesis says; a smaller seed would be no simpler PDU."""

    def check_all() -> None:
        for seed in range(settings.default.max_examples):
            check(seed)

    return check_all


def ends_open(layout: Layout) -> bool:
    return isinstance(layout.fields[-1][1], Rest | Tlvs)


def fast(layout: Layout, octets: bytes, start: int = 0, end: int | None = None) -> Any:
    end = len(octets) if end is None else end
    try:
        return layout.decode(octets, start, end)
    except PduError as caught:
        error = caught
    assert 8 <= error.offset <= end - start
    assert error.command_id == layout.cls.command_id
    return REJECTED


def reference(layout: Layout, octets: bytes) -> Any:
    try:
        return layout.reference_decode(octets)
    except construct.ConstructError:
        return REJECTED


def test_there_are_classes_to_test() -> None:
    assert len(CLASSES) > 20


@every_class
def test_random_values_encode_and_decode_alike(cls: type[Pdu]) -> None:
    layout = cls.layout

    @many_seeds
    def alike(seed: int) -> None:
        pdu = random_pdu(cls, random.Random(seed))
        octets = pdu.encode()
        assert octets == layout.reference_encode(pdu)
        assert fast(layout, octets) == pdu
        assert reference(layout, octets) == pdu
        assert fast(layout, b"before" + octets + octets, 6, 6 + len(octets)) == pdu

    alike()


@every_class
def test_every_proper_truncation_is_judged_alike(cls: type[Pdu]) -> None:
    layout = cls.layout
    pdu = random_pdu(cls, random.Random(1))
    octets = pdu.encode()
    for end in range(8, len(octets)):
        verdict = fast(layout, octets[:end])
        assert verdict == reference(layout, octets[:end])
        # The same PDU cut short by its length field, with more octets behind it in the buffer.
        assert fast(layout, octets + octets, 0, end) == verdict
        assert ends_open(layout) or verdict is REJECTED


@every_class
def test_trailing_octets_are_judged_alike(cls: type[Pdu]) -> None:
    layout = cls.layout
    octets = random_pdu(cls, random.Random(2)).encode()
    for trailing in (b"\0", b"\0\0\0", b"\xff" * 4, b"\0\1\0\0", b"\0\1\0\1x"):
        verdict = fast(layout, octets + trailing)
        assert verdict == reference(layout, octets + trailing)
        assert ends_open(layout) or verdict is REJECTED


@every_class
def test_damaged_octets_are_judged_alike(cls: type[Pdu]) -> None:
    @many_seeds
    def alike(seed: int) -> None:
        rng = random.Random(seed)
        octets = bytearray(random_pdu(cls, rng).encode())
        for _ in range(rng.randint(1, 4)):
            octets[rng.randrange(len(octets))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
        if rng.random() < 0.3:
            del octets[rng.randrange(8, len(octets)) :]
        assert fast(cls.layout, bytes(octets)) == reference(cls.layout, bytes(octets))

    alike()


@every_class
def test_a_value_one_too_long_is_refused_by_name(cls: type[Pdu]) -> None:
    for name, subcon in cls.layout.fields:
        for field, value in _too_long(name, subcon):
            pdu = random_pdu(cls, random.Random(3))
            setattr(pdu, name, value)
            with pytest.raises(EncodeError) as caught:
                pdu.encode()
            assert caught.value.field == field


def _too_long(name: str, subcon: Any) -> list[tuple[str, Any]]:
    """(the name the error must have, a value of the field that does not fit)."""
    if isinstance(subcon, construct.FormatField):
        return [(name, largest_of(subcon) + 1), (name, -1)]
    if isinstance(subcon, Text):
        return [(name, "x" * (subcon.octets + 1)), (name, "中")]
    if isinstance(subcon, CText):
        return [(name, "x" * subcon.octets_max), (name, "中"), (name, "a\0"), (name, "\0a")]
    if isinstance(subcon, Octets):
        return [(name, bytes(subcon.octets + 1)), (name, bytes(subcon.octets - 1))]
    if isinstance(subcon, Sized) and largest_of(subcon.length) <= 0xFFFF:
        return [(name, bytes(largest_of(subcon.length) + 1))]
    if isinstance(subcon, Listed) and isinstance(subcon.item, Text):
        fits, over = "1", "x" * (subcon.item.octets + 1)
        long_items = [(f"{name}[0]", [over]), (f"{name}[1]", [fits, over])]
        if largest_of(subcon.count) > 0xFFFF:
            return long_items
        return [*long_items, (name, [fits] * (largest_of(subcon.count) + 1))]
    if isinstance(subcon, Listed):
        choice = isinstance(subcon.item, Choice)
        records = list(subcon.item.records.values()) if choice else [subcon.item]
        fits = random_value(subcon, random.Random(4))[:1]
        over = [_record_that_does_not_fit(record) for record in records]
        wrong = [(f"{name}[{len(fits)}].{field}", [*fits, item]) for field, item in over]
        if largest_of(subcon.count) <= 0xFFFF:
            wrong.append((name, [records[0].cls()] * (largest_of(subcon.count) + 1)))
        return [*wrong, (f"{name}[0]", [None])]
    return []


def _record_that_does_not_fit(record: Record) -> tuple[str, Any]:
    """The name of the field at fault, and the item."""
    rng = random.Random(4)
    fields = {name: random_value(subcon, rng) for name, subcon in record.fields}
    name, subcon = record.fields[-1]
    fields[name] = _too_long(name, subcon)[0][1]
    return name, record.cls(**fields)


@every_class
def test_a_value_of_a_wrong_type_is_refused_by_name(cls: type[Pdu]) -> None:
    for name, _ in cls.layout.fields:
        pdu = random_pdu(cls, random.Random(5))
        setattr(pdu, name, None)
        with pytest.raises(EncodeError) as caught:
            pdu.encode()
        assert caught.value.field == name

from __future__ import annotations

from typing import Any

import pytest

from smsgw.errors import PduError
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.codec import Codec
from smsgw.protocols.display import display
from smsgw.protocols.layout import Pdu
from smsgw.protocols.registry import CARRIERS

SECRET = "s3cret!!"
PROOF = bytes(range(0xA0, 0xB0))

EVERY = [
    pytest.param(carrier.codec, version, cls, id=f"{name}-{version}-{cls.command}")
    for name, carrier in CARRIERS.items()
    for version, table in carrier.codec.tables.items()
    for cls in table.values()
]


def planted(cls: type[Pdu]) -> Pdu | None:
    """Such a PDU with a secret wherever it has a place for one; None when it has none."""
    given: dict[str, Any] = {}
    for name, subcon in cls.layout.fields:
        if name.startswith("authenticator"):
            given[name] = PROOF
        elif getattr(subcon, "masked", False):
            given[name] = SECRET
    return cls(**given) if given else None


@pytest.mark.parametrize(("codec", "version", "cls"), EVERY)
def test_no_secret_of_any_pdu_is_seen_whole_or_cut_short(
    codec: Codec, version: str, cls: type[Pdu]
) -> None:
    pdu = planted(cls)
    frame = (cls() if pdu is None else pdu).encode()
    shown = display(codec, frame, version, logged_in=True)
    assert shown.command == cls.command
    assert len(shown.hex) == 2 * len(frame)
    if pdu is None:
        assert shown.hex == frame.hex()
        return
    assert shown.fields is not None
    assert "***" in shown.fields.values()
    seen = [shown.hex[2 * i : 2 * i + 2] for i in range(len(frame))]
    assert all(two in (f"{octet:02x}", "**") for octet, two in zip(frame, seen, strict=True))
    for end in range(codec.header_octets, len(frame) + 1):
        cut = end.to_bytes(4, "big") + frame[4:end]
        hides(display(codec, cut, version, logged_in=True), codec, cut, version)


def hides(shown: Any, codec: Codec, frame: bytes, version: str) -> None:
    told = f"{shown.fields} {shown.hex} {shown.problem}"
    for secret in (SECRET.encode(), PROOF):
        for size in (4, len(secret)):
            assert secret[:size].hex() not in told
    assert SECRET[:4] not in told
    try:
        codec.decode(frame, version)
    except PduError:
        assert len(shown.hex) == 2 * codec.header_octets
        assert shown.withheld == len(frame) - codec.header_octets
    else:
        assert shown.withheld == 0


@pytest.fixture(params=CARRIERS.values(), ids=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> Carrier:
    found: Carrier = request.param
    return found


def test_what_cannot_be_read_is_shown_whole_once_the_login_is_done(carrier: Carrier) -> None:
    codec = carrier.codec
    frame = (codec.header_octets + 3).to_bytes(4, "big") + b"\x00\x00\x77\x77"
    frame = frame.ljust(codec.header_octets + 3, b"\x5a")
    shown = display(codec, frame, codec.default_version, logged_in=True)
    assert (shown.command, shown.fields, shown.hex) == ("0x00007777", None, frame.hex())
    assert "unknown command" in shown.problem
    before = display(codec, frame, codec.default_version, logged_in=False)
    assert before.hex == frame[: codec.header_octets].hex()
    assert before.withheld == 3


def test_octets_that_are_no_pdu_at_all_are_shown_too(carrier: Carrier) -> None:
    shown = display(carrier.codec, b"\xff\xff", carrier.codec.default_version, logged_in=True)
    assert (shown.hex, shown.fields) == ("ffff", None)
    assert shown.problem

"""One PDU from the wire as people may see it: decoded and in hex, without what a login proves.

A PDU that cannot be read and may be a login is shown by its header alone: nobody knows where in it
the secret stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from smsgw.errors import PduError
from smsgw.protocols.codec import Codec
from smsgw.protocols.kinds import CText
from smsgw.protocols.layout import Pdu

MASK = "***"
DIGESTS = "authenticator"
"""What the fields of login digests begin with: CMPP 3.0 §8.4.1, SMGP 3.0.3 §8.2.1."""

FIELDS_AT = 8
"""Behind the total length and the command id, which every PDU of every carrier begins with."""


class Display(NamedTuple):
    """A PDU for people.

    Attributes:
        command: The specification's name, or the command id where it has none.
        fields: As ``smsgw pdu decode`` shows them; None when they cannot be read.
        hex: Two digits for each octet, ``**`` for those of a secret.
        withheld: Octets at the end that ``hex`` leaves out.
        problem: Why it cannot be read, or "".
    """

    command: str
    fields: dict[str, Any] | None
    hex: str
    withheld: int
    problem: str


def display(codec: Codec, frame: bytes, version: str, *, logged_in: bool) -> Display:
    """Return what may be seen of a PDU.

    Args:
        codec: Its protocol's.
        frame: The whole PDU, or what came instead of one.
        version: What the connection speaks.
        logged_in: Whether it came over a connection whose login is done.
    """
    command_id = int.from_bytes(frame[4:8], "big")
    command = codec.names.get(command_id, f"0x{command_id:08x}")
    try:
        pdu = codec.decode(frame, version)
        fields, problem = codec.to_fields(pdu, len(frame)), ""
    except PduError as error:
        shown = frame
        if not logged_in or command_id in _with_secrets(codec):
            shown = frame[: codec.header_octets]
        return Display(command, None, shown.hex(), len(frame) - len(shown), str(error))
    digits = frame.hex()
    for name, start, end in _secrets(pdu):
        digits = digits[: 2 * start] + "**" * (end - start) + digits[2 * end :]
        fields[name if name in fields else f"{name}_hex"] = MASK
    return Display(command, fields, digits, 0, problem)


def _is_secret(name: str, subcon: Any) -> bool:
    return name.startswith(DIGESTS) or bool(getattr(subcon, "masked", False))


def _secrets(pdu: Pdu) -> Iterator[tuple[str, int, int]]:
    """The names of a PDU's secrets, and where they begin and end."""
    left = sum(_is_secret(name, subcon) for name, subcon in pdu.layout.fields)
    at = FIELDS_AT
    for name, subcon in pdu.layout.fields if left else ():
        text = isinstance(subcon, CText)
        end = at + (len(getattr(pdu, name)) + 1 if text else int(subcon.sizeof()))
        if _is_secret(name, subcon):
            yield name, at, end
            left -= 1
            if not left:
                return
        at = end


@cache
def _with_secrets(codec: Codec) -> frozenset[int]:
    """The commands that carry a secret in any version."""
    known = [cls for table in codec.tables.values() for cls in table.values()]
    return frozenset(
        cls.command_id
        for cls in [*known, *codec.lenient]
        if any(_is_secret(name, subcon) for name, subcon in cls.layout.fields)
    )

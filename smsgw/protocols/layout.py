"""One declaration per PDU, executed fast: annotated class -> construct reference + struct runs.

A PDU is a slotted class whose fields are annotated with construct objects::

    @pdu(0x00000004, "CMPP_SUBMIT")
    class Submit(CmppPdu):
        msg_id: Annotated[int, U64] = 0
        service_id: Annotated[str, Text(10)] = ""
        dest_terminal_id: Annotated[list[str], Listed("dest_usr_tl", U8, Text(21))] = []
        msg_content: Annotated[bytes, Sized("msg_length", U8)] = b""

From it two things are derived: ``reference``, a :class:`construct.Struct` that ends in
``Terminated`` (the oracle of the property tests and the source of the error a person reads), and
``encode``/``decode``, generated Python in which consecutive fixed-size fields are one precompiled
:class:`struct.Struct`. When the fast form fails, the reference reads the same bytes field by field
and its complaint becomes the :class:`~smsgw.errors.PduError`.

Rules learnt: ``struct`` cuts an over-long ``6s`` without a word, so every text is length-checked
before packing; slices past the end are silent, so each decode ends by comparing its position with
the PDU's end; construct's own ``.compile()`` accepts truncated input and is never used. A subcon
this module does not know fails at import.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import construct
import msgspec

from smsgw.errors import EncodeError, PduError
from smsgw.protocols.compiler import Compiler
from smsgw.protocols.kinds import (
    U32,
    Choice,
    CText,
    Listed,
    Octets,
    Record,
    Rest,
    Sized,
    Text,
    Tlvs,
    declared_fields,
)


class Pdu(msgspec.Struct, gc=False):
    """One protocol data unit. Header fields come first; lengths and counts are derived.

    Class attributes, set by :func:`pdu`:
        command: The specification's name, such as ``CMPP_SUBMIT``.
        command_id: The header's command id.
        layout: What was derived from the declaration.
    """

    command: ClassVar[str] = ""
    command_id: ClassVar[int] = 0
    layout: ClassVar[Layout]

    def encode(self) -> bytes:
        """Return the whole PDU as octets; :func:`pdu` puts the compiled form in this place.

        Raises:
            EncodeError: A field does not fit its place.
        """
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.command}({', '.join(masked_fields(self))})"


P = TypeVar("P", bound=type[Pdu])


def pdu(command_id: int, command: str) -> Callable[[P], P]:
    """Class decorator: name a PDU and derive its layout."""

    def derive(cls: P) -> P:
        cls.command_id = command_id
        cls.command = command
        cls.layout = Layout(cls)
        cls.encode = cls.layout.encode  # type: ignore[assignment,method-assign]
        return cls

    return derive


def masked_fields(pdu: Pdu) -> list[str]:
    """``name=value`` for every field, with secrets, texts and phone numbers hidden."""
    shown = []
    for name, subcon in pdu.layout.fields:
        value = getattr(pdu, name)
        if getattr(subcon, "masked", False):
            shown.append(f"{name}=***")
        elif isinstance(value, bytes):
            shown.append(f"{name}=<{len(value)} octets>")
        elif isinstance(value, str):
            shown.append(f"{name}={_mask(value)!r}")
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            shown.append(f"{name}=[{', '.join(map(_mask, value))}]")
        elif isinstance(value, list):
            shown.append(f"{name}=<{len(value)} items>")
        else:
            shown.append(f"{name}={value}")
    return shown


def _mask(text: str) -> str:
    digits = text.lstrip("+")
    if digits.isdigit() and len(digits) >= 11 and digits.strip("0"):
        return f"{text[:-8]}****{text[-4:]}"
    return text


class Layout:
    """What :func:`pdu` derives from one class.

    Attributes:
        fields: (name, construct object) in wire order, after total length and command id.
        reference: The construct declaration of the whole PDU, header included.
        source: The generated Python, for the curious.
        encode: (PDU) -> its octets. Raises EncodeError, which names the field, what it may hold
            and what it got.
        decode: (buffer, start, end) -> the PDU that occupies ``buffer[start:end]``, header
            included. Raises PduError, which names the field and the offset from ``start``.
    """

    def __init__(self, cls: type[Pdu]) -> None:
        self.cls = cls
        self.fields = declared_fields(cls)
        self.reference = construct.Struct(
            "total_length" / U32,
            "command_id" / U32,
            *[name / subcon for name, subcon in self.fields],
            construct.Terminated,
        )
        self.source, scope = Compiler(cls, cls.command_id, self.fields).compile()
        scope["explain_encode"] = self._explain_encode
        scope["explain_decode"] = self._explain_decode
        exec(self.source, scope)
        self.encode: Callable[[Any], bytes] = scope["encode"]
        self.decode: Callable[[bytes, int, int], Pdu] = scope["decode"]

    def reference_encode(self, pdu: Pdu) -> bytes:
        """Encode through construct: slow, and what the fast form must equal."""
        values = {name: getattr(pdu, name) for name, _ in self.fields}
        raw: bytes = self.reference.build(
            {"total_length": 0, "command_id": self.cls.command_id, **values}
        )
        return len(raw).to_bytes(4, "big") + raw[4:]

    def reference_decode(self, frame: bytes) -> Pdu:
        """Decode through construct: slow, and what the fast form must equal."""
        read = self.reference.parse(frame)
        return self.cls(**{name: read[name] for name, _ in self.fields})

    def _explain_decode(self, frame: bytes) -> PduError:
        stream = io.BytesIO(frame)
        stream.seek(8)
        name, at = "", 8
        for name, subcon in self.fields:
            at = stream.tell()
            try:
                subcon.parse_stream(stream)
            except construct.ConstructError as error:
                problem = str(error).strip().splitlines()[-1]
                return PduError(self.cls.command, name, at, problem, self.cls.command_id)
        left = len(frame) - stream.tell()
        field = name if isinstance(self.fields[-1][1], Tlvs) else ""
        what = "no whole TLV" if field else "after the last field"
        problem = f"{left} octets {what}"
        return PduError(self.cls.command, field, stream.tell(), problem, self.cls.command_id)

    def _explain_encode(self, pdu: Pdu) -> EncodeError:
        problem = _first_problem("", self.fields, pdu)
        return problem or EncodeError(self.cls.command, "what its fields may hold", "more")


KINDS: tuple[tuple[Any, type], ...] = (
    (construct.FormatField, int),
    (Text | CText, str),
    (Octets | Sized | Rest, bytes),
    (Listed | Tlvs, list),
)
"""What a field's attribute must be."""


def _first_problem(path: str, fields: list[tuple[str, Any]], holder: Any) -> EncodeError | None:
    """What is wrong with the first field, of a PDU or of an item, that does not fit."""
    for name, subcon in fields:
        name, value = path + name, getattr(holder, name)
        wanted = next(kind for cls, kind in KINDS if isinstance(subcon, cls))
        if not isinstance(value, wanted):
            return EncodeError(name, wanted.__name__, type(value).__name__)
        try:
            subcon.build(value)
        except Exception as error:  # construct raises many kinds; each becomes one EncodeError
            return _encode_error(name, subcon, value, error)
    return None


def _item_problem(name: str, item: Record | Choice, value: Any) -> EncodeError | None:
    records = [item] if isinstance(item, Record) else list(item.records.values())
    for record in records:
        if isinstance(value, record.cls):
            return _first_problem(f"{name}.", record.fields, value)
    known = " or ".join(record.cls.__name__ for record in records)
    return EncodeError(name, known, type(value).__name__)


def _encode_error(name: str, subcon: Any, value: Any, error: Exception) -> EncodeError:
    if isinstance(subcon, Text):
        return _text_error(name, subcon.octets, value)
    if isinstance(subcon, CText):
        if len(value) < subcon.octets_max and "\0" in value:
            return EncodeError(name, "text without 0x00", "0x00 in it")
        return _text_error(name, subcon.octets_max - 1, value)
    if isinstance(subcon, Listed) and isinstance(subcon.item, Text):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                return EncodeError(f"{name}[{index}]", "text", type(item).__name__)
            if len(item) > subcon.item.octets or not _is_latin1(item):
                return _text_error(f"{name}[{index}]", subcon.item.octets, item)
        return EncodeError(name, f"{_largest(subcon.count)} items", f"{len(value)} items")
    if isinstance(subcon, Listed):
        for index, item in enumerate(value):
            wrong = _item_problem(f"{name}[{index}]", subcon.item, item)
            if wrong is not None:
                return wrong
        return EncodeError(name, f"{_largest(subcon.count)} items", f"{len(value)} items")
    if isinstance(subcon, Sized):
        return EncodeError(name, f"{_largest(subcon.length)} octets", f"{len(value)} octets")
    if isinstance(subcon, Octets):
        return EncodeError(name, f"exactly {subcon.octets} octets", f"{len(value)} octets")
    if isinstance(subcon, construct.FormatField):
        return EncodeError(name, f"0 to {_largest(subcon)}", str(value))
    problem = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return EncodeError(name, type(subcon).__name__, f"{type(value).__name__} ({problem})")


def _text_error(name: str, octets_max: int, value: str) -> EncodeError:
    if not _is_latin1(value):
        odd = next(char for char in value if ord(char) > 0xFF)
        return EncodeError(name, "one octet a character", f"character {odd!r}")
    return EncodeError(name, f"{octets_max} octets", f"{len(value)} octets")


def _is_latin1(value: str) -> bool:
    return all(ord(char) <= 0xFF for char in value)


def _largest(integer: Any) -> int:
    return (1 << 8 * int(integer.sizeof())) - 1

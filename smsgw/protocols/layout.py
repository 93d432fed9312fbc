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
import struct
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

import construct
import msgspec

from smsgw.errors import EncodeError, PduError

U8 = construct.Int8ub
U16 = construct.Int16ub
U32 = construct.Int32ub
U64 = construct.Int64ub

LATIN1 = "latin-1"


class Text(construct.Adapter):  # type: ignore[misc]
    """Fixed-width text: left aligned, padded with 0x00; read up to the first 0x00.

    A value that fills the field has no terminator. One octet is one character (Latin-1), so
    whatever a peer writes can be read and written back.

    Spec: cmpp.md section 2, smgp.md section 2, sgip.md section 2 (STR).
    """

    masked = False
    remembered = True  # decoding keeps octets -> text of a bounded number of values

    def __init__(self, octets: int) -> None:
        super().__init__(construct.Bytes(octets))
        self.octets = octets

    def _decode(self, obj: bytes, context: object, path: str) -> str:
        return obj.partition(b"\0")[0].decode(LATIN1)

    def _encode(self, obj: str, context: object, path: str) -> bytes:
        raw = obj.encode(LATIN1)
        if len(raw) > self.octets:
            raise construct.StringError(f"{len(raw)} octets, limit {self.octets}", path=path)
        return raw.ljust(self.octets, b"\0")


class Number(Text):
    """A phone's number: text that seldom repeats, so that remembering it would only cost."""

    remembered = False


class Secret(Text):
    """Text that no log and no ``str()`` may show, and that nothing keeps."""

    masked = True
    remembered = False


class Reserved(Text):
    """Reserved octets: only trailing 0x00 are dropped, so any value survives a round trip."""

    remembered = False

    def _decode(self, obj: bytes, context: object, path: str) -> str:
        return obj.rstrip(b"\0").decode(LATIN1)


class Octets(construct.Adapter):  # type: ignore[misc]
    """Exactly ``octets`` raw octets, never trimmed. Digests and binary ids."""

    def __init__(self, octets: int) -> None:
        super().__init__(construct.Bytes(octets))
        self.octets = octets

    def _decode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj

    def _encode(self, obj: bytes, context: object, path: str) -> bytes:
        if len(obj) != self.octets:
            raise construct.StringError(f"{len(obj)} octets, exactly {self.octets}", path=path)
        return obj


class Sized(construct.Adapter):  # type: ignore[misc]
    """Raw octets behind their length field, which is derived and not an attribute.

    Args:
        length_name: The length field's name in the specification.
        length: Its construct integer.
    """

    def __init__(self, length_name: str, length: Any) -> None:
        super().__init__(construct.Prefixed(length, construct.GreedyBytes))
        self.length_name = length_name
        self.length = length

    def _decode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj

    def _encode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj


class Listed(construct.Adapter):  # type: ignore[misc]
    """Equal items behind their count field, which is derived and not an attribute.

    Args:
        count_name: The count field's name in the specification.
        count: Its construct integer.
        item: A :class:`Text`, or a :class:`Record`.
    """

    def __init__(self, count_name: str, count: Any, item: Text | Record) -> None:
        super().__init__(construct.PrefixedArray(count, item))
        self.count_name = count_name
        self.count = count
        self.item = item

    def _decode(self, obj: list[Any], context: object, path: str) -> list[Any]:
        return list(obj)

    def _encode(self, obj: list[Any], context: object, path: str) -> list[Any]:
        return obj


class Record(construct.Adapter):  # type: ignore[misc]
    """One item of a list that is itself several fixed-size fields."""

    def __init__(self, cls: type[msgspec.Struct]) -> None:
        self.cls = cls
        self.fields = declared_fields(cls)
        super().__init__(construct.Struct(*[name / subcon for name, subcon in self.fields]))

    def _decode(self, obj: Any, context: object, path: str) -> msgspec.Struct:
        return self.cls(**{name: obj[name] for name, _ in self.fields})

    def _encode(self, obj: Any, context: object, path: str) -> dict[str, Any]:
        return {name: getattr(obj, name) for name, _ in self.fields}


class Tlv(msgspec.Struct, gc=False):
    """One optional parameter: a tag, and its value's octets as they are on the wire."""

    tag: int
    value: bytes


class Tlvs(construct.Adapter):  # type: ignore[misc]
    """Optional parameters (tag 2, length 2, value) up to the PDU's end, order kept."""

    def __init__(self) -> None:
        one = construct.Struct(
            "tag" / U16, "value" / construct.Prefixed(U16, construct.GreedyBytes)
        )
        super().__init__(construct.GreedyRange(one))

    def _decode(self, obj: list[Any], context: object, path: str) -> list[Tlv]:
        return [Tlv(item.tag, item.value) for item in obj]

    def _encode(self, obj: list[Tlv], context: object, path: str) -> list[dict[str, Any]]:
        return [{"tag": tlv.tag, "value": tlv.value} for tlv in obj]


class Rest(construct.Adapter):  # type: ignore[misc]
    """Whatever octets a peer adds after the last field: tolerated, kept, meaningless."""

    def __init__(self) -> None:
        super().__init__(construct.GreedyBytes)

    def _decode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj

    def _encode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj


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


def declared_fields(cls: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """The (name, construct object) pairs of a PDU class, in wire order."""
    hints = get_type_hints(cls, include_extras=True)
    fields = []
    for name in cls.__struct_fields__:
        hint = hints[name]
        if get_origin(hint) is not Annotated:
            raise TypeError(f"{cls.__name__}.{name} has no construct object in its annotation")
        fields.append((name, get_args(hint)[1]))
    return fields


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


class _Misfit(Exception):
    """The fast form met something that the reference must explain."""


TEXTS_KEPT = 4096
"""How many decoded texts are remembered before all are forgotten: about 1 MB."""


class _Texts(dict[bytes, str]):
    """Octets of a text field -> its text. Service codes, times and fees repeat from PDU to PDU."""

    def __missing__(self, raw: bytes) -> str:
        if len(self) >= TEXTS_KEPT:
            self.clear()
        text = self[raw] = raw.partition(b"\0")[0].decode(LATIN1)
        return text


TEXTS = _Texts()


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
        self.source, scope = _Compiler(cls, self.fields).compile()
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
        for name, subcon in self.fields:
            value = getattr(pdu, name)
            wanted = next(kind for cls, kind in KINDS if isinstance(subcon, cls))
            if not isinstance(value, wanted):
                return EncodeError(name, wanted.__name__, type(value).__name__)
            try:
                subcon.build(value)
            except Exception as error:  # construct raises many kinds; each becomes one EncodeError
                return _encode_error(name, subcon, value, error)
        return EncodeError(self.cls.command, "what its fields may hold", "more")


KINDS: tuple[tuple[Any, type], ...] = (
    (construct.FormatField, int),
    (Text, str),
    (Octets | Sized | Rest, bytes),
    (Listed | Tlvs, list),
)
"""What a field's attribute must be."""


def _encode_error(name: str, subcon: Any, value: Any, error: Exception) -> EncodeError:
    if isinstance(subcon, Text):
        return _text_error(name, subcon, value)
    if isinstance(subcon, Listed) and isinstance(subcon.item, Text):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                return EncodeError(f"{name}[{index}]", "text", type(item).__name__)
            if len(item) > subcon.item.octets or not _is_latin1(item):
                return _text_error(f"{name}[{index}]", subcon.item, item)
        return EncodeError(name, f"{_largest(subcon.count)} items", f"{len(value)} items")
    if isinstance(subcon, Sized):
        return EncodeError(name, f"{_largest(subcon.length)} octets", f"{len(value)} octets")
    if isinstance(subcon, Octets):
        return EncodeError(name, f"exactly {subcon.octets} octets", f"{len(value)} octets")
    if isinstance(subcon, construct.FormatField):
        return EncodeError(name, f"0 to {_largest(subcon)}", str(value))
    problem = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return EncodeError(name, type(subcon).__name__, f"{type(value).__name__} ({problem})")


def _text_error(name: str, subcon: Text, value: str) -> EncodeError:
    if not _is_latin1(value):
        odd = next(char for char in value if ord(char) > 0xFF)
        return EncodeError(name, "one octet a character", f"character {odd!r}")
    return EncodeError(name, f"{subcon.octets} octets", f"{len(value)} octets")


def _is_latin1(value: str) -> bool:
    return all(ord(char) <= 0xFF for char in value)


def _largest(integer: Any) -> int:
    return (1 << 8 * int(integer.sizeof())) - 1


class _Compiler:
    """Writes the two functions of one PDU class as Python source.

    A local variable that holds a field is the field's name behind ``f_``, so that no name of a
    specification can meet one of ours.
    """

    def __init__(self, cls: type[Pdu], fields: list[tuple[str, Any]]) -> None:
        self.cls = cls
        self.fields = fields
        self.scope: dict[str, Any] = {
            "cls": cls,
            "Misfit": _Misfit,
            "StructError": struct.error,
            "TEXTS": TEXTS,
            "Z": b"\0",
            "Tlv": Tlv,
        }
        self.runs = 0

    def compile(self) -> tuple[str, dict[str, Any]]:
        """Return the source of ``decode`` and ``encode``, and the names it needs."""
        decode = _function(
            "decode(buffer, start, end)",
            self._decode_lines(),
            "(Misfit, StructError, IndexError)",
            "explain_decode(buffer[start:end])",
        )
        encode = _function(
            "encode(self)",
            self._encode_lines(),
            "(Misfit, StructError, AttributeError, OverflowError, TypeError, ValueError)",
            "explain_encode(self)",
        )
        return decode + encode, self.scope

    def _run(self, codes: str) -> tuple[str, int]:
        """Precompile consecutive fixed-size fields; return the run's name and octets."""
        compiled = struct.Struct(">" + codes)
        name = f"run{self.runs}"
        self.runs += 1
        self.scope[f"{name}_unpack"] = compiled.unpack_from
        self.scope[f"{name}_pack"] = compiled.pack
        return name, compiled.size

    def _decode_lines(self) -> list[str]:
        lines = ["at = start"]
        codes = ["8x"]
        targets: list[str] = []
        values: list[str] = []

        def flush() -> None:
            if len(codes) == 1 and codes[0].endswith("s"):
                octets = int(codes[0][:-1])
                lines.append(f"{targets[0]} = buffer[at:at + {octets}]")
                lines.append(f"at += {octets}")
            elif codes:
                name, size = self._run("".join(codes))
                if targets:
                    lines.append(f"{', '.join(targets)}, = {name}_unpack(buffer, at)")
                lines.append(f"at += {size}")
            codes.clear()
            targets.clear()

        for name, subcon in self.fields:
            local = f"f_{name}"
            if isinstance(subcon, construct.FormatField | Text | Octets):
                codes.append(_code(subcon))
                targets.append(local)
                values.append(_read(subcon, local))
                continue
            if isinstance(subcon, Sized):
                codes.append(_code(subcon.length))
                targets.append("n")
                flush()
                lines += [f"{local} = buffer[at:at + n]", "at += n"]
            elif isinstance(subcon, Listed):
                codes.append(_code(subcon.count))
                targets.append("n")
                flush()
                lines += self._decode_items(local, subcon.item)
            elif isinstance(subcon, Tlvs):
                flush()
                lines += _decode_tlvs(local)
            elif isinstance(subcon, Rest):
                flush()
                lines += ["if at > end: raise Misfit", f"{local} = buffer[at:end]", "at = end"]
            else:
                raise TypeError(f"{self.cls.__name__}.{name}: layout does not know {subcon!r}")
            values.append(local)
        flush()
        return [*lines, "if at != end: raise Misfit", f"return cls({', '.join(values)})"]

    def _decode_items(self, local: str, item: Text | Record) -> list[str]:
        if isinstance(item, Text):
            size = item.octets
            return [
                "if n == 1:",
                f"    {local} = [{_cut(item, f'buffer[at:at + {size}]')}]",
                f"    at += {size}",
                "else:",
                f"    stop = at + n * {size}",
                "    if stop > end: raise Misfit",
                f"    {local} = [{_cut(item, f'buffer[i:i + {size}]')}"
                f" for i in range(at, stop, {size})]",
                "    at = stop",
            ]
        run, size = self._run("".join(_code(subcon) for _, subcon in item.fields))
        names = [f"i_{field}" for field, _ in item.fields]
        reads = [_read(subcon, f"i_{field}") for field, subcon in item.fields]
        self.scope[f"{local}_record"] = item.cls
        return [
            f"stop = at + n * {size}",
            "if stop > end: raise Misfit",
            f"{local} = []",
            f"for i in range(at, stop, {size}):",
            f"    {', '.join(names)}, = {run}_unpack(buffer, i)",
            f"    {local}.append({local}_record({', '.join(reads)}))",
            "at = stop",
        ]

    def _encode_lines(self) -> list[str]:
        lines: list[str] = []
        checks: list[str] = []
        codes = ["II"]
        arguments = ["total", str(self.cls.command_id)]
        pieces: list[str] = []
        lengths: list[str] = []

        def flush() -> None:
            if codes:
                name, size = self._run("".join(codes))
                pieces.append(f"{name}_pack({', '.join(arguments)})")
                lengths.append(str(size))
            codes.clear()
            arguments.clear()

        for name, subcon in self.fields:
            local, value = f"f_{name}", f"self.{name}"
            if isinstance(subcon, construct.FormatField | Text | Octets):
                codes.append(_code(subcon))
                arguments.append(_write(subcon, value))
                checks += _check(subcon, value)
                continue
            if isinstance(subcon, Sized):
                codes.append(_code(subcon.length))
                arguments.append(f"len({local})")
                lines.append(f"{local} = {value}")
            elif isinstance(subcon, Listed):
                codes.append(_code(subcon.count))
                arguments.append(f"len({value})")
                lines += self._encode_items(local, value, subcon.item)
            elif isinstance(subcon, Tlvs):
                lines.append(
                    f"{local} = b''.join([t.tag.to_bytes(2, 'big')"
                    f" + len(t.value).to_bytes(2, 'big') + t.value for t in {value}])"
                )
            else:
                lines.append(f"{local} = {value}")
            flush()
            pieces.append(local)
            lengths.append(f"len({local})")
        flush()
        if checks:
            lines.append(f"if {' or '.join(checks)}: raise Misfit")
        return [*lines, f"total = {' + '.join(lengths)}", f"return {' + '.join(pieces)}"]

    def _encode_items(self, local: str, value: str, item: Text | Record) -> list[str]:
        if isinstance(item, Text):
            run, _ = self._run(f"{item.octets}s")
            return [
                f"items = {value}",
                "if len(items) == 1:",
                "    item = items[0]",
                f"    if len(item) > {item.octets}: raise Misfit",
                f"    {local} = {run}_pack(item.encode('latin-1'))",
                "else:",
                "    for item in items:",
                f"        if len(item) > {item.octets}: raise Misfit",
                f"    {local} = b''.join([{run}_pack(item.encode('latin-1')) for item in items])",
            ]
        run, _ = self._run("".join(_code(subcon) for _, subcon in item.fields))
        checks = [check for field, sub in item.fields for check in _check(sub, f"i.{field}")]
        writes = ", ".join(_write(subcon, f"i.{field}") for field, subcon in item.fields)
        lines = [f"{local} = b''.join([{run}_pack({writes}) for i in {value}])"]
        if checks:
            lines[:0] = [f"for i in {value}:", f"    if {' or '.join(checks)}: raise Misfit"]
        return lines


def _function(signature: str, lines: list[str], errors: str, explain: str) -> str:
    body = "\n".join(f"        {line}" for line in lines)
    return (
        f"def {signature}:\n    try:\n{body}\n"
        f"    except {errors}:\n        raise {explain} from None\n"
    )


def _decode_tlvs(local: str) -> list[str]:
    return [
        f"{local} = []",
        "while at < end:",
        "    if end - at < 4: raise Misfit",
        "    body = at + 4",
        "    at = body + (buffer[body - 2] << 8 | buffer[body - 1])",
        "    if at > end: raise Misfit",
        f"    {local}.append(Tlv(buffer[body - 4] << 8 | buffer[body - 3], buffer[body:at]))",
    ]


def _code(subcon: Any) -> str:
    if isinstance(subcon, construct.FormatField):
        return str(subcon.fmtstr)[1:]
    return f"{subcon.octets}s"


def _read(subcon: Any, value: str) -> str:
    if isinstance(subcon, Text):
        return f"TEXTS[{value}]" if subcon.remembered else _cut(subcon, value)
    return value


def _cut(subcon: Text, value: str) -> str:
    if isinstance(subcon, Reserved):
        return f"{value}.rstrip(Z).decode('latin-1')"
    return f"{value}.partition(Z)[0].decode('latin-1')"


def _write(subcon: Any, value: str) -> str:
    return f"{value}.encode('latin-1')" if isinstance(subcon, Text) else value


def _check(subcon: Any, value: str) -> list[str]:
    if isinstance(subcon, Text):
        return [f"len({value}) > {subcon.octets}"]
    if isinstance(subcon, Octets):
        return [f"len({value}) != {subcon.octets}"]
    return []

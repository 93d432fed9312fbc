"""Writes the fast form of one PDU declaration: two Python functions over precompiled struct runs.

Consecutive fixed-size fields are one :class:`struct.Struct`; lists, sized octets, TLVs and texts
that end at their 0x00 are handled between the runs. ``struct`` cuts an over-long ``6s`` without a
word, so every text is length-checked before packing; slices past the end are silent and a 0x00 may
be the next PDU's, so each decode ends by comparing its position, which only grows, with the PDU's
end.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import construct
import msgspec

from smsgw.protocols.kinds import (
    LATIN1,
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


class Misfit(Exception):
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


class _Ended(dict[str, bytes]):
    """Text -> the octets before its 0x00, for texts of one limit."""

    def __init__(self, octets_max: int) -> None:
        super().__init__()
        self.octets_max = octets_max

    def __missing__(self, text: str) -> bytes:
        raw = text.encode(LATIN1)
        if len(raw) >= self.octets_max or b"\0" in raw:
            raise Misfit
        if len(self) >= TEXTS_KEPT:
            self.clear()
        self[text] = raw
        return raw


class _Octets(dict[str, bytes]):
    """Text -> the octets of a field of one width; one that does not fit is not remembered."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def __missing__(self, text: str) -> bytes:
        raw = text.encode(LATIN1)
        if len(raw) > self.width:
            raise Misfit
        if len(self) >= TEXTS_KEPT:
            self.clear()
        self[text] = raw
        return raw


OCTETS: dict[int, _Octets] = {}
"""By width, shared by all fields of it."""


class Compiler:
    """Writes the two functions of one PDU class as Python source.

    A local variable that holds a field is the field's name behind ``f_``, so that no name of a
    specification can meet one of ours.

    Args:
        cls: The PDU class; its constructor takes the fields in order.
        command_id: What the header says.
        fields: (name, construct object) in wire order, after total length and command id.
    """

    def __init__(
        self, cls: type[msgspec.Struct], command_id: int, fields: list[tuple[str, Any]]
    ) -> None:
        self.cls = cls
        self.command_id = command_id
        self.fields = fields
        self.scope: dict[str, Any] = {
            "cls": cls,
            "Misfit": Misfit,
            "StructError": struct.error,
            "TEXTS": TEXTS,
            "Z": b"\0",
            "Tlv": Tlv,
        }
        self.runs = 0
        for width in _remembered_widths(fields):
            self.scope[f"OCTETS{width}"] = OCTETS.setdefault(width, _Octets(width))

    def compile(self) -> tuple[str, dict[str, Any]]:
        """Return the source of ``decode`` and ``encode``, and the names it needs."""
        decode = _function(
            "decode(buffer, start, end)",
            self._decode_lines(),
            "(Misfit, StructError, IndexError, ValueError)",
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
            if isinstance(subcon, CText):
                flush()
                lines += _decode_ended(local, subcon)
                codes.append("x")  # its 0x00
            elif isinstance(subcon, Sized):
                codes.append(_code(subcon.length))
                targets.append("n")
                flush()
                lines += [f"{local} = buffer[at:at + n]", "at += n"]
            elif _varies(subcon):
                flush()
                self.scope[f"{local}_read"] = _reader(subcon)
                lines.append(f"{local}, at = {local}_read(buffer, at, end)")
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
        arguments = ["total", str(self.command_id)]
        pieces: list[str] = []
        lengths: list[str] = []
        fixed = 0

        def flush() -> None:
            nonlocal fixed
            if codes == ["x"]:
                pieces.append("Z")
                fixed += 1
            elif codes:
                name, size = self._run("".join(codes))
                pieces.append(f"{name}_pack({', '.join(arguments)})")
                fixed += size
            codes.clear()
            arguments.clear()

        for name, subcon in self.fields:
            local, value = f"f_{name}", f"self.{name}"
            if isinstance(subcon, construct.FormatField | Text | Octets):
                codes.append(_code(subcon))
                arguments.append(_write(subcon, value))
                checks += _check(subcon, value)
                continue
            if isinstance(subcon, CText):
                lines += self._encode_ended(local, value, subcon)
            elif isinstance(subcon, Sized):
                codes.append(_code(subcon.length))
                arguments.append(f"len({local})")
                lines.append(f"{local} = {value}")
            elif _varies(subcon):
                self.scope[f"{local}_write"] = _writer(subcon)
                lines.append(f"{local} = {local}_write({value})")
            elif isinstance(subcon, Listed):
                codes.append(_code(subcon.count))
                arguments.append(f"len({value})")
                lines += self._encode_items(local, value, subcon.item)
            elif isinstance(subcon, Tlvs):
                lines.append(
                    f"{local} = b''.join([t.tag.to_bytes(2, 'big')"
                    f" + len(t.value).to_bytes(2, 'big') + t.value for t in {value}])"
                    f" if len({value}) else b''"
                )
            else:
                lines.append(f"{local} = {value}")
            flush()
            pieces.append(local)
            lengths.append(f"len({local})")
            if isinstance(subcon, CText):
                codes.append("x")  # its 0x00
        flush()
        if checks:
            lines.append(f"if {' or '.join(checks)}: raise Misfit")
        lengths.append(str(fixed))
        return [*lines, f"total = {' + '.join(lengths)}", f"return {' + '.join(pieces)}"]

    def _encode_ended(self, local: str, value: str, subcon: CText) -> list[str]:
        """The octets of a text before its 0x00, checked."""
        if subcon.remembered:
            octets = self.scope.setdefault(f"ENDED{subcon.octets_max}", _Ended(subcon.octets_max))
            return [f"{local} = ENDED{octets.octets_max}[{value}]"]
        return [
            f"{local} = {value}.encode('latin-1')",
            f"if len({local}) >= {subcon.octets_max} or Z in {local}: raise Misfit",
        ]

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


def _varies(subcon: Any) -> bool:
    """Whether it is a list of items of different sizes: rare, so construct itself reads it."""
    return isinstance(subcon, Listed) and not getattr(subcon.item, "fixed", True)


def _reader(subcon: Listed) -> Callable[[bytes, int, int], tuple[list[Any], int]]:
    def read(buffer: bytes, at: int, end: int) -> tuple[list[Any], int]:
        stream = io.BytesIO(buffer[at:end])
        try:
            items = subcon.parse_stream(stream)
        except construct.ConstructError:
            raise Misfit from None
        return items, at + stream.tell()

    return read


def _writer(subcon: Listed) -> Callable[[list[Any]], bytes]:
    def write(items: list[Any]) -> bytes:
        try:
            octets: bytes = subcon.build(items)
        except construct.ConstructError:
            raise Misfit from None
        return octets

    return write


def _remembered_widths(fields: list[tuple[str, Any]]) -> set[int]:
    widths: set[int] = set()
    for _, subcon in fields:
        if isinstance(subcon, Text) and subcon.remembered:
            widths.add(subcon.octets)
        elif isinstance(subcon, Listed) and isinstance(subcon.item, Record):
            widths |= _remembered_widths(subcon.item.fields)
    return widths


def _code(subcon: Any) -> str:
    if isinstance(subcon, construct.FormatField):
        return str(subcon.fmtstr)[1:]
    return f"{subcon.octets}s"


def _read(subcon: Any, value: str) -> str:
    if isinstance(subcon, Text):
        return f"TEXTS[{value}]" if subcon.remembered else _cut(subcon, value)
    return value


def _decode_ended(local: str, subcon: CText) -> list[str]:
    """A text up to its 0x00, where ``at`` then is."""
    begin = f"stop = buffer.index(Z, at, at + {subcon.octets_max})"
    if not subcon.remembered:
        return [begin, f"{local} = buffer[at:stop].decode('latin-1')", "at = stop"]
    return [
        f"{local} = ''",
        "if buffer[at]:",
        f"    {begin}",
        f"    {local} = TEXTS[buffer[at:stop]]",
        "    at = stop",
    ]


def _cut(subcon: Text, value: str) -> str:
    if isinstance(subcon, Reserved):
        return f"{value}.rstrip(Z).decode('latin-1')"
    return f"{value}.partition(Z)[0].decode('latin-1')"


def _write(subcon: Any, value: str) -> str:
    if not isinstance(subcon, Text):
        return value
    if subcon.remembered:
        return f"OCTETS{subcon.octets}[{value}]"
    return f"{value}.encode('latin-1')"


def _check(subcon: Any, value: str) -> list[str]:
    if isinstance(subcon, Text):
        if subcon.remembered:
            return []  # OCTETS checks what it remembers
        return [f"len({value}) > {subcon.octets}"]
    if isinstance(subcon, Octets):
        return [f"len({value}) != {subcon.octets}"]
    return []

"""What every carrier's ``codec.py`` is made of: command tables per version, decode, encode.

A carrier declares its PDU classes and which version uses which; this turns the lists into tables
that a session looks decoders up in, once per bind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from smsgw.errors import PduError
from smsgw.protocols.account import AUTO
from smsgw.protocols.fields import pdu_from_fields, pdu_to_fields
from smsgw.protocols.framing import Framer
from smsgw.protocols.layout import Pdu

Decoder = Callable[[bytes, int, int], Pdu]


class Codec:
    """One protocol's codec.

    Args:
        protocol: The protocol's name, as on the command line.
        versions: Version name -> the PDU classes spoken in it.
        default_version: Used when the caller names none.
        header_octets: Octets of the header.
        largest_octets: Largest PDU believed.
        lenient: Classes tried when a body does not fit its version's layout: peers that answer
            with another version's body (cmpp.md section 16 Q2).
        refine: Adds to a PDU's JSON object what only the carrier knows (reports, TLV names).
        restore: The reverse, before the object becomes a PDU.

    Attributes:
        tables: Version name -> command id -> PDU class.
        names: Command id -> its name, of all versions.
    """

    def __init__(
        self,
        protocol: str,
        versions: Mapping[str, Iterable[type[Pdu]]],
        default_version: str,
        header_octets: int,
        largest_octets: int,
        lenient: Iterable[type[Pdu]] = (),
        refine: Callable[[Pdu, dict[str, Any]], None] | None = None,
        restore: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.protocol = protocol
        self.tables = {
            version: {cls.command_id: cls for cls in classes}
            for version, classes in versions.items()
        }
        self.names = {i: cls.command for table in self.tables.values() for i, cls in table.items()}
        self.default_version = default_version
        self.header_octets = header_octets
        self.largest_octets = largest_octets
        self.lenient = list(lenient)
        self._refine = refine
        self._restore = restore

    def decoders(self, version: str) -> dict[int, Decoder]:
        """Command id -> what reads such a PDU of one version, for a session's own table."""
        return {command_id: cls.layout.decode for command_id, cls in self._table(version).items()}

    def framer(self) -> Framer:
        """A new framer for one connection of this protocol."""
        return Framer(self.header_octets, self.largest_octets)

    def decode(self, frame: bytes, version: str | None = None) -> Pdu:
        """Read one whole PDU.

        Raises:
            PduError: Names the field and the offset.
        """
        if len(frame) < self.header_octets:
            raise PduError(
                "header", "total_length", 0, f"{len(frame)} octets, at least {self.header_octets}"
            )
        if (length := int.from_bytes(frame[:4], "big")) != len(frame):
            raise PduError(
                "header", "total_length", 0, f"says {length} octets, the PDU has {len(frame)}"
            )
        return self.decode_at(frame, 0, len(frame), version)

    def decode_at(self, buffer: bytes, start: int, end: int, version: str | None = None) -> Pdu:
        """Read the PDU in ``buffer[start:end]``, whose length the framer has checked.

        Raises:
            PduError: Names the field and the offset from ``start``.
        """
        table = self._table(version)
        command_id = int.from_bytes(buffer[start + 4 : start + 8], "big")
        cls = table.get(command_id)
        if cls is None:
            raise PduError(
                f"0x{command_id:08x}", "command_id", 4, "unknown command", command_id=command_id
            )
        try:
            return cls.layout.decode(buffer, start, end)
        except PduError:
            for other in self.lenient:
                if other.command_id == command_id and other is not cls:
                    try:
                        return other.layout.decode(buffer, start, end)
                    except PduError:
                        continue
            raise

    def encode(self, pdu: Pdu) -> bytes:
        """Return the PDU's octets.

        Raises:
            EncodeError: A field does not fit.
        """
        return pdu.encode()

    def to_fields(self, pdu: Pdu, total_octets: int | None = None) -> dict[str, Any]:
        """Return the PDU as one JSON-ready object with the specification's names.

        Binary fields become ``<name>_hex``; ``command``, ``total_length`` and ``command_id`` come
        first.

        Raises:
            PduError: A structure inside the content (a report) cannot be read.
        """
        fields = pdu_to_fields(pdu, total_octets)
        if self._refine is not None:
            self._refine(pdu, fields)
        return fields

    def from_fields(self, fields: Mapping[str, Any], version: str | None = None) -> Pdu:
        """Return the PDU that such an object describes.

        Raises:
            ValidationError: Names the key that is missing, unknown or of the wrong kind.
            EncodeError: A value does not fit its field.
        """
        fields = dict(fields)
        if self._restore is not None:
            self._restore(fields)
        table = self._table(version)
        classes = {cls.command: cls for cls in table.values()}
        for other in self.lenient:  # an answer without its body, for one, as it was decoded
            shown = {"command", "total_length", "command_id", *other.__struct_fields__}
            if (
                fields.get("command") == other.command
                and fields.get("total_length") == len(other().encode())
                and fields.keys() <= shown
            ):
                classes[other.command] = other
        return pdu_from_fields(classes, fields)

    def _table(self, version: str | None) -> Mapping[int, type[Pdu]]:
        return self.tables[version if version and version != AUTO else self.default_version]

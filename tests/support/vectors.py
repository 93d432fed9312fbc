"""The test vectors: PDUs agreed by implementations that are not ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors"


@dataclass(frozen=True, slots=True)
class Vector:
    """One PDU of a carrier; ``fields`` is None for one that must be refused."""

    name: str
    version: str
    octets: bytes
    fields: dict[str, Any] | None
    category: str
    note: str

    def __str__(self) -> str:
        return self.name


def vectors(protocol: str, *, malformed: bool | None = None) -> list[Vector]:
    """The vectors of a protocol: all, or only the malformed or only the well-formed ones."""
    listed = json.loads((FOLDER / f"{protocol}.json").read_text(encoding="utf-8"))
    found = [
        Vector(
            name=entry["name"],
            version=entry["version"],
            octets=bytes.fromhex(entry["hex"]),
            fields=entry["fields"],
            category=entry["category"],
            note=entry.get("note", ""),
        )
        for entry in listed
    ]
    return [v for v in found if malformed is None or malformed == (v.fields is None)]


def vector(protocol: str, name: str) -> Vector:
    """One vector by name."""
    return next(v for v in vectors(protocol) if v.name == name)

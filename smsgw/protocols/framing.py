"""Octet stream -> whole PDUs, by the total length in a PDU's first four octets.

A length that cannot be is noticed as soon as its four octets are here; the frames before it are
still handed over. The buffer never holds more than one unfinished PDU beyond what a feed brought.
"""

from __future__ import annotations

import struct
from itertools import pairwise

from smsgw.errors import FrameError

length_of = struct.Struct(">I").unpack_from


class Framer:
    """Cuts a byte stream into PDUs.

    Args:
        smallest: Octets of the header; a smaller total length is an error.
        largest: Largest total length believed.

    Attributes:
        error: Set once the stream cannot be resynchronised; what is fed then is ignored.
    """

    __slots__ = ("_rest", "error", "largest", "smallest")

    def __init__(self, smallest: int, largest: int) -> None:
        self.smallest = smallest
        self.largest = largest
        self.error: FrameError | None = None
        self._rest = b""

    @property
    def waiting_octets(self) -> int:
        """Octets of an unfinished PDU held back."""
        return len(self._rest)

    def feed(self, data: bytes) -> tuple[bytes, list[int]]:
        """Take ``data`` and return where the whole PDUs lie.

        Returns:
            A buffer and the PDUs' boundaries in it: PDU ``i`` is
            ``buffer[bounds[i]:bounds[i + 1]]``. The list always starts with 0.
        """
        if self.error is not None:
            return b"", [0]
        buffer = self._rest + data if self._rest else data
        bounds = [0]
        at, have = 0, len(buffer)
        smallest, largest = self.smallest, self.largest
        while have - at >= 4:
            (length,) = length_of(buffer, at)
            if length < smallest or length > largest:
                self._rest = b""
                self.error = self._bad_length(length, buffer[at : at + 4])
                return buffer, bounds
            if have - at < length:
                break
            at += length
            bounds.append(at)
        self._rest = buffer[at:] if at else buffer
        return buffer, bounds

    def split(self, data: bytes) -> list[bytes]:
        """Take ``data`` and return the PDUs that are now whole.

        Raises:
            FrameError: The length field after them cannot be.
        """
        buffer, bounds = self.feed(data)
        frames = [buffer[a:b] for a, b in pairwise(bounds)]
        if self.error is not None and not frames:
            raise self.error
        return frames

    def _bad_length(self, length: int, octets: bytes) -> FrameError:
        what = f"total length {length}, limit {self.smallest} to {self.largest}"
        if octets.isalpha() or octets == b"GET ":
            what += f" (the octets spell {octets.decode('ascii')!r}: not this protocol)"
        return FrameError(what)
